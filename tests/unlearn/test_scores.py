import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from limen._core.errors import UsageError
from limen.unlearn import (
    exact_memorisation,
    extraction_strength,
    perplexity,
    probability,
    recall,
)
from limen.unlearn.data import Row
from limen.unlearn.encode import Encoded, encode_all
from limen.unlearn.scores.one_pass import suffix_strength
from limen.unlearn.tokens import Tokens, answer_hits, answer_log_probs, collate

SCORES = ("extraction_strength", "exact_memorisation", "probability", "perplexity", "loss")


@torch.no_grad()
def said(model, ids, count):
    """Greedy decoding of `count` tokens, one forward for each."""
    ids = list(ids)
    for _ in range(count):
        ids.append(int(model(torch.tensor([ids]), use_cache=False).logits[0, -1].argmax()))
    return ids


def brute_force(model, item):
    """1 - k/n for the fewest answer tokens k after which generation gives the rest."""
    n = len(item.ids) - item.answer
    for k in range(n + 1):
        ids = item.ids[: item.answer + k]
        while len(ids) < len(item.ids) and ids == item.ids[: len(ids)]:
            ids = said(model, ids, 1)
        if ids == item.ids:
            return 1 - k / n
    raise AssertionError("the whole answer always reproduces the empty rest")


def half_known(model, seed, count=6):
    """Rows that the model would say itself, but for a few tokens at random places."""
    draw = torch.Generator().manual_seed(seed)
    items = []
    for row in range(count):
        answer, n = (int(torch.randint(1, 9, (), generator=draw)) for _ in range(2))
        prompt = torch.randint(0, 300, (answer,), generator=draw).tolist()
        while len(prompt) < answer + n:
            prompt = said(model, prompt, 1)
            if torch.rand((), generator=draw) < 0.2:
                prompt[-1] = (prompt[-1] + 1) % 300
        items.append(Encoded(prompt, answer, row))
    return items


@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("kind", ["llama", "gpt2", "qwen2"])
def test_extraction_strength_equals_generation_on_random_models(toy, kind, batch):
    model = toy(kind, seed=2)
    items = half_known(model, seed=3)
    expected = [brute_force(model, item) for item in items]
    assert len(set(expected)) > 2  # neither all known nor all unknown
    found = extraction_strength(model, None, items, batch=batch)
    np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize("batch", [1, 8])
def test_extraction_strength_equals_generation_on_an_over_trained_model(
    learnt, tokenizer, rows, batch
):
    items = encode_all(tokenizer, rows)
    found = extraction_strength(learnt, tokenizer, rows, batch=batch)
    np.testing.assert_allclose(found, [brute_force(learnt, item) for item in items], atol=1e-12)
    assert found[:5].min() == 1.0
    assert found[5:].max() < 0.5


@pytest.mark.parametrize(
    ("hits", "strength"),
    # unlearning literature: a missed last token is 0, not 1/n, and no answer has no strength
    [([1, 0, 1, 1, 1], 0.6), ([1, 1, 1], 1.0), ([1, 1, 1, 1, 0], 0.0), ([], None)],
)
def test_suffix_strength_is_the_share_after_the_last_miss(hits, strength):
    assert suffix_strength([bool(hit) for hit in hits]) == strength


@given(hits=st.lists(st.booleans(), min_size=1, max_size=12))
def test_extraction_never_exceeds_memorisation_and_is_whole_exactly_with_it(hits):
    strength, share = suffix_strength(hits), sum(hits) / len(hits)
    assert strength <= share
    assert (strength == 1) == (share == 1)


@pytest.mark.parametrize("kind", ["llama", "gpt2", "qwen2"])
def test_scores_do_not_depend_on_the_batch(toy, kind):
    model = toy(kind, seed=2)
    items = half_known(model, seed=5, count=7)
    alone, together = (recall(model, None, items, batch=batch) for batch in (1, 7))
    for name in SCORES:
        # float32 logits differ in the last digits with the shape of the batch
        np.testing.assert_allclose(getattr(alone, name), getattr(together, name), rtol=1e-4)


def test_scores_come_in_the_order_of_the_rows(learnt, tokenizer, rows):
    forwards = recall(learnt, tokenizer, rows, batch=3)
    backwards = recall(learnt, tokenizer, rows[::-1], batch=3)
    for name in SCORES:
        np.testing.assert_allclose(getattr(forwards, name), getattr(backwards, name)[::-1], 1e-4)


