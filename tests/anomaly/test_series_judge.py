"""The judge of scores on series: its columns are the metrics, its guards hold."""

import numpy as np
import pytest

from limen._core.errors import UsageError
from limen.anomaly import metrics
from limen.anomaly.judge import judge
from limen.anomaly.thresholds import Quantile
from limen.report import Table
from limen.report.measured import Measured


def made(seed, size=600, gap=0.5):
    stream = np.random.default_rng(seed)
    labels = np.zeros(size, dtype=int)
    for start in stream.integers(50, size - 40, 3):
        labels[start : start + 15] = 1
    return stream.random(size) + gap * labels, labels


def several(count=4):
    scores, labels = {}, {}
    for seed in range(count):
        good, labels[f"s{seed}"] = made(seed)
        scores[f"s{seed}"] = {"good": good, "bad": np.random.default_rng(99 + seed).random(600)}
    return scores, labels


def cell(table, row, column):
    found = next(one for one in table.rows if one[0] == row)
    return found[list(table.columns).index(column)]


def test_the_columns_are_the_metrics():
    scores, labels = made(0)
    table = judge(scores, labels, window=20, recall=0.5)
    wanted = {
        "prevalence": labels.mean(),
        "VUS-PR": metrics.vus_pr(scores, labels, window=20),
        "VUS-ROC": metrics.vus_roc(scores, labels, window=20),
        "AUC-PR": metrics.auc_pr(scores, labels),
        "AUC-ROC": metrics.auc_roc(scores, labels),
        "found by its peak": metrics.ucr_found(scores, labels),
        "best F1 (oracle)": metrics.best_f1_oracle(scores, labels).value,
        "false alarms (oracle)": metrics.alarms(scores, labels).at(gain=0.5).price,
    }
    assert {name: cell(table, "scores", name) for name in wanted} == wanted


def test_chance_stands_beside_every_value():
    scores, labels = made(0)
    table = judge(scores, labels, window=20)
    for name, metric in (("AUC-PR", metrics.auc_pr), ("AUC-ROC", metrics.auc_roc)):
        assert cell(table, "chance", name) == pytest.approx(metrics.chance(metric, labels))
    assert table.rows[-1][0] == "chance"
    assert all(value is not None for value in table.rows[-1])


def test_what_the_labels_chose_is_stamped():
    table = judge(*made(0), window=20)
    assert sum("oracle" in name for name in table.columns) == 2
    assert "chosen with the labels" in table.protocol
    assert not any("PA" in name for name in table.columns)


def test_without_a_window_the_period_of_the_series_is_taken():
    scores, labels = made(0, size=200)
    wave = np.sin(2 * np.pi * np.arange(200) / 25)
    assert "0 to 25 points" in judge(scores, labels, series=wave).protocol
    assert "0 to 3 points" in judge(scores, labels, window=3, series=wave).protocol


def test_without_window_and_series_the_protocol_says_so():
    assert "0 to 100 points (no window" in judge(*made(0, size=200)).protocol


def test_the_variant_of_vus_is_passed_on_and_told():
    scores, labels = made(0)
    table = judge(scores, labels, window=20, variant="original")
    wanted = metrics.vus_pr(scores, labels, window=20, variant="original")
    assert cell(table, "scores", "VUS-PR") == wanted
    assert "original" in table.protocol


def test_what_lies_before_the_end_of_training_is_not_scored():
    scores, labels = made(0)
    spoilt = scores.copy()
    spoilt[:40] = np.nan  # a detector gives its training part no score
    whole = judge(scores[40:], labels[40:], window=10)
    cut = judge(spoilt, labels, window=10, train_end=40)
    assert cut.rows == whole.rows
    assert "40 points of training left out" in cut.protocol


def test_several_series_are_averaged_with_intervals_over_series():
    scores, labels = several()
    table = judge(scores, labels, window=10)
    each = [metrics.vus_pr(scores[s]["good"], labels[s], window=10) for s in labels]
    found = cell(table, "good", "VUS-PR")
    assert isinstance(found, Measured)
    assert found.value == pytest.approx(np.mean(each))
    assert found.low < found.value < found.high
    assert "Student" in table.protocol


def test_intervals_stay_within_what_is_possible():
    table = judge(*several(), window=10)
    for row in table.rows:
        assert all(0 <= one.low <= one.high for one in row if isinstance(one, Measured))
        assert all(one.high <= 1 for one in row[:-1] if isinstance(one, Measured))


def test_one_series_has_no_interval():
    table = judge(*made(0), window=10)
    assert not any(isinstance(value, Measured) for row in table.rows for value in row)
    assert "no interval" in table.protocol


def test_the_share_found_has_wilsons_interval():
    scores, labels = several()
    found = cell(judge(scores, labels, window=10), "good", "found by its peak")
    each = [metrics.ucr_found(scores[s]["good"], labels[s]) for s in labels]
    wanted = metrics.ucr_accuracy(each)
    assert (found.value, found.low, found.high) == (wanted.value, *vars(wanted.interval).values())[
        :3
    ]


def test_each_series_can_be_looked_at():
    scores, labels = several(2)
    table = judge(scores, labels, window=10).by_series
    assert [row[:2] for row in table.rows] == [
        [s, d] for s in scores for d in ("good", "bad", "chance")
    ]


def test_detectors_are_compared_on_the_same_series():
    scores, labels = several(5)
    table = judge(scores, labels, window=3).paired
    (row,) = table.rows
    gaps = [
        metrics.vus_pr(scores[s]["good"], labels[s], window=3)
        - metrics.vus_pr(scores[s]["bad"], labels[s], window=3)
        for s in scores
    ]
    assert row[:2] == ["good", "bad"]
    assert row[2].value == pytest.approx(np.mean(gaps))
    assert row[2].low > 0
    assert row[3] == row[4] == pytest.approx(2 / 2**5)  # every sign agrees; one test


