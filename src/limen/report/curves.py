"""The limen line: price to the right, gain upwards, everything compared at one price."""

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, cast

import numpy as np

from limen._core.errors import UsageError
from limen.measure.tradeoff import Point, Tradeoff
from limen.report.digits import decimals, short, written
from limen.report.key import Key, numbers
from limen.report.line import drawn, right_edge
from limen.report.measured import Measured
from limen.report.strict import number, plain
from limen.report.table import Table


@dataclass(frozen=True)
class Curves:
    """Trade-offs in one picture, compared at one price: further left is cheaper, higher is better.

    A stair is drawn through the settings that nobody dominates: at each price, the best gain that
    can be had for it. Every measured setting is a hollow marker; what `tradeoff.at(price=at)`
    answers is the one filled marker. Left of the line at `at` one can afford, right of it is pale.

    Args:
        tradeoffs: curves that share the names of their price and of their gain.
        at: the price at which all are compared; None draws no line and fills no marker.
        title: a few words above the picture.
        caption: what to see in it, in a sentence.

    Raises:
        UsageError: no curve, names that differ, or `at` is not a number.

    Example:
        >>> from limen.measure import Tradeoff
        >>> weak = Tradeoff(price=[0.0, 0.1, 0.2], gain=[0.1, 0.5, 0.9], name="weak")
        >>> print(Curves([weak], at=0.15).alt())
        gain (higher is better) against price (lower is better) for weak, compared at price 0.15. \
weak: 0.50 at price 0.1, knob 1.
    """

    tradeoffs: Sequence[Tradeoff]
    _: KW_ONLY
    at: float | None = None
    title: str = ""
    caption: str = ""

    kind = "curves"

    def __post_init__(self) -> None:
        if not self.tradeoffs:
            raise UsageError("tradeoffs must hold at least one curve and is empty")
        for axis in ("price_name", "gain_name"):
            names = sorted({getattr(tradeoff, axis) for tradeoff in self.tradeoffs})
            if len(names) > 1:
                raise UsageError(
                    f"curves in one picture must share their {axis}, got {', '.join(names)}; "
                    "draw them in two"
                )
        if self.at is not None and not np.isfinite(self.at):
            raise UsageError(f"at must be a finite price, got {self.at}; leave it out for no line")
        object.__setattr__(self, "tradeoffs", list(self.tradeoffs))

    @property
    def across(self) -> str:
        """What runs to the right."""
        return self.tradeoffs[0].price_name

    @property
    def upward(self) -> str:
        """What runs up."""
        return self.tradeoffs[0].gain_name

    def names(self) -> list[str]:
        """A name for each curve; "curve 2" where it has none and is not alone."""
        alone = len(self.tradeoffs) == 1
        return [
            tradeoff.name or ("" if alone else f"curve {place + 1}")
            for place, tradeoff in enumerate(self.tradeoffs)
        ]

    @property
    def beyond(self) -> str:
        """What the picture leaves out to the right, in words; empty where it shows everything."""
        edge = right_edge(self.tradeoffs, self.at)
        count = sum(int((tradeoff.price > edge).sum()) for tradeoff in self.tradeoffs)
        noun = "setting lies" if count == 1 else "settings lie"
        return f"{count} dearer {noun} beyond the edge" if count else ""

    def points(self) -> list[Point | None]:
        """The operating point of each curve; None where no setting is cheap enough, or no `at`."""
        return [self._point(tradeoff) for tradeoff in self.tradeoffs]

    def keys(self) -> list[Key]:
        """One entry a curve: its name and what it gains at the common price."""
        rows = zip(self.names(), self.tradeoffs, self.points(), strict=True)
        return [
            Key(place, name or self.upward, *self._reading(tradeoff, point))
            for place, (name, tradeoff, point) in enumerate(rows)
        ]

    def alt(self) -> str:
        """The picture in words."""
        names = [name for name in self.names() if name]
        whose = f" for {', '.join(names)}" if names else ""
        where = "" if self.at is None else f", compared at {self.across} {self.at:.6g}"
        readings = " ".join(
            f"{key.name}: {key.reading} at {key.detail}." for key in self.keys() if key.reading
        )
        direction = f"{self.upward} (higher is better) against {self.across} (lower is better)"
        return f"{direction}{whose}{where}. {readings}".strip()

    def numbers(self) -> Table:
        """Every measured setting: curve, knob, price, gain."""
        rows = [
            [name, knob, float(price), float(gain)]
            for name, tradeoff in zip(self.names(), self.tradeoffs, strict=True)
            for knob, price, gain in zip(tradeoff.knob, tradeoff.price, tradeoff.gain, strict=True)
        ]
        knob_names = {tradeoff.knob_name for tradeoff in self.tradeoffs}
        knob_name = knob_names.pop() if len(knob_names) == 1 else "knob"
        return numbers(["curve", knob_name, self.across, self.upward], rows)

    def figure(self) -> dict[str, Any]:
        """The picture, as plotly's JSON in the light colours."""
        return drawn(self.tradeoffs, self.points(), self.at)

    def to_dict(self) -> dict[str, object]:
        """Everything, JSON-safe."""
        return {
            "kind": self.kind,
            "tradeoffs": [tradeoff.to_dict() for tradeoff in self.tradeoffs],
            "at": plain(self.at),
            "title": self.title,
            "caption": self.caption,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> "Curves":
        """The inverse of `to_dict`."""
        tradeoffs = cast("list[dict[str, object]]", data["tradeoffs"])
        return cls(
            [Tradeoff.from_dict(one) for one in tradeoffs],
            at=None if data["at"] is None else number(data["at"]),
            title=str(data["title"]),
            caption=str(data["caption"]),
        )

    def _point(self, tradeoff: Tradeoff) -> Point | None:
        if self.at is None or self.at < float(tradeoff.price.min()) - 1e-9:
            return None
        return tradeoff.at(price=self.at)

    def _reading(self, tradeoff: Tradeoff, point: Point | None) -> tuple[str, str]:
        if self.at is None:
            return "", ""
        if point is None:
            cheapest = short(float(tradeoff.price.min()))
            return "none this cheap", f"{self.across} {cheapest} or more"
        interval = point.gain_interval
        if interval is None:
            reading = written(point.gain, max(decimals([point.gain]), 2 if point.gain < 10 else 0))
        else:
            reading = str(Measured(point.gain, *interval))
        knob = f"{tradeoff.knob_name} {short(point.knob)}"
        return reading, f"{self.across} {short(point.price)}, {knob}"
