"""The family of token weights: its members meet where their formulas do, and never give NaN."""

import functools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from limen._core.errors import UsageError
from limen.unlearn.objectives import (
    GA,
    NPO,
    TNPO,
    WGA,
    WTNPO,
    SatImp,
    SimImp,
    SimNPO,
    SimSat,
    TokenWeight,
)
from limen.unlearn.objectives.token_weight import complement_power, power, relative

exponents = st.floats(0, 8)
MASK = torch.tensor([[True, True, True], [True, False, False]])


def drawn(seed):
    generator = torch.Generator().manual_seed(seed)
    return 3 * torch.rand(2, 3, generator=generator, dtype=torch.float64).log()


def one(p):
    return torch.tensor([[p]], dtype=torch.float64).log(), torch.ones(1, 1, dtype=torch.bool)


def learnt(loss, log_p, log_q=None, mask=MASK):
    """The gradient with respect to each log p: the weight over the count."""
    log_p = log_p.clone().requires_grad_()
    (found,) = torch.autograd.grad(loss(log_p, mask, log_q), log_p)
    return found


def same(one, other, log_p, log_q=None):
    """Two objectives with one loss and one gradient."""
    for a, b in (
        (one(log_p, MASK, log_q), other(log_p, MASK, log_q)),
        (learnt(one, log_p, log_q), learnt(other, log_p, log_q)),
    ):
        torch.testing.assert_close(a, b, atol=1e-12, rtol=1e-12)
    return True


@given(seed=st.integers(0, 99), beta=exponents)
def test_tnpo_starts_as_gradient_ascent(seed, beta):
    log_p = drawn(seed)
    assert same(TNPO(beta=beta), GA(), log_p, log_p.clone())


@given(seed=st.integers(0, 99))
def test_tnpo_without_temperature_is_gradient_ascent(seed):
    assert same(TNPO(beta=0.0), GA(), drawn(seed), drawn(seed + 100))


def test_tnpo_becomes_gradient_ascent_linearly_as_beta_falls():
    log_p, log_q = drawn(0), drawn(1)
    errors = [
        (learnt(TNPO(beta=beta), log_p, log_q) - learnt(GA(), log_p)).norm().item()
        for beta in (1e-2, 1e-4, 1e-6)
    ]
    assert errors[0] / errors[1] == pytest.approx(100, rel=0.05)  # linear but for higher orders
    assert errors[1] / errors[2] == pytest.approx(100, rel=0.05)


@given(seed=st.integers(0, 99), alpha=exponents)
def test_wtnpo_without_temperature_is_wga(seed, alpha):
    assert same(WTNPO(beta=0.0, alpha=alpha), WGA(alpha=alpha), drawn(seed), drawn(seed + 100))


@given(seed=st.integers(0, 99), beta=exponents)
def test_wtnpo_without_exponent_is_tnpo(seed, beta):
    assert same(WTNPO(beta=beta, alpha=0.0), TNPO(beta=beta), drawn(seed), drawn(seed + 100))


@pytest.mark.parametrize("p", [0.05, 1e-30])
def test_the_weight_of_tnpo_is_one_for_small_probabilities_that_have_not_moved(p):
    # p^beta / (p^beta + q^beta + 1e-5), as released, gives 0.556 for 0.05 and 0 for 1e-30
    log_p, mask = one(p)
    assert learnt(TNPO(beta=4.0), log_p, log_p, mask).item() == 1.0


def test_tnpo_lets_go_of_a_token_where_npo_lets_go_of_a_row():
    log_p = torch.tensor([[-9.0, -1.0, 0.0], [-1.0, 0.0, 0.0]], dtype=torch.float64)
    log_q = torch.tensor([[-1.0, -1.0, 0.0], [-1.0, 0.0, 0.0]], dtype=torch.float64)
    by_token, by_row = (learnt(loss, log_p, log_q)[0] for loss in (TNPO(beta=4.0), NPO(beta=4.0)))
    assert by_token[0] < 1e-12 * by_token[1]
    assert by_row[0] == by_row[1]


def test_tnpo_is_the_gradient_of_its_logarithmic_form():
    log_p, log_q, beta = drawn(0).requires_grad_(), drawn(1), 2.5
    form = 2 / beta * torch.log1p((beta * (log_p - log_q)).exp())[MASK].mean()
    (slope,) = torch.autograd.grad(form, log_p)
    torch.testing.assert_close(learnt(TNPO(beta=beta), log_p.detach(), log_q), slope)


@given(seed=st.integers(0, 99), beta=exponents)
def test_saturation_alone_is_wga(seed, beta):
    assert same(SatImp(beta1=beta, beta2=0.0), WGA(alpha=beta), drawn(seed))
    assert same(SimSat(beta=beta), WGA(alpha=beta), drawn(seed))


