"""Effective robustness: how far a model stands above the line that models like it follow."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.special import expit, logit, ndtr, ndtri

from limen._core.errors import UsageError, nearest
from limen._core.streams import numpy_stream
from limen.measure._numbers import Numbers, numbers, row
from limen.measure.interval import Interval
from limen.report.scatter import Scatter

_FEWEST = 3  # two points lie on a line whatever they mean
_MAPS: dict[str, tuple[Any, Any]] = {
    "logit": (logit, expit),
    "probit": (ndtri, ndtr),
    "linear": (np.asarray, np.asarray),
}


@dataclass
class RobustnessLine:
    """The line of counter against common accuracy; a higher excess is more robust than its like.

    Least squares over a family of models, f(counter) = intercept + slope f(common), f the logit,
    the probit or nothing. A model's excess is counter - f^-1(intercept + slope f(common)): what it
    gains on the counter group beyond what its accuracy on the common group foretells. A drop
    alone rewards whoever has the higher accuracy; the excess compares at equal accuracy.

    Args:
        transform: f: "logit", "probit" or "linear" (none). The unbounded scales bend less near 0
            and 1 than shares do.
        count: Pictures behind each accuracy; accuracies are clipped to [0.5/n, 1 - 0.5/n], so that
            0 and 1 have a finite f. None clips nothing.

    Raises:
        UsageError: No such transform, or `count` below 1.

    Reference:
        R. Taori, A. Dave, V. Shankar, N. Carlini, B. Recht and L. Schmidt, "Measuring robustness
        to natural distribution shifts in image classification", NeurIPS 2020. Departures: the
        clipping, and the bootstrap over models and pictures.

    Example:
        >>> line = RobustnessLine("linear").fit([0.5, 0.6, 0.8], [0.4, 0.5, 0.7])
        >>> round(line.slope, 6), round(line.intercept, 6), round(line.excess(0.7, 0.65), 6)
        (1.0, -0.1, 0.05)
    """

    transform: str = "logit"
    count: int | None = None
    _common: Any = field(default=None, init=False, repr=False)
    _counter: Any = field(default=None, init=False, repr=False)
    _names: list[str] = field(default_factory=list, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.transform not in _MAPS:
            raise UsageError(f"transform must be one of {list(_MAPS)}, got {self.transform!r}")
        _refuse_count(self.count)

    def fit(
        self,
        common: Numbers,
        counter: Numbers,
        *,
        names: Sequence[str] | None = None,
        exclude: Sequence[str] = (),
    ) -> "RobustnessLine":
        """Fit the line to a family of models.

        Args:
            common: Accuracy of each model on the common group, in [0, 1].
            counter: Accuracy of each on the counter group, in [0, 1].
            names: What each model is called; its number if left out.
            exclude: Names of models left out, such as the one that chose the groups.

        Returns:
            This line, fitted.

        Raises:
            UsageError: Not accuracies in [0, 1] (per cent are refused), rows of different lengths,
                an unknown name, fewer than 3 models, all equal on the common group, or 0 or 1
                without a count where the transform is not linear.
        """
        left = row("common", self._accuracies("common", common))
        right = row("counter", self._accuracies("counter", counter))
        called = [str(place) for place in range(len(left))] if names is None else list(names)
        for name, size in (("counter", len(right)), ("names", len(called))):
            if size != len(left):
                raise UsageError(f"{name} must be one for each of {len(left)} models, got {size}")
        unknown = sorted(set(exclude) - set(called))
        if unknown:
            raise UsageError(
                f"exclude must hold names of models, got {unknown[0]!r}; nearest: "
                f"{nearest(unknown[0], map(str, called))}"
            )
        kept = [place for place, name in enumerate(called) if name not in set(exclude)]
        if len(kept) < _FEWEST:
            raise UsageError(f"a line needs {_FEWEST} models or more, got {len(kept)}; bring more")
        self._f(right[kept])  # refuses a counter accuracy that has no transform
        if np.ptp(self._f(left[kept])) == 0:
            raise UsageError(
                f"common must differ between models, and all {len(kept)} are {left[kept][0]:g}; "
                "bring models of other accuracies"
            )
        self._common, self._counter = left[kept], right[kept]
        self._names = [called[place] for place in kept]
        return self

    @property
    def slope(self) -> float:
        """The rise of f(counter) for each unit of f(common).

        Raises:
            UsageError: Not fitted yet.
        """
        return float(_lines(*self._fitted())[0])

    @property
    def intercept(self) -> float:
        """f(counter) where f(common) is 0; in shares, not points, for the linear transform.

        Raises:
            UsageError: Not fitted yet.
        """
        return float(_lines(*self._fitted())[1])

    @property
    def r2(self) -> float:
        """Share of the variance of f(counter) that the line explains; NaN if there is none.

        Raises:
            UsageError: Not fitted yet.
        """
        x, y = self._fitted()
        if np.ptp(y) == 0:
            return float("nan")
        residual = y - self.intercept - self.slope * x
        return float(1 - (residual**2).sum() / ((y - y.mean()) ** 2).sum())

    @property
    def names(self) -> list[str]:
        """The models that the line was fitted to."""
        return list(self._names)

    def predict(self, common: Numbers) -> Any:
        """Counter accuracy that the line foretells.

        Args:
            common: Accuracies in [0, 1], of any shape.

        Returns:
            The same shape; a float for a float. A linear line may leave [0, 1].

        Raises:
            UsageError: Not fitted yet, or not accuracies in [0, 1].
        """
        x = self._f(self._accuracies("common", common))
        return _plain(_MAPS[self.transform][1](self.intercept + self.slope * x))

    def excess(self, common: Numbers, counter: Numbers) -> Any:
        """Counter accuracy beyond the line; above 0 is more robust than its like.

        Args:
            common: The model's accuracy on the common group, in [0, 1]; any shape.
            counter: On the counter group; the same shape.

        Returns:
            The same shape, in [-1, 1] unless the line is linear; a float for a float.

        Raises:
            UsageError: Not fitted yet, not accuracies in [0, 1], or shapes that differ.
        """
        found = self._accuracies("counter", counter)
        foretold = np.asarray(self.predict(common))
        if found.shape != foretold.shape:
            raise UsageError(
                f"counter must be shaped {foretold.shape} as common, got {found.shape}"
            )
        return _plain(found - foretold)

    def band(
        self, common: Numbers, *, level: float = 0.95, resamples: int = 2000, seed: int = 0
    ) -> tuple[Float[np.ndarray, "..."], Float[np.ndarray, "..."]]:
        """Where the line may lie, by bootstrap over its models: narrower is surer.

        Percentiles of the lines fitted to as many models drawn with replacement; a draw whose
        models are all equal on the common group has no line and is left out.

        Args:
            common: Accuracies in [0, 1], of any shape.
            level: Nominal coverage, between 0 and 1.
            resamples: Draws.
            seed: Of the draws.

        Returns:
            Lower and upper counter accuracy, each of the shape of `common`.

        Raises:
            UsageError: Not fitted yet, not accuracies, or a level or a number out of range.
        """
        tails = _tails(level)
        slopes, intercepts = self._resampled(resamples, seed)
        x = self._f(self._accuracies("common", common))
        wide = (len(slopes),) + (1,) * x.ndim
        lines = intercepts.reshape(wide) + slopes.reshape(wide) * x
        low, high = np.quantile(_MAPS[self.transform][1](lines), tails, axis=0)
        return np.asarray(low), np.asarray(high)

    def interval(
        self,
        common: float,
        counter: float,
        *,
        counts: tuple[int, int] | None = None,
        level: float = 0.95,
        resamples: int = 2000,
        seed: int = 0,
    ) -> Interval:
        """Interval of one model's excess: one that holds 0 tells nothing of the model.

        Models are resampled as in `band`. With counts, the model's two accuracies are drawn too,
        each from Beta(k + 1/2, n - k + 1/2), Jeffreys' law of a share of which k of n were seen,
        which keeps its width where k is 0 or n. Do not ask for a model that the line was fitted
        to: it has drawn the line towards itself.

        Args:
            common: The model's accuracy on the common group, in [0, 1].
            counter: On the counter group.
            counts: Pictures in the common and in the counter group; None takes both accuracies as
                exact. For class-balanced accuracies, this is an approximation.
            level: Nominal coverage, between 0 and 1.
            resamples: Draws.
            seed: Of the draws.

        Returns:
            The interval, percentiles of the draws.

        Raises:
            UsageError: Not fitted yet, not accuracies, or a level or a number out of range.
        """
        tails = _tails(level)
        pair = self._accuracies("common", common), self._accuracies("counter", counter)
        slopes, intercepts = self._resampled(resamples, seed)
        if counts is not None:
            pair = _drawn(pair, counts, len(slopes), seed=seed)
        lines = intercepts + slopes * self._f(pair[0])
        low, high = np.quantile(pair[1] - _MAPS[self.transform][1](lines), tails)
        return Interval(low=float(low), high=float(high), level=level)

    def record(
        self, models: Mapping[str, tuple[float, float]] | None = None, *, title: str = ""
    ) -> Scatter:
        """The picture: the family, its line, the diagonal (no drop at all) and the user's models.

        Args:
            models: (common, counter) accuracies in [0, 1] of models to be set beside the family.
            title: A few words above the picture.

        Returns:
            A record for a `limen.report.Page`, in points.

        Raises:
            UsageError: Not fitted yet, or not accuracies in [0, 1].
        """
        mine = dict(models or {})
        own = np.array(list(mine.values()), dtype=np.float64).reshape(-1, 2)
        self._accuracies("models", own)
        self._fitted()
        every = np.concatenate([self._common, own[:, 0]])
        grid = np.linspace(every.min(), every.max(), 41)
        drawn = self.predict(grid)
        excess = [self.excess(*pair) for pair in mine.values()]
        said = "; ".join(f"{n} {100 * e:+.2f}" for n, e in zip(mine, excess, strict=True))
        ends = (100 * grid[[0, -1]]).tolist()
        return Scatter(
            100 * every, 100 * np.concatenate([self._counter, own[:, 1]]),
            names=[*self._names, *mine],
            groups=["family"] * len(self._common) + ["yours"] * len(mine),
            marks=[*[""] * len(self._common), *mine] if mine else [],
            lines={f"{self.transform} line": ((100 * grid).tolist(), (100 * drawn).tolist()),
                   "no drop": (ends, ends)},
            title=title or "Counter against common accuracy",
            caption=f"Above the line: more robust than its like. Excess in points: {said}."
            if said else "Above the line: more robust than its like.",
            x_name="common accuracy [%]", y_name="counter accuracy [%]",
        )  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """Options and the fitted models, for `limen.save`.

        Raises:
            UsageError: Not fitted yet.
        """
        self._fitted()
        return {"transform": self.transform, "count": self.count, "names": self.names,
                "common": self._common.tolist(), "counter": self._counter.tolist()}  # fmt: skip

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> "RobustnessLine":
        """Rebuild what `to_dict` gave."""
        found = cls(state["transform"], state["count"])
        return found.fit(state["common"], state["counter"], names=state["names"])

    def _f(self, shares: Any) -> Any:
        if self.count is not None:
            shares = np.clip(shares, 0.5 / self.count, 1 - 0.5 / self.count)
        found = _MAPS[self.transform][0](shares)
        if not np.isfinite(found).all():
            raise UsageError(
                f"accuracies of exactly 0 or 1 have no {self.transform}: take transform=linear, or "
                "give RobustnessLine a count of pictures to clip them by"
            )
        return found

    def _accuracies(self, name: str, values: Any) -> np.ndarray:
        found = numbers(name, values)
        outside = found[(found < 0) | (found > 1)]
        if len(outside):
            hint = "; they look like per cent: divide by 100" if outside.max() > 1 else ""
            raise UsageError(f"{name} must hold accuracies in [0, 1], got {outside[0]:g}{hint}")
        return found

    def _fitted(self) -> tuple[np.ndarray, np.ndarray]:
        if self._common is None:
            raise UsageError("the line must be fitted first: RobustnessLine().fit(common, counter)")
        return self._f(self._common), self._f(self._counter)

    def _resampled(self, resamples: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Slopes and intercepts of lines over models drawn with replacement.

        Raises:
            UsageError: No draw asked for, or none that has a line.
        """
        if resamples < 1:
            raise UsageError(f"resamples must be 1 or more, got {resamples}")
        x, y = self._fitted()
        stream = numpy_stream(seed, "robustness line")
        places = stream.integers(len(x), size=(resamples, len(x)))
        places = places[np.ptp(x[places], axis=1) > 0]
        if not len(places):
            raise UsageError(f"{resamples} resamples held no line; ask for more")
        return _lines(x[places], y[places])


