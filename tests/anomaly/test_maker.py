"""What holds for every maker: exact masks, disjoint events, one seed one result, sizes reached."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

import limen
from limen._core.errors import UsageError
from limen._core.streams import numpy_stream
from limen.anomaly import synth
from limen.anomaly.synth.flat_line import FlatLine
from limen.anomaly.synth.level_shift import LevelShift
from limen.anomaly.synth.mixture import Mixture
from limen.anomaly.synth.noise import Noise
from limen.anomaly.synth.protocol import fade, placed
from limen.anomaly.synth.rules import Rule
from limen.anomaly.synth.spike import Spike
from limen.anomaly.windows import sliding

TIME = np.arange(900)[:, None]
SERIES = 100 + 3 * np.sin(TIME / np.array([4, 7, 11, 19])) * np.array([1, 10, 0.1, 1])
SERIES += 0.01 * np.random.default_rng(0).normal(size=SERIES.shape)
WINDOW = 40


def makers():
    """Every rule there is, and a mixture."""
    found = [vars(synth).get(name) or getattr(synth, name) for name in synth.__all__]
    rules = [one for one in found if isinstance(one, type) and issubclass(one, Rule)]
    made = {rule.__name__: rule(window=WINDOW) for rule in rules if rule is not Rule}
    return made | {"Mixture": Mixture([Spike(window=WINDOW), LevelShift(window=WINDOW)])}


NAMES = sorted(makers())


@pytest.fixture(scope="module")
def fitted():
    return {name: maker.fit(SERIES) for name, maker in makers().items()}


def test_all_ten_rules_and_carlas_are_tried():
    assert len(NAMES) == 12


# windows


@pytest.mark.parametrize("name", NAMES)
def test_every_window_is_changed_just_where_the_mask_says(fitted, name):
    made = fitted[name].sample(200, SERIES)
    assert made.mask.any((1, 2)).all()
    assert ((made.windows != made.parents) == made.mask).all()
    assert len(made.kinds) == 200


@pytest.mark.parametrize("name", NAMES)
def test_windows_change_within_their_span_alone(fitted, name):
    windows = sliding(SERIES, WINDOW)[:60]
    spans = np.array([[5 + i % 9, 20 + i % 20] for i in range(60)])
    made = fitted[name].disturb(windows, stream=np.random.default_rng(1), spans=spans)
    for mask, (start, end) in zip(made.mask, spans, strict=True):
        assert mask[start:end].any()
        assert not mask[:start].any()
        assert not mask[end:].any()


@pytest.mark.parametrize("name", NAMES)
def test_parents_are_left_as_they_are(fitted, name):
    windows = sliding(SERIES, WINDOW)[::9].copy()
    before = windows.copy()
    fitted[name].disturb(windows, stream=np.random.default_rng(2))
    assert np.array_equal(windows, before)


@pytest.mark.parametrize("name", NAMES)
def test_one_stream_goes_on_and_one_seed_begins_again(fitted, name):
    first, again = (fitted[name].sample(20, SERIES, seed=3) for _ in range(2))
    assert np.array_equal(first.windows, again.windows)
    windows, stream = sliding(SERIES, WINDOW)[:20], np.random.default_rng(3)
    one, two = (fitted[name].disturb(windows, stream=stream).windows for _ in range(2))
    assert not np.array_equal(one, two)


def test_samples_come_from_all_parts_of_all_series(fitted):
    marked = [np.full((50, 4), 1.0), np.full((80, 4), 2.0)]
    parents = fitted["Spike"].sample(400, marked).parents
    share = np.mean(parents[:, 0, 0] == 1.0)
    assert abs(share - 11 / 52) < 0.08  # 11 windows of the first series, 41 of the second


# series


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [None, 0.5])
def test_outside_the_mask_the_series_keeps_its_bits(fitted, name, size):
    made = fitted[name].inject(SERIES, events=6, size=size)
    assert ((made.series != SERIES) == made.mask).all()
    assert len(made.events) == 6


@pytest.mark.parametrize("name", NAMES)
def test_the_table_says_what_the_mask_says(fitted, name):
    made = fitted[name].inject(SERIES, events=6)
    for event in made.events:
        part = made.mask[event.start : event.end]
        assert part[[0, -1]].any(1).all()
        assert event.channels == tuple(np.flatnonzero(part.any(0)))
        assert event.parent <= event.start
        assert event.end <= event.parent + WINDOW
    assert not made.mask[~made.events.mask(900)].any()


@pytest.mark.parametrize("gap", [None, 0, 5])
def test_events_are_apart_by_the_gap_and_as_long_as_asked(fitted, gap):
    events = fitted["Noise"].inject(SERIES, events=9, length=(6, 11), gap=gap).events
    spaces = [two.start - one.end for one, two in pairwise(events)]
    assert min(spaces) >= (WINDOW if gap is None else gap)
    assert {event.length for event in events} <= set(range(6, 12))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [0.1, 2.0])
def test_every_event_reaches_the_size_asked_for(fitted, name, size):
    made = fitted[name].inject(SERIES, events=5, size=size)
    for event in made.events:
        rows = slice(event.start, event.end)
        change = (made.series - SERIES)[rows] / SERIES.std(0)
        found = np.sqrt(np.mean(np.square(change[made.mask[rows]])))
        assert found == pytest.approx(size, rel=1e-6)
        assert event.magnitude == pytest.approx(size, rel=1e-6)


def test_magnitudes_are_told_also_where_none_was_asked_for(fitted):
    made = fitted["Spike"].inject(SERIES, events=3)
    assert [event.magnitude for event in made.events] == pytest.approx([5.0, 5.0, 5.0])


def test_one_seed_puts_the_same_events_and_another_puts_others(fitted):
    first, again, other = (fitted["Mixture"].inject(SERIES, seed=s) for s in (4, 4, 5))
    assert np.array_equal(first.series, again.series)
    assert first.events == again.events
    assert first.events != other.events


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_shape_and_kind_of_the_input_are_kept(kind):
    wave = SERIES[:, 0].astype(kind)
    made = Spike(window=WINDOW).fit(wave).inject(wave)
    assert made.series.shape == made.mask.shape == (900,)
    assert made.series.dtype == kind
    assert made.mask.dtype == bool
    assert np.array_equal(made.series[~made.mask], wave[~made.mask])


def test_frames_and_whole_numbers_are_taken():
    counts = pd.DataFrame({"a": TIME[:, 0] % 7, "b": TIME[:, 0] % 5})
    made = LevelShift(window=WINDOW).fit(counts).inject(counts, events=2)
    assert made.series.shape == (900, 2)
    assert np.array_equal(made.series[~made.mask], counts.to_numpy(dtype=float)[~made.mask])


def test_a_series_just_as_long_as_the_window_holds_one_event():
    wave = SERIES[:WINDOW]
    made = LevelShift(window=WINDOW).fit(wave).inject(wave, events=1)
    assert len(made.events) == 1
    with pytest.raises(UsageError, match="fit into 40 points with 40 between"):
        LevelShift(window=WINDOW).fit(wave).inject(wave, events=2)


def test_too_many_events_are_refused_and_as_many_as_it_says_fit(fitted):
    with pytest.raises(UsageError, match="18 events of up to 10 points fit into 900 points"):
        fitted["Spike"].inject(SERIES, events=19, length=(5, 10))
    assert len(fitted["Spike"].inject(SERIES, events=18, length=(5, 10)).events) == 18


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"events": 0}, "events must be 1 or more"),
        ({"gap": -1}, "gap 0 or more"),
        ({"size": 0.0}, "size must be above 0"),
        ({"size": float("nan")}, "size must be above 0"),
        ({"length": (0, 5)}, "length must be a range from 1 to the window's 40"),
        ({"length": (5, 41)}, "length must be a range from 1 to the window's 40"),
    ],
)
def test_what_cannot_be_injected_is_refused(fitted, options, says):
    with pytest.raises(UsageError, match=says):
        fitted["Spike"].inject(SERIES, **options)


def test_a_maker_must_be_fitted_without_labels_on_series_long_enough():
    with pytest.raises(UsageError, match="Spike must be fitted first"):
        Spike().inject(SERIES)
    with pytest.raises(UsageError, match="Spike must be fitted first"):
        Spike().disturb(SERIES[None], stream=np.random.default_rng(0))
    with pytest.raises(UsageError, match="fit takes no labels"):
        Spike().fit(SERIES, np.zeros(900))
    with pytest.raises(UsageError, match="window of 100 points; it has 99"):
        Spike().fit(SERIES[:99])


def test_other_channels_and_short_series_are_refused_later_too(fitted):
    with pytest.raises(UsageError, match="must have 4 channels, as in training; it has 1"):
        fitted["Spike"].inject(SERIES[:, 0])
    with pytest.raises(UsageError, match="window of 40 points; it has 39"):
        fitted["Spike"].sample(3, SERIES[:39])
    with pytest.raises(UsageError, match="count must be 1 or more"):
        fitted["Spike"].sample(0, SERIES)


@pytest.mark.parametrize("name", NAMES)
def test_a_maker_from_a_file_makes_the_same_bits(fitted, name, tmp_path):
    limen.save(fitted[name], tmp_path / "maker")
    again = limen.load(tmp_path / "maker")
    one, two = (maker.sample(30, SERIES) for maker in (fitted[name], again))
    assert np.array_equal(one.windows, two.windows)
    assert one.kinds == two.kinds


@pytest.mark.parametrize("name", NAMES)
def test_scikit_learn_can_clone_a_maker_unfitted(fitted, name):
    again = clone(fitted[name])
    assert again.scaler is None
    assert again.window == WINDOW


def test_options_are_read_changed_and_refused_by_name():
    maker = Spike(window=20)
    assert maker.get_params() == {"window": 20, "size": 5.0, "points": 2}
    assert maker.set_params(size=3.0).size == 3.0
    with pytest.raises(UsageError, match="no option 'sise'; nearest: size"):
        maker.set_params(sise=3.0)


# where events come to lie


def test_every_way_to_place_two_events_is_equally_likely():
    stream = numpy_stream(0, "ways")
    ways = [tuple(placed(6, 2, length=(2, 2), gap=1, stream=stream)[:, 0]) for _ in range(3000)]
    found, counts = np.unique(ways, axis=0, return_counts=True)
    assert found.tolist() == [[0, 3], [0, 4], [1, 4]]
    assert np.abs(counts - 1000).max() < 110  # 4 standard deviations of a count


def test_spans_stay_within_the_series_at_every_size():
    stream = numpy_stream(0, "within")
    for points in range(20, 60, 7):
        spans = placed(points, 3, length=(1, 4), gap=2, stream=stream)
        assert spans.min() >= 0
        assert spans.max() <= points
        assert (spans[1:, 0] - spans[:-1, 1] >= 2).all()


@pytest.mark.parametrize("points", [0, 1, 3, 100])
def test_a_fade_is_symmetric_and_stays_in_its_span(points):
    weights = fade(np.array([3, 17]), 20, points=points)
    assert np.allclose(weights, weights[::-1])
    assert weights[:3].sum() == 0
    assert (weights[3:17] > 0).all()
    assert weights.max() == 1


# several makers


def test_weights_say_how_often_a_maker_is_drawn():
    parts = [Spike(window=WINDOW), Noise(window=WINDOW), FlatLine(window=WINDOW)]
    kinds = Mixture(parts, weights=[3, 1, 0]).fit(SERIES).sample(800, SERIES).kinds
    assert set(kinds) == {"spike", "noise"}
    assert abs(kinds.count("spike") - 600) < 50


@pytest.mark.parametrize("weights", [[1.0], [1.0, -1.0], [0.0, 0.0], [1.0, float("nan")]])
def test_weights_that_are_none_are_refused(weights):
    with pytest.raises(UsageError, match="weights must be 2 numbers of at least 0"):
        Mixture([Spike(), Noise()], weights=weights)


def test_makers_of_several_windows_or_channels_do_not_mix():
    with pytest.raises(UsageError, match="got windows \\[20, 30\\]"):
        Mixture([Spike(window=20), Noise(window=30)])
    with pytest.raises(UsageError, match="got windows \\[\\]"):
        Mixture([])
    with pytest.raises(UsageError, match="X must have the 1 channels that Spike"):
        Mixture([Spike(window=20).fit(SERIES[:, 0])]).fit(SERIES)


def test_a_maker_that_is_fitted_already_keeps_its_scale():
    quiet = Spike(window=WINDOW).fit(SERIES * 0.01)
    made = Mixture([quiet]).fit(SERIES).inject(SERIES, events=2)
    assert [event.magnitude for event in made.events] == pytest.approx([0.05, 0.05])