@given(seed=st.integers(0, 99), beta=exponents)
def test_importance_alone_is_sat_imp_without_saturation(seed, beta):
    assert same(SatImp(beta1=0.0, beta2=beta), SimImp(beta=beta), drawn(seed))


@pytest.mark.parametrize("loss", [SatImp(beta1=0.0, beta2=0.0), SimSat(beta=0.0), SimImp(beta=0.0)])
def test_without_exponents_it_is_gradient_ascent(loss):
    assert same(loss, GA(), drawn(0))


@pytest.mark.parametrize(("beta1", "beta2", "peak"), [(5.0, 0.1, 0.98039), (5.0, 1.0, 0.83333)])
def test_the_weight_of_sat_imp_peaks_where_saturation_and_importance_balance(beta1, beta2, peak):
    p = torch.linspace(1e-5, 1 - 1e-5, 99_999, dtype=torch.float64)[None]
    weight = learnt(SatImp(beta1=beta1, beta2=beta2), p.log(), mask=torch.ones_like(p).bool())
    assert p[0, weight.argmax()].item() == pytest.approx(peak, abs=1e-5)  # the grid's step


def test_sim_npo_falls_as_the_loss_of_a_row_rises():
    values = [SimNPO()(-x * torch.ones(1, 3), torch.ones(1, 3).bool()) for x in (0, 0.1, 1, 3)]
    assert values == sorted(values, reverse=True)
    assert len(set(values)) == 4


def test_sim_npo_does_not_see_how_long_an_answer_is():
    short, long = (SimNPO()(-torch.ones(1, k), torch.ones(1, k).bool()) for k in (2, 7))
    torch.testing.assert_close(short, long)


@pytest.mark.parametrize("beta", [0.1, 4.5])
def test_the_margin_of_sim_npo_is_the_loss_at_which_it_pulls_with_weight_one(beta):
    log_p, mask = torch.full((1, 4), -1.5, dtype=torch.float64), torch.ones(1, 4).bool()
    found = learnt(SimNPO(beta=beta, delta=1.5), log_p, mask=mask)
    torch.testing.assert_close(found, learnt(GA(), log_p, mask=mask))


def test_sim_npo_of_one_row_is_gradient_ascent_with_one_weight():
    log_p, mask = drawn(3)[:1], MASK[:1]
    weight = 2 / (1 + math.exp(4.5 * -log_p.mean().item()))
    found = learnt(SimNPO(beta=4.5), log_p, mask=mask)
    torch.testing.assert_close(found, weight * learnt(GA(), log_p, mask=mask))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("log_p", "is_sure"), [(0.0, True), (-math.inf, False)])
def test_powers_of_certainty_are_zero_or_one(log_p, is_sure, dtype):
    log_p = torch.tensor(log_p, dtype=dtype)
    assert [power(log_p, x).item() for x in (0.0, 0.1, 5.0)] == [1, is_sure, is_sure]
    assert [complement_power(log_p, x).item() for x in (0.0, 0.1, 5.0)] == [1, *2 * [not is_sure]]


def test_small_powers_see_a_probability_that_underflows():
    assert power(torch.tensor(-200.0), 0.1).item() == pytest.approx(math.exp(-20), rel=1e-5)


def test_one_minus_p_is_exact_where_p_is_almost_one():
    found = complement_power(torch.tensor(-1e-10), 1.0)  # 1 - exp(-1e-10) is 0 in float32
    assert found.item() == pytest.approx(1e-10, rel=1e-6)


@pytest.mark.parametrize(
    ("log_p", "log_q", "weight"),
    [(-math.inf, -1.0, 0), (-1.0, -math.inf, 2), (-math.inf, -math.inf, 1), (0.0, 0.0, 1)],
)
def test_the_comparison_with_the_model_before_is_a_number_whatever_was_impossible(
    log_p, log_q, weight
):
    assert relative(torch.tensor(log_p), torch.tensor(log_q), 4.0) == weight
    assert relative(torch.tensor(log_p), torch.tensor(log_q), 0.0) == 1


@pytest.mark.parametrize("loss", [WGA(), SimSat(), SatImp(), TNPO(), WTNPO()])
def test_an_impossible_token_is_let_go(loss):
    log_p = torch.tensor([[-math.inf, -1.0]], dtype=torch.float64)
    mask, log_q = torch.ones(1, 2).bool(), torch.full((1, 2), -1.0, dtype=torch.float64)
    alone = loss(log_p[:, 1:], mask[:, 1:], log_q[:, 1:])
    torch.testing.assert_close(loss(log_p, mask, log_q), alone / 2)  # two tokens, one at 0
    assert learnt(loss, log_p, log_q, mask)[0, 0] == 0


def probability(log_p, log_q):
    assert log_q is None
    return log_p.exp()


def rise(log_p, log_q):
    return 2 * torch.sigmoid(4 * (log_p - log_q))