def _drawn(
    pair: tuple[np.ndarray, np.ndarray], counts: tuple[int, int], size: int, *, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Accuracies that as many pictures could have come from, by Jeffreys' law."""
    for count in counts:
        _refuse_count(count)
    stream = numpy_stream(seed, "robustness point")
    first, second = (
        stream.beta(n * float(p) + 0.5, n * (1 - float(p)) + 0.5, size)
        for p, n in zip(pair, counts, strict=True)
    )
    return first, second


def _lines(x: np.ndarray, y: np.ndarray) -> tuple[Any, Any]:
    """Slope and intercept of least squares along the last axis."""
    left, up = x.mean(-1, keepdims=True), y.mean(-1, keepdims=True)
    slope = ((x - left) * (y - up)).sum(-1) / ((x - left) ** 2).sum(-1)
    return slope, up[..., 0] - slope * left[..., 0]


def _plain(found: Any) -> Any:
    found = np.asarray(found)
    return found if found.ndim else float(found)


def _tails(level: float) -> list[float]:
    if not 0 < level < 1:
        raise UsageError(f"level must be between 0 and 1, got {level}")
    return [(1 - level) / 2, (1 + level) / 2]


def _refuse_count(count: int | None) -> None:
    if count is not None and (isinstance(count, bool) or count < 1):
        raise UsageError(f"count must be 1 picture or more, got {count}")
