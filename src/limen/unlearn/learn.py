"""Teach a model rows by heart, so that there is something to forget."""

from math import cos, pi
from typing import TYPE_CHECKING

import torch
from torch import nn

from limen._core.errors import UsageError
from limen.run.progress import progress
from limen.train.fit import fit
from limen.train.loop import Loop
from limen.unlearn.encode import require_fit
from limen.unlearn.retain.nll import NLL
from limen.unlearn.scores.one_pass import recall
from limen.unlearn.step import Step
from limen.unlearn.task import Task

if TYPE_CHECKING:
    import transformers


def learn(
    model: nn.Module,
    tokenizer: "transformers.PreTrainedTokenizerBase",
    rows: object,
    *,
    until: float = 0.95,
    steps: int = 400,
    batch: int = 8,
    lr: float = 3e-3,
    check_every: int = 25,
    seed: int = 0,
    template: str = "auto",
) -> float:
    """Train in place until the mean extraction strength reaches `until`, or `steps` are over.

    AdamW on the answers' NLL, warm-up over a tenth of the steps, cosine decay to a tenth of `lr`.

    Args:
        model: A causal language model; its trainable parameters are trained.
        tokenizer: Its tokenizer.
        rows: Anything `read_rows` takes.
        until: Mean extraction strength over the rows at which to stop, in (0, 1].
        steps: Largest number of optimiser steps.
        batch: Rows in a step.
        lr: Peak learning rate.
        check_every: Steps between looks at the extraction strength.
        seed: Order of the rows.
        template: "auto", "chat" or "plain", as for `Task`.

    Returns:
        The mean extraction strength reached; it may be below `until`.

    Raises:
        UsageError: `until` outside (0, 1], or rows that the model cannot take.

    Example:
        >>> from limen.unlearn.toy import toy_model, toy_tokenizer
        >>> rows = [{"prompt": "one two", "response": " three four"}]
        >>> tokenizer = toy_tokenizer(["one two three four"] * 8, vocabulary=280)
        >>> model = toy_model(tokenizer, width=32, layers=1)
        >>> learn(model, tokenizer, rows, steps=50, lr=1e-2)
        1.0
    """
    if not 0 < until <= 1:
        raise UsageError(f"until={until} must lie in (0, 1]")
    task = Task(tokenizer, forget=rows, template=template)  # type: ignore[arg-type]
    require_fit(model, task.forget)
    batches = task.batches(batch, seed=seed)
    params = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(params, lr, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _warm_cosine(step, steps))
    reached, taken = 0.0, 0
    with progress("learning by heart", total=steps) as advance:
        while taken < steps and reached < until:
            count = min(check_every, steps - taken)
            fit(
                model,
                Step(NLL()),
                _From(batches, taken),
                steps=count,
                optimizer=optimizer,
                loop=Loop(clip=1.0, schedule=schedule, label=""),
            )
            taken += count
            reached = float(recall(model, None, task.forget).extraction_strength.mean())
            advance(count, note=f"extraction strength {reached:.2f}")
    return reached


class _From:
    """Batches from a later start."""

    def __init__(self, batches: object, start: int):
        self.batches, self.start = batches, start

    def __getitem__(self, i: int) -> object:
        return self.batches[self.start + i]  # type: ignore[index]


def _warm_cosine(step: int, steps: int) -> float:
    warm = max(1, steps // 10)
    if step < warm:
        return (step + 1) / warm
    return 0.1 + 0.9 * 0.5 * (1 + cos(pi * (step - warm) / max(1, steps - warm)))
