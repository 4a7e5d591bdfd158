"""Greedy generation: the same in a batch as alone, and up to where the model ends."""

import copy
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from limen._core.errors import UsageError, WorkError
from limen.unlearn.data import Row
from limen.unlearn.encode import Encoded, encode_all
from limen.unlearn.generate import generate
from limen.unlearn.outcome import continuations

PROMPTS = ["Where", "Where does Ada live?", "Who?", "Ada", "In Oslo, and there Dora bakes"]


@pytest.mark.parametrize("kind", ["llama", "gpt2", "qwen2"])
def test_a_batch_says_what_each_prompt_alone_brings(kind: str, toy, tokenizer):
    model = toy(kind, seed=3)
    together = generate(model, tokenizer, PROMPTS, new_tokens=12, batch=5)
    alone = [generate(model, tokenizer, [p], new_tokens=12)[0] for p in PROMPTS]
    assert together == alone
    assert len(set(together)) > 1


def test_what_is_said_is_the_likeliest_token_each_time(learnt, tokenizer, rows):
    said = generate(learnt, tokenizer, rows, new_tokens=8, batch=3)
    wanted = [Row(row.prompt, row.response) for row in rows]
    slow = continuations(learnt, encode_all(tokenizer, wanted))
    ends = tokenizer.eos_token_id
    for text, ids in zip(said, slow, strict=True):
        upto = ids[: ids.index(ends)] if ends in ids else ids
        assert tokenizer.decode(upto[:8]) == text


def test_rows_known_by_heart_are_recited(learnt, tokenizer, rows):
    said = generate(learnt, tokenizer, rows[:5], new_tokens=40)
    assert [text.startswith(row.response) for text, row in zip(said, rows, strict=False)] == [
        True
    ] * 5


def test_an_answer_ends_where_the_model_ends_it(learnt, tokenizer, rows):
    model = copy.deepcopy(learnt)
    ids = tokenizer(rows[0].response)["input_ids"]
    model.generation_config.eos_token_id = [0, ids[3]]
    assert generate(model, tokenizer, rows[:1])[0] == tokenizer.decode(ids[: ids.index(ids[3])])


def test_settings_that_the_model_was_shipped_with_do_not_count(toy, tokenizer):
    plain, shipped = toy(seed=3), toy(seed=3)
    shipped.generation_config.update(
        do_sample=True, temperature=5.0, top_p=0.5, repetition_penalty=9.0, num_beams=2
    )
    shipped.generation_config.max_length = 3
    said = [generate(m, tokenizer, PROMPTS, new_tokens=12) for m in (plain, shipped)]
    assert said[0] == said[1]


def test_a_stop_text_cuts_the_answer_off_before_it(learnt, tokenizer, rows):
    whole = generate(learnt, tokenizer, rows[:1], new_tokens=20)[0]
    cut = generate(learnt, tokenizer, rows[:1], new_tokens=20, stop=["zzz", whole[5:8]])[0]
    assert cut == whole[: whole.index(whole[5:8])]


def test_near_the_end_of_the_context_an_answer_is_shorter_whatever_its_neighbours(toy, tokenizer):
    model = toy("gpt2", seed=3)
    long = tokenizer.decode(tokenizer("Who? " * 80)["input_ids"][:93])  # 3 of 96 are left
    said = generate(model, tokenizer, [long, "Who?"], new_tokens=10)
    slow = continuations(model, [Encoded([*tokenizer(long)["input_ids"], 0, 0, 0], answer=93)])
    assert said[0] == tokenizer.decode(slow[0])
    assert said[1] == generate(model, tokenizer, ["Who?"], new_tokens=10)[0]


def test_the_model_keeps_its_mode_and_its_generator(toy, tokenizer):
    model = toy(seed=3).train()
    state = torch.get_rng_state()
    generate(model, tokenizer, ["Who?"], new_tokens=2)
    assert model.training
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize(
    ("prompts", "options", "sentence"),
    [
        ([], {}, "at least one text"),
        ("Who?", {}, "a list of"),
        (["Who?"], {"new_tokens": 0}, "new_tokens=0"),
        (["Who?"], {"batch": 0}, "batch=0"),
        (["Who? " * 200], {}, "must fit the model's context"),
    ],
)
def test_wrong_use_is_one_sentence(toy, tokenizer, prompts, options, sentence: str):
    with pytest.raises(UsageError, match=sentence):
        generate(toy(), tokenizer, prompts, **options)


def test_a_prompt_that_fills_the_context_is_refused(toy, tokenizer):
    full = tokenizer.decode(tokenizer("Who? " * 80)["input_ids"][:96])
    assert len(tokenizer(full)["input_ids"]) == 96
    with pytest.raises(UsageError, match="must leave room"):
        generate(toy(), tokenizer, [full])


def test_a_model_without_generate_is_refused(tokenizer):
    class Bare(nn.Module):
        def forward(self, **_: object) -> SimpleNamespace:
            return SimpleNamespace()

    with pytest.raises(UsageError, match="generate"):
        generate(Bare(), tokenizer, ["Who?"])


def test_least_lengths_and_forbidden_tokens_are_not_obeyed(learnt, tokenizer, rows):
    expected = generate(learnt, tokenizer, rows[:2], new_tokens=12)
    shipped = copy.deepcopy(learnt)
    first = tokenizer(expected[0])["input_ids"][0]
    config = shipped.generation_config
    config.suppress_tokens, config.begin_suppress_tokens = [first], [first]
    config.bad_words_ids, config.min_length = [[first]], 90
    assert generate(shipped, tokenizer, rows[:2], new_tokens=12) == expected
    assert shipped.generation_config is config
    assert config.suppress_tokens == [first]


def test_a_model_whose_output_is_no_number_says_nothing(toy, tokenizer):
    model = toy("llama")
    with torch.no_grad():
        model.lm_head.weight.fill_(torch.nan)
    with pytest.raises(WorkError, match="the model's output is not a number"):
        generate(model, tokenizer, PROMPTS, new_tokens=2)
