"""What is special to each rule, and what rules do where a series gives them nothing to bend."""

import numpy as np
import pytest

from limen._core.errors import UsageError
from limen.anomaly.synth.carla import CARLA, KINDS
from limen.anomaly.synth.channel_swap import ChannelSwap
from limen.anomaly.synth.cut_paste import CutPaste
from limen.anomaly.synth.flat_line import FlatLine
from limen.anomaly.synth.frequency import Frequency
from limen.anomaly.synth.level_shift import LevelShift
from limen.anomaly.synth.noise import Noise
from limen.anomaly.synth.rules import Rule
from limen.anomaly.synth.seasonal import Seasonal, permuted
from limen.anomaly.synth.shapelet import Shapelet
from limen.anomaly.synth.spike import Spike
from limen.anomaly.synth.trend import Trend

TIME = np.arange(600)
WAVE = 20 + 2 * np.sin(TIME / 5) + 0.05 * np.random.default_rng(0).normal(size=600)
SD = WAVE.std()
WAVES = np.stack([WAVE, 1e4 * np.cos(TIME / 7), np.sin(TIME / 9), TIME % 13], axis=1)


def events(maker, series=WAVE, **options):
    """Each event's points before and after, in standard deviations of its channels."""
    made = maker.fit(series).inject(series, **{"events": 5} | options)
    found = []
    for event in made.events:
        before, after = (
            np.reshape(one, (600, -1))[event.start : event.end] for one in (series, made.series)
        )
        found.append((before, after))
    return found, made


@pytest.mark.parametrize("points", [1, 2, 5])
def test_a_spike_is_as_high_and_wide_as_asked(points):
    found, _ = events(Spike(window=50, size=4.0, points=points))
    for before, after in found:
        assert len(after) == points
        np.testing.assert_allclose(np.abs(after - before), 4 * SD)


def test_a_spike_goes_up_and_down():
    found, _ = events(Spike(window=20), events=12)
    assert {float(np.sign(after - before)[0, 0]) for before, after in found} == {-1.0, 1.0}


def test_a_level_shift_is_one_step_within_its_range():
    found, _ = events(LevelShift(window=50, size=2.0))
    for before, after in found:
        change = (after - before) / SD
        np.testing.assert_allclose(change, change[0, 0])
        assert 1.0 <= abs(change[0, 0]) <= 3.0


def test_a_trend_grows_by_equal_steps_from_nothing():
    found, _ = events(Trend(window=50, size=3.0))
    for before, after in found:
        change = ((after - before) / SD)[:, 0]
        np.testing.assert_allclose(np.diff(change), change[0])
        assert 1.5 <= abs(change[-1]) <= 4.5


def test_another_frequency_makes_no_value_out_of_the_range_there_was():
    maker = Frequency(window=60).fit(WAVE)
    windows = np.repeat(WAVE[None, :60, None], 40, axis=0)
    made = maker.disturb(windows, stream=np.random.default_rng(0), spans=np.tile([10, 40], (40, 1)))
    assert made.windows[:, 10:40].min() >= WAVE[10:40].min() - 1e-9
    assert made.windows[:, 10:40].max() <= WAVE[10:40].max() + 1e-9


def test_a_wave_turns_twice_or_half_as_often():
    slow = np.cos(2 * np.pi * np.arange(64) / 32)[None, :, None]
    maker = Frequency(window=64, factor=2.0).fit(slow[0])
    spans = np.tile([0, 64], (20, 1))
    made = maker.disturb(np.repeat(slow, 20, 0), stream=np.random.default_rng(0), spans=spans)
    turns = {int(np.abs(np.fft.rfft(one[:, 0] - one.mean())).argmax()) for one in made.windows}
    assert turns == {1, 4}  # two turns as it was


def test_a_frequency_begins_where_the_stretch_begins():
    maker = Frequency(window=60).fit(WAVE)
    spans = np.array([[10, 40]])
    made = maker.disturb(WAVE[None, :60, None], stream=np.random.default_rng(0), spans=spans)
    assert made.windows[0, 10, 0] == WAVE[10]
    assert made.mask[0, 11:40].mean() > 0.9


def test_seasonal_permutes_as_carlas_code_does():
    segment = np.arange(5)[:, None]
    assert permuted(segment, 2).ravel().tolist() == [0, 2, 4, 1, 3]
    assert permuted(segment, 3).ravel().tolist() == [0, 3, 1, 4, 2]


def test_seasonal_makes_no_value_that_was_not_there():
    maker = Seasonal(window=60).fit(WAVE)
    spans = np.array([[10, 40]])
    made = maker.disturb(WAVE[None, :60, None], stream=np.random.default_rng(0), spans=spans)
    gaps = np.abs(made.windows[0, 10:40, 0][:, None] - WAVE[None, 10:40]).min(1)
    assert gaps.max() < 1e-12


