"""Thresholds that no label chose, and what they promise."""

import numpy as np
import pytest

import limen
from limen._core.errors import UsageError
from limen.anomaly.metrics import coverage
from limen.anomaly.thresholds import POT, Quantile

NORMAL = np.random.default_rng(0).standard_normal(20_000)
EACH = pytest.mark.parametrize("threshold", [Quantile(0.02), POT(risk=1e-3, tail=0.05)])


def test_a_quantile_flags_its_share_of_the_scores_it_saw():
    assert Quantile(0.05).fit(NORMAL).flag(NORMAL).mean() == pytest.approx(0.05, abs=1e-4)


@pytest.mark.parametrize("risk", [1e-2, 1e-3, 1e-4])
def test_pot_keeps_its_risk_on_new_scores(risk):
    fresh = np.random.default_rng(1).standard_normal(2_000_000)
    found = POT(risk=risk, tail=0.05).fit(NORMAL).flag(fresh).mean()
    assert risk / 2 < found < 2 * risk  # 1,000 excesses: the tail's own doubt


def test_pot_knows_the_shape_of_a_heavy_tail():
    heavy = np.random.default_rng(0).pareto(2.0, 50_000)  # 1 / shape = 2
    found = POT(risk=1e-3, tail=0.02).fit(heavy)
    assert found.shape == pytest.approx(0.5, abs=0.1)
    assert found.level == pytest.approx(1e-3**-0.5 - 1, rel=0.1)  # the law's own quantile


def test_pot_asks_for_more_than_was_ever_seen():
    assert POT(risk=1e-6).fit(NORMAL).level > NORMAL.max()


def test_pot_does_not_depend_on_the_unit_of_the_scores():
    one, other = POT().fit(NORMAL), POT().fit(NORMAL * 1e-6 + 5.0)
    assert other.level == pytest.approx(one.level * 1e-6 + 5.0, rel=1e-6)


@EACH
def test_a_score_at_the_level_is_not_flagged(threshold):
    threshold.fit(NORMAL)
    level = threshold.level
    assert threshold.flag([level, np.nextafter(level, np.inf)]).tolist() == [False, True]


@EACH
def test_labels_are_not_asked_for(threshold):
    with pytest.raises(TypeError):
        threshold.fit(NORMAL, np.zeros(len(NORMAL)))


@EACH
def test_a_fitted_threshold_saves_and_loads(threshold, tmp_path):
    threshold.fit(NORMAL)
    again = limen.load(limen.save(threshold, tmp_path / "threshold.json"))
    assert again == threshold
    np.testing.assert_array_equal(again.flag(NORMAL), threshold.flag(NORMAL))


@pytest.mark.parametrize("make", [Quantile, POT])
def test_before_fit_there_is_no_level(make):
    with pytest.raises(UsageError, match=f"{make.__name__}.*fit"):
        _ = make().level


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Quantile(0.0), "share"),
        (lambda: POT(risk=0.0), "risk"),
        (lambda: POT(tail=1.0), "tail"),
        (lambda: POT(risk=0.1, tail=0.05), "below tail"),
    ],
)
def test_shares_out_of_range_are_refused(make, says):
    with pytest.raises(UsageError, match=says):
        make()


@pytest.mark.parametrize(
    ("scores", "says"),
    [(np.arange(100.0), "10 different scores"), (np.zeros(5000), "10 different scores"),
     (np.append(NORMAL, np.inf), "finite"), ([], "at least one"), ([np.nan], "NaN")],
)  # fmt: skip
def test_scores_without_a_tail_are_refused(scores, says):
    with pytest.raises(UsageError, match=says):
        POT().fit(scores)


def test_a_quantile_that_is_infinite_is_refused():
    with pytest.raises(UsageError, match="finite"):
        Quantile(0.5).fit([0.0, np.inf, np.inf])


@pytest.mark.parametrize(
    "threshold", [Quantile(0.02), POT(risk=0.02, tail=0.1), limen.Threshold(alpha=0.02)]
)
def test_coverage_finds_a_promise_kept_on_exchangeable_scores(threshold):
    fresh = np.random.default_rng(2).standard_normal(20_000)
    found = coverage(threshold.fit(NORMAL), fresh)
    assert found.promised == pytest.approx(0.02, rel=0.01)
    assert found.measured.value == pytest.approx(0.02, abs=0.004)
    assert found.measured.low < found.measured.value < found.measured.high


def test_coverage_finds_a_promise_broken_under_drift():
    found = coverage(Quantile(0.02).fit(NORMAL), NORMAL + 1)
    assert found.measured.low > found.promised


def test_labelled_points_do_not_count_as_false_alarms():
    scores, labels = np.append(NORMAL[:1000], np.full(50, 99.0)), np.arange(1050) >= 1000
    threshold = Quantile(0.02).fit(NORMAL)
    assert coverage(threshold, scores, labels) == coverage(threshold, NORMAL[:1000])
    with pytest.raises(UsageError, match="normal point"):
        coverage(threshold, scores[-50:], labels[-50:])
