"""Worst group gained against home lost, paired, at every blend."""

import numpy as np
import pytest
from planted import planted, worst

from limen._core.errors import UsageError
from limen.measure.interval import bootstrap
from limen.report.table import Table
from limen.shift.head import Head
from limen.shift.repairs import LastLayerBalance, Linear, Projection, judge_repairs


@pytest.fixture(scope="module")
def heads():
    train = planted(400, share=0.95)
    before = Head().fit(train.features, train.labels)
    return before, {"balance": LastLayerBalance().fit(*train), "project": Projection().fit(*train)}


@pytest.fixture(scope="module")
def away():
    return planted(600, share=0.5, seed=1)


def judged(heads, rows, **options):
    before, repairs = heads
    return judge_repairs(
        repairs, before, features=rows.features, labels=rows.labels, groups=rows.groups, **options
    )


def test_the_ends_of_the_knob_are_before_and_after(heads, away):
    before, repairs = heads
    for curve in judged(heads, away).tradeoffs:
        after = repairs[curve.name]
        assert (curve.price[0], curve.gain[0]) == (0, 0)
        assert curve.gain[-1] == pytest.approx(worst(after, away) - worst(before, away))
        lost = [(head.predict(away.features) == away.labels).mean() for head in (before, after)]
        assert curve.price[-1] == pytest.approx(lost[0] - lost[1])


def test_a_blend_is_the_blend_of_weights(heads, away):
    """Of linear heads, blending logits and blending parameters is the same."""
    first, last = Linear(np.eye(2, 10), [0.0, 0.5]), Linear(-np.eye(2, 10), [1.0, 0.0])
    curve = judged((first, {"one": last}), away, blends=5).tradeoffs[0]
    half = Linear((first.weight + 3 * last.weight) / 4, (first.bias + 3 * last.bias) / 4)
    assert curve.knob[3] == 0.75
    assert curve.gain[3] == pytest.approx(worst(half, away) - worst(first, away))


def test_repairs_gain_in_the_worst_group(heads, away):
    for row in judged(heads, away).rows[1:]:
        assert row[3].low > 0


def test_the_price_is_paid_where_the_groups_still_agree(heads, away):
    home = planted(1000, share=0.98, seed=2)
    found = judged(heads, away, home=(home.features, home.labels))
    assert found.rows[1][5].low > 0
    assert "1000 rows of their own" in found.protocol
    at_home = (heads[0].predict(home.features) == home.labels).mean()
    assert found.rows[0][4].value == pytest.approx(at_home)


def test_a_repair_that_changes_nothing_gains_and_costs_nothing(heads, away):
    before = heads[0]
    row = judged((before, {"same": before}), away).rows[1]
    assert (row[3].value, row[3].low, row[3].high) == (0, 0, 0)
    assert (row[5].value, row[5].low, row[5].high) == (0, 0, 0)


def test_the_interval_of_one_cell_is_the_paired_bootstraps():
    """With one group and one class in it, gain is a mean of paired differences."""
    rows = planted(300, share=0.5)
    rows = rows.at((rows.labels == 0) & (rows.groups == 0))
    before, after = Linear(np.eye(2, 10)), Linear(np.eye(2, 10) * 0.2, [0.5, 0.0])
    found = judged((before, {"after": after}), rows).rows[1][3]
    gaps = [(head.predict(rows.features) == 0).astype(float) for head in (after, before)]
    slow = bootstrap(gaps[0] - gaps[1])
    assert found.value == pytest.approx((gaps[0] - gaps[1]).mean())
    assert (found.low, found.high) == pytest.approx((slow.low, slow.high), abs=0.03)  # two draws


def test_paired_intervals_are_narrower_than_those_of_either(heads, away):
    found = judged(heads, away, home=(away.features, away.labels)).rows[1]
    lost, after = found[5], found[4]
    spread = np.sqrt(2) * (after.high - after.low)
    assert lost.high - lost.low < spread


def test_the_last_column_is_the_best_blend_that_is_affordable(heads, away):
    home = planted(1000, share=0.98, seed=2)
    found = judged(heads, away, home=(home.features, home.labels), afford=0.02)
    assert found.columns[-1] == "gained for 0.02 lost at most"
    for row, curve in zip(found.rows[1:], found.tradeoffs, strict=True):
        assert row[-1].value == curve.at(price=0.02).gain


def test_order_of_rows_and_names_of_groups_do_not_matter_to_the_judge(heads, away):
    order = np.random.default_rng(0).permutation(600)
    one = judged(heads, away)
    moved = judged(heads, away.at(order))
    assert moved.to_dict() == one.to_dict()
    named = away._replace(groups=np.array(["x", "a"])[away.groups])
    assert [row[2:] for row in judged(heads, named).rows] == [row[2:] for row in one.rows]


def test_the_worst_group_is_told_by_name(heads, away):
    named = away._replace(groups=np.array(["sea", "land"])[away.groups])
    cell = judged(heads, named).rows[0][1]
    label, group = cell.split(" with ")
    mine = (named.labels == int(label)) & (named.groups == group)
    right = heads[0].predict(away.features) == away.labels
    assert right[mine].mean() == worst(heads[0], away)


def test_the_seed_moves_intervals_only(heads, away):
    one, other = judged(heads, away), judged(heads, away, seed=1)
    assert one.rows[1][3].value == other.rows[1][3].value
    assert one.rows[1][3] != other.rows[1][3]


def test_a_wider_level_has_wider_intervals(heads, away):
    narrow, wide = (judged(heads, away, level=level).rows[1][3] for level in (0.5, 0.99))
    assert wide.low < narrow.low < narrow.high < wide.high


def test_a_class_that_is_absent_from_the_rows_may_be(heads, away):
    kept = away.labels == 0
    assert len(judged(heads, away.at(kept)).rows) == 3


def test_the_table_and_its_curves_survive_json(heads, away):
    import json

    found = judged(heads, away)
    again = Table.from_dict(json.loads(json.dumps(found.to_dict())))
    assert again.tradeoffs == found.tradeoffs
    assert again.to_text() == found.to_text()


BAD = {
    "no repairs": ({"repairs": {}}, "one fitted head"),
    "one blend": ({"blends": 1}, "blends=1"),
    "a price below zero": ({"afford": -0.1}, "afford=-0.1"),
    "a level of zero": ({"level": 0.0}, "level=0.0"),
    "an unfitted repair": ({"repairs": {"new": LastLayerBalance()}}, "fitted first"),
    "other classes": ({"repairs": {"three": Linear(np.eye(3, 10))}}, "fit it on the same classes"),
    "labels beyond the head's": ({"labels": np.full(600, 7)}, "labels must be 0 to 1"),
    "another width": ({"features": np.ones((600, 3))}, "10 columns"),
    "flat features": ({"features": np.ones(600)}, r"\(rows, width\)"),
    "groups of another length": ({"groups": [0]}, "groups must be 600"),
    "labels of another length": ({"labels": [0]}, "labels must be 600"),
}


@pytest.mark.parametrize(("changed", "told"), BAD.values(), ids=BAD.keys())
def test_bad_input_of_the_judge_is_refused(heads, away, changed, told):
    before, repairs = heads
    given = {"repairs": repairs} | away._asdict() | changed
    with pytest.raises(UsageError, match=told):
        judge_repairs(given.pop("repairs"), before, **given)