def test_a_shapelet_has_the_height_of_what_it_replaces():
    maker = Shapelet(window=60).fit(WAVE)
    windows = np.repeat(WAVE[None, :60, None], 80, axis=0)
    spans = np.tile([5, 55], (80, 1))
    made = maker.disturb(windows, stream=np.random.default_rng(0), spans=spans)
    part, was = made.windows[:, 5:55, 0], WAVE[5:55]
    assert part.max() <= was.max() + 1e-9
    assert part.min() >= was.min() - 1e-9
    assert set(made.kinds) == {f"shapelet, {s}" for s in ("sine", "square", "triangle", "sawtooth")}


def test_noise_has_the_deviation_asked_for():
    found, _ = events(Noise(window=200, size=0.7), events=1, length=(200, 200))
    change = (found[0][1] - found[0][0]) / SD
    assert change.std() == pytest.approx(0.7, rel=0.15)  # 200 draws: 5 % by chance


def test_a_flat_line_holds_the_first_value_and_changes_all_others():
    found, made = events(FlatLine(window=60), events=4)
    for (_, after), event in zip(found, made.events, strict=True):
        np.testing.assert_allclose(after, WAVE[event.start - 1])


def test_cut_and_paste_without_a_trend_pastes_another_windows_points():
    maker = CutPaste(window=20, trend=0.0).fit(WAVE)
    windows = np.stack([WAVE[:20, None], WAVE[300:320, None]])
    made = maker.disturb(windows, stream=np.random.default_rng(1))
    pool = windows.ravel()
    gaps = np.abs(made.windows.ravel()[:, None] - pool[None]).min(1)
    assert gaps.max() < 1e-12


def test_two_channels_are_exchanged_in_their_own_units():
    maker = ChannelSwap(window=60).fit(WAVES)
    spans = np.array([[10, 40]])
    made = maker.disturb(WAVES[None, :60], stream=np.random.default_rng(0), spans=spans)
    one, two = np.flatnonzero(made.mask[0].any(0))
    z, was = maker.scaler(made.windows[0]), maker.scaler(WAVES[:60])
    np.testing.assert_allclose(z[10:40, one], was[10:40, two], atol=1e-9)
    np.testing.assert_allclose(z[10:40, two], was[10:40, one], atol=1e-9)


def test_channels_cannot_be_exchanged_where_there_is_one():
    with pytest.raises(UsageError, match="needs two channels to exchange"):
        ChannelSwap(window=60).fit(WAVE)


# which channels and how long


@pytest.mark.parametrize(("channels", "most"), [(1, 1), (2, 1), (3, 1), (4, 2), (9, 4)])
def test_one_channel_to_half_of_them_is_changed_each_at_most_once(channels, most):
    series = np.random.default_rng(0).normal(size=(200, channels))
    made = Noise(window=40).fit(series).sample(150, series)
    counts = made.mask.any(1).sum(1)
    assert counts.min() == 1
    assert counts.max() == most
    assert made.mask.any((0, 1)).all()


def test_a_stretch_has_a_tenth_to_nine_tenths_of_the_window():
    points = Noise(window=100).fit(WAVE).sample(600, WAVE).mask.any(2).sum(1)
    assert points.min() == 10
    assert points.max() == 89


def test_a_change_does_not_depend_on_the_unit():
    made = [LevelShift(window=50).fit(WAVE * s).sample(9, WAVE * s).windows / s for s in (1, 64)]
    np.testing.assert_allclose(*made)


# where there is nothing to bend


@pytest.mark.parametrize("rule", [Frequency, Seasonal, FlatLine])
def test_on_a_constant_a_level_shift_stands_in_and_is_counted(rule):
    flat = np.full(200, 7.0)
    maker = rule(window=40).fit(flat)
    made = maker.sample(9, flat)
    assert maker.misses == 9
    assert set(made.kinds) == {f"level_shift, for want of {rule.kind}"}
    assert set(np.abs(made.windows - 7.0)[made.mask].tolist()) == {2.0}


@pytest.mark.parametrize("rule", [Spike, LevelShift, Trend, Shapelet, Noise])
def test_a_constant_can_be_bent_by_what_adds(rule):
    flat = np.full(200, 7.0)
    maker = rule(window=40).fit(flat)
    assert maker.sample(30, flat).mask.any((1, 2)).all()
    assert maker.misses == 0


