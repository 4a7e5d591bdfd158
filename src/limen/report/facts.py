"""What a reader needs to do it again."""

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import TypeAlias, cast

import numpy as np

from limen._core.errors import UsageError
from limen.report.digits import ABSENT
from limen.report.strict import number, plain

Fact: TypeAlias = str | int | float | bool | Sequence[str | int | float] | None


@dataclass(frozen=True)
class Facts:
    """Names and values: protocol, command, versions, hashes of data. Each value can be copied.

    Args:
        items: a name and a text, number or list of them.
        title: a few words above.

    Raises:
        UsageError: a value that is neither text, number nor a list of them.

    Example:
        >>> Facts({"seeds": [0, 1, 2], "rate": 0.05}).written()
        [('seeds', '0, 1, 2'), ('rate', '0.05')]
    """

    items: Mapping[str, Fact | np.generic | np.ndarray]
    _: KW_ONLY
    title: str = ""

    kind = "facts"

    def __post_init__(self) -> None:
        object.__setattr__(self, "items", {str(k): _fact(k, v) for k, v in self.items.items()})

    def written(self) -> list[tuple[str, str]]:
        """Names and values as text; texts of a list stand on lines of their own."""
        return [(name, _written(cast("Fact", value))) for name, value in self.items.items()]

    def to_dict(self) -> dict[str, object]:
        """Everything, JSON-safe."""
        return {"kind": self.kind, "items": plain(self.items), "title": self.title}

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> "Facts":
        """The inverse of `to_dict`; NaN comes back as None."""
        items = cast("dict[str, object]", data["items"])
        return cls({name: _read(value) for name, value in items.items()}, title=str(data["title"]))


def _fact(name: str, value: object) -> Fact:
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if value is None or isinstance(value, str | int | float):
        return value
    items = list(value) if isinstance(value, Sequence) and not isinstance(value, bytes) else [None]
    if all(isinstance(item, str | int | float) for item in items):
        return cast("Fact", items)
    raise UsageError(
        f"fact {name!r} must be text, a number or a list of them, got {type(value).__name__}"
    )


def _read(value: object) -> Fact:
    if isinstance(value, list):
        return [cast("str", _read(item)) for item in value]
    return number(value) if isinstance(value, Mapping) else cast("Fact", value)


def _written(value: Fact) -> str:
    if isinstance(value, list):
        joint = "\n" if any(isinstance(item, str) for item in value) else ", "
        return joint.join(map(str, value))
    return ABSENT if value is None else str(value)
