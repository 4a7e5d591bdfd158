"""Temperature, token selection and likelihood capping: what each changes, and nothing else."""

import math
import re
from dataclasses import dataclass

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from limen._core.errors import UsageError
from limen.unlearn import Step, Task
from limen.unlearn.objectives import (
    GA,
    NPO,
    WGA,
    LikelihoodCap,
    SimNPO,
    Temperature,
    TokenSelection,
)
from limen.unlearn.objectives.token_weight import real
from limen.unlearn.objectives.within import require_loss

MASK = torch.tensor([[True, True, True, True, True], [True, True, False, False, False]])
LOG_P = torch.tensor(
    [[-0.1, -3.0, -0.5, -2.0, -1.0], [-4.0, -0.2, math.nan, math.nan, math.nan]],
    dtype=torch.float64,
)


def learnt(loss, log_p=LOG_P, mask=MASK, log_q=None):
    log_p = log_p.clone().requires_grad_()
    (found,) = torch.autograd.grad(loss(log_p, mask, log_q), log_p)
    return found


@dataclass(frozen=True)
class OnHidden:
    """An objective that is not shown log-probabilities."""

    sees: str = "hidden"

    def __call__(self, hidden):
        return hidden.sum()


@dataclass(frozen=True)
class OnRefusals(GA):
    """Its loss is that of the refusals."""

    sees: str = "refusals"


@pytest.fixture
def task(tokenizer, rows):
    return Task(tokenizer, forget=rows[:4])


def paid(objective, model, task):
    """The loss of the first micro-batch, once before and once after the model has moved."""
    step, batches = Step(objective), task.batches(3)
    step.prepare(model, batches)
    start = step(model, batches[0])["forget"]()
    with torch.no_grad():
        for p in model.parameters():
            p.mul_(1.05)
    return start.item(), step(model, batches[0])["forget"]().item(), batches[0].forget


def slow_mean(model, tokens, temperature):
    """The mean log-probability of every answer token at a temperature, one by one."""
    found = []
    for ids, attention, answer in zip(tokens.ids, tokens.attention, tokens.answer, strict=True):
        n = int(attention.sum())
        logits = model(ids[None, :n], use_cache=False).logits[0].double()
        for k in range(n):
            if answer[k]:
                line = [z / temperature for z in logits[k - 1].tolist()]
                top = max(line)
                total = math.log(sum(math.exp(z - top) for z in line)) + top
                found.append(line[int(ids[k])] - total)
    return sum(found) / len(found)


@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_temperature_flattens_what_the_objective_is_shown(llama, task, temperature):
    _, now, tokens = paid(Temperature(GA(), temperature=temperature), llama, task)
    slow = slow_mean(llama, tokens, temperature)
    assert now == pytest.approx(slow, rel=1e-5)  # float32, and padding regroups its sums


def test_temperature_one_is_the_objective_itself(toy, task):
    tricked, plain = (paid(x, toy(), task)[:2] for x in (Temperature(NPO(), 1.0), NPO()))
    assert tricked == plain


def test_temperature_flattens_the_model_before_as_well(llama, task):
    # at the start p = q only if both are at the temperature: 2 log 2 / beta, and it moves after
    start, now, _ = paid(Temperature(NPO(beta=0.1), temperature=3.0), llama, task)
    assert start == pytest.approx(20 * math.log(2), rel=1e-6)
    assert now != pytest.approx(start, rel=1e-3)


def test_a_higher_temperature_pulls_more_alike_on_what_is_known_and_what_is_gone():
    shares = []
    for temperature in (1.0, 2.0, 4.0):
        logits = torch.tensor([[4.0, 0.0], [-4.0, 0.0]], requires_grad=True)
        log_p = (logits / temperature).log_softmax(-1)[:, 0]
        Temperature(GA(), temperature)(log_p[None], torch.ones(1, 2).bool()).backward()
        known, gone = logits.grad[:, 0].tolist()
        shares.append(known / gone)
    assert shares == sorted(shares)
    assert shares[-1] > 10 * shares[0]


