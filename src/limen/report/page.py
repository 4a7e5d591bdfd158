"""Records in, one HTML file out that asks the network for nothing."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from functools import cache
from pathlib import Path
from typing import Any, cast

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from limen.report.look import DIVERGING, SERIES, THEME, twins
from limen.report.read import OPENING
from limen.report.records import Record, Section, as_records, records_from_dict
from limen.report.strict import dumps
from limen.run.store import replacing

_HOME = Path(__file__).parent
_INTERVAL = re.compile(r"(\[[^\][]*\d[^\][]*\])")
_FIGURES = ("bars", "curves", "trace", "grid", "scatter", "histogram", "timeline")


@dataclass(frozen=True)
class Page:
    """One question, its answer first, and the records behind it, in the order given.

    Args:
        title: what the page is about.
        answer: the result in one sentence with its interval, like "... 0.91 [0.88, 0.94] ...".
        records: `Bars`, `Curves`, `Table`, `Trace`, `Timeline`, `Grid`, `Scatter`, `Histogram`,
            `Gallery`, `Diff`, `Marked`, `Facts`, `Section`; a bare `Tradeoff` becomes `Curves`. Two
            or more sections get a list of contents.
        subtitle: a line under the title: which model, which data.
        lead: paragraphs under the answer, separated by empty lines.

    Raises:
        UsageError: something that is no record.

    Example:
        >>> from limen.report import Facts, Page
        >>> html = Page("Toy", "One < two.", [Facts({"command": "limen demo"})]).html()
        >>> "One &lt; two." in html, "http-equiv" in html
        (True, True)
    """

    title: str
    answer: str
    records: Sequence[Any]
    _: KW_ONLY
    subtitle: str = ""
    lead: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "records", as_records(self.records))

    def html(self) -> str:
        """The page as one text: styles, scripts, figures and data inside."""
        drawn = _has_figure(self.records)
        sections = [record for record in self.records if isinstance(record, Section)]
        return (
            _template()
            .get_template("page.html.j2")
            .render(
                page=self,
                sections=sections,
                theme=THEME,
                series=SERIES,
                diverging=DIVERGING,
                style=(_HOME / "style.css").read_text(encoding="utf-8"),
                script=(_HOME / "page.js").read_text(encoding="utf-8"),
                plotly=_plotly() if drawn else "",
                opening=OPENING,
                data=dumps(self.to_dict()),
                twins=dumps(twins()),
                figures=_FIGURES,
            )
        )

    def write(self, path: str | Path) -> Path:
        """Write the page, whole or not at all; folders are made. Returns where it lies.

        Example:
            >>> from tempfile import TemporaryDirectory
            >>> with TemporaryDirectory() as folder:
            ...     Page("Toy", "One is one.", []).write(Path(folder) / "new" / "page.html").name
            'page.html'
        """
        into = Path(path)
        with replacing(into) as partial:
            partial.write_text(self.html(), encoding="utf-8", errors="replace")
        return into

    def to_dict(self) -> dict[str, object]:
        """Everything, JSON-safe; what the page carries and `limen.report.read` reads."""
        return {
            "title": self.title,
            "answer": self.answer,
            "subtitle": self.subtitle,
            "lead": self.lead,
            "records": [record.to_dict() for record in self.records],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> "Page":
        """The inverse of `to_dict`."""
        return cls(
            str(data["title"]),
            str(data["answer"]),
            records_from_dict(cast("list[dict[str, object]]", data["records"])),
            subtitle=str(data["subtitle"]),
            lead=str(data["lead"]),
        )


def _has_figure(records: Sequence[Record]) -> bool:
    return any(
        _has_figure(record.records) if isinstance(record, Section) else record.kind in _FIGURES
        for record in records
    )


@cache
def _plotly() -> str:
    from plotly.offline import get_plotlyjs

    script: str = get_plotlyjs()
    return script


@cache
def _template() -> Environment:
    room = Environment(
        loader=FileSystemLoader(_HOME),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    room.filters["json"] = dumps
    room.filters["paragraphs"] = lambda text: [p for p in re.split(r"\n\s*\n", text) if p.strip()]
    room.filters["around_intervals"] = _INTERVAL.split
    room.filters["pieces"] = re.compile(r"(\s+)").split
    return room
