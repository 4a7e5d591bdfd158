"""The names among which a model must choose: against slow obvious versions."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from limen._core.errors import UsageError
from limen.run.files import load, save
from limen.shift.cosines import cosines
from limen.shift.labels import LabelSpace, label_space, restricted_argmax
from limen.shift.models.embeddings import Embeddings
from limen.shift.models.zero_shot import ZeroShot
from limen.shift.photos import Photos


def drawn(seed: int, rows: int = 40, classes: int = 12, width: int = 6):
    """Photos near their class's text, so that most are named rightly and some are not."""
    stream = np.random.default_rng(seed)
    texts = stream.normal(size=(classes, width))
    labels = stream.integers(0, classes, rows)
    return texts[labels] + stream.normal(size=(rows, width)), texts, labels


def slow_space(similarities, labels, size):
    found = {}
    for true in sorted(set(labels)):
        sums = [
            sum(row[name] for row, label in zip(similarities, labels, strict=True) if label == true)
            for name in range(len(similarities[0]))
        ]
        own = sorted(range(len(sums)), key=lambda name: (-sums[name], name))[:size]
        found[true] = tuple(own if true in own else [*own[:-1], true])
    return found


def slow_choice(row, candidates):
    return min(candidates, key=lambda name: (-row[name], name))


@given(st.integers(0, 10**6), st.integers(1, 12))
def test_candidates_are_those_of_the_slow_version(seed, size):
    """Whole numbers: sums are exact, and ties are frequent."""
    stream = np.random.default_rng(seed)
    similarities = stream.integers(-2, 3, (15, 12)).astype(float)
    labels = stream.integers(0, 12, 15)
    space = label_space(similarities, labels, size=size)
    assert space.candidates == slow_space(similarities.tolist(), labels.tolist(), size)


@given(st.integers(0, 10**6))
def test_choice_among_candidates_is_that_of_the_slow_version(seed):
    stream = np.random.default_rng(seed)
    logits = stream.integers(0, 3, (10, 9))
    labels = stream.integers(0, 3, 10)
    space = LabelSpace({
        true: stream.permutation(9)[: stream.integers(1, 9)].tolist() for true in range(3)
    })  # fmt: skip
    expected = [
        slow_choice(row, space.candidates[true])
        for row, true in zip(logits.tolist(), labels.tolist(), strict=True)
    ]
    assert restricted_argmax(logits, labels, space).tolist() == expected


@pytest.mark.parametrize("seed", range(5))
def test_embeddings_give_the_candidates_of_their_cosines(seed):
    """Summing embeddings first equals the sum over cosines."""
    images, texts, labels = drawn(seed)
    saved = Embeddings(images, texts)
    by_rows = label_space(saved.images.astype(float) @ saved.texts.T.astype(float), labels, size=4)
    assert label_space(saved, labels, size=4).candidates == by_rows.candidates


def test_two_halves_of_the_photos_give_the_sum_of_their_cosines():
    images, texts, labels = drawn(0)
    first, second = Embeddings(images[:20], texts), Embeddings(images[20:], texts)
    halves = np.concatenate([first.logits(range(20)), second.logits(range(20))])
    whole = label_space(Embeddings(images, texts), labels, size=4)
    assert label_space(halves, labels, size=4).candidates == whole.candidates


def test_photos_of_both_groups_have_a_say():
    """Alone the common photo would choose name 1, the counter photo name 2; together name 3."""
    similarities = [[0.0, 0.9, 0.0, 0.8], [0.0, 0.0, 0.9, 0.8]]
    photos = Photos(["a", "b"], [0, 0], [0, 1])
    assert label_space(similarities, photos, size=2).candidates == {0: (3, 0)}


def test_the_true_name_is_put_in_last_and_told():
    space = label_space([[0.1, 0.5, 0.3], [0.9, 0.1, 0.0]], [0, 0], size=2)
    assert (space.candidates, space.put_in) == ({0: (0, 1)}, ())
    space = label_space([[0.1, 0.5, 0.3]], [0], size=2)
    assert (space.candidates, space.put_in, space.lacking) == ({0: (1, 0)}, (0,), ())


def test_the_true_name_may_be_left_out():
    space = label_space([[0.1, 0.5, 0.3]], [0], size=2, include_true=False)
    assert (space.candidates, space.put_in, space.lacking) == ({0: (1, 2)}, (), (0,))


def test_all_names_are_the_whole_space():
    images, texts, labels = drawn(1)
    saved = Embeddings(images, texts)
    space = label_space(saved, labels, size=len(texts))
    logits = saved.logits(range(len(images)))
    assert restricted_argmax(logits, labels, space).tolist() == logits.argmax(1).tolist()


