"""A number that knows how far it can be trusted."""

from collections.abc import Mapping
from dataclasses import dataclass

from limen.report.digits import decimals_for, written
from limen.report.strict import number, plain


@dataclass(frozen=True)
class Measured:
    """A value with the interval that was measured around it, written `0.93 [0.90, 0.95]`.

    Example:
        >>> str(Measured(0.931, 0.902, 0.954))
        '0.93 [0.90, 0.95]'
        >>> str(Measured(1523.0, 1490.0, 1561.0))
        '1523 [1490, 1561]'
    """

    value: float
    low: float
    high: float

    @property
    def places(self) -> int:
        """Decimals that the width of the interval justifies."""
        return decimals_for(
            self.high - self.low, max(abs(self.value), abs(self.low), abs(self.high))
        )

    def written(self, places: int) -> str:
        """The three numbers with `places` decimals."""
        value, low, high = (written(x, places) for x in (self.value, self.low, self.high))
        return f"{value} [{low}, {high}]"

    def __str__(self) -> str:
        return self.written(self.places)

    def to_dict(self) -> dict[str, object]:
        """The three numbers, by name."""
        return {"value": plain(self.value), "low": plain(self.low), "high": plain(self.high)}

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> "Measured":
        """The inverse of `to_dict`."""
        return cls(number(data["value"]), number(data["low"]), number(data["high"]))