def test_a_weight_of_ones_own_makes_any_member_of_the_family():
    assert same(TokenWeight(probability), WGA(alpha=1.0), drawn(0), drawn(1))
    assert same(TokenWeight(rise, needs_reference=True), TNPO(beta=4.0), drawn(0), drawn(1))


def test_a_weight_below_zero_learns():
    minus = TokenWeight(lambda log_p, _: -torch.ones_like(log_p))
    assert learnt(minus, drawn(0))[MASK].lt(0).all()


def test_a_weight_that_is_itself_learnt_gets_no_gradient_from_the_loss():
    scale = torch.ones((), dtype=torch.float64, requires_grad=True)
    log_p = drawn(0).requires_grad_()
    TokenWeight(lambda log_p, _: scale * log_p)(log_p, MASK).backward()
    assert scale.grad is None


@pytest.mark.parametrize(
    ("weight", "got"), [(lambda p, _: p.sum(1), r"got \(2,\)"), (lambda _p, _q: 1.0, "got 1.0")]
)
def test_a_weight_of_another_shape_is_refused(weight, got):
    with pytest.raises(UsageError, match=rf"one number for each token, a tensor \(2, 3\); {got}"):
        TokenWeight(weight)(drawn(0), MASK)


def test_a_weight_that_cannot_be_called_is_refused():
    unchecked = object.__new__(TokenWeight)  # past the types, which are checked in tests alone
    object.__setattr__(unchecked, "weight", 0.5)
    with pytest.raises(UsageError, match=r"weight=0\.5 must be a function of log p and log q"):
        unchecked.__post_init__()


@pytest.mark.parametrize("value", [-0.1, math.inf])
@pytest.mark.parametrize(
    ("make", "setting"),
    [
        (TNPO, "beta"),
        (WTNPO, "beta"),
        (WTNPO, "alpha"),
        (SatImp, "beta1"),
        (SatImp, "beta2"),
        (SimSat, "beta"),
        (SimImp, "beta"),
        (SimNPO, "beta"),
        (SimNPO, "delta"),
    ],
)
def test_settings_out_of_range_are_refused(make, setting, value):
    with pytest.raises(UsageError, match=f"{setting}={value} must be"):
        make(**{setting: value})


@pytest.mark.parametrize("loss", [TNPO(), WTNPO(), TokenWeight(rise, needs_reference=True)])
def test_a_missing_reference_is_refused(loss):
    with pytest.raises(UsageError, match=f"{type(loss).__name__} needs log_q"):
        loss(drawn(0), MASK)


def test_a_weight_is_known_by_its_name():
    # a run is continued only under the same description, so no address may stand in it
    assert repr(TokenWeight(rise)) == "TokenWeight(weight=rise, needs_reference=False)"


def test_a_weight_without_a_name_is_known_by_what_it_says_of_itself():
    half = functools.partial(rise, log_q=torch.zeros(()))
    said = "rise of [[], [['log_q', ['torch.float32', 0.0]]]]"
    assert repr(TokenWeight(half)) == f"TokenWeight(weight={said}, needs_reference=False)"


def powered(exponent):
    return TokenWeight(lambda log_p, _: (exponent * log_p).exp())


def test_two_lambdas_are_told_apart_by_what_they_compute():
    assert repr(powered(2.0)) == repr(powered(2.0)) != repr(powered(3.0))
    assert repr(TokenWeight(lambda p, _: p)) != repr(TokenWeight(lambda p, _: -p))
    assert " at 0x" not in repr(powered(2.0))


def test_a_function_goes_by_its_name():
    assert "known_best" in repr(TokenWeight(known_best))


def known_best(log_p, _):
    return log_p.exp()


def defaulted(factor):
    return lambda log_p, _, factor=factor: factor * log_p


def closed_over(factor):
    return lambda log_p, _: torch.tensor(factor) * log_p


def held(tensor):
    return lambda log_p, _: tensor * log_p


def nested(factor):
    return lambda log_p, _: (lambda x: factor * x)(log_p)


def made(factor):
    def weight(log_p, _):
        return factor * log_p

    return weight


def parted(factor):
    return functools.partial(weight_of, factor=factor)


def weight_of(log_p, _, factor):
    return factor * log_p


@pytest.mark.parametrize("make", [defaulted, closed_over, nested, made, parted])
def test_functions_that_compute_two_things_are_told_apart(make):
    one, same, other = (repr(TokenWeight(make(factor))) for factor in (1.0, 1.0, 2.0))
    assert one == same != other
    assert " at 0x" not in one


def test_a_tensor_that_a_weight_holds_counts_by_its_content():
    one, other = (repr(TokenWeight(held(torch.tensor([x])))) for x in (1.0, 2.0))
    assert one == repr(TokenWeight(held(torch.tensor([1.0])))) != other
