"""A series that never varies is refused, whatever is to learn from it."""

import numpy as np
import pytest

from limen._core.errors import UsageError
from limen.anomaly import KNN, POT, RMSZ, GenIAS, Spike


@pytest.mark.parametrize("kind", [RMSZ, KNN, GenIAS], ids=lambda kind: kind.__name__)
def test_every_channel_constant_is_refused(kind):
    with pytest.raises(UsageError, match="must vary, every channel of it is constant"):
        kind().fit(np.ones((300, 2)))


def test_one_channel_that_varies_is_enough():
    values = np.ones((300, 2))
    values[::3, 1] = 0
    assert RMSZ().fit(values).channels == 2


def test_scores_tied_at_the_start_of_the_tail_are_refused():
    scores = np.r_[np.linspace(0, 1, 980), np.full(8, 1.0), np.linspace(1.1, 2, 12)]
    with pytest.raises(UsageError, match="many are tied there"):
        POT(risk=0.018, tail=0.02).fit(scores)


def test_a_refused_fit_leaves_a_detector_unfitted():
    detector = KNN(k=0)
    with pytest.raises(UsageError):
        detector.fit(np.arange(300.0))
    with pytest.raises(UsageError, match="fitted first"):
        detector.decision_function(np.arange(300.0))


def test_short_series_do_not_decide_a_makers_scale():
    wave = np.sin(np.arange(300) / 5)
    alone = Spike(window=50).fit(wave).scaler
    beside = Spike(window=50).fit([wave, np.full(10, 1e6)]).scaler
    assert np.array_equal(alone.low, beside.low)
