"""The logistic head: equal to another library's, weighted as it says, and saved whole."""

import numpy as np
import pytest

import limen
from limen._core.errors import UsageError
from limen.shift.head import Head


def rows(seed=0, *, count=80, width=3, classes=3):
    draw = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    return draw.normal(size=(count, width)) + labels[:, None] * draw.normal(size=width), labels


def test_the_answer_is_that_of_scikit_learn():
    linear = pytest.importorskip("sklearn.linear_model")
    features, labels = rows()
    standard = (features - features.mean(0)) / features.std(0)
    # theirs is C sum loss + ||W||^2 / 2: C = 1 / (decay rows)
    theirs = linear.LogisticRegression(C=1 / (0.01 * 80), tol=1e-10, max_iter=5000)
    wanted = theirs.fit(standard, labels).predict_proba(standard)
    logits = Head(decay=0.01).fit(features, labels).logits(features)
    mine = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.testing.assert_allclose(mine, wanted, atol=1e-4)  # both stop at a small slope


def test_losses_are_cross_entropies():
    features, labels = rows()
    head = Head().fit(features, labels)
    logits = head.logits(features)
    slow = [-np.log(np.exp(z[y]) / np.exp(z).sum()) for z, y in zip(logits, labels, strict=True)]
    np.testing.assert_allclose(head.losses(features, labels), slow, atol=1e-12)


def test_huge_logits_have_finite_losses():
    head = Head().fit([[-1.0], [1.0]], [0, 1])
    assert np.isfinite(head.losses([[1e6]], [0])).all()


def test_a_whole_weight_is_a_row_seen_twice():
    features, labels = rows(1)
    # the columns' mean and deviation do not know of weights, so both must have the same
    features = np.concatenate([features, -features])
    labels = np.concatenate([labels, labels])
    weights = np.ones(160)
    weights[[0, 80]] = 2
    twice = np.r_[np.arange(160), 0, 80]
    heavy = Head(0.1).fit(features, labels, weights=weights)
    double = Head(0.1).fit(features[twice], labels[twice])
    np.testing.assert_allclose(heavy.logits(features), double.logits(features), atol=0.02)


def test_a_row_of_weight_zero_teaches_nothing():
    features, labels = rows(2)
    other = labels.copy()
    other[5] = (labels[5] + 1) % 3
    weights = np.ones(80)
    weights[5] = 0
    first, second = (Head().fit(features, y, weights=weights) for y in (labels, other))
    np.testing.assert_allclose(first.weight, second.weight)


def test_the_unit_of_a_column_changes_no_answer():
    features, labels = rows(3)
    first = Head().fit(features, labels).logits(features)
    second = Head().fit(features * 1e3 + 7, labels).logits(features * 1e3 + 7)
    np.testing.assert_allclose(first, second, atol=1e-4)  # both stop at a small slope


def test_an_absent_class_is_possible_and_unlikely():
    features, labels = rows(4, classes=2)
    head = Head().fit(features, labels, classes=3)
    assert head.logits(features).shape == (80, 3)
    assert (head.predict(features) < 2).all()


def test_a_saved_head_gives_the_same_logits(tmp_path):
    features, labels = rows(5)
    head = Head().fit(features, labels)
    again = limen.load(limen.save(head, tmp_path / "head"))
    assert (again.logits(features) == head.logits(features)).all()


@pytest.mark.parametrize("weights", [[1.0], [-1.0, 1.0], [0.0, 0.0]], ids=str)
def test_bad_weights_are_refused(weights):
    with pytest.raises(UsageError, match="weights must be 2"):
        Head().fit([[0.0], [1.0]], [0, 1], weights=weights)


@pytest.mark.parametrize("decay", [0.0, -1.0, float("inf"), float("nan")])
def test_bad_decays_are_refused(decay):
    with pytest.raises(UsageError, match="decay"):
        Head(decay)


def test_another_width_and_an_unfitted_head_are_refused():
    with pytest.raises(UsageError, match="columns of fit"):
        Head().logits([[0.0]])
    with pytest.raises(UsageError, match="the 1 columns of fit"):
        Head().fit([[0.0], [1.0]], [0, 1]).logits([[0.0, 1.0]])
