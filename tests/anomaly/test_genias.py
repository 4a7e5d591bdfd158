"""GenIAS, the maker: never an unchanged anomaly, honest about collapse, the same from a file."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch

import limen
from limen._core.errors import UsageError
from limen._core.streams import numpy_stream
from limen.anomaly.synth.genias import GenIAS
from limen.anomaly.synth.genias_diagnosis import Diagnosis
from limen.anomaly.synth.genias_losses import squared_error
from limen.anomaly.windows import sliding

TINY = {"window": 16, "width": 4, "latent": 4, "steps": 20, "batch": 16, "rate": 0.02}


def wave(points=240, channels=1):
    time = np.arange(points)[:, None]
    return 50 + 3 * np.sin(time / (2 + np.arange(channels)))


def trained(X, **options):
    """A maker; so few steps may leave it collapsed, which other tests look at."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return GenIAS(**TINY | options).fit(X)


def copied(maker):
    """The same fitted maker with counts of its own."""
    return GenIAS.from_dict(maker.to_dict())


@pytest.fixture(scope="session")
def single():
    return trained(wave(), tau=0.05)


@pytest.fixture(scope="session")
def several():
    X = wave(channels=3)
    X[:, 1] = 7.0
    return trained(X, tau=0.05, level="dimension"), X


def diagnosis(**changes):
    whole = Diagnosis(
        copy_error=0.01, perturbed_error=0.15, least=0.1, most=0.2, in_band=0.7, active_units=9,
        latent=50, psi=2.3, psi_least=2.0, psi_most=2.5, sigma=0.46, kl=5.0, variance=0.0755,
        patched_windows=1.0, patched_numbers=0.6,
    )  # fmt: skip
    return replace(whole, **changes)


# what it makes


def test_every_window_is_changed_and_only_where_the_mask_says(single):
    made = single.sample(300, wave())
    assert made.mask.any((1, 2)).all()
    assert (made.windows == made.parents)[~made.mask].all()
    assert (made.windows != made.parents)[made.mask].all()


def test_one_seed_gives_the_same_windows_and_another_gives_others(single):
    first, again, other = (single.sample(5, wave(), seed=s) for s in (1, 1, 2))
    assert np.array_equal(first.windows, again.windows)
    assert not np.array_equal(first.windows, other.windows)


def test_noise_is_fresh_at_every_call_and_comes_from_the_stream_alone(single):
    windows = sliding(wave(), 16)[:8]
    stream = np.random.default_rng(0)
    before = torch.get_rng_state()
    first, second = (single.disturb(windows, stream=stream).windows for _ in range(2))
    assert not np.array_equal(first, second)
    assert torch.equal(before, torch.get_rng_state())
    again = single.disturb(windows, stream=np.random.default_rng(0)).windows
    assert np.array_equal(first, again)


def test_rows_of_one_batch_get_noise_of_their_own(single):
    windows = np.repeat(sliding(wave(), 16)[:1], 6, axis=0)
    made = single.disturb(windows, stream=np.random.default_rng(0)).windows
    assert len(np.unique(made, axis=0)) == 6


def test_dropout_is_off_when_it_makes(single):
    maker = copied(single)
    maker.net.train()
    windows = sliding(wave(), 16)[:8]
    made = [m.disturb(windows, stream=np.random.default_rng(0)).windows for m in (single, maker)]
    assert np.array_equal(*made)
    assert maker.net.training


@pytest.mark.parametrize("level", ["segment", "dimension", "step"])
def test_spans_are_kept_to(single, level):
    maker = copied(single).set_params(level=level)
    windows = sliding(wave(), 16)[:40]
    spans = np.stack([np.arange(40) % 8, 4 + np.arange(40) % 8 + np.arange(40) % 5], axis=1)
    mask = maker.disturb(windows, stream=np.random.default_rng(0), spans=spans).mask
    time = np.arange(16)
    assert not mask[(time < spans[:, :1]) | (time >= spans[:, 1:])].any()
    assert mask.any((1, 2)).all()


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_the_parents_precision_stays(single, kind):
    made = single.sample(4, wave().astype(kind))
    assert made.windows.dtype == kind


def test_events_are_put_into_a_series(single):
    X = wave(400)[:, 0]
    made = single.inject(X, events=4, seed=3)
    assert len(made.events) == 4
    assert made.series.shape == X.shape
    assert (made.series == X)[~made.mask].all()
    assert {event.channels for event in made.events} == {(0,)}


