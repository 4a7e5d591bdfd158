"""Remedies compared: the errors of runs left out, paired, with both uncertainties."""

import numpy as np
import pytest

from limen._core.errors import UsageError
from limen.measure.delong import holm
from limen.measure.interval import paired, student
from limen.report.measured import Measured
from limen.report.table import Table
from limen.shift.remedies import Compared, Logistic, Selected, compare_remedies
from limen.shift.rules import random


def constant(answer):
    """A remedy that always names the same class."""

    def learn(rows, *, seed):
        return lambda inputs: np.eye(rows.classes)[np.full(len(inputs), answer)]

    return learn


def oracle(rows, *, seed):
    """Reads the class off the first column."""
    return lambda inputs: np.eye(2)[(inputs[:, 0] > 0).astype(int)]


def toy(seed=0, *, rows=90):
    draw = np.random.default_rng(seed)
    labels = np.arange(rows) % 2
    inputs = draw.normal(size=(rows, 2)) + 2.0 * (2 * labels[:, None] - 1)
    inputs[:, 0] = 2 * labels - 1
    return inputs, labels, np.repeat(["a", "b", "c"], rows // 3)


def compared(remedies, *, seeds=3, **options):
    inputs, labels, places = toy()
    return compare_remedies(remedies, inputs, labels, environments=places, seeds=seeds, **options)


def line(table, remedy, place):
    return next(row for row in table.rows if row[:2] == [remedy, place])


def test_a_perfect_remedy_errs_nowhere_and_a_constant_one_by_the_share_of_the_other_class():
    found = compared({"always 0": constant(0), "oracle": oracle})
    for place in ("a", "b", "c", "mean", "worst", "home"):
        assert line(found, "oracle", place)[2] == 0
        assert line(found, "always 0", place)[2] == pytest.approx(0.5, abs=0.04)


def test_the_change_is_against_the_baseline_that_was_named():
    remedies = {"always 0": constant(0), "oracle": oracle}
    first, named = compared(remedies), compared(remedies, baseline="oracle")
    assert line(first, "oracle", "a")[3] == pytest.approx(-0.5)
    assert line(named, "always 0", "a")[3] == pytest.approx(0.5)
    assert line(first, "always 0", "a")[3] is None
    assert named.columns[3] == "change against oracle, seeds"


def test_what_is_left_out_is_never_learned_from():
    inputs, labels, places = toy()
    seen = []

    def spy(rows, *, seed):
        seen.append((np.unique(rows.environments).tolist(), len(rows)))
        return constant(0)(rows, seed=seed)

    compare_remedies({"spy": spy}, inputs, labels, environments=places, seeds=1, home=0.2)
    assert [one for one, _ in seen] == [[1, 2], [0, 2], [0, 1]]
    assert {count for _, count in seen} == {48}  # 60 rows less a fifth


def test_all_remedies_of_a_seed_see_the_same_rows():
    inputs, labels, places = toy()
    seen: dict[str, list[np.ndarray]] = {"one": [], "two": []}

    def spy(name):
        def learn(rows, *, seed):
            seen[name].append(rows.inputs)
            return constant(0)(rows, seed=seed)

        return learn

    compare_remedies({n: spy(n) for n in seen}, inputs, labels, environments=places, seeds=2)
    assert all((a == b).all() for a, b in zip(seen["one"], seen["two"], strict=True))
    assert (seen["one"][0] != seen["one"][3]).any()  # another seed keeps other rows at home


def noisy(level):
    """Right, but for a share of rows that depends on the seed."""

    def learn(rows, *, seed):
        def predict(inputs):
            draw = np.random.default_rng([seed, int(1000 * level)])
            flip = draw.random(len(inputs)) < level
            return np.eye(2)[((inputs[:, 0] > 0) ^ flip).astype(int)]

        return predict

    return learn


def test_intervals_are_students_over_seeds_and_the_bootstraps_over_rows():
    found = compared({"ERM": noisy(0.1), "other": noisy(0.3)}, seeds=5)
    errors = found.errors
    gaps = errors[1, :, 0] - errors[0, :, 0]
    interval = student(gaps)
    cell = line(found, "other", "a")[3]
    assert (cell.value, cell.low) == pytest.approx((gaps.mean(), interval.low))
    share = found.wrong.mean(1)
    here = found.environments == 0
    rows = paired(share[1, here], share[0, here])
    assert line(found, "other", "a")[4].high == pytest.approx(rows.interval.high)


def test_p_values_are_corrected_over_all_remedies_and_environments():
    found = compared({"ERM": noisy(0.1), "other": noisy(0.3), "third": noisy(0.2)}, seeds=3)
    told = [row[5] for row in found.rows if row[5] is not None]
    assert len(told) == 6
    share, raw = found.wrong.mean(1), []
    for which in (1, 2):
        for place in range(3):
            here = found.environments == place
            raw.append(paired(share[which, here], share[0, here]).p_value)
    np.testing.assert_allclose(told, holm(raw))


def test_the_worst_environment_is_the_worst_of_each_seed():
    found = compared({"ERM": noisy(0.2)}, seeds=4)
    assert line(found, "ERM", "worst")[2] == pytest.approx(found.errors[0].max(1).mean())
    assert line(found, "ERM", "mean")[2] == pytest.approx(found.errors[0].mean())


def test_the_tradeoff_has_what_was_gained_and_what_it_cost():
    found = compared({"always 0": constant(0), "oracle": oracle})
    point = found.tradeoffs[0].at(price=0.1)
    assert (point.knob, point.price, point.gain) == ("oracle", 0.0, 1.0)


def test_runs_that_agree_have_no_interval_either():
    found = compared({"always 0": constant(0), "oracle": oracle}, seeds=2)
    assert isinstance(line(found, "oracle", "a")[3], float)


def test_one_seed_has_no_interval_over_seeds():
    found = compared({"ERM": noisy(0.1), "other": noisy(0.3)}, seeds=1)
    assert isinstance(line(found, "other", "a")[3], float)
    assert isinstance(line(found, "other", "a")[4], Measured)


def test_a_run_again_is_the_same_run():
    first, second = (compared({"ERM": Logistic(), "few": Selected(0.3)}) for _ in range(2))
    assert first.to_dict() == second.to_dict()


def test_seeds_may_be_named():
    assert compared({"ERM": oracle}, seeds=[7, 9]).seeds == (7, 9)


def test_selection_rules_are_compared_at_the_same_budget():
    found = compared({"random": Selected(0.2, by=random), "hull_cover": Selected(0.2)})
    assert found.columns[3] == "change against random, seeds"
    assert len(found.rows) == 12


def test_the_table_survives_json():
    import json

    found = compared({"ERM": noisy(0.1), "other": noisy(0.3)})
    again = Compared.from_dict(json.loads(json.dumps(found.to_dict())))
    assert type(again) is Table
    assert again.to_text() == found.to_text()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"baseline": "EMR"}, "nearest: ERM"),
        ({"seeds": 0}, "one seed or more"),
        ({"home": 0.0}, "home=0.0"),
        ({"level": 1.0}, "level=1.0"),
    ],
    ids=str,
)
def test_wrong_options_of_the_comparison_are_refused(options, told):
    with pytest.raises(UsageError, match=told):
        compared({"ERM": oracle}, **options)


def test_no_remedies_are_refused():
    with pytest.raises(UsageError, match="one remedy"):
        compared({})


def test_one_environment_and_a_class_of_one_environment_are_refused():
    inputs, labels, places = toy()
    with pytest.raises(UsageError, match="two or more to leave one out"):
        compare_remedies({"o": oracle}, inputs, labels, environments=["a"] * 90)
    with pytest.raises(UsageError, match="occurs in environment 'a' only"):
        compare_remedies(
            {"o": oracle}, inputs, np.where(np.arange(90) < 5, 2, labels), environments=places
        )
