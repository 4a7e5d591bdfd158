"""Does more data still help? The shape of error against size, told from seeds."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from limen._core.errors import UsageError
from limen._core.streams import numpy_stream
from limen.measure._numbers import Numbers, finite, numbers, row
from limen.measure.interval import student
from limen.report.table import Cell, Table
from limen.report.trace import Trace

SURE = 0.95  # share of resampled seeds that must agree
VERDICTS = ("decreasing", "rising", "flat", "dip")
_POWERS = np.geomspace(0.05, 4.0, 60)


@dataclass(frozen=True, eq=False, kw_only=True)
class Trend:
    """The shape of error against size, and the fits that it was told from.

    Attributes:
        verdict: "decreasing", "rising", "flat" or "dip" (falls, then rises).
        sizes: Training sizes, rising.
        mean: Mean error at each, over seeds.
        deviation: Standard error of each mean.
        scale: a of a N^-beta + c.
        power: beta, above 0.
        level: c, what the error tends to.
        falling: Nearest falling curve at each size.
        valley: Nearest curve that falls and then rises.
        support: Share of resampled seeds in which the last half falls, rises, and in which the
            valley fits better than falling and than rising alone.
        seeds: How many there were.

    Example:
        >>> found = trend([10, 100, 1000], [[0.4, 0.2, 0.1]] * 5)
        >>> found.verdict, found.support["falls"]
        ('decreasing', 1.0)
    """

    verdict: str
    sizes: Float[np.ndarray, " sizes"]
    mean: Float[np.ndarray, " sizes"]
    deviation: Float[np.ndarray, " sizes"]
    scale: float
    power: float
    level: float
    falling: Float[np.ndarray, " sizes"]
    valley: Float[np.ndarray, " sizes"]
    support: Mapping[str, float]
    seeds: int

    def trace(self) -> Trace:
        """Mean error and the three fits, for a page.

        Returns:
            The picture's record.
        """
        power = self.scale * self.sizes**-self.power + self.level
        return Trace(
            self.sizes,
            {"mean error": self.mean, "power law": power, "falling": self.falling,
             "falls, then rises": self.valley},
            title=f"Error against size: {self.verdict}",
            caption=f"{self.seeds} seeds; {self._told()}",
            x_name="training rows", y_name="error",
        )  # fmt: skip

    def table(self) -> Table:
        """Mean and standard error at each size.

        Returns:
            One line for each size.
        """
        lines: list[list[Cell]] = [
            [int(n) if n == int(n) else float(n), float(m), float(s)]
            for n, m, s in zip(self.sizes, self.mean, self.deviation, strict=True)
        ]
        return Table(
            ["training rows", "error", "standard error"], lines,
            title=f"Error against size: {self.verdict}",
            protocol=f"{self.seeds} seeds; power law {self.scale:.3g} N^-{self.power:.3g} + "
            f"{self.level:.3g}; {self._told()}",
        )  # fmt: skip

    def _told(self) -> str:
        return (
            f"the last half falls in {self.support['falls']:.0%} of resampled seeds, rises in "
            f"{self.support['rises']:.0%}, and a valley fits best in {self.support['dips']:.0%}."
        )

    def to_dict(self) -> dict[str, Any]:
        """Everything, for `limen.save`."""
        return {**vars(self), "support": dict(self.support)}

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> "Trend":
        """Rebuild what `to_dict` gave."""
        arrays = ("sizes", "mean", "deviation", "falling", "valley")
        return cls(**{**state, **{name: np.asarray(state[name]) for name in arrays}})


def trend(sizes: Numbers, errors: Numbers, *, resamples: int = 500, seed: int = 0) -> Trend:
    """Whether error falls, rises, stays or dips as the training set grows.

    Seeds are drawn again with replacement. "dip": the nearest curve that falls and then rises is
    better than the nearest that only falls, and than the nearest that only rises, by more than the
    noise of the means, in 95 % of the draws. Else "decreasing" or "rising": the slope of the last
    half of the sizes (at least three), against log N, has one sign in 95 %, and so has
    Student's interval of the seeds' slopes: five seeds drawn again vary too little by themselves,
    and would find a trend in one flat curve of five. Else "flat".

    The fit `a N^-beta + c` (weighted least squares, beta from a grid) is there to be drawn; the
    verdict does not rest on it.

    Args:
        sizes: Training sizes, above 0, strictly rising, three or more.
        errors: (seeds, sizes); two seeds at least, five to be believed.
        resamples: Draws.
        seed: Of the draws.

    Returns:
        Verdict, fits and support.

    Raises:
        UsageError: Fewer than three sizes or two seeds; sizes that do not rise; not finite.

    Reference:
        The three shapes are those of "Data mixture", arXiv 2312.16243; how they are told apart is
        limen's own. Isotonic fits: M. Ayer, H. Brunk, G. Ewing, W. Reid and E. Silverman, "An
        empirical distribution function for sampling with incomplete information", Annals of
        Mathematical Statistics, 1955.

    Example:
        >>> noise = 0.001 * np.random.default_rng(0).normal(size=(5, 6))
        >>> trend(2.0 ** np.arange(6), [0.4, 0.3, 0.2, 0.2, 0.3, 0.4] + noise).verdict
        'dip'
    """
    n, found = row("sizes", sizes), finite("errors", numbers("errors", errors))
    if len(n) < 3 or (np.diff(n) <= 0).any() or n[0] <= 0:
        raise UsageError(f"sizes must be three or more, above 0 and rising, got {n.tolist()}")
    if found.ndim != 2 or found.shape[1] != len(n) or len(found) < 2:
        raise UsageError(
            f"errors must be (seeds, {len(n)} sizes) with two seeds at least, got {found.shape}"
        )
    if resamples < 1:
        raise UsageError(f"resamples must be at least 1, got {resamples}")
    mean, deviation = found.mean(0), found.std(0, ddof=1) / np.sqrt(len(found))
    weights = _weights(deviation)
    picks = numpy_stream(seed, "trend").integers(len(found), size=(resamples, len(found)))
    draws = found[picks].mean(1)
    last = slice(min(len(n) // 2, len(n) - 3), None)
    slopes = _slopes(n[last], draws[:, last])
    dips = [_dips(one, weights) for one in draws]
    support = {
        "falls": float(np.mean(slopes < 0)),
        "rises": float(np.mean(slopes > 0)),
        "dips": float(np.mean(dips)),
    }
    sure = student(_slopes(n[last], found[:, last]), SURE)
    scale, power, level = _power_law(n, mean, weights)
    return Trend(
        verdict=_verdict(support, moves=sure.low > 0 or sure.high < 0),
        sizes=n, mean=mean, deviation=deviation, scale=scale, power=power, level=level,
        falling=-isotonic(-mean, weights), valley=_valley(mean, weights), support=support,
        seeds=len(found),
    )  # fmt: skip


def isotonic(
    values: Float[np.ndarray, " places"], weights: Float[np.ndarray, " places"]
) -> Float[np.ndarray, " places"]:
    """The nearest curve that never falls, by weighted least squares: neighbours are pooled.

    Args:
        values: In order.
        weights: Above 0.

    Returns:
        The curve.

    Reference:
        As `trend`.

    Example:
        >>> isotonic(np.array([1.0, 3.0, 2.0]), np.ones(3))
        array([1. , 2.5, 2.5])
    """
    blocks: list[tuple[float, float, int]] = []
    for value, weight in zip(values.tolist(), weights.tolist(), strict=True):
        blocks.append((value, weight, 1))
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            (a, wa, ca), (b, wb, cb) = blocks[-2:]
            blocks[-2:] = [((a * wa + b * wb) / (wa + wb), wa + wb, ca + cb)]
    return np.repeat([one[0] for one in blocks], [one[2] for one in blocks])


def _valley(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The nearest curve that falls up to some place and rises after it."""
    tried = [
        np.concatenate([-isotonic(-values[:k], weights[:k]), isotonic(values[k:], weights[k:])])
        for k in range(len(values) + 1)
    ]
    return min(tried, key=lambda one: float(weights @ (values - one) ** 2))


