"""The demo's section on shift shows what it says."""

import pytest

from limen.report import Page
from limen.report.table import Table
from limen.shift.demo import section

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def made():
    return section(seed=0)


def _table(made, title):
    return next(one for one in made.records if isinstance(one, Table) and title in one.title)


def test_every_class_is_worst_on_a_texture_that_training_did_not_give_it(made):
    given = {"0 3 6 9": "brick", "1 4 7": "grass", "2 5 8": "gravel"}
    rows = _table(made, "Where accuracy falls").rows
    assert {row[0]: row[1] for row in rows}.keys() == given.keys()
    assert all(row[2] != given[row[0]] for row in rows)


def test_the_gap_grows_from_seen_to_between_to_beyond(made):
    gaps = {row[0]: row[2] for row in _table(made, "Turned digits").rows}
    seen, between, beyond = (
        [gap for name, gap in gaps.items() if name.endswith(kind)]
        for kind in ("seen", "between", "beyond")
    )
    assert max(seen) < min(between) < max(between) < min(beyond)


def test_the_answer_is_read_off_the_tables(made):
    dfr = next(row for row in _table(made, "Repairs").rows if row[0] == "DFR")
    assert str(dfr[-1]) in made.answer


def test_the_section_becomes_a_page(made):
    html = Page("Shift", made.answer, [made]).html()
    assert all(name in html for name in ("DFR", "LastLayerBalance", "Projection", "90 degrees"))