def test_an_event_of_a_given_size_has_it(single):
    made = single.inject(wave(400), events=2, size=2.0)
    assert [event.magnitude for event in made.events] == pytest.approx([2.0, 2.0])


def test_more_windows_than_one_batch_are_made_alike(single):
    made = single.sample(700, wave())
    assert len(made.kinds) == len(made.windows) == 700


# when nothing deviates enough


def test_windows_that_no_draw_changes_fall_back_to_a_rule_and_are_counted(single):
    maker = copied(single).set_params(tau=1e6)
    maker.counts = {}
    made = maker.sample(20, wave())
    assert maker.counts == {"first": 0, "redrawn": 0, "boosted": 0, "rule": 20}
    assert made.mask.any((1, 2)).all()
    assert "genias" not in made.kinds


def test_each_window_is_counted_once(single):
    maker = copied(single).set_params(tau=0.15)
    maker.counts = {}
    made = maker.sample(200, wave())
    assert sum(maker.counts.values()) == 200
    assert made.kinds.count("genias") == 200 - maker.counts.get("rule", 0)


def test_a_wider_psi_comes_before_the_rule(single, monkeypatch):
    maker = copied(single)
    boosts = []
    decoded = GenIAS._decoded

    def spy(self, *given, boost, **named):
        boosts.append(boost)
        return decoded(self, *given, boost=boost, **named)

    monkeypatch.setattr(GenIAS, "_decoded", spy)
    maker.set_params(tau=1e6).sample(3, wave())
    assert boosts == [1.0] * 6 + [1.5]


# several channels


def test_a_channel_constant_in_training_counts_as_of_range_one(several):
    maker, X = several
    assert maker.range.size[1] == 1.0
    made = maker.sample(50, X)
    assert np.isfinite(made.windows).all()
    assert made.mask.any((1, 2)).all()


def test_whole_channels_are_replaced_or_kept(several):
    maker, X = several
    made = maker.sample(40, X)
    learned = np.array(made.kinds) == "genias"
    share = made.mask[learned].mean(1)
    assert np.isin(share, (0, 1)).all()


def test_gamma_is_zero_for_one_channel_alone():
    maker = GenIAS(gamma=0.3)
    assert maker._weights(1)["zero"] == 0
    assert maker._weights(2)["zero"] == 0.3


def test_sizes_follow_the_channels():
    found = [GenIAS(window=16)._fresh(channels) for channels in (1, 2, 21)]
    assert [net.latent for net in found] == [50, 100, 100]
    assert [net.decoder[2].in_channels for net in found] == [16, 32, 64]


def test_the_literal_rule_does_not_depend_on_the_unit_of_the_data():
    made = []
    for unit in (1.0, 10.0):
        maker = trained(unit * wave(), patch="literal", level="dimension", tau=0.4, steps=5)
        made.append(maker.sample(30, unit * wave()).mask)
    assert np.array_equal(*made)


# training


def test_training_lowers_the_error_of_the_copies(single):
    net = single._fresh(1)
    rows = torch.from_numpy(single.range(sliding(wave(), 16)).transpose(0, 2, 1).astype(np.float32))
    errors = []
    for one in (net.eval(), single.net):
        with torch.no_grad():
            errors.append(squared_error(rows, one.decoder(one.encode(rows).mu)).mean())
    assert errors[1] < 0.7 * errors[0]


def test_the_log_tells_psi_after_each_step(single):
    assert len(single.diagnosis.psi_trace) == len(single.history) <= 20
    assert single.diagnosis.psi_trace[0] == pytest.approx(2.0, abs=1e-6)
    assert min(single.diagnosis.psi_trace) >= 1


# how it says that it works


def test_a_collapsed_generator_warns_in_one_sentence():
    with pytest.warns(UserWarning, match="collapsed: . of 4 latent numbers are active"):
        GenIAS(**TINY | {"steps": 1, "rate": 1e-6, "tau": 0.0}).fit(wave())


def test_no_active_unit_or_copies_as_bad_as_the_mean_are_a_collapse():
    assert not diagnosis().collapsed
    assert diagnosis(active_units=0).collapsed
    assert diagnosis(copy_error=0.0756).collapsed
    assert diagnosis().complaints() == []


