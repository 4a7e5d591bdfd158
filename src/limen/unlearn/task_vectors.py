"""Forgetting by negation: learn more of what is to be forgotten, then walk the other way."""

from collections.abc import Sequence

import torch
from torch import nn

from limen._core.errors import UsageError
from limen._core.streams import seed_for
from limen.algebra.surgery import rectified
from limen.algebra.vector import ParamVector
from limen.train import ranks
from limen.train.fit import fit
from limen.train.loop import Loop
from limen.train.randomness import seeded
from limen.unlearn.encode import require_fit
from limen.unlearn.pairing import permutation
from limen.unlearn.retain.nll import NLL
from limen.unlearn.step import Step
from limen.unlearn.task import Task


def task_vectors(
    model: nn.Module,
    task: Task,
    *,
    splits: int = 1,
    rectify: bool = False,
    scale: float = 1.0,
    steps: int = 40,
    lr: float = 1e-4,
    batch: int = 8,
    seed: int = 0,
) -> ParamVector:
    """Forget by subtracting what further learning of the rows adds to the parameters.

    `T = finetune(theta, D_forget) - theta`, and the model becomes `theta - scale * T`. No retain
    row is read, and no loss is ever ascended. With K splits of the rows the result is
    `theta - scale * mean_i T_i`, each `T_i` learnt from one split alone.

    `rectify=True` is EXPERIMENTAL. It is a reconstruction of the retain-data-free variant of GRU,
    which was not released, and has not been confirmed against the paper: `-T_i` is bent so that it
    does not harm what learning all other splits would teach, `<u_i, T_rest_i> >= 0`, and the model
    becomes `theta + scale * mean_i u_i`. What the paper puts in the place of `T_rest_i` is the
    uncertain part. It costs a second fine-tuning for each split.

    Args:
        model: A causal language model; its trainable parameters are changed in place.
        task: Its rows to forget are used, and nothing else of it.
        splits: K, at least 1 and at most the number of rows; at least 2 with `rectify`.
        rectify: Bend each split's vector; experimental, see above.
        scale: Lambda, finite and not negative; 0 changes nothing.
        steps: Optimiser steps of each fine-tuning.
        lr: Its learning rate, of AdamW without weight decay.
        batch: Rows in a step.
        seed: Decides the splits, the order of the rows and dropout.

    Returns:
        What was added to the parameters, by name.

    Raises:
        UsageError: A value out of range, or rows that the model cannot take.
        WorkError: A fine-tuning failed; the model is as it was.

    Reference:
        Ilharco et al., Editing Models with Task Arithmetic, ICLR 2023, forgetting via negation.
        Departures: splits. `rectify`: after section 4 of Wang et al., GRU: Mitigating the Trade-off
        between Unlearning and Retention for LLMs, ICML 2025; a reconstruction, see above.

    Example:
        >>> from limen.unlearn.toy import toy_model, toy_tokenizer
        >>> tokenizer = toy_tokenizer(["one two three four"] * 8, vocabulary=280)
        >>> model = toy_model(tokenizer, width=32, layers=1)
        >>> task = Task(tokenizer, forget=[{"prompt": "one two", "response": " three four"}])
        >>> task_vectors(model, task, scale=0.0, steps=1).norm()
        0.0
    """
    _check(task, splits=splits, rectify=rectify, scale=scale)
    require_fit(model, task.forget)
    start = ParamVector.of(model).copy()

    def learnt(rows: Sequence[int]) -> ParamVector:
        """What the parameters gain by learning these rows; they come back as they were."""
        known = [task.forget_rows[row] for row in sorted(rows)]
        part = Task(task.tokenizer, forget=known, template=task.template, eos=task.eos)
        params = [p for p in model.parameters() if p.requires_grad]
        try:
            with seeded(model, seed_for(seed, "task vectors", ranks.rank())):
                fit(
                    model,
                    Step(NLL()),
                    part.batches(batch, seed=seed),
                    steps=steps,
                    optimizer=torch.optim.AdamW(params, lr, weight_decay=0.0),
                    loop=Loop(clip=1.0, label="learning what to subtract"),
                )
            return ParamVector.of(model) - start
        finally:
            _place(model, start)

    order = permutation(len(task.forget), seed, "splits")
    total = start.map(torch.zeros_like)
    for i in range(splits):
        away = -learnt(order[i::splits])
        if rectify:
            away = rectified(away, learnt([row for j, row in enumerate(order) if j % splits != i]))
        total += away * (scale / splits)
    _place(model, start + total)
    return total


@torch.no_grad()
def _place(model: nn.Module, values: ParamVector) -> None:
    for name, p in ParamVector.of(model).items():
        p.copy_(values[name])


def _check(task: Task, *, splits: int, rectify: bool, scale: float) -> None:
    least = 2 if rectify else 1
    if not least <= splits <= len(task.forget):
        bent = " with rectify" if rectify else ""
        raise UsageError(
            f"splits={splits} must lie between {least}{bent} and {len(task.forget)}, the number of "
            "rows to forget"
        )
    if not 0 <= scale < float("inf"):
        raise UsageError(f"scale={scale} must be finite and not negative")
