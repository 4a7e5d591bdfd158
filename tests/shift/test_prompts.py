"""Prompts: what is asked of a text encoder, and what several answers become."""

from pathlib import Path

import numpy as np
import pytest

from limen._core.errors import UsageError
from limen.shift.prompts import (
    DEFAULT,
    VARIED,
    class_embeddings,
    prompts,
    read_templates,
    styled,
    template,
)


def hashed(texts: list[str]) -> np.ndarray:
    """Rows that depend on every letter, of lengths that differ."""
    rows = [np.bincount([ord(c) % 16 for c in text], minlength=16) for text in texts]
    return np.float32(rows) * np.array([[1 + len(text)] for text in texts], np.float32)


def test_the_default_is_the_papers_prompt() -> None:
    assert prompts(["ostrich, Struthio camelus"]) == [["A photo of ostrich, Struthio camelus."]]


@pytest.mark.parametrize("text", ["An X of <label>.", "An X of {}."])
def test_both_slots_mean_the_label(text: str) -> None:
    assert template(text)("hen") == "An X of hen."


def test_a_brace_in_a_label_or_beside_the_slot_is_left_alone() -> None:
    assert template("{x} <label>")("a {} b") == "{x} a {} b"


def test_a_function_is_a_template() -> None:
    assert prompts(["hen"], templates=lambda label: label[::-1]) == [["neh"]]


@pytest.mark.parametrize(
    ("label", "style", "expected"),
    [
        ("ice bear, polar bear", "full", "ice bear, polar bear"),
        ("ice bear, polar bear", "first", "ice bear"),
        (" hen ", "first", "hen"),
        ("otter", "full", "otter"),
    ],
)
def test_a_label_is_whole_or_its_first_synonym(label: str, style: str, expected: str) -> None:
    assert styled(label, style) == expected


def test_the_shipped_set_begins_with_the_default_and_repeats_nothing() -> None:
    assert VARIED[0] == DEFAULT
    assert len({template(text)("hen") for text in VARIED}) == len(VARIED) > 5


def test_one_template_gives_the_plain_unit_embedding() -> None:
    found = class_embeddings(hashed, ["hen", "cock"])
    rows = hashed(["A photo of hen.", "A photo of cock."])
    np.testing.assert_allclose(found, rows / np.linalg.norm(rows, axis=1, keepdims=True), atol=1e-6)


def test_an_ensemble_equals_the_slow_obvious_version() -> None:
    labels = ["hen, biddy", "cock"]
    found = class_embeddings(hashed, labels, templates=list(VARIED), label_style="first")
    for mine, label in zip(found, ["hen", "cock"], strict=True):
        rows = hashed([text.replace("<label>", label) for text in VARIED])
        units = [row / np.linalg.norm(row) for row in rows]
        mean = np.mean(units, axis=0)
        np.testing.assert_allclose(mine, mean / np.linalg.norm(mean), atol=1e-6)


def test_every_template_weighs_alike_whatever_its_length() -> None:
    vectors = {"a hen": [1e6, 0.0], "b hen": [0.0, 1e-6]}
    found = class_embeddings(
        lambda texts: [vectors[t] for t in texts], ["hen"], templates=["a {}", "b {}"]
    )
    np.testing.assert_allclose(found, [[0.5**0.5, 0.5**0.5]], atol=1e-6)


def test_the_order_of_templates_does_not_matter() -> None:
    one = class_embeddings(hashed, ["hen", "cock"], templates=list(VARIED))
    other = class_embeddings(hashed, ["hen", "cock"], templates=list(VARIED[::-1]))
    np.testing.assert_allclose(one, other, atol=1e-6)


def test_a_file_of_templates_may_hold_comments(tmp_path: Path) -> None:
    path = tmp_path / "mine.txt"
    path.write_text("# mine\na {} of snow\n\n  b <label>  \n", encoding="utf-8")
    assert read_templates(path) == ["a {} of snow", "b <label>"]
    assert prompts(["hen"], templates=path) == [["a hen of snow"], ["b hen"]]


@pytest.mark.parametrize(
    ("text", "says"),
    [("# nothing\n", "it has none"), ("a photo\n", "must hold <label>")],
)
def test_a_file_without_templates_is_refused(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "bad.txt"
    path.write_text(text)
    with pytest.raises(UsageError, match=says):
        read_templates(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="must be a text file"):
        read_templates(tmp_path / "none.txt")


@pytest.mark.parametrize(
    ("labels", "options", "says"),
    [
        ([], {}, "list of class names"),
        ("hen", {}, "list of class names"),
        (["hen", " "], {}, "must be a name"),
        ([", hen"], {"label_style": "first"}, "must be a name"),
        (["hen"], {"label_style": "last"}, "must be one of full, first"),
        (["hen"], {"templates": []}, "must be one or more"),
        (["hen"], {"templates": ["a photo"]}, "must hold <label>"),
    ],
)
def test_what_makes_no_prompt_is_refused(labels, options, says) -> None:
    with pytest.raises(UsageError, match=says):
        prompts(labels, **options)


def test_opposite_prompts_have_no_mean_direction() -> None:
    vectors = {"a hen": [1.0, 0.0], "b hen": [-1.0, 0.0]}
    with pytest.raises(UsageError, match="length 0"):
        class_embeddings(
            lambda texts: [vectors[t] for t in texts], ["hen"], templates=["a {}", "b {}"]
        )
