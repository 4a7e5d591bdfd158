"""How GenIAS trains: its windows, its batches, its margins, when it stops."""

import warnings

import numpy as np
import pytest
import torch

from limen.anomaly.synth.genias import GenIAS
from limen.anomaly.synth.genias_training import (
    Batches,
    HeldOut,
    Losses,
    training_windows,
    with_noise,
)
from limen.anomaly.synth.vae import TCNVAE
from limen.anomaly.windows import sliding
from limen.train.state import State

TINY = {"window": 16, "width": 4, "latent": 4, "steps": 20, "batch": 16, "rate": 0.02}


def wave(points=240, channels=1):
    time = np.arange(points)[:, None]
    return 50 + 3 * np.sin(time / (2 + np.arange(channels)))


def trained(X, **options):
    """A maker; so few steps may leave it collapsed, which other tests look at."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return GenIAS(**TINY | options).fit(X)


def test_one_seed_trains_one_maker_and_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    first, again, other = (trained(wave(), steps=3, seed=s) for s in (0, 0, 1))
    assert torch.equal(before, torch.get_rng_state())
    weights = [m.net.mu.weight for m in (first, again, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_psi_moves_by_the_perturbation_loss_alone():
    still, moved = (trained(wave(), beta=beta, steps=4) for beta in (0.0, 1.0))
    assert still.diagnosis.psi == pytest.approx(2.0, abs=1e-6)
    assert torch.equal(still.net.psi.raw, torch.full((1, 4), 0.5413248546129181))
    assert not torch.equal(moved.net.psi.raw, still.net.psi.raw)


def test_margins_are_in_variances_of_a_window_or_as_published():
    rows = torch.tensor([[[0.0, 2.0]], [[0.0, 4.0]]])  # variances 1 and 4
    relative = GenIAS()._losses(rows)
    assert (relative.least, relative.most) == (1.25, 5.0)
    published = GenIAS(margins="published")._losses(rows)
    assert (published.least, published.most) == (0.1, 0.2)


def test_the_rate_falls_by_a_cosine_to_a_hundred_thousandth():
    maker = GenIAS(steps=100, rate=1e-3)
    found = [1e-3 * maker._falling(step) for step in (0, 50, 100)]
    assert found == pytest.approx([1e-3, 5.05e-4, 1e-5])


def test_the_latest_tenth_of_windows_is_held_out_and_training_ones_are_capped_evenly():
    train, held = training_windows([np.arange(121.0)[:, None]], 21, stride=1, most=46)
    assert len(train) == 46
    assert train[:, 0, 0].max() == 70  # its last point is 90
    assert held[:, 0, 0].min() == 91


@pytest.mark.parametrize("stride", [1, 2, 3, 7, 30])
@pytest.mark.parametrize("window", [8, 20, 21])
def test_held_out_windows_share_no_point_with_training_ones_and_little_is_wasted(window, stride):
    train, held = training_windows([np.arange(999.0)[:, None]], window, stride=stride, most=9999)
    gap = held.min() - train.max()
    assert 1 <= gap <= stride


def test_a_series_too_short_for_the_gap_is_trained_on_whole():
    train, held = training_windows([np.arange(40.0)[:, None]], 25, stride=1, most=999)
    assert (len(train), len(held)) == (16, 0)


def test_each_series_gives_windows_and_none_straddles_two():
    two = [np.arange(20.0)[:, None], 100 + np.arange(30.0)[:, None]]
    train, held = training_windows(two, 5, stride=1, most=999)
    for windows in (train, held):
        assert (np.diff(windows[:, :, 0]) == 1).all()
        assert {0, 1} == set((windows[:, 0, 0] >= 100).astype(int))


def test_a_batch_depends_on_the_seed_and_its_number_alone():
    rows = torch.arange(10.0)[:, None, None].expand(10, 1, 8)
    first, again = (Batches(rows, 4, latent=2, seed=1) for _ in range(2))
    late = first[7]
    assert torch.equal(late.noise, again[7].noise)
    assert torch.equal(late.windows, again[7].windows)
    seen = torch.cat([first[i].windows[:, 0, 0] for i in range(first.draws.epoch)])
    assert len(seen.unique()) == 8  # without replacement within an epoch


def test_noise_is_shared_or_not():
    rows = torch.zeros(3, 1, 8)
    for shared in (True, False):
        batch = with_noise(rows, 2, stream=torch.Generator(), shared=shared)
        assert (batch.wide_noise is None) == shared


def test_held_out_windows_are_looked_at_with_the_same_noise_and_without_dropout():
    net = TCNVAE(1, window=8, width=4, latent=3)
    batch = with_noise(torch.rand(4, 1, 8), 3, stream=torch.Generator())
    held = HeldOut(batch, Losses(0.1, 0.2), {"reconstruction": 1.0, "kl": 0.1})
    assert held.total(net) == held.total(net)
    assert net.training


def test_training_stops_when_held_out_windows_gain_nothing_and_the_best_weights_are_kept(
    monkeypatch,
):
    net = TCNVAE(1, window=8, width=2, latent=2)
    batch = with_noise(torch.zeros(2, 1, 8), 2, stream=torch.Generator())
    held = HeldOut(batch, Losses(0.1, 0.2), {}, every=2, patience=3)
    totals = iter([3.0, 1.0, 2.0, 2.0, 1.0])
    monkeypatch.setattr(held, "total", lambda model: next(totals))
    state = State(net, dict(net.named_parameters()), torch.optim.SGD(net.parameters(), 0.1), 0, 99)
    for state.step in range(1, 11):
        with torch.no_grad():
            net.mu.bias.fill_(state.step)
        assert bool(held.stopped) == (state.step > 10)
        held.after_update(state)
    assert "3 looks" in held.stopped
    assert held.kept["mu.bias"].tolist() == [4.0, 4.0]


def test_a_first_pass_leaves_out_what_is_copied_worst():
    maker = trained(wave(), steps=10)
    rows = torch.from_numpy(maker.range(sliding(wave(), 16)).transpose(0, 2, 1).astype(np.float32))
    rows[17] += 3.0
    kept = maker.set_params(robust=0.01)._copied_best(rows)
    assert len(kept) == len(rows) - 2
    assert kept.max() < 2


def test_a_robust_maker_trains_twice(monkeypatch):
    labels = []
    train = GenIAS._train
    monkeypatch.setattr(
        GenIAS,
        "_train",
        lambda self, rows, held, label: (
            labels.append((label, len(rows))) or train(self, rows, held, label=label)
        ),
    )
    trained(wave(), robust=0.1, steps=2)
    assert [label for label, _ in labels] == ["GenIAS, first pass", "GenIAS"]
    assert labels[1][1] == labels[0][1] - labels[0][1] // 10


@pytest.mark.parametrize(
    "options",
    [
        {"psi": "global"}, {"psi": "per_sample"}, {"shared_noise": False}, {"kl": "printed"},
        {"reduction": "sum"}, {"margins": "published"},
        {"patch": "literal", "level": "dimension"}, {"level": "step"},
    ],
)  # fmt: skip
def test_every_option_trains_and_makes(options):
    made = trained(wave(), steps=2, **options).sample(6, wave())
    assert made.mask.any((1, 2)).all()


def test_the_diagnosis_uses_the_band_that_was_trained_for():
    wave = np.sin(np.arange(400) / 5) * np.linspace(0.5, 2, 400)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        maker = GenIAS(window=16, steps=3, width=4, robust=0.5).fit(wave)
    assert maker.diagnosis.least == maker._trained.least
    assert maker.diagnosis.most == maker._trained.most