@pytest.mark.parametrize("rule", [Frequency, Seasonal, FlatLine])
def test_a_short_window_still_holds_stretches_that_the_rule_can_bend(rule):
    noise = np.random.default_rng(0).normal(size=200)
    maker = rule(window=6).fit(noise)
    maker.sample(100, noise)
    maker.inject(noise, events=8)
    assert maker.misses < 5  # two points may be permuted to what they were


def test_numbers_that_cannot_hold_a_change_are_refused():
    huge = np.full(100, 1e17)
    with pytest.raises(UsageError, match="too large for float64"):
        LevelShift(window=20).fit(huge).sample(1, huge)


@pytest.mark.parametrize(
    ("rule", "options", "says"),
    [
        (Spike, {"size": 0.0}, "size must be above 0"),
        (Spike, {"points": 0}, "points 1 or more"),
        (LevelShift, {"size": -1.0}, "size must be above 0"),
        (Trend, {"size": 0.0}, "size must be above 0"),
        (Noise, {"size": 0.0}, "size must be above 0"),
        (Frequency, {"factor": 1.0}, "factor must be above 1"),
        (CutPaste, {"trend": -0.1}, "trend must be 0 or more"),
        (FlatLine, {"window": 3}, "window must be 4 or more"),
    ],
)
def test_settings_that_change_nothing_are_refused(rule, options, says):
    with pytest.raises(UsageError, match=says):
        rule(**options)


# CARLA's five


def only(kind, mode="corrected", series=WAVE, count=300):
    maker = CARLA(window=50, mode=mode).fit(series)
    made = maker.sample(count, series)
    rows = [i for i, found in enumerate(made.kinds) if found == kind]
    assert rows
    return [(made.parents[i], made.windows[i], made.mask[i]) for i in rows], maker.scaler


def test_carlas_five_kinds_are_equally_likely():
    kinds = CARLA(window=50).fit(WAVE).sample(1000, WAVE).kinds
    assert {kinds.count(kind) for kind in KINDS} <= set(range(150, 251))


@pytest.mark.parametrize(("kind", "factor", "one", "many"), [
    ("global", 8.0, 3, 2), ("contextual", 3.0, 5, 4),
])  # fmt: skip
def test_carlas_points_are_multiplied_in_standard_units(kind, factor, one, many):
    for series, points in ((WAVE, one), (WAVES, many)):
        found, scaler = only(kind, series=series)
        for before, after, mask in found:
            assert mask.any(1).sum() <= points
            np.testing.assert_allclose(scaler(after)[mask], factor * scaler(before)[mask])


@pytest.mark.parametrize(("kind", "factor"), [("global", 8.0), ("contextual", 3.0)])
def test_as_released_carlas_points_are_multiplied_raw(kind, factor):
    for before, after, mask in only(kind, "official")[0]:
        np.testing.assert_allclose(after[mask], factor * before[mask])


def test_carlas_trend_is_a_ramp_and_as_released_a_shift_to_the_windows_end():
    for before, after, mask in only("trend")[0]:
        change = (after - before)[mask]
        np.testing.assert_allclose(np.diff(change), change[0], rtol=1e-6, atol=1e-9)
    for before, after, mask in only("trend", "official")[0]:
        change = (after - before)[mask]
        np.testing.assert_allclose(change, change[0])
        assert mask[-1, 0]


def test_carlas_shapelet_is_a_flat_line_just_above_its_first_value():
    for before, after, mask in only("shapelet")[0]:
        points = np.flatnonzero(mask[:, 0])
        assert np.ptp(after[mask]) < 1e-9
        assert 0 <= after[points[0], 0] - before[points[0], 0] <= 0.1 * SD + 1e-9


def test_as_released_carlas_heights_are_in_the_datas_unit_and_corrected_in_deviations():
    for mode, unit in (("official", 1.0), ("corrected", 1000 * SD)):
        found, _ = only("shapelet", mode, series=1000 * WAVE)
        highest = 0.0
        for before, after, mask in found:
            first = np.flatnonzero(mask[:, 0])[0]
            highest = max(highest, after[first, 0] - before[first, 0])
        assert 0.05 * unit < highest <= 0.1 * unit + 1e-9
        found, _ = only("trend", mode, series=1000 * WAVE)
        sizes = [np.abs(after - before).max() for before, after, _ in found]
        assert np.mean(sizes) == pytest.approx(unit, rel=0.3)


@pytest.mark.parametrize("mode", ["corrected", "official"])
@pytest.mark.parametrize("channels", [1, 2, 3, 12])
def test_carla_changes_every_window_at_any_number_of_channels(mode, channels):
    series = np.random.default_rng(0).normal(size=(200, channels))
    assert CARLA(window=20, mode=mode).fit(series).sample(200, series).mask.any((1, 2)).all()


def test_carlas_rules_are_a_rule():
    assert issubclass(CARLA, Rule)
