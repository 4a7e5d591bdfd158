"""Records in, one self-contained page out; this floor knows no domain.

A record is a small frozen dataclass (`Bars`, `Curves`, `Table`, `Trace`, `Timeline`, `Grid`,
`Scatter`, `Histogram`, `Gallery`, `Diff`, `Marked`, `Facts`, `Section`); a `Page` puts records in
order and writes one HTML file that asks the network for nothing.
"""

from typing import TYPE_CHECKING

from limen._core.lazy import lazy

if TYPE_CHECKING:
    from limen.report.bars import Bars
    from limen.report.curves import Curves
    from limen.report.diff import Answer, Diff
    from limen.report.facts import Facts
    from limen.report.gallery import Gallery, Picture
    from limen.report.grid import Grid
    from limen.report.histogram import Histogram
    from limen.report.marked import Marked
    from limen.report.measured import Measured
    from limen.report.page import Page
    from limen.report.read import read
    from limen.report.records import Section, records_from_dict
    from limen.report.scatter import Scatter
    from limen.report.table import Table
    from limen.report.timeline import Timeline
    from limen.report.trace import Trace

__all__ = [
    "Answer",
    "Bars",
    "Curves",
    "Diff",
    "Facts",
    "Gallery",
    "Grid",
    "Histogram",
    "Marked",
    "Measured",
    "Page",
    "Picture",
    "Scatter",
    "Section",
    "Table",
    "Timeline",
    "Trace",
    "read",
    "records_from_dict",
]
__getattr__, __dir__ = lazy(__name__, __file__)
