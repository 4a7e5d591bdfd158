"""How to train: accumulation, clipping, schedule, precision, checkpoints."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from limen._core.errors import UsageError


@dataclass(frozen=True)
class Loop:
    """Settings of `fit` that are not the method's.

    Args:
        accumulate: Micro-batches to one optimiser step; exact also when they are of unequal size.
        clip: Largest norm of the final gradient, after `combine`; None leaves it alone.
        schedule: A learning-rate scheduler, or a function that makes one from the optimiser;
            stepped once after each optimiser step.
        constrain: Called with the named parameters after each update, without gradient; may
            change them (a thickness that must stay positive, say).
        precision: "no" or "bf16" (autocast; master weights keep their dtype); None follows
            `accelerate launch`.
        into: Folder for `checkpoint/` and `log.jsonl`; the same call again continues there.
        save_every: Optimiser steps between checkpoints; one more is written at the end.
        label: What the progress bar says; "" draws none.

    Raises:
        UsageError: A value out of range.

    Example:
        >>> Loop(accumulate=2).accumulate
        2
    """

    accumulate: int = 1
    clip: float | None = None
    schedule: LRScheduler | Callable[[Optimizer], LRScheduler] | None = None
    constrain: Callable[[Mapping[str, nn.Parameter]], None] | None = None
    precision: str | None = None
    into: str | Path | None = None
    save_every: int = 100
    label: str = "training"

    def __post_init__(self) -> None:
        if self.accumulate < 1:
            raise UsageError(f"accumulate={self.accumulate} must be at least 1")
        if self.clip is not None and not self.clip > 0:
            raise UsageError(f"clip={self.clip} must be positive, or None for no clipping")
        if self.save_every < 1:
            raise UsageError(f"save_every={self.save_every} must be at least 1")
        if self.mixed not in ("no", "bf16"):
            raise UsageError(
                f"precision={self.mixed!r} must be 'no' or 'bf16'; fp16 needs a loss scaler, "
                "which would weigh two backward passes differently"
            )

    @property
    def mixed(self) -> str:
        """The precision asked for, here or by `accelerate launch`: "no" or "bf16"."""
        return self.precision or os.environ.get("ACCELERATE_MIXED_PRECISION", "no")
