"""The bridge on arrays: ridge by its definition, held-out classes by folds."""

import numpy as np
import pytest

from limen._core.errors import UsageError
from limen.run.files import load, save
from limen.shift.bridge import Bridge, class_means
from limen.shift.held_out import held_out


@pytest.fixture
def toy() -> tuple[np.ndarray, np.ndarray]:
    """Prototypes of 30 classes, and texts that are a linear image of them, with some noise."""
    random = np.random.default_rng(0)
    prototypes = random.normal(size=(30, 8)) + 3
    texts = prototypes @ random.normal(size=(8, 5)) + 0.1 * random.normal(size=(30, 5))
    return prototypes, texts


def slow_weight(prototypes: np.ndarray, texts: np.ndarray, decay: float) -> np.ndarray:
    """The normal equations of the definition, over the width and not over the classes."""
    units = texts / np.linalg.norm(texts, axis=1, keepdims=True)
    p, t = prototypes - prototypes.mean(0), units - units.mean(0)
    m = (p**2).sum(1).mean()
    return np.linalg.inv(p.T @ p + decay * m * np.eye(p.shape[1])) @ p.T @ t


@pytest.mark.parametrize("decay", [1e-3, 1.0, 30.0])
def test_the_map_is_the_ridge_of_the_definition(toy, decay: float) -> None:
    found = Bridge(decay).fit(*toy).weight
    np.testing.assert_allclose(found, slow_weight(*toy, decay), atol=1e-8)


def test_fewer_classes_than_columns_are_no_obstacle() -> None:
    random = np.random.default_rng(1)
    prototypes, texts = random.normal(size=(4, 20)), random.normal(size=(4, 6))
    found = Bridge(0.5).fit(prototypes, texts).weight
    np.testing.assert_allclose(found, slow_weight(prototypes, texts, 0.5), atol=1e-8)


def test_a_weak_decay_names_every_fitted_prototype(toy) -> None:
    prototypes, texts = toy
    found = Bridge(1e-9).fit(prototypes, texts).logits(prototypes, texts)
    assert (found.argmax(1) == np.arange(30)).mean() > 0.9


def test_a_class_never_fitted_is_named(toy) -> None:
    prototypes, texts = toy
    bridge = Bridge(1e-6).fit(prototypes[:25], texts[:25])
    assert (bridge.logits(prototypes[25:], texts[25:]).argmax(1) == np.arange(5)).all()


def test_labels_make_prototypes_of_means(toy) -> None:
    prototypes, texts = toy
    rows = np.concatenate([prototypes - 0.5, prototypes + 0.5])
    by_rows = Bridge().fit(rows, texts, labels=np.tile(np.arange(30), 2))
    np.testing.assert_allclose(by_rows.weight, Bridge().fit(prototypes, texts).weight, atol=1e-10)


@pytest.mark.parametrize("factor", [1e-3, 1e3])
def test_the_unit_of_the_features_changes_no_logit(toy, factor: float) -> None:
    prototypes, texts = toy
    expected = Bridge().fit(prototypes, texts).logits(prototypes, texts)
    found = Bridge().fit(prototypes * factor, texts).logits(prototypes * factor, texts)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_shift_of_all_features_changes_no_logit(toy) -> None:
    prototypes, texts = toy
    expected = Bridge().fit(prototypes, texts).logits(prototypes, texts)
    found = Bridge().fit(prototypes + 7, texts).logits(prototypes + 7, texts)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_lengths_of_texts_change_no_logit(toy) -> None:
    prototypes, texts = toy
    longer = texts * np.arange(1, 31)[:, None]
    np.testing.assert_allclose(
        Bridge().fit(prototypes, longer).logits(prototypes, longer),
        Bridge().fit(prototypes, texts).logits(prototypes, texts),
        atol=1e-6,
    )


def test_the_order_of_classes_does_not_matter(toy) -> None:
    prototypes, texts = toy
    turned = np.random.default_rng(2).permutation(30)
    np.testing.assert_allclose(
        Bridge().fit(prototypes[turned], texts[turned]).weight,
        Bridge().fit(prototypes, texts).weight,
        atol=1e-10,
    )


def test_logits_are_cosines_with_the_mean_text_taken_away(toy) -> None:
    prototypes, texts = toy
    bridge = Bridge().fit(prototypes, texts)
    x = (prototypes[0] - prototypes.mean(0)) @ slow_weight(prototypes, texts, 1.0)
    units = texts / np.linalg.norm(texts, axis=1, keepdims=True)
    t = units[3] - units.mean(0)
    expected = x @ t / np.linalg.norm(x) / np.linalg.norm(t)
    assert bridge.logits(prototypes[:1], texts)[0, 3] == pytest.approx(expected, abs=1e-6)


def test_a_saved_bridge_answers_alike(toy, tmp_path) -> None:
    prototypes, texts = toy
    bridge = Bridge(0.3).fit(prototypes, texts)
    read = load(save(bridge, tmp_path / "bridge"))
    np.testing.assert_array_equal(read.logits(prototypes, texts), bridge.logits(prototypes, texts))
    assert read.decay == 0.3