def test_padding_on_the_left_gives_the_same_scores(learnt, tokenizer, rows):
    tokens = collate(encode_all(tokenizer, rows))
    shifts = (tokens.attention == 0).sum(1).tolist()
    left = Tokens(
        *(
            torch.stack([line.roll(by) for line, by in zip(part, shifts, strict=True)])
            for part in (tokens.ids, tokens.attention, tokens.answer)
        ),
        tokens.row,
    )
    with torch.no_grad():
        logits = learnt(
            input_ids=left.ids,
            attention_mask=left.attention,
            position_ids=(left.attention.cumsum(1) - 1).clamp(min=0),
            use_cache=False,
        ).logits
    log_p, mask = answer_log_probs(logits, left)
    scores = recall(learnt, tokenizer, rows)
    loss = -(log_p.sum(1) / mask.sum(1)).double().numpy()
    # float32 attention sums in another order
    np.testing.assert_allclose(scores.loss, loss, rtol=1e-3)
    share = answer_hits(logits, left).sum(1) / mask.sum(1)
    np.testing.assert_allclose(scores.exact_memorisation, share, atol=1e-6)


def test_loss_probability_and_perplexity_are_one_number(learnt, tokenizer, rows):
    scores = recall(learnt, tokenizer, rows)
    np.testing.assert_allclose(-np.log(probability(learnt, tokenizer, rows)), scores.loss)
    np.testing.assert_allclose(np.log(perplexity(learnt, tokenizer, rows)), scores.loss)


def test_loss_is_that_of_transformers(learnt, tokenizer, rows):
    items = encode_all(tokenizer, rows)
    for item, loss in zip(items, recall(learnt, None, items).loss, strict=True):
        ids = torch.tensor([item.ids])
        labels = ids.clone()
        labels[:, : item.answer] = -100
        with torch.no_grad():
            assert float(learnt(ids, labels=labels).loss) == pytest.approx(loss, rel=1e-4)


def test_single_scores_are_those_of_recall(learnt, tokenizer, rows):
    scores = recall(learnt, tokenizer, rows)
    for score in (extraction_strength, exact_memorisation, probability, perplexity):
        np.testing.assert_array_equal(
            score(learnt, tokenizer, rows), getattr(scores, score.__name__)
        )


@pytest.mark.parametrize("batch", [1, 3, 16])
def test_each_row_goes_forward_once(llama, tokenizer, rows, batch):
    sizes = []
    llama.register_forward_hook(
        lambda _, __, kwargs, ___: sizes.append(len(kwargs["input_ids"])), with_kwargs=True
    )
    recall(llama, tokenizer, rows, batch=batch)
    assert sum(sizes) == len(rows)
    assert len(sizes) == -(-len(rows) // batch)


def test_every_module_gets_its_own_mode_back(llama, tokenizer, rows):
    llama.train()
    llama.model.layers[0].eval()
    before = [module.training for module in llama.modules()]
    recall(llama, tokenizer, rows)
    assert [module.training for module in llama.modules()] == before


def test_modes_come_back_after_a_failure_too(llama, tokenizer, rows):
    llama.train()

    def fail(*_: object) -> None:
        raise MemoryError

    llama.lm_head.register_forward_hook(fail)
    with pytest.raises(MemoryError):
        recall(llama, tokenizer, rows)
    assert all(module.training for module in llama.modules())


def test_dropout_is_off_while_scoring(toy):
    model = toy("gpt2").train()
    items = half_known(toy("gpt2"), seed=1)
    np.testing.assert_array_equal(
        recall(model, None, items).loss, recall(toy("gpt2"), None, items).loss
    )


def test_a_row_without_answer_tokens_is_nan_and_not_zero(llama):
    scores = recall(llama, None, [Encoded([5], 1), Encoded([5, 6], 1)])
    assert scores.tokens.tolist() == [0, 1]
    for name in SCORES:
        assert np.isnan(getattr(scores, name)).tolist() == [True, False]


def test_bfloat16_models_are_scored_in_float32(learnt, tokenizer, rows, toy):
    model = toy().bfloat16()
    model.load_state_dict(learnt.state_dict())
    scores = recall(model, tokenizer, rows)
    assert scores.exact_memorisation[:5].min() == 1.0
    assert scores.loss.dtype == np.float64


def test_eos_counts_as_a_token_when_asked_for(llama, tokenizer, rows):
    without, with_eos = (recall(llama, tokenizer, rows, eos=eos) for eos in (False, True))
    assert (with_eos.tokens - without.tokens).tolist() == [1] * len(rows)


@pytest.mark.parametrize(
    ("bad", "options", "says"),
    [
        ([], {}, "at least one row"),
        ([Row("a", "b")], {"batch": 0}, "batch=0"),
        ([Row("a", "b" * 2000)], {}, "context of 96 tokens"),
        ([Encoded([1, 300], 1)], {}, "belongs to the model"),
    ],
)
def test_rows_that_cannot_be_scored_are_refused(llama, tokenizer, bad, options, says):
    with pytest.raises(UsageError, match=says):
        recall(llama, tokenizer, bad, **options)


def test_plain_rows_need_a_tokenizer(llama, rows):
    with pytest.raises(UsageError, match="tokenizer=None"):
        recall(llama, None, rows)
