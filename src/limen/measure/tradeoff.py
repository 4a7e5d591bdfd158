"""What was gained, and what it cost, at every setting that was measured."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from jaxtyping import Float

from limen._core.errors import UsageError
from limen.measure._numbers import TOLERANCE, Numbers, finite, numbers, row

Knob = float | int | str


@dataclass(frozen=True)
class Point:
    """One measured setting: its price (lower is better), its gain (higher is better), its knob.

    Attributes:
        price: What it costs.
        gain: What it brings.
        knob: The setting that reaches it.
        gain_interval: Lower and upper end of the gain's interval, None where none was given.

    Example:
        >>> Point(price=0.05, gain=0.8, knob="middle").gain
        0.8
    """

    price: float
    gain: float
    knob: Knob
    gain_interval: tuple[float, float] | None = None


@dataclass(frozen=True, init=False, eq=False, repr=False)
class Tradeoff:
    """Measured settings of one method: price (lower is better), gain (higher is better), knob.

    Two methods are compared at equal price: `tradeoff.at(price=p)` is the best gain among the
    settings that cost at most p. Measured curves are not monotone, so nothing is interpolated
    there: every answer is a setting that exists. The arrays are copies and cannot be written to.

    Args:
        price: Cost of each setting, finite, any unit.
        gain: Gain of each setting, finite, any unit.
        knob: What to set to get there, one float, int or string each; 0 to n-1 when left out.
        gain_interval: Lower and upper end of an interval around each gain, shape (n, 2).
        name: Whose settings these are, for legends and tables.
        price_name: What the price counts, with its unit.
        gain_name: What the gain counts, with its unit.
        knob_name: What the knob turns.

    Raises:
        UsageError: No setting, unequal lengths, a number that is not finite, a lower end above
            its upper end, or a knob that is neither number nor string.

    Example:
        >>> t = Tradeoff(price=[0.0, 0.1, 0.2], gain=[0.1, 0.9, 0.5], knob=["a", "b", "c"])
        >>> t.at(price=0.2).knob, t.at(gain=0.4).price
        ('b', 0.1)
        >>> t
        Tradeoff(3 settings, price 0 to 0.2, gain 0.1 to 0.9)
    """

    price: Float[np.ndarray, " settings"]
    gain: Float[np.ndarray, " settings"]
    knob: tuple[Knob, ...]
    gain_interval: Float[np.ndarray, "settings 2"] | None
    name: str
    price_name: str
    gain_name: str
    knob_name: str

    def __init__(
        self,
        price: Numbers,
        gain: Numbers,
        knob: Iterable[Any] | None = None,
        *,
        gain_interval: Numbers | None = None,
        name: str = "",
        price_name: str = "price",
        gain_name: str = "gain",
        knob_name: str = "knob",
    ):
        prices, gains = row("price", price), row("gain", gain)
        knobs = tuple(range(len(prices))) if knob is None else _knobs(knob)
        if not len(prices) == len(gains) == len(knobs):
            raise UsageError(
                "price, gain and knob must have one entry for each setting, "
                f"got {len(prices)}, {len(gains)} and {len(knobs)}"
            )
        interval = None if gain_interval is None else _intervals(gain_interval, len(prices))
        for array in (prices, gains, interval):
            if array is not None:
                array.setflags(write=False)
        names = {"price_name": price_name, "gain_name": gain_name, "knob_name": knob_name}
        parts = {"price": prices, "gain": gains, "knob": knobs, "gain_interval": interval}
        for field, value in {**parts, "name": name, **names}.items():
            object.__setattr__(self, field, value)

    def at(self, *, price: float | None = None, gain: float | None = None) -> Point:
        """The operating point: the best gain at a price, or the lowest price of a gain.

        `at(price=p)` is the highest gain among the settings that cost at most p; ties go to the
        cheaper setting, then to the first. `at(gain=g)` is the lowest price among the settings
        that gain at least g; ties go to the higher gain, then to the first. Both comparisons
        forgive 1e-9, because 1 - 0.95 is 0.05000000000000004 to a computer.

        Args:
            price: The most that may be paid.
            gain: The least that must be gained.

        Returns:
            The point that was measured there, with the knob that reaches it.

        Raises:
            UsageError: Both arguments or none, NaN, or no setting is that cheap or that good.

        Example:
            >>> t = Tradeoff(price=[0.0, 0.1, 0.3], gain=[0.2, 0.6, 0.5], knob=[8, 4, 2])
            >>> t.at(price=0.3)
            Point(price=0.1, gain=0.6, knob=4, gain_interval=None)
        """
        if (price is None) == (gain is None):
            raise UsageError("at must be given exactly one of price and gain")
        if price is not None:
            able = np.flatnonzero(self.price <= _asked("price", price) + TOLERANCE)
            missing = f"price={price} is below the cheapest setting measured, {self.price.min()}"
            hint, first, second = "more", -self.gain, self.price
        else:
            able = np.flatnonzero(self.gain >= _asked("gain", gain) - TOLERANCE)
            missing = f"gain={gain} is above the best setting measured, {self.gain.max()}"
            hint, first, second = "less", self.price, -self.gain
        if not able.size:
            raise UsageError(f"{missing}; ask for {hint} or add knobs")
        return self._point(int(able[np.lexsort((second[able], first[able]))[0]]))

    def frontier(self) -> "Tradeoff":
        """The settings worth having: those that no other dominates, in order of price.

        A setting is dominated when another costs no more and gains no less, and is strictly
        better in one of the two. Exact duplicates do not dominate each other.

        Returns:
            A Tradeoff of the same names, whose gain rises with its price.

        Example:
            >>> Tradeoff(price=[0.2, 0.0, 0.3], gain=[0.9, 0.1, 0.5]).frontier().knob
            (1, 0)
        """
        order = np.lexsort((-self.gain, self.price))
        best = np.concatenate([[-np.inf], np.maximum.accumulate(self.gain[order])])
        price, gain = self.price[order], self.gain[order]
        no_dearer = best[np.searchsorted(price, price, side="right")]
        cheaper = best[np.searchsorted(price, price, side="left")]
        kept = order[(gain >= no_dearer) & (gain > cheaper)]
        return replace(
            self,
            price=self.price[kept],
            gain=self.gain[kept],
            knob=tuple(self.knob[index] for index in kept),
            gain_interval=None if self.gain_interval is None else self.gain_interval[kept],
        )

    def area(self, upto: float = 1.0) -> float:
        """Mean best gain over the prices 0 to `upto`; higher is better. Of a ROC curve, the AUROC.

        (1 / upto) * integral of G(p) dp from 0 to upto. G is the running maximum of the gain in
        order of price, joined by straight lines (settings of equal price by a vertical one), zero
        below the cheapest setting and flat after the dearest.

        Args:
            upto: The highest price that counts, above 0.

        Returns:
            The mean, in the unit of the gain.

        Raises:
            UsageError: `upto` is not finite and above 0.

        Example:
            >>> Tradeoff(price=[0.0, 0.5], gain=[0.0, 1.0]).area()
            0.75
        """
        if not (math.isfinite(upto) and upto > 0):
            raise UsageError(f"upto must be a finite price above 0, got {upto}")
        order = np.lexsort((self.gain, self.price))
        price = np.append(self.price[order], max(upto, self.price.max()))
        gain = np.maximum.accumulate(np.append(self.gain[order], self.gain.max()))
        span = np.diff(price)
        left, right = np.clip(price[:-1], 0, upto), np.clip(price[1:], 0, upto)
        crossed = right > left
        height = np.zeros_like(span)
        np.divide((left + right) / 2 - price[:-1], span, out=height, where=crossed)
        middle = gain[:-1] + np.diff(gain) * height
        return float(np.sum((right - left) * middle) / upto)

    def to_dict(self) -> dict[str, Any]:
        """Plain values that JSON can hold; an infinite knob is written {"float": "inf"}.

        Example:
            >>> Tradeoff(price=[0.5], gain=[1.0]).to_dict()["knob"]
            [0]
        """
        interval = self.gain_interval
        return {
            "price": self.price.tolist(),
            "gain": self.gain.tolist(),
            "knob": [{"float": str(k)} if k in (math.inf, -math.inf) else k for k in self.knob],
            "gain_interval": None if interval is None else interval.tolist(),
            "name": self.name,
            "price_name": self.price_name,
            "gain_name": self.gain_name,
            "knob_name": self.knob_name,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Tradeoff":
        """The Tradeoff that `to_dict` described, number for number.

        Raises:
            UsageError: An entry is missing, unknown or not valid.

        Example:
            >>> t = Tradeoff(price=[0.5], gain=[1.0])
            >>> Tradeoff.from_dict(t.to_dict()) == t
            True
        """
        expected = {field.name for field in fields(cls)}
        if data.keys() != expected:
            odd = sorted(expected ^ data.keys())
            raise UsageError(f"data must be what Tradeoff.to_dict gives; missing or unknown: {odd}")
        knob = [float(k["float"]) if isinstance(k, Mapping) else k for k in data["knob"]]
        return cls(**{**data, "knob": knob})

    def __len__(self) -> int:
        return len(self.price)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Tradeoff):
            return NotImplemented
        return self.to_dict() == other.to_dict()

    def __repr__(self) -> str:
        count = "1 setting" if len(self) == 1 else f"{len(self):,} settings"
        label = f"{self.name}: " if self.name else ""
        ranges = [
            f"{title} {values.min():.4g} to {values.max():.4g}"
            for title, values in ((self.price_name, self.price), (self.gain_name, self.gain))
        ]
        return f"Tradeoff({label}{count}, {', '.join(ranges)})"

    def _point(self, index: int) -> Point:
        interval = None
        if self.gain_interval is not None:
            interval = float(self.gain_interval[index, 0]), float(self.gain_interval[index, 1])
        return Point(float(self.price[index]), float(self.gain[index]), self.knob[index], interval)


def _asked(name: str, value: float | None) -> float:
    if value is None or math.isnan(value):
        raise UsageError(f"{name} must be a number, got {value}")
    return float(value)


def _knobs(knob: Any) -> tuple[Knob, ...]:
    entries = knob.tolist() if hasattr(knob, "tolist") else knob
    if isinstance(entries, str) or not isinstance(entries, Iterable):
        raise UsageError(f"knob must hold one entry for each setting, got {knob!r}")
    return tuple(_knob(entry) for entry in entries)


def _knob(entry: Any) -> Knob:
    value: Any = entry.item() if hasattr(entry, "item") else entry
    if not isinstance(value, float | int | str) or value != value:
        raise UsageError(f"knob must hold floats, ints or strings, got {value!r}")
    return value


def _intervals(gain_interval: Numbers, count: int) -> Float[np.ndarray, "settings 2"]:
    found = finite("gain_interval", numbers("gain_interval", gain_interval))
    if found.shape != (count, 2):
        raise UsageError(
            f"gain_interval must have shape ({count}, 2), a lower and an upper end for each "
            f"setting, got {found.shape}"
        )
    if (found[:, 0] > found[:, 1]).any():
        raise UsageError("gain_interval must hold the lower end first, then the upper one")
    return found