@pytest.mark.parametrize("decay", [0.0, -1.0, np.inf, np.nan])
def test_decay_must_be_positive(decay: float) -> None:
    with pytest.raises(UsageError, match="must be above 0"):
        Bridge(decay)


@pytest.mark.parametrize(
    ("features", "texts", "says"),
    [
        (np.eye(3), np.eye(2), "got 3 prototypes and 2 texts"),
        (np.eye(1), np.eye(1), "two classes or more"),
        (np.ones(3), np.eye(3), "must have shape"),
        (np.diag([1, np.inf]), np.eye(2), "features must be finite"),
        (np.ones((3, 2)), np.eye(3), "all prototypes are alike"),
        (np.eye(2), np.zeros((2, 2)), "texts must have a direction"),
    ],
)
def test_what_fits_no_bridge_is_refused(features, texts, says) -> None:
    with np.errstate(invalid="ignore"), pytest.raises(UsageError, match=says):
        Bridge().fit(features, texts)


def test_a_class_without_a_photo_is_named() -> None:
    with pytest.raises(UsageError, match="1 have none, the first is class 1"):
        class_means(np.eye(2), np.array([0, 2]), 3)


def test_a_bridge_is_fitted_before_it_is_asked(toy) -> None:
    with pytest.raises(UsageError, match="must be fitted first"):
        Bridge().embed(toy[0])


@pytest.mark.parametrize(("which", "says"), [("features", "8 columns"), ("texts", "5 columns")])
def test_another_width_is_refused(toy, which: str, says: str) -> None:
    bridge = Bridge().fit(*toy)
    with pytest.raises(UsageError, match=says):
        bridge.embed(np.ones((2, 9))) if which == "features" else bridge.place(np.ones((2, 9)))


def test_held_out_equals_the_slow_obvious_version(toy) -> None:
    prototypes, texts = toy
    random = np.random.default_rng(4)
    rows = np.repeat(prototypes, 4, axis=0) + random.normal(size=(120, 8))
    labels = np.repeat(np.arange(30), 4)
    found = held_out(rows, labels, texts, folds=30 // 2, seed=5)  # two classes a fold
    means = np.stack([rows[labels == c].mean(0) for c in range(30)])
    for a in range(30):  # the partner of each class is the one that makes the answer agree
        answers = []
        for b in set(range(30)) - {a}:
            kept = [c for c in range(30) if c not in (a, b)]
            logits = Bridge().fit(means[kept], texts[kept]).logits(rows[labels == a], texts)
            answers.append(((logits[:, a] > logits[:, b]).mean(), (logits.argmax(1) == a).mean()))
        assert (found.among_held_out[a], found.among_all[a]) in answers


def test_noise_is_told_by_chance() -> None:
    random = np.random.default_rng(0)
    found = held_out(
        random.normal(size=(2000, 6)), np.arange(2000) % 40, random.normal(size=(40, 6)), folds=4
    )
    assert found.chance == 0.1
    assert found.accuracy == pytest.approx(0.1, abs=0.05)


def test_choosing_among_more_classes_is_never_easier(toy) -> None:
    prototypes, texts = toy
    rows = np.repeat(prototypes, 3, axis=0) + np.random.default_rng(1).normal(size=(90, 8))
    found = held_out(rows, np.repeat(np.arange(30), 3), texts)
    assert (found.among_all <= found.among_held_out).all()


def test_given_prototypes_take_the_place_of_means(toy) -> None:
    prototypes, texts = toy
    noisy = prototypes + np.random.default_rng(1).normal(size=prototypes.shape)
    best = held_out(noisy, np.arange(30), texts, prototypes=prototypes, decay=1e-3)
    assert best.accuracy >= held_out(noisy, np.arange(30), texts, decay=1e-3).accuracy


def test_the_table_says_what_is_and_what_is_not_held_out(toy) -> None:
    prototypes, texts = toy
    found = held_out(prototypes, np.arange(30), texts, decay=1e-6)
    table = found.table()
    assert table.rows[0][1].value == pytest.approx(found.accuracy)
    assert table.rows[1][2] == pytest.approx(1 / 30)
    assert "only the bridge is held out" in table.protocol
    assert found.interval().low <= found.accuracy <= found.interval().high


@pytest.mark.parametrize("folds", [1, 16])
def test_folds_leave_two_classes_at_least_on_both_sides(toy, folds: int) -> None:
    with pytest.raises(UsageError, match="must lie between 2 and half"):
        held_out(toy[0], np.arange(30), toy[1], folds=folds)


def test_prototypes_of_another_shape_are_refused(toy) -> None:
    with pytest.raises(UsageError, match=r"must have shape \(30, 8\)"):
        held_out(toy[0], np.arange(30), toy[1], prototypes=np.ones((30, 7)))