@pytest.mark.parametrize("seed", range(5))
def test_the_order_of_photos_does_not_matter(seed):
    images, texts, labels = drawn(seed)
    order = np.random.default_rng(seed).permutation(len(images))
    one = label_space(Embeddings(images, texts), labels, size=5)
    two = label_space(Embeddings(images[order], texts), labels[order], size=5)
    assert one.candidates == two.candidates


def test_a_pair_is_asked_for_the_photos():
    images, texts, labels = drawn(2)
    labels = np.repeat(labels[:20], 2)
    photos = Photos(list(map(str, range(40))), labels, np.tile([0, 1], 20))
    saved = Embeddings(images, texts, names=[str(i) for i in range(40)])
    pair = ZeroShot(saved, texts)
    assert label_space(pair, photos, size=3).candidates == (
        label_space(saved, photos, size=3).candidates
    )
    with pytest.raises(UsageError, match="labels must be Photos"):
        label_space(pair, labels, size=3)


def test_saved_rows_are_found_by_the_photos_names():
    images, texts, _ = drawn(3, rows=4)
    names = ["a", "b", "c", "d"]
    photos = Photos(names[::-1], [0, 0, 1, 1], [0, 1, 0, 1])
    named = label_space(Embeddings(images, texts, names=names), photos, size=3)
    in_order = label_space(Embeddings(images[::-1], texts), photos, size=3)
    assert named.candidates == in_order.candidates


def test_the_space_is_saved_as_json(tmp_path):
    images, texts, labels = drawn(4)
    space = label_space(Embeddings(images, texts), labels, size=3)
    path = save(space, tmp_path / "space.json")
    assert json.loads(path.read_text())["state"]["put_in"] == list(space.put_in)
    back = load(path)
    assert (back.candidates, back.put_in) == (space.candidates, space.put_in)


def test_plain_json_of_candidates_is_a_space():
    assert LabelSpace(json.loads('{"9": [9, 3]}')).candidates == {9: (9, 3)}


@pytest.mark.parametrize(
    "candidates", [{}, {0: []}, {0: [1, 1]}, {0: [-1]}, {"x": [1]}, {0: 3}, [1]],
    ids=["none", "empty", "twice", "negative", "word", "number", "list"],
)  # fmt: skip
def test_candidates_of_another_form_are_refused(candidates):
    # what the annotation already refuses is a type error under the tests' checker
    with pytest.raises((UsageError, TypeError)):
        LabelSpace(candidates)


@pytest.mark.parametrize(
    ("similarities", "labels", "size", "told"),
    [
        ([[0.0, 1.0]], [0, 1], 1, "one row for each of 2"),
        ([[0.0, 1.0]], [2], 1, "0 to 1"),
        ([[0.0, 1.0]], [-1], 1, "0 to 1"),
        ([[0.0, 1.0]], [0], 3, "size=3 must be 1 to 2"),
        ([[0.0, 1.0]], [0], 0, "size=0 must be 1 to 2"),
        ([[0.0, np.inf]], [0], 1, "finite"),
        ([0.0, 1.0], [0], 1, "must be Embeddings"),
        ([[0.0, 1.0]], [0.5], 1, "whole numbers"),
    ],
    ids=["rows", "beyond", "negative", "large", "zero", "infinite", "flat", "fraction"],
)
def test_a_reference_that_does_not_fit_is_refused(similarities, labels, size, told):
    with pytest.raises(UsageError, match=told):
        label_space(similarities, labels, size=size)


def test_a_class_without_candidates_is_refused_by_number():
    with pytest.raises(UsageError, match="1 have none, such as 7"):
        restricted_argmax([[0.0] * 9, [0.0] * 9], [3, 7], LabelSpace({3: [1]}))


def test_candidates_beyond_the_logits_are_refused():
    with pytest.raises(UsageError, match="0 to 1, got 5"):
        restricted_argmax([[0.0, 1.0]], [0], LabelSpace({0: [0, 5]}))


def test_logits_need_a_label_each():
    with pytest.raises(UsageError, match="2 labels"):
        restricted_argmax([[0.0, 1.0]], [0, 0], LabelSpace({0: [0]}))


def test_cosines_are_the_product_in_blocks(monkeypatch):
    monkeypatch.setattr("limen.shift.cosines._BLOCK", 24)  # two rows at a time
    images, texts, _ = drawn(5, rows=7)
    saved = Embeddings(images, texts)
    blocks = list(cosines(saved.images, saved.texts))
    assert [len(block) for block in blocks] == [2, 2, 2, 1]
    assert np.allclose(np.concatenate(blocks), saved.images @ saved.texts.T, atol=1e-6)


@pytest.mark.parametrize("width", [3, 64, 257])
def test_equal_texts_have_equal_cosines_to_the_last_bit(width):
    images, texts, _ = drawn(6, rows=50, classes=33, width=width)
    texts[32] = texts[1]
    saved = Embeddings(images, texts)
    (block,) = cosines(saved.images, saved.texts)
    assert np.array_equal(block[:, 1], block[:, 32])