def _dips(values: np.ndarray, weights: np.ndarray) -> bool:
    """Whether one way alone misses by more than noise what a valley does not."""
    ways = (_valley(values, weights), -isotonic(-values, weights), isotonic(values, weights))
    valley, falling, rising = (float(weights @ (values - one) ** 2) for one in ways)
    return min(falling, rising) - valley > 4.0  # in squared standard errors: two of them


def _verdict(support: Mapping[str, float], *, moves: bool) -> str:
    if support["dips"] >= SURE:
        return "dip"
    if moves and support["falls"] >= SURE:
        return "decreasing"
    return "rising" if moves and support["rises"] >= SURE else "flat"


def _slopes(n: np.ndarray, rows: np.ndarray) -> np.ndarray:
    across = np.log(n) - np.log(n).mean()
    return np.asarray(rows @ across / (across @ across))


def _weights(deviation: np.ndarray) -> np.ndarray:
    """One over the variance of each mean, none more than the pooled one would have it be by far."""
    pooled = float(np.mean(deviation**2)) or 1e-12
    return np.asarray(1 / np.maximum(deviation**2, pooled))


def _power_law(n: np.ndarray, mean: np.ndarray, weights: np.ndarray) -> tuple[float, float, float]:
    """a, beta and c of the smallest weighted squares; beta from a grid, the others solved."""
    root, best = np.sqrt(weights), (np.inf, 0.0, 0.0, 0.0)
    unit = n / n[0]
    for power in _POWERS:
        design = np.column_stack([unit**-power, np.ones_like(n)])
        (scale, level), *_ = np.linalg.lstsq(design * root[:, None], mean * root, rcond=None)
        left = float(weights @ (mean - design @ [scale, level]) ** 2)
        best = min(best, (left, float(scale * n[0] ** power), float(power), float(level)))
    return best[1:]