def test_temperature_is_shown_what_its_objective_is_shown():
    assert Temperature(OnRefusals()).sees == "refusals"
    assert Temperature(NPO()).needs_reference


@pytest.mark.parametrize("make", [Temperature, TokenSelection])
def test_an_objective_that_is_not_shown_log_probabilities_is_refused(make):
    with pytest.raises(UsageError, match=rf"{make.__name__} needs an objective that sees answers"):
        make(OnHidden())


@pytest.mark.parametrize("make", [Temperature, TokenSelection])
@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("GA", "objective='GA' must be an objective, as GA"),
        (2.0, "objective=2.0 must be an objective"),
        (GA, r"objective=GA must be an object; write GA\(\)"),
    ],
)
def test_what_is_no_objective_is_refused_in_a_sentence(make, given, said):
    with pytest.raises(UsageError, match=said):
        make(given)


@pytest.mark.parametrize("given", ["GA", GA, None])
def test_a_loss_that_is_none_is_refused_by_its_side(given):
    with pytest.raises(UsageError, match=r"forget=\S+ must be an object"):
        require_loss("forget", given)


@pytest.mark.parametrize("value", [GA(), "2", True, None])
def test_a_number_that_is_none_is_refused_in_a_sentence(value):
    with pytest.raises(UsageError, match=rf"delta={re.escape(repr(value))} must be a number"):
        real("delta", value)


@pytest.mark.parametrize("inner", [Temperature(), TokenSelection(Temperature())])
def test_two_temperatures_are_refused(inner):
    with pytest.raises(UsageError, match="has a temperature; set that one"):
        Temperature(inner)


def test_tricks_are_put_together_in_any_order(toy, task):
    hot, cut = {"temperature": 2.0}, {"share": 0.5}
    one = Temperature(TokenSelection(WGA(), **cut), **hot)
    other = TokenSelection(Temperature(WGA(), **hot), **cut)
    assert one.temperature == other.temperature == 2.0
    assert one.counted(torch.tensor([5, 2])) == other.counted(torch.tensor([5, 2])) == 3
    assert paid(one, toy(), task)[:2] == paid(other, toy(), task)[:2]


def test_the_tokens_known_best_are_kept_in_each_row():
    found = learnt(TokenSelection(GA(), share=0.6)) * 4  # 3 of 5 tokens and 1 of 2
    assert found.tolist() == [[1, 0, 1, 0, 1], [0, 1, 0, 0, 0]]


@pytest.mark.parametrize("objective", [GA(), WGA(), NPO(), SimNPO()])
def test_keeping_every_token_is_the_objective_itself(objective):
    log_q = LOG_P - 0.3
    tricked = TokenSelection(objective, share=1.0)
    assert tricked(LOG_P, MASK, log_q) == objective(LOG_P, MASK, log_q)
    assert torch.equal(learnt(tricked, log_q=log_q), learnt(objective, log_q=log_q))


@pytest.mark.parametrize(
    ("share", "length", "kept"),
    [(0.8, 5, 4), (0.8, 4, 3), (0.29, 100, 29), (0.01, 5, 1), (1.0, 7, 7), (0.5, 0, 0)],
)
def test_the_share_is_rounded_down_but_never_to_nothing(share, length, kept):
    assert TokenSelection(share=share).counted(torch.tensor([length])) == kept


@given(share=st.floats(0.01, 1), lengths=st.lists(st.integers(1, 40), min_size=1, max_size=5))
def test_as_many_tokens_learn_as_are_counted(share, lengths):
    mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    log_p = -torch.rand(mask.shape, generator=torch.Generator().manual_seed(0))
    loss = TokenSelection(GA(), share=share)
    found = learnt(loss, log_p, mask)
    assert found.ne(0).sum() == loss.counted(torch.tensor(lengths))
    assert not found[~mask].any()


def test_of_tokens_that_are_alike_the_earlier_are_kept():
    alike = torch.full((1, 40), -0.7)
    found = learnt(TokenSelection(GA(), share=0.5), alike, torch.ones(1, 40).bool())
    assert found[0, :20].ne(0).all()
    assert not found[0, 20:].any()