def test_patches_that_never_fire_are_complained_of():
    (complaint,) = diagnosis(patched_windows=0.1).complaints()
    assert "lower tau" in complaint


def test_the_diagnosis_is_of_the_trained_network(single):
    found = single.diagnosis
    assert 0 <= found.in_band <= 1
    assert 1 <= found.psi_least <= found.psi <= found.psi_most
    assert found.variance == pytest.approx(single.range(sliding(wave(), 16)).var(1).mean(), rel=0.1)
    assert found.least == pytest.approx(0.5 * found.variance)
    assert found.kl >= 0


# files


def test_a_loaded_maker_makes_the_same_windows_bit_for_bit(single, tmp_path):
    loaded = limen.load(limen.save(single, tmp_path / "maker"))
    first, second = (m.sample(20, wave(), seed=4) for m in (single, loaded))
    assert np.array_equal(first.windows, second.windows)
    assert loaded.diagnosis == single.diagnosis
    assert loaded.get_params() == single.get_params()
    assert loaded.counts == single.counts | {"first": loaded.counts["first"]}


def test_a_maker_with_several_channels_comes_back_too(several, tmp_path):
    maker, X = several
    loaded = limen.load(limen.save(maker, tmp_path / "maker"))
    made = [m.inject(X, events=2, seed=1).series for m in (maker, loaded)]
    assert np.array_equal(*made)


def test_an_unfitted_maker_is_saved_as_such(tmp_path):
    loaded = limen.load(limen.save(GenIAS(tau=0.3), tmp_path / "maker"))
    assert loaded.get_params() == GenIAS(tau=0.3).get_params()
    assert loaded.net is None


# what it refuses


@pytest.mark.parametrize(
    ("X", "sentence"),
    [
        (np.arange(10.0), "at least as long as the window"),
        (np.full(50, 3.0), "every channel of it is constant"),
        (np.r_[np.arange(50.0), np.nan], "missing values"),
        (np.array(["a", "b"] * 20), "must be numbers"),
    ],
)
def test_series_that_teach_nothing_are_refused(X, sentence):
    with pytest.raises(UsageError, match=sentence):
        GenIAS(**TINY).fit(X)


def test_labels_are_refused():
    with pytest.raises((UsageError, TypeError)):
        GenIAS(**TINY).fit(wave(), np.zeros(240))


def test_whole_numbers_and_one_window_are_enough():
    maker = trained(np.arange(16), steps=2)
    made = maker.sample(3, np.arange(16))
    assert made.mask.any((1, 2)).all()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"window": 4}, "window=4 must be 8"),
        ({"latent": 0}, "latent=0"),
        ({"robust": 1.0}, "robust=1.0"),
        ({"prior_std": 0.0}, "prior_std=0.0"),
        ({"beta": -1.0}, "beta=-1.0"),
        ({"tau": -1.0}, "tau=-1.0"),
        ({"patch": "literal"}, "must be 'dimension'"),
    ],
)
def test_impossible_options_are_refused(options, sentence):
    with pytest.raises(UsageError, match=sentence):
        GenIAS(**options)


def test_making_before_fitting_and_windows_of_another_shape_are_refused(single):
    windows = np.zeros((2, 16, 1))
    with pytest.raises(UsageError, match="fitted first"):
        GenIAS(**TINY).disturb(windows, stream=numpy_stream(0))
    with pytest.raises(UsageError, match="as in training"):
        single.disturb(windows[:, :9], stream=numpy_stream(0))


# the reference measurement


@pytest.mark.slow
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_the_reference_setting_is_within_its_bands(reduction):
    """Specified bands on the UCR series 135; the summed KL collapses there."""
    datasets = pytest.importorskip("aeon.datasets")
    X, _ = datasets.load_kdd_tsad_135(split="train")
    maker = GenIAS(
        window=200, steps=450, width=16, stride=2, margins="published", reduction=reduction
    )
    if reduction == "sum":
        with pytest.warns(UserWarning, match="collapsed"):
            maker.fit(X)
        assert maker.diagnosis.copy_error == pytest.approx(maker.diagnosis.variance, rel=0.1)
        return
    found = maker.fit(X).diagnosis
    assert found.copy_error < 0.02
    assert 0.09 <= found.perturbed_error <= 0.21
    assert found.psi > 2
    assert found.in_band >= 0.4
    assert not found.collapsed