def test_ranks_tell_who_wins():
    table = judge(*several(), window=10).ranks
    assert [row[:3] for row in table.rows] == [["good", 1.0, 1.0], ["bad", 2.0, 0.0]]


def test_one_series_cannot_be_compared_over_series():
    with pytest.raises(UsageError, match="two with events"):
        _ = judge(*made(0), window=10).paired


def test_a_series_without_an_event_is_left_out_with_one_warning():
    scores, labels = several(3)
    full = judge({s: scores[s] for s in ("s0", "s1")}, {s: labels[s] for s in ("s0", "s1")},
                 window=10)  # fmt: skip
    labels["s2"] = np.zeros(600, dtype=int)
    with pytest.warns(UserWarning, match="1 of 3 series") as caught:
        table = judge(scores, labels, window=10)
    assert len(caught) == 1
    assert cell(table, "good", "VUS-PR") == cell(full, "good", "VUS-PR")


def test_without_any_event_every_metric_is_absent():
    with pytest.warns(UserWarning, match="1 of 1 series"):
        table = judge([0.0, 1.0, 2.0], [0, 0, 0], window=1)
    assert table.rows[0] == ["scores", 0.0, *[None] * 7]
    assert table.tradeoffs == []


def test_there_is_a_tradeoff_for_each_detector_and_series():
    table = judge(*several(2), window=10)
    assert [one.name for one in table.tradeoffs] == ["good, s0", "good, s1", "bad, s0", "bad, s1"]


def test_label_free_thresholds_get_a_table_of_their_own():
    scores, labels = made(0, gap=2.0)
    fitted = Quantile(0.05).fit(np.random.default_rng(1).random(500))
    table = judge({"a": scores, "b": scores}, labels, window=10,
                  thresholds={"a": 1.5, "b": fitted}).flagged  # fmt: skip
    flags = scores > fitted.level
    assert cell(table, "a", "point F1") == metrics.point_f1(scores > 1.5, labels)
    assert cell(table, "b", "event F1") == metrics.event_f1(flags, labels)
    assert cell(table, "b", "normal points flagged") == flags[labels == 0].mean()
    assert cell(table, "b", "delay [points]") == metrics.delay(flags, labels).mean
    assert cell(table, "a", "affiliation precision") == pytest.approx(1, abs=0.01)


def test_thresholds_can_differ_by_series():
    scores, labels = several(2)
    levels = {"s0": {"good": 0.9}, "s1": {"good": 1.1}}
    table = judge(scores, labels, window=10, thresholds=levels).flagged
    each = [metrics.point_f1(scores[s]["good"] > levels[s]["good"], labels[s]) for s in levels]
    assert [row[0] for row in table.rows] == ["good"]
    assert cell(table, "good", "point F1").value == pytest.approx(np.mean(each))


def test_without_thresholds_nothing_is_flagged():
    with pytest.raises(UsageError, match="thresholds="):
        _ = judge(*made(0), window=10).flagged


def test_the_table_is_json_safe_and_comes_back():
    import json

    table = judge(*several(2), window=10)
    again = Table.from_dict(json.loads(json.dumps(table.to_dict())))
    assert again.to_text() == table.to_text()


def test_the_same_seed_gives_the_same_table():
    scores, labels = several(2)
    one, other = (judge(scores, labels, window=5, seed=3) for _ in range(2))
    assert one.rows == other.rows
    assert one.rows[-1] != judge(scores, labels, window=5, seed=4).rows[-1]


@pytest.mark.parametrize(
    ("scores", "labels", "options", "says"),
    [
        ([0.0, 1.0], [0, 1, 0], {}, "'scores' are 2, and labels 3"),
        ([0.0, np.nan], [0, 1], {}, "scores of 'scores'.*NaN"),
        ([0.0, 1.0], [0, 2], {}, "0 and 1"),
        (1.0, [0, 1], {}, r"\(time,\)"),
        ([0.0, 1.0], [0, 1], {"train_end": 2}, "leave a point"),
        ([0.0, 1.0], [0, 1], {"window": -1}, "0 or more"),
        ([0.0, 1.0], [0, 1], {"recall": 0.0}, "recall"),
        ([0.0, 1.0], [0, 1], {"variant": "best"}, "tsbad"),
        ([0.0, 1.0], [0, 1], {"thresholds": {"knn": 1.0}}, "'knn', no detector"),
        ({"chance": [0.0, 1.0]}, [0, 1], {}, "the table's own"),
        ({"a": [0.0, 1.0]}, {"s": [0, 1]}, {}, "several series need"),
        ({"s": {"a": [0.0, 1.0]}}, {"t": [0, 1]}, {}, r"series \['s'\], got \['t'\]"),
        ({"s": {"a": [0.0, 1.0]}}, [0, 1], {}, "got one array"),
        ({"s": {"a": [0.0, 1.0]}, "t": {"b": [0.0, 1.0]}}, {"s": [0, 1], "t": [0, 1]}, {},
         "same detectors"),
        ({"s": {"a": [0.0, 1.0]}}, {"s": [0, 1]}, {"train_end": {"t": 0}}, "'s' is missing"),
        ({"s": {"a": [0.0, 1.0]}}, {"s": [0, 1]}, {"series": {"t": [0.0, 1.0]}}, "'s' is missing"),
    ],
)  # fmt: skip
def test_what_does_not_fit_together_is_refused(scores, labels, options, says):
    with pytest.raises(UsageError, match=says):
        judge(scores, labels, **{"window": None if "series" in options else 1, **options})
