"""What a forgetting run came to: its curve, its operating point, and what the model says now."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from limen.algebra.modes import in_mode
from limen.measure.tradeoff import Point, Tradeoff
from limen.report.diff import Answer
from limen.unlearn.calibrate import trace_out
from limen.unlearn.early_stop import EarlyStop
from limen.unlearn.effect_trace import EffectTrace
from limen.unlearn.encode import Encoded
from limen.unlearn.mixing import Mixing
from limen.unlearn.scores.one_pass import Recall, recall
from limen.unlearn.task import Task

Scores = tuple[Recall, Recall]
Kept = dict[str, Recall]
"""Scores of the further sets to keep, by name."""
MOMENTS = ("before", "after", "calibrated")
CUT = "\ufffd"
"""What stands for a character of which only some bytes are there."""


@dataclass(frozen=True)
class Outcome:
    """One method's result on one task.

    Attributes:
        name: The method.
        tradeoff: Every mixing weight that was scored.
        point: The calibrated setting.
        before: Forget and retain scores of the model before.
        after: Those of the model as training left it.
        calibrated: Those of the calibrated model.
        history: Values of each training step.
        answers: Prompts answered before and after calibration.
        effects: What the steps did to probe rows, where somebody watched.
        stop: What would have ended the training early, and whether it did, where it was asked for.
        guards: Scores of the further sets to keep, by moment ("before", "after", "calibrated") and
            name.
    """

    name: str
    tradeoff: Tradeoff
    point: Point
    before: Scores
    after: Scores
    calibrated: Scores
    history: list[dict[str, float]]
    answers: list[Answer]
    effects: EffectTrace | None = None
    stop: EarlyStop | None = None
    guards: Mapping[str, Kept] = field(default_factory=dict)


def outcome(
    mixing: Mixing,
    *,
    name: str,
    keep: float,
    history: list[dict[str, float]],
    effects: EffectTrace | None = None,
    stop: EarlyStop | None = None,
    shown: int = 2,
    seed: int = 0,
) -> Outcome:
    """Calibrate, and look at the calibrated model; the model ends where it began.

    Args:
        mixing: The two models and the task.
        name: The method.
        keep: Share of the retained extraction strength to keep.
        history: Values of each training step.
        effects: The trace of a watcher, if there was one.
        stop: The watcher that could end the training, if there was one.
        shown: Rows of each set whose answers are generated.
        seed: Seed of the bootstrap.

    Returns:
        Everything that the page tells.

    Raises:
        UsageError: As `calibrate`.
    """
    tradeoff = trace_out(mixing, keep=keep, name=name, seed=seed)
    point = tradeoff.at(price=1 - keep)
    weight = float(point.knob)
    return Outcome(
        name=name,
        tradeoff=tradeoff,
        point=point,
        before=mixing.score(0.0),
        after=mixing.score(1.0),
        calibrated=mixing.score(weight),
        history=history,
        answers=_answers(mixing, weight, shown),
        effects=effects,
        stop=stop,
        guards=_guarded(mixing, weight),
    )


def guard_scores(model: nn.Module, task: Task, *, batch: int = 16) -> Kept:
    """Scores of every further set to keep, one pass each; empty where the task has none."""
    return {name: recall(model, None, rows, batch=batch) for name, rows in task.guards.items()}


def _guarded(mixing: Mixing, weight: float) -> dict[str, Kept]:
    """Those of the three moments; `weight` is the calibrated one."""
    if not mixing.task.guards:
        return {}
    found = {}
    for moment, at in zip(MOMENTS, (0.0, 1.0, weight), strict=True):
        with mixing.at(at):
            found[moment] = guard_scores(mixing.model, mixing.task, batch=mixing.batch)
    return found


def _answers(mixing: Mixing, weight: float, shown: int) -> list[Answer]:
    """The best-known rows of each set, so that there is something to lose."""
    answers = []
    for side, rows, scores in zip(
        ("forget", "retain"), (mixing.task.forget, mixing.task.retain), mixing.score(0.0),
        strict=True,
    ):  # fmt: skip
        best = scores.extraction_strength.argsort(kind="stable")[::-1][:shown]
        chosen = [rows[i] for i in best if scores.tokens[i]]
        said = []
        for at in (0.0, weight):
            with mixing.at(at):
                said.append(continuations(mixing.model, chosen))
        for row, before, after in zip(chosen, *said, strict=True):
            read = mixing.task.tokenizer.decode
            prompt = row.ids[: row.answer]
            answers.append(
                Answer(
                    read(prompt).rstrip(CUT),
                    continued(read, prompt, before),
                    continued(read, prompt, after),
                    expected=continued(read, prompt, row.ids[row.answer :]),
                    label="to forget" if side == "forget" else "to keep",
                )
            )
    return answers


def continued(read: Callable[[list[int]], str], prompt: list[int], said: list[int]) -> str:
    """What tokens say behind a prompt, in whole characters.

    A character may stand on several tokens: one that begins in the prompt belongs to what is said,
    and one whose last bytes are missing at the end is left out.

    Args:
        read: The tokenizer's `decode`.
        prompt: Token ids before.
        said: Token ids of the continuation.

    Returns:
        The text.

    Example:
        >>> read = lambda ids: bytes(ids).decode(errors="replace")
        >>> continued(read, [97, 0xC3], [0xA9, 98, 0xC3])
        'éb'
    """
    lead = read(prompt).rstrip(CUT)
    whole = read([*prompt, *said])
    return (whole[len(lead) :] if whole.startswith(lead) else read(said)).rstrip(CUT)


def continuations(model: Any, rows: Sequence[Encoded]) -> list[list[int]]:
    """Greedy continuations of each row's prompt, as long as its answer.

    Args:
        model: A causal language model.
        rows: Encoded rows; what stands before the answer is the prompt.

    Returns:
        Token ids of each continuation.
    """
    found = []
    device = next(model.parameters()).device
    with torch.no_grad(), in_mode(model, training=False):
        for row in rows:
            prompt = torch.tensor([row.ids[: row.answer]], device=device)
            found.append(_greedy(model, prompt, len(row.ids) - row.answer))
    return found


def _greedy(model: nn.Module, ids: torch.Tensor, count: int) -> list[int]:
    said: list[int] = []
    past = None
    for _ in range(count):
        out = model(input_ids=ids, past_key_values=past, use_cache=True)
        past = out.past_key_values
        ids = out.logits[:, -1].argmax(-1, keepdim=True)
        said.append(int(ids))
    return said
