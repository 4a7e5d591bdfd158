"""Multiple choice: the letter with the highest likelihood, from one pass."""

import pytest
import torch

from limen._core.errors import UsageError
from limen.unlearn.data import Row
from limen.unlearn.scores.multiple_choice import Question, _letters, multiple_choice
from limen.unlearn.scores.one_pass import recall

PLACES = ("Lagos", "Oslo", "Quito", "Hanoi", "Turin")


def _questions(count: int) -> list[Question]:
    return [
        Question(f"Where does {who} live?", PLACES[: 2 + i % 4], answer=i % 2)
        for i, who in enumerate(("Ada", "Basil", "Chidi", "Dora", "Emeka", "Gita")[:count])
    ]


def test_the_choice_is_the_letter_with_the_lowest_loss(toy, tokenizer):
    model, questions = toy(seed=4), _questions(6)
    expected = []
    for q in questions:
        rows = [Row(q.prompt, f" {letter}") for letter in "ABCDE"[: len(q.choices)]]
        found = recall(model, tokenizer, rows)
        expected.append(float((found.loss * found.tokens).argmin() == q.answer))
    assert multiple_choice(model, tokenizer, questions).tolist() == expected
    assert multiple_choice(model, tokenizer, questions, batch=1).tolist() == expected


def test_a_letter_beyond_the_choices_is_never_chosen(toy, tokenizer):
    # Six questions of two to five choices: no model can answer "E" where there are two.
    right = [
        multiple_choice(
            toy(seed=4), tokenizer, [Question("Who?", ["Ada", "Dora"], answer=i), *_questions(6)]
        )[0]
        for i in range(2)
    ]
    assert sum(right) == 1.0


def test_a_model_taught_the_letters_knows_all(toy, tokenizer):
    model, questions = toy(seed=4), _questions(2)
    rows = [Row(q.prompt, f" {'AB'[q.answer]}") for q in questions]
    ids = [
        torch.tensor([tokenizer(r.prompt)["input_ids"] + tokenizer(r.response)["input_ids"]])
        for r in rows
    ]
    optimizer = torch.optim.AdamW(model.parameters(), 1e-2)
    for _ in range(15):
        for line in ids:
            model(input_ids=line, labels=line).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    assert multiple_choice(model, tokenizer, questions).tolist() == [1.0, 1.0]


def test_the_prompt_is_the_published_one():
    asked = Question(" Two and two? ", ["3", "4"], answer=1, subject="high_school_mathematics")
    assert asked.prompt == (
        "The following are multiple choice questions (with answers) about high school mathematics."
        "\n\nTwo and two?\nA. 3\nB. 4\nAnswer:"
    )


@pytest.mark.parametrize(
    ("questions", "sentence"),
    [
        ([], "at least one"),
        ([{"question": "Who?", "choices": ["a", "b"]}], "question 1 .*lacks answer"),
        ([{"question": "Who?", "choices": ["a"], "answer": 0}], "question 1: .*2 to 26 choices"),
        ([{"question": "Who?", "choices": ["a", "b"], "answer": "B"}], "question 1: "),
    ],
)
def test_wrong_use_is_one_sentence(toy, tokenizer, questions, sentence: str):
    with pytest.raises(UsageError, match=sentence):
        multiple_choice(toy(), tokenizer, questions)


def test_letters_of_unlike_numbers_of_tokens_are_compared_as_wholes(toy, byte_tokenizer):
    tokenizer = byte_tokenizer([" A" * 9])  # knows " A" as one token, " B" as two
    assert [len(tokenizer(text)["input_ids"]) for text in (" A", " B")] == [1, 2]
    asked = Question("Who?", ["x", "y"], answer=0)
    loss = recall(toy(), tokenizer, [Row(asked.prompt, f" {letter}") for letter in "AB"])
    first = float((loss.loss * loss.tokens).argmin() == 0)
    assert multiple_choice(toy(), tokenizer, [asked]).tolist() == [first]


def test_a_chat_model_says_the_letter_without_a_space(toy, byte_tokenizer):
    tokenizer = byte_tokenizer(["a b"])
    tokenizer.chat_template = "{% for m in messages %}Q{{ m.content }}!{% endfor %}"
    model, questions = toy(seed=4), _questions(6)
    expected = []
    for q in questions:
        rows = [Row(f"Q{q.prompt}!", letter) for letter in "ABCDE"[: len(q.choices)]]
        loss = recall(model, tokenizer, rows, template="plain").loss
        expected.append(float(loss.argmin() == q.answer))
    assert multiple_choice(model, tokenizer, questions, template="auto").tolist() == expected


@pytest.mark.parametrize("kind", ["prepend", "metaspace"])
def test_a_letter_is_one_token_where_the_tokenizer_brings_a_space_of_its_own(
    spaced_tokenizer, kind
):
    words = spaced_tokenizer(kind)
    found = _letters(words, 4, template="plain")
    assert [words.convert_ids_to_tokens(list(ids)) for ids in found] == [
        ["▁A"], ["▁B"], ["▁C"], ["▁D"],
    ]  # fmt: skip
