"""Realism and diversity: the spec's numbers, and what each measure must not be fooled by."""

import numpy as np
import pytest

from limen._core.errors import UsageError
from limen.anomaly.realism import arp, edi, entropy, prdc, realism, two_sample_auc


@pytest.mark.parametrize(("distance", "expected"), [(0.0, 1.0), (1.0, 0.5), (3.0, 0.25)])
def test_proximity_falls_with_the_distance(distance, expected):
    assert arp(np.zeros((3, 1)), np.full((2, 1), distance)) == pytest.approx(expected)


def test_proximity_is_of_real_anomalies_not_of_made_ones():
    real = np.zeros((2, 1))
    assert arp(real, np.array([[0.0], [100.0]])) == 1.0


@pytest.mark.parametrize(
    ("counts", "expected"),
    [([1] * 4, 1.386294), ([0.7, 0.2, 0.1], 0.801819), ([1] * 16, 2.772589), ([5, 0], 0.0)],
)
def test_entropy_is_in_nats_and_empty_clusters_add_nothing(counts, expected):
    assert entropy(counts) == pytest.approx(expected, abs=1e-6)


def test_a_maker_that_reaches_every_cluster_is_more_varied_than_one_that_repeats_itself():
    rng = np.random.default_rng(0)
    places = 50.0 * np.eye(8)
    spread = places.repeat(10, 0) + rng.normal(size=(80, 8))
    same = places[:1].repeat(80, 0) + rng.normal(size=(80, 8))
    found = edi({"spread": spread, "same": same}, clusters=8)
    assert found["spread"] > 1.5
    assert found["same"] < 0.9


def test_clusters_are_found_again_with_the_same_seed():
    rows = {"a": np.random.default_rng(0).normal(size=(60, 3))}
    assert edi(rows, clusters=5, seed=3) == edi(rows, clusters=5, seed=3)


def test_memorised_rows_have_full_precision_and_little_coverage():
    rng = np.random.default_rng(0)
    real = rng.normal(size=(100, 2))
    found = prdc(real, real[:1] + 1e-6 * rng.normal(size=(100, 2)))
    assert found.precision == 1.0
    assert found.coverage < 0.2


def test_far_rows_have_neither_precision_nor_coverage():
    real = np.random.default_rng(0).normal(size=(50, 2))
    found = prdc(real, real + 1000.0)
    assert (found.precision, found.recall, found.density, found.coverage) == (0, 0, 0, 0)


def test_precision_and_recall_change_places_with_the_two_sets():
    rng = np.random.default_rng(1)
    one, other = rng.normal(size=(40, 2)), rng.normal(0.5, 0.3, size=(40, 2))
    assert prdc(one, other).precision == prdc(other, one).recall


def test_equal_distributions_cannot_be_told_apart_and_far_ones_can():
    rng = np.random.default_rng(0)
    one, same, far = (
        rng.normal(size=(300, 2)),
        rng.normal(size=(300, 2)),
        rng.normal(5, 1, (300, 2)),
    )
    assert two_sample_auc(one, same) == pytest.approx(0.5, abs=0.06)
    assert two_sample_auc(one, far) == 1.0


def test_the_larger_sample_does_not_tilt_the_two_sample_test():
    rng = np.random.default_rng(0)
    assert two_sample_auc(rng.normal(size=(900, 2)), rng.normal(size=(200, 2))) == pytest.approx(
        0.5, abs=0.08
    )


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    shape = np.concatenate([np.zeros(8), np.ones(8)])[:, None]
    normal, real = rng.normal(size=(60, 16, 1)), rng.normal(size=(40, 16, 1)) + 6 * shape
    made = {
        "the same shape": rng.normal(size=(60, 16, 1)) + 6 * shape,
        "spread wide": rng.normal(0, 6, size=(60, 16, 1)),
    }
    return realism(
        real, made, normal=normal, embed=lambda rows: rows[:, :, 0], events=np.arange(40) // 4
    )


def test_makers_stand_first_and_the_three_references_after_them(table):
    names = [row[0] for row in table.rows]
    assert names == ["the same shape", "spread wide", "near copy", "noise", "oracle"]


def test_the_right_shape_beats_noise_and_near_copies(table):
    rows = {row[0]: dict(zip(table.columns, row, strict=True)) for row in table.rows}
    right = rows["the same shape"]
    for other in ("near copy", "noise", "spread wide"):
        assert right["ARP"].value > rows[other]["ARP"].value
        assert right["two-sample AUC"] < rows[other]["two-sample AUC"]
    assert rows["near copy"]["distance to normal"] < right["distance to normal"]


def test_the_interval_holds_the_value(table):
    for row in table.rows:
        assert row[1].low <= row[1].value <= row[1].high


def test_the_table_says_that_labels_were_used(table):
    assert "Labels of real anomalies were used" in table.protocol


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: arp(np.zeros((0, 1)), np.zeros((1, 1))), "one at least"),
        (lambda: edi({"a": np.zeros((3, 1))}), "16 clusters need as many"),
        (lambda: prdc(np.zeros((3, 1)), np.zeros((3, 1)), nearest=3), "below the rows of either"),
        (lambda: two_sample_auc(np.zeros((3, 1)), np.zeros((9, 1))), "5 folds need"),
    ],
)
def test_too_little_is_refused(call, told):
    with pytest.raises(UsageError, match=told):
        call()


def test_windows_of_one_event_alone_are_refused():
    windows = np.random.default_rng(0).normal(size=(20, 4, 1))
    with pytest.raises(UsageError, match="two real events or more"):
        realism(windows, {"shift": windows}, normal=windows, embed=lambda x: x.mean(2),
                events=np.zeros(20, dtype=int), resamples=10)  # fmt: skip
