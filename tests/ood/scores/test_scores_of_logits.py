"""Scores of logits: what they are invariant to, their limits, and slow obvious versions."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch.nn.functional import cross_entropy

from limen._core.errors import UsageError
from limen.ood.scores import (
    GEN,
    MCM,
    ODIN,
    KLMatching,
    TemperatureScaling,
    energy,
    entropy,
    extra_class,
    max_logit,
    msp,
)

logits = arrays(
    np.float64, st.tuples(st.integers(1, 6), st.integers(2, 7)), elements=st.floats(-30, 30)
)
shifts = st.floats(-50, 50)
few = settings(max_examples=20)


@few
@given(logits, shifts)
def test_scores_of_the_softmax_do_not_see_a_shift_of_all_logits(z, shift):
    for score in (msp, entropy, GEN(), GEN(gamma=0.5, top=2)):
        np.testing.assert_allclose(score(z + shift), score(z), rtol=1e-9, atol=1e-12)


@few
@given(logits, shifts)
def test_max_logit_and_energy_fall_by_the_shift(z, shift):
    for score in (max_logit, energy):
        np.testing.assert_allclose(score(z + shift), score(z) - shift, rtol=1e-12, atol=1e-10)


@few
@given(logits)
def test_the_order_of_the_classes_does_not_matter(z):
    for score in (msp, max_logit, energy, entropy, GEN(top=3)):
        np.testing.assert_allclose(score(z[:, ::-1].copy()), score(z), rtol=1e-9, atol=1e-12)


@few
@given(logits, st.floats(0.1, 10))
def test_energy_lies_between_max_logit_and_log_c_temperatures_below(z, temperature):
    gap = max_logit(z) - energy(z, temperature=temperature)
    assert (gap >= -1e-9).all()
    assert (gap <= temperature * math.log(z.shape[1]) + 1e-9).all()


@few
@given(logits, st.floats(0.1, 10))
def test_temperature_is_a_division_of_the_logits(z, temperature):
    np.testing.assert_allclose(msp(z, temperature=temperature), msp(z / temperature))


@few
@given(logits)
def test_msp_and_entropy_keep_their_ranges(z):
    assert ((msp(z) >= -1) & (msp(z) <= -1 / z.shape[1] + 1e-12)).all()
    assert ((entropy(z) >= -1e-12) & (entropy(z) <= math.log(z.shape[1]) + 1e-9)).all()


@few
@given(logits)
def test_gen_is_the_slow_sum(z):
    p = np.sort(np.exp(z - z.max(1, keepdims=True)))
    p = (p / p.sum(1, keepdims=True))[:, ::-1][:, :3]
    rest = np.stack([1 - p[:, i] for i in range(p.shape[1])], 1)
    slow = (p**0.5 * rest**0.5).sum(1)
    # 1 - p itself loses all digits near p = 1, where its square root is off by 1e-8
    np.testing.assert_allclose(GEN(gamma=0.5, top=3)(z), slow, rtol=1e-9, atol=3e-8)


def test_gen_tells_certain_inputs_apart_where_a_float_probability_is_one():
    z = np.array([[60.0, 0.0], [80.0, 0.0]], dtype=np.float32)
    sure, surer = GEN(gamma=0.1)(z)
    assert sure > surer > 0
    # both terms are exp(-0.1 * 60) where p = 1 to rounding
    assert sure == pytest.approx(2 * math.exp(-6), rel=1e-6)


def test_gen_of_a_uniform_prediction_is_greatest():
    assert GEN()(np.zeros((1, 4)))[0] == pytest.approx(4 * (0.25 * 0.75) ** 0.1)
    assert (GEN()(np.random.default_rng(0).normal(size=(50, 4))) <= GEN()(np.zeros((1, 4)))).all()


def test_kl_matching_is_the_slow_minimum():
    draw = np.random.default_rng(0)
    train, test = draw.normal(0, 3, (60, 4)), draw.normal(0, 3, (10, 4))

    def softmax(z):
        return np.exp(z) / np.exp(z).sum(-1, keepdims=True)

    p, q = softmax(train), softmax(test)
    typical = [p[p.argmax(1) == k].mean(0) for k in range(4)]
    slow = [min((row * np.log(row / d)).sum() for d in typical) for row in q]
    np.testing.assert_allclose(KLMatching().fit(train)(test), slow, rtol=1e-10)


def test_kl_matching_is_zero_at_a_typical_prediction():
    z = np.array([[3.0, 0.0, 0.0], [0.0, 3.0, 0.0]])
    np.testing.assert_allclose(KLMatching().fit(z)(z), 0.0, atol=1e-15)


def test_kl_matching_leaves_out_classes_that_are_never_predicted():
    score = KLMatching().fit(np.array([[3.0, 0.0, 0.0], [0.0, 3.0, 0.0]]))
    assert score.typical.shape == (2, 3)
    assert np.isfinite(score(np.array([[0.0, 0.0, 900.0]]))).all()


def labelled(seed=0, rows=400, classes=4):
    draw = np.random.default_rng(seed)
    z = draw.normal(0, 1, (rows, classes))
    labels = np.array([draw.choice(classes, p=np.exp(r) / np.exp(r).sum()) for r in z])
    return z, labels


def test_the_temperature_is_where_the_likelihood_is_greatest():
    z, labels = labelled()
    best = TemperatureScaling().fit(z, labels).temperature

    def nll(t):
        return cross_entropy(torch.from_numpy(z) / t, torch.from_numpy(labels)).item()

    assert nll(best) < min(nll(best * 1.001), nll(best / 1.001))


def test_the_temperature_undoes_a_scale_of_the_logits():
    z, labels = labelled()
    once = TemperatureScaling().fit(z, labels)
    thrice = TemperatureScaling().fit(3 * z, labels)
    assert thrice.temperature == pytest.approx(3 * once.temperature, rel=1e-8)
    np.testing.assert_allclose(thrice(3 * z), once(z), rtol=1e-8)


def test_a_training_set_known_by_heart_has_no_temperature():
    with pytest.raises(UsageError, match=r"wrong about some .* 2 rows are predicted right"):
        TemperatureScaling().fit(np.eye(2), np.array([0, 1]))


def test_labels_of_other_rows_have_no_temperature():
    with pytest.raises(UsageError, match="better than chance"):
        TemperatureScaling().fit(np.eye(3), np.array([1, 2, 0]))


@few
@given(logits, shifts)
def test_the_extra_class_scores_by_the_log_odds_of_its_probability(z, shift):
    p = torch.tensor(z).softmax(-1)[:, -1]
    rest = torch.tensor(z).softmax(-1)[:, :-1].sum(-1)  # not 1 - p, which rounds to 0
    np.testing.assert_allclose(extra_class(z), (p.log() - rest.log()).numpy(), rtol=1e-7, atol=1e-7)
    np.testing.assert_allclose(extra_class(z + shift), extra_class(z), rtol=1e-9, atol=1e-9)


def test_the_extra_class_tells_apart_what_its_probability_rounds_to_one():
    sure, surer = np.array([[0.0, 50.0]]), np.array([[0.0, 60.0]])
    assert torch.tensor(sure).softmax(-1)[0, 1] == torch.tensor(surer).softmax(-1)[0, 1] == 1
    assert extra_class(surer) > extra_class(sure)


def test_an_extra_class_stands_behind_others():
    with pytest.raises(UsageError, match="after those of classes, got one"):
        extra_class(np.zeros((2, 1)))


def test_mcm_refuses_logits_that_are_no_cosines():
    with pytest.raises(UsageError, match=r"cosines in \[-1, 1\], got one of size 25"):
        MCM()(np.array([[25.0, 3.0]]))


@pytest.mark.parametrize("score", [msp, max_logit, energy, entropy, extra_class, GEN()])
def test_gradients_flow_through_scores_of_logits(score):
    z = torch.randn(3, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert torch.autograd.gradcheck(score, z.requires_grad_())


def network():
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 3))
    draw = torch.Generator().manual_seed(3)
    with torch.no_grad():
        model[1].weight.copy_(torch.randn(3, 12, generator=draw))
    return model, torch.randn(5, 3, 2, 2, generator=draw)


def test_odin_makes_the_network_surer():
    model, images = network()
    still = ODIN(temperature=1.0, epsilon=0.0)(model, images)
    assert (ODIN(temperature=1.0, epsilon=0.01)(model, images) < still).all()
    torch.testing.assert_close(still, msp(model(images)).detach())


def test_odin_counts_two_passes_for_each_call():
    model, images = network()
    odin, seen = ODIN(), []
    hook = model.register_forward_hook(lambda *_: seen.append(1))
    odin(model, images)
    odin(model, images)
    hook.remove()
    assert odin.passes == len(seen) == 4


def test_odin_leaves_network_and_inputs_alone():
    model, images = network()
    before = images.clone()
    with torch.inference_mode():
        ODIN(epsilon=0.1)(model, images)
    assert all(p.grad is None for p in model.parameters())
    assert model.training
    torch.testing.assert_close(images, before, rtol=0, atol=0)


def test_odin_wants_a_deviation_for_each_channel():
    model, images = network()
    with pytest.raises(UsageError, match=r"std must have one value for each channel"):
        ODIN(std=(1.0, 1.0))(model, images)
