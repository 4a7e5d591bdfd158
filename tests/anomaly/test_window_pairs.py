"""The positives of CARLA's first stage are what came just before, in the same series."""

import numpy as np

from limen.anomaly import Contrastive, Spike
from limen.anomaly.batches import Draws, Kept
from limen.anomaly.detectors.contrastive import _Pairs

QUICK = {"steps": 1, "epochs": 1, "scale": "none", "batch": 16}


def pairs(series, **options):
    """The starts of anchors and their positives, of all batches of an epoch."""
    seen = []

    class Watched(_Pairs):
        def __getitem__(self, i):
            batch = super().__getitem__(i)
            seen.extend(zip(batch[0][:, 0, 0].tolist(), batch[1][:, 0, 0].tolist(), strict=True))
            return batch

    import limen.anomaly.detectors.contrastive as module

    module._Pairs, kept = Watched, module._Pairs
    try:
        Contrastive(Spike(window=10), **QUICK, **options).fit(series)
    finally:
        module._Pairs = kept
    return np.array(seen)


def test_a_positive_is_one_of_the_ten_windows_before_however_few_are_kept():
    anchors, positives = pairs(np.arange(3000.0), most=32).T
    late = anchors > 10
    assert late.sum() > 20
    assert set((anchors - positives)[late]) <= set(range(1, 11))


def test_windows_before_are_strides_apart():
    anchors, positives = pairs(np.arange(3000.0), most=32, stride=4).T
    late = anchors > 40
    assert set((anchors - positives)[late]) <= set(range(4, 41, 4))


def test_a_positive_never_comes_from_another_series():
    series = [1000.0 * k + np.arange(40.0) for k in range(4)]
    anchors, positives = pairs(series).T
    np.testing.assert_array_equal(np.round(anchors, -3), np.round(positives, -3))


def test_an_epoch_of_contrastive_is_an_epoch_of_its_draws():
    rows = 41  # two full batches of 16, and nine windows over
    found = Contrastive(Spike(window=10), **QUICK | {"epochs": 3}).fit(np.arange(50.0) % 7)
    assert len(found.decision_scores_) - 9 == rows
    assert (
        len([row for row in found.history if "triplet" in row])
        == 3 * Draws(rows, 16, seed=0).epoch
        == 6
    )


def test_windows_kept_are_the_same_however_the_series_are_cut_into_views():
    views = [np.arange(5.0)[:, None, None], np.zeros((0, 1, 1)), np.arange(5.0, 20)[:, None, None]]
    one = [np.arange(20.0)[:, None, None]]
    for most in (1, 2, 7, 20, 50):
        np.testing.assert_array_equal(
            Kept.evenly(views, most).windows(), Kept.evenly(one, most).windows()
        )
