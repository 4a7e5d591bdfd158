"""Forget, calibrate, and write the evidence: one call."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from limen._core.errors import UsageError
from limen.algebra.vector import ParamVector
from limen.measure.tradeoff import Tradeoff
from limen.run.folder import RunFolder
from limen.train import ranks
from limen.unlearn.calibrate import mixed
from limen.unlearn.data import Source
from limen.unlearn.deposit import conclude, settings
from limen.unlearn.encode import context_length
from limen.unlearn.mixing import Mixing
from limen.unlearn.outcome import Outcome, outcome
from limen.unlearn.step import Objective
from limen.unlearn.task import Task
from limen.unlearn.training import Training

if TYPE_CHECKING:
    import transformers


@dataclass(frozen=True)
class Forgotten:
    """What `forget` hands back.

    Attributes:
        model: The calibrated model: the object that was passed in, moved.
        tradeoff: Every mixing weight scored, between the model before and after.
        report: The page, None without `into`.
        outcome: Scores before, after and calibrated, and the training's history.

    Example:
        >>> from limen import unlearn
        >>> from limen.unlearn.toy import toy_model, toy_tokenizer
        >>> tokenizer = toy_tokenizer(["one two three four"] * 8, vocabulary=280)
        >>> model = toy_model(tokenizer, width=32, layers=1)
        >>> rows = [{"prompt": "one", "response": " two"}, {"prompt": "three", "response": " four"}]
        >>> _ = unlearn.learn(model, tokenizer, rows, steps=60, lr=1e-2)
        >>> result = forget(model, tokenizer, forget=rows[:1], retain=rows[1:],
        ...                 training=Training(steps=1, lr=1e-6, batch=1))
        >>> result.model is model, result.report, result.outcome.point.price
        (True, None, 0.0)
    """

    model: nn.Module
    tradeoff: Tradeoff
    report: Path | None
    outcome: Outcome


def forget(
    model: nn.Module,
    tokenizer: "transformers.PreTrainedTokenizerBase",
    *,
    forget: Source | Task,
    retain: Source | None = None,
    objective: Objective | None = None,
    rectify: bool | None = None,
    keep: float = 0.95,
    into: str | Path | None = None,
    training: Training | None = None,
    merge: bool = True,
) -> Forgotten:
    """Make a model forget rows, and give back as much of it as keeps `keep` of the rest.

    Trains with the objective (rectified by default), mixes the result with the model before until
    the retain rows' extraction strength is back at `keep` of what it was, and writes model,
    trade-off and page. With `into`, the same call with the same model resumes after a kill.

    Args:
        model: A causal language model; full, or with a fresh LoRA adapter, which alone is trained.
        tokenizer: Its tokenizer.
        forget: Rows to forget, anything `read_rows` takes; or a `Task` with both sets.
        retain: Rows to keep.
        objective: The loss on the forget rows; WGA(alpha=1) by default.
        rectify: Guard the retain rows by gradient surgery (GRU); None does as `training` says,
            whose default is to.
        keep: Share of the retain rows' extraction strength to keep, in (0, 1].
        into: Run folder: `model/`, `tradeoff.json`, `report.html`, `result.json`, checkpoints.
        training: Steps, learning rate and the rest; `objective` and `rectify` go before it.
        merge: Write a LoRA model whole; False writes its adapter alone, at the calibrated scale.

    Returns:
        The calibrated model, the trade-off and the page.

    Raises:
        UsageError: Bad rows, rows of which the model knows nothing, `keep` outside (0, 1], a
            folder of another configuration.
        WorkError: Training diverged, or the disk refused.

    Reference:
        Wang et al., GRU, ICML 2025 (surgery); Wang et al., Towards Effective Evaluations and
        Comparisons for LLM Unlearning Methods, ICLR 2025 (calibration).

    Example:
        >>> from limen import unlearn
        >>> from limen.unlearn.toy import toy_model, toy_tokenizer
        >>> tokenizer = toy_tokenizer(["one two three four"] * 8, vocabulary=280)
        >>> model = toy_model(tokenizer, width=32, layers=1)
        >>> rows = [{"prompt": "one", "response": " two"}, {"prompt": "three", "response": " four"}]
        >>> _ = unlearn.learn(model, tokenizer, rows, steps=60, lr=1e-2)
        >>> result = forget(model, tokenizer, forget=rows[:1], retain=rows[1:],
        ...                 training=Training(steps=10, lr=1e-2, batch=1))
        >>> result.tradeoff.at(price=0.05).gain
        1.0
    """
    plan = _plan(training or Training(), objective=objective, rectify=rectify)
    task = _task(model, tokenizer, forget=forget, retain=retain)
    plan.check(task, model)
    mixing = mixed(_before(model), model, task, keep=keep)
    if into is not None and ranks.world() > 1:
        raise UsageError("into is written by one process; several can use fit and calibrate")
    if into is None:
        found = _run(mixing, plan, keep=keep, into=None)
        return Forgotten(model, found.tradeoff, None, found)
    facts = settings("unlearn forget", model, task, plan=plan, merge=merge, keep=keep)
    folder = RunFolder(into)
    with folder.opened(facts):
        found = _run(mixing, plan, keep=keep, into=folder.path)
        report = conclude(
            folder,
            found,
            model=model,
            task=task,
            keep=keep,
            facts=facts,
            title="Forgotten, and at what price",
            merge=merge,
        )
    return Forgotten(model, found.tradeoff, report, found)


def _run(mixing: Mixing, plan: Training, *, keep: float, into: Path | None) -> Outcome:
    """Train, calibrate, and leave the model at the operating point."""
    trace, stop = plan.trace(mixing.task), plan.early_stop(mixing.task)
    state = plan.run(
        mixing.model, mixing.task, into=into, label=f"forgetting, {plan.name}",
        callbacks=[watcher for watcher in (trace, stop) if watcher is not None],
    )  # fmt: skip
    found = outcome(
        mixing, name=plan.name, keep=keep, history=state.history, effects=trace, stop=stop,
        seed=plan.seed,
    )  # fmt: skip
    mixing.settle(float(found.point.knob))
    return found


def _plan(training: Training, *, objective: Objective | None, rectify: bool | None) -> Training:
    """The settings, with what was said beside them; a special Rectify counts as True."""
    changes: dict[str, Any] = {} if objective is None else {"objective": objective}
    if rectify is not None and rectify != bool(training.rectify):
        changes["rectify"] = rectify
    return replace(training, **changes)


def _task(model: nn.Module, tokenizer: Any, *, forget: Source | Task, retain: Any) -> Task:
    """The rows of both sets.

    Raises:
        UsageError: A task and retain rows beside it.
    """
    if not isinstance(forget, Task):
        length = context_length(model)
        return Task(tokenizer, forget=forget, retain=retain, max_length=length)
    if retain is not None:
        raise UsageError("retain must be left out where forget is a Task, which has both sets")
    return forget


def _before(model: nn.Module) -> ParamVector | None:
    """The trainable parameters; None for a fresh LoRA adapter, whose scale is the mixing weight.

    Raises:
        UsageError: The adapter is not fresh, so that scaling it would not lead back.
    """
    adapters = [p for name, p in model.named_parameters() if "lora_B" in name]
    if not adapters:
        return ParamVector.of(model).copy()
    if any(bool(p.detach().any()) for p in adapters):
        raise UsageError("the LoRA adapter must be fresh; merge the trained one and add another")
    return None
