"""The kinds of record by name, and the section that holds some of them."""

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, TypeAlias, cast, get_args

from limen._core.errors import UsageError, nearest
from limen.measure.tradeoff import Tradeoff
from limen.report.bars import Bars
from limen.report.curves import Curves
from limen.report.diff import Diff
from limen.report.facts import Facts
from limen.report.gallery import Gallery
from limen.report.grid import Grid
from limen.report.histogram import Histogram
from limen.report.marked import Marked
from limen.report.scatter import Scatter
from limen.report.table import Table
from limen.report.timeline import Timeline
from limen.report.trace import Trace


@dataclass(frozen=True)
class Section:
    """Records under one heading, with an answer and a text of their own; itself a record.

    Args:
        title: the heading.
        records: what stands in it, in order; a bare `Tradeoff` becomes `Curves`.
        answer: what was found, in one sentence with its interval.
        text: paragraphs, separated by empty lines.
        beside: the records stand side by side where the screen is wide enough, the first wider.

    Raises:
        UsageError: something that is no record.

    Example:
        >>> section = Section("Toy", [Table(["x"], [[1]])], answer="x is 1.")
        >>> Section.from_dict(section.to_dict()) == section
        True
    """

    title: str
    records: Sequence[Any]
    _: KW_ONLY
    answer: str = ""
    text: str = ""
    beside: bool = False

    kind = "section"

    def __post_init__(self) -> None:
        object.__setattr__(self, "records", as_records(self.records))

    def to_dict(self) -> dict[str, object]:
        """Everything, JSON-safe."""
        return {
            "kind": self.kind,
            "title": self.title,
            "records": [record.to_dict() for record in self.records],
            "answer": self.answer,
            "text": self.text,
            "beside": self.beside,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> "Section":
        """The inverse of `to_dict`."""
        return cls(
            str(data["title"]),
            records_from_dict(cast("list[dict[str, object]]", data["records"])),
            answer=str(data["answer"]),
            text=str(data["text"]),
            beside=bool(data.get("beside", False)),
        )


Record: TypeAlias = (
    Bars
    | Curves
    | Diff
    | Facts
    | Gallery
    | Grid
    | Histogram
    | Marked
    | Scatter
    | Section
    | Table
    | Timeline
    | Trace
)

_KINDS: dict[str, type[Record]] = {record.kind: record for record in get_args(Record)}


def as_records(found: Sequence[object]) -> list[Record]:
    """The records themselves, a bare `Tradeoff` drawn as `Curves`.

    Raises:
        UsageError: something that is no record.
    """
    return [_record(item) for item in found]


def records_from_dict(found: Sequence[Mapping[str, object]]) -> list[Record]:
    """Records from what their `to_dict` wrote: the inverse, each by its kind.

    Args:
        found: the dictionaries, in order.

    Returns:
        One record for each, in the same order.

    Raises:
        UsageError: a kind that is not known.

    Example:
        >>> records_from_dict([{"kind": "facts", "items": {"seed": 0}, "title": ""}])
        [Facts(items={'seed': 0}, title='')]
    """
    return [_read(item) for item in found]


def _record(item: object) -> Record:
    if isinstance(item, Tradeoff):
        return Curves([item], title=item.name)
    if not isinstance(item, tuple(_KINDS.values())):
        raise UsageError(
            f"a record must be one of {', '.join(kind.__name__ for kind in _KINDS.values())} "
            f"or a Tradeoff, got {type(item).__name__}"
        )
    return cast("Record", item)


def _read(item: Mapping[str, object]) -> Record:
    kind = str(item.get("kind"))
    if kind not in _KINDS:
        raise UsageError(f"{kind!r} is no kind of record; nearest: {nearest(kind, _KINDS)}")
    return _KINDS[kind].from_dict(item)
