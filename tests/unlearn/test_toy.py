"""The small real task: passages, a tokenizer, a model, and learning by heart."""

import pytest
import torch

from limen._core.errors import UsageError
from limen.unlearn import demo, learn, recall
from limen.unlearn.data import Row
from limen.unlearn.toy import TOPICS, passages, toy_model, toy_tokenizer


@pytest.fixture(scope="module")
def found():
    return passages()


@pytest.fixture(scope="module")
def small():
    """A tokenizer of few words."""
    return toy_tokenizer(["the cat sat on the mat"] * 4, vocabulary=280)


def test_each_passage_is_forty_words_of_which_eight_ask(found):
    for row in (*found.forget, *found.retain):
        assert len(row.prompt.split()) == 8
        assert len(row.response.split()) == 32


def test_each_passage_stands_in_its_topic_as_it_is(found):
    texts = dict(zip(TOPICS, found.texts, strict=True))
    for row in (*found.forget, *found.retain):
        assert row.prompt + row.response in texts[row.where.split(":")[0]]


def test_only_the_topic_to_forget_is_forgotten(found):
    topics = {side: {row.where.split(":")[0] for row in getattr(found, side)}
              for side in ("forget", "retain")}  # fmt: skip
    assert topics["forget"] == {found.topic} == {"with"}
    assert topics["retain"] == set(TOPICS) - {"with"}


def test_no_passage_comes_twice(found):
    every = [row.response for row in (*found.forget, *found.retain)]
    assert len(set(every)) == len(every)


@pytest.mark.parametrize("topic", TOPICS)
def test_any_topic_may_be_the_one_to_forget(topic):
    found = passages(topic)
    assert found.forget
    assert len(found.retain) >= 20


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"topic": "cats"}, "topic='cats' must be one of comparisons"),
        ({"words": 8}, "prompt_words=8"),
        ({"prompt_words": 0}, "prompt_words=0"),
        ({"words": 100_000}, "words=100000"),
    ],
)
def test_passages_that_cannot_be_cut_are_refused(arguments, says):
    with pytest.raises(UsageError, match=says):
        passages(**arguments)


@pytest.mark.parametrize("text", ["the cat", "ünïcödé 猫 \n\t\x00", "   "])
def test_the_tokenizer_gives_every_text_back(small, text):
    assert small.decode(small(text)["input_ids"], clean_up_tokenization_spaces=False) == text


def test_the_tokenizer_learns_words(small):
    assert len(small("the cat sat")["input_ids"]) < len("the cat sat")
    assert len(small) <= 280
    assert small.pad_token_id == small.eos_token_id is not None


def test_the_tokenizer_of_the_passages_has_two_thousand_tokens(found):
    assert len(toy_tokenizer(found.texts)) == 2048


def test_the_model_has_about_a_million_parameters(found):
    model = toy_model(toy_tokenizer(found.texts))
    assert 0.8e6 < sum(p.numel() for p in model.parameters()) < 1.2e6
    assert not model.training


def test_the_seed_decides_the_weights(small):
    one, same, other = (toy_model(small, width=32, layers=1, seed=s) for s in (0, 0, 1))
    weights = [model.get_input_embeddings().weight for model in (one, same, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_making_a_model_leaves_global_random_numbers_alone(small):
    before = torch.get_rng_state()
    toy_model(small, width=32, layers=1)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("width", [0, 33])
def test_a_width_that_gives_no_whole_heads_is_refused(small, width):
    with pytest.raises(UsageError, match=f"width={width}"):
        toy_model(small, width=width)


ROWS = [Row("the cat", " sat on the mat"), Row("the mat", " sat on the cat")]


def test_learning_reaches_what_it_says(small):
    model = toy_model(small, width=32, layers=1)
    reached = learn(model, small, ROWS, steps=60, lr=1e-2)
    assert reached >= 0.95
    assert reached == recall(model, small, ROWS).extraction_strength.mean()


def test_learning_stops_as_soon_as_enough_is_known(small):
    lengths = []
    for until in (0.01, 1.0):
        model, steps = toy_model(small, width=32, layers=1), []
        model.register_forward_hook(lambda module, *_, s=steps: s.append(module.training))
        learn(model, small, ROWS, until=until, steps=60, lr=1e-2, check_every=10)
        lengths.append(sum(steps))
    assert lengths[0] < lengths[1]


def test_learning_says_so_when_it_falls_short(small):
    assert learn(toy_model(small, width=32, layers=1), small, ROWS, steps=1) < 0.95


def test_learning_is_the_same_each_time(small):
    weights = []
    for _ in range(2):
        model = toy_model(small, width=32, layers=1)
        learn(model, small, ROWS, steps=5)
        weights.append(model.get_input_embeddings().weight)
    assert torch.equal(*weights)


@pytest.mark.parametrize("until", [0.0, 1.5])
def test_learning_to_an_impossible_strength_is_refused(small, until):
    with pytest.raises(UsageError, match=f"until={until}"):
        learn(toy_model(small, width=32, layers=1), small, ROWS, until=until)


def test_learning_rows_of_another_tokenizer_is_refused(small):
    model = toy_model(small, width=32, layers=1)
    model.resize_token_embeddings(50)
    with pytest.raises(UsageError, match="belongs to the model"):
        learn(model, small, ROWS)


@pytest.mark.slow
def test_the_quick_demo_forgets_at_a_bounded_price():
    section = demo.section(quick=True)
    curves = section.records[0].tradeoffs
    assert [curve.name for curve in curves] == ["WGA", "WGA rectified"]
    assert all(curve.at(price=0.05).gain >= 0 for curve in curves)
    assert "95%" in section.answer
