"""A threshold under drift keeps its rate where a fixed one does not."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from limen._core.errors import UsageError
from limen._core.streams import numpy_stream
from limen.measure import Threshold
from limen.ood.adapt import AdaptiveThreshold
from limen.run.files import load, save

CALIBRATION = np.arange(100.0)


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=200), st.sampled_from([0.05, 0.3]))
def test_the_rate_is_within_the_papers_bound_on_any_stream(scores: list[float], alpha: float):
    live = AdaptiveThreshold(alpha=alpha, gamma=0.1).fit(CALIBRATION)
    bound = (max(alpha, 1 - alpha) + 0.1) / (0.1 * len(scores))
    assert abs(live.update(scores).mean() - alpha) <= bound + 1e-9


def test_under_drift_it_keeps_alpha_where_a_fixed_threshold_does_not() -> None:
    stream = numpy_stream(0, "drift")
    start, later = stream.normal(size=500), stream.normal(size=3000) + np.linspace(0, 2, 3000)
    live = AdaptiveThreshold(alpha=0.1, gamma=0.02).fit(start).update(later).mean()
    fixed = Threshold(alpha=0.1).fit(start).flag(later).mean()
    assert live == pytest.approx(0.1, abs=(0.9 + 0.02) / (0.02 * 3000))
    assert fixed > 0.3


def test_it_starts_at_the_split_conformal_level() -> None:
    assert AdaptiveThreshold(alpha=0.1).fit(CALIBRATION).level == (
        Threshold(alpha=0.1).fit(CALIBRATION).level
    )


def test_false_alarms_raise_the_level_and_their_absence_lowers_it() -> None:
    live = AdaptiveThreshold(alpha=0.1, gamma=0.05).fit(CALIBRATION)
    before = live.level
    live.update([1e9])
    after = live.level
    live.update([-1e9] * 3)
    assert after > before
    assert live.level < after


def test_flagging_alone_changes_nothing() -> None:
    live = AdaptiveThreshold(alpha=0.1).fit(CALIBRATION)
    assert live.flag([1e9]).all()
    assert live.current == 0.1


def test_a_saved_threshold_goes_on_where_it_stood(tmp_path) -> None:
    live = AdaptiveThreshold(alpha=0.1, gamma=0.05).fit(CALIBRATION)
    live.update([1e9])
    again = load(save(live, tmp_path / "live"))
    assert (again.current, again.level) == (live.current, live.level)


def test_what_cannot_be_followed_is_refused() -> None:
    with pytest.raises(UsageError, match="fitted first"):
        AdaptiveThreshold().update([1.0])
    with pytest.raises(UsageError, match="gamma must be above 0"):
        AdaptiveThreshold(gamma=0)
    with pytest.raises(UsageError, match="alpha must be between"):
        AdaptiveThreshold(alpha=1.0)
