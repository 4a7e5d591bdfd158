"""What is trained on: which windows are kept, in which batches, at which learning rate."""

from dataclasses import dataclass
from math import cos, pi

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from limen._core.streams import torch_stream
from limen.anomaly.windows import Windows

Places = Int[np.ndarray, " kept"]


class Draws:
    """Batches of rows drawn without replacement; batch i depends on the seed and i alone.

    An epoch, here and wherever one is counted, is as many full batches as the rows fill: the rows
    left over come in another epoch, whose order is another one.

    Args:
        count: Rows that there are.
        batch: Rows in a batch, at most `count`.
        seed: Of the order.
        names: What they are for.

    Attributes:
        epoch: Batches of an epoch, `count // batch`.

    Example:
        >>> draws = Draws(7, 3, "toy", seed=0)
        >>> draws.epoch, len({*draws[0].tolist(), *draws[1].tolist()})
        (2, 6)
    """

    def __init__(self, count: int, batch: int, *names: str, seed: int):
        self.count, self.batch, self.seed, self.names = count, min(count, batch), seed, names
        self.epoch = count // self.batch

    def __getitem__(self, i: int) -> Tensor:
        """Numbers of the rows of batch i."""
        stream = torch_stream(self.seed, *self.names, i // self.epoch)
        first = i % self.epoch * self.batch
        return torch.randperm(self.count, generator=stream)[first : first + self.batch]


@dataclass(frozen=True, eq=False)
class Kept:
    """Windows of several series, of which some are kept, in order.

    Args:
        views: All windows of each series, in order of time.
        which: Number of each kept window's series.
        rows: Its place among all windows of that series.

    Example:
        >>> views = [np.arange(4.0)[:, None, None], np.arange(8.0)[:, None, None]]
        >>> kept = Kept.evenly(views, 4)
        >>> kept.windows().ravel()
        array([0., 0., 3., 7.])
        >>> kept.earlier(np.array([2, 3]), np.array([1, 2])).ravel()
        array([2., 5.])
    """

    views: list[np.ndarray]
    which: Places
    rows: Places

    @classmethod
    def evenly(cls, views: list[np.ndarray], most: int) -> "Kept":
        """At most so many, evenly chosen from all series laid end to end.

        Args:
            views: All windows of each series.
            most: At least 1.
        """
        starts = np.cumsum([0, *map(len, views)])
        total = int(starts[-1])
        kept = np.linspace(0, total - 1, min(total, most)).round().astype(int)
        which = np.searchsorted(starts, kept, side="right") - 1
        return cls(views, which, kept - starts[which])

    def windows(self) -> Windows:
        """The kept ones, copied into one array."""
        parts = [view[self.rows[self.which == i]] for i, view in enumerate(self.views)]
        return np.concatenate(parts)

    def earlier(self, chosen: Places, back: Places) -> Windows:
        """Windows of the same series, kept or not, so many places before kept ones.

        Args:
            chosen: Numbers of kept windows.
            back: Places, at most the window's own.
        """
        pairs = zip(self.which[chosen], self.rows[chosen] - back, strict=True)
        return np.stack([self.views[series][row] for series, row in pairs])


def falling(step: int, *, steps: int, last: float) -> float:
    """The share of a learning rate that is left by a cosine: `last + (1 - last)(1 + cos) / 2`.

    Args:
        step: Steps done.
        steps: Of the whole training.
        last: The share at its end.

    Returns:
        From 1 to `last`.

    Example:
        >>> falling(0, steps=10, last=0.5), falling(5, steps=10, last=0.5)
        (1.0, 0.75)
    """
    return last + (1 - last) * (1 + cos(pi * step / steps)) / 2