def test_an_impossible_token_is_the_first_to_be_left_out():
    log_p = torch.tensor([[-math.inf, -1.0, math.nan]])
    found = learnt(TokenSelection(GA(), share=0.5), log_p, torch.tensor([[True, True, False]]))
    assert found.tolist() == [[0, 1, 0]]


def test_what_is_no_token_is_never_kept_in_the_place_of_an_impossible_one():
    log_p = torch.tensor([[math.nan, -math.inf]])
    found = learnt(TokenSelection(GA(), share=1.0), log_p, torch.tensor([[False, True]]))
    assert found.tolist() == [[0, 1]]


def test_objectives_of_rows_count_rows_whatever_is_kept():
    loss = TokenSelection(NPO(), share=0.5)
    assert loss.mean_over == "rows"
    assert loss.counted(torch.tensor([5, 2])) == 2


def capped(level, mean="all", delta=2.5):
    return LikelihoodCap(delta=delta, level=level, mean=mean)


@pytest.mark.parametrize(
    ("level", "mean", "loss"),
    [
        # losses .1 3 .5 2 1 | 4 .2, so 2.4 2 .5 1.5 2.3 are short of 2.5; sums 6.6 | 4.2
        ("token", "all", (2.4 + 2.0 + 0.5 + 1.5 + 2.3) / 7),
        ("token", "left", (2.4 + 2.0 + 0.5 + 1.5 + 2.3) / 5),
        ("row", "all", 0.0),
        ("row", "left", 0.0),
    ],
)
def test_a_cap_counts_what_is_short_of_it(level, mean, loss):
    assert capped(level, mean)(LOG_P, MASK).item() == pytest.approx(loss, abs=1e-12)


@pytest.mark.parametrize(("mean", "loss"), [("all", 0.8 / 2), ("left", 0.8)])
def test_a_cap_on_rows_sums_over_each_answer(mean, loss):
    found = capped("row", mean, delta=5.0)  # sums 6.6 and 4.2: only the second is short
    assert found(LOG_P, MASK).item() == pytest.approx(loss, abs=1e-12)
    pull = 0.5 if mean == "all" else 1.0
    assert learnt(found).tolist() == [[0] * 5, [pull, pull, 0, 0, 0]]


@pytest.mark.parametrize("level", ["token", "row"])
@pytest.mark.parametrize("mean", ["all", "left"])
@pytest.mark.parametrize("beyond", [0.0, 0.5, 100.0])
def test_nothing_is_pushed_once_it_is_at_the_cap(level, mean, beyond):
    log_p, mask = torch.tensor([[-2.0 - beyond]]), torch.ones(1, 1).bool()
    found = capped(level, mean, delta=2.0)
    assert found(log_p, mask) == 0
    assert not learnt(found, log_p, mask).any()


def test_a_cap_out_of_reach_is_gradient_ascent():
    assert torch.equal(learnt(capped("token", delta=1e6)), learnt(GA()))


def test_micro_batches_of_a_cap_over_all_add_up():
    whole = capped("row", delta=8.0)
    parts = [whole(LOG_P[i : i + 1], MASK[i : i + 1]).item() for i in range(2)]
    assert whole(LOG_P, MASK).item() == pytest.approx(sum(parts) / 2, abs=1e-12)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: TokenSelection(share=0.0), r"share=0\.0 must lie in \(0, 1\]"),
        (lambda: TokenSelection(share=1.1), r"share=1\.1 must lie in \(0, 1\]"),
        (lambda: Temperature(temperature=0.0), r"temperature=0\.0 must be positive"),
        (lambda: LikelihoodCap(delta=-1.0), r"delta=-1\.0 must be positive"),
        (lambda: LikelihoodCap(level="word"), "level='word' must be one of token, row"),
        (lambda: LikelihoodCap(mean="some"), "mean='some' must be one of all, left"),
    ],
)
def test_settings_out_of_range_are_refused(make, says):
    with pytest.raises(UsageError, match=says):
        make()
