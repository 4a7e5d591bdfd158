"""Class moments in one pass: equal to numpy's, whatever the chunks, however far from zero."""

import numpy as np
import pytest
import torch

from limen._core.errors import UsageError
from limen.measure import moments as module
from limen.measure.arrays import class_labels, like, tensor
from limen.measure.moments import Moments, chunks, squared_distances, whitening

draw = np.random.default_rng(0)
X, Y = draw.normal(size=(200, 5)) @ draw.normal(size=(5, 5)), np.arange(200) % 4
MEANS = np.stack([X[c == Y].mean(0) for c in range(4)])
WITHIN = (X - MEANS[Y]).T @ (X - MEANS[Y])


def test_moments_are_numpys():
    found = Moments.of(X, Y)
    np.testing.assert_array_equal(found.count, 50)
    np.testing.assert_allclose(found.mean, MEANS, rtol=1e-12)
    np.testing.assert_allclose(found.scatter, WITHIN, rtol=1e-10)
    np.testing.assert_allclose(found.covariance, WITHIN / 200, rtol=1e-10)


def test_the_total_is_the_moments_without_labels():
    total, plain = Moments.of(X, Y).total, Moments.of(X)
    np.testing.assert_allclose(total.mean, plain.mean, rtol=1e-12)
    np.testing.assert_allclose(total.covariance, np.cov(X.T, bias=True), rtol=1e-10)
    np.testing.assert_allclose(plain.covariance, np.cov(X.T, bias=True), rtol=1e-10)


@pytest.mark.parametrize("numbers", [5, 35, 300])
def test_the_chunks_do_not_matter(monkeypatch, numbers):
    whole = Moments.of(X, Y)
    monkeypatch.setattr(module, "CHUNK", numbers)
    found = Moments.of(X, Y)
    torch.testing.assert_close(found.mean, whole.mean, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(found.scatter, whole.scatter, rtol=1e-11, atol=1e-12)


def test_merging_halves_gives_the_whole_even_when_a_class_is_in_one_only():
    order = np.argsort(Y, kind="stable")
    first, second = (
        order[:120],
        order[120:],
    )  # class 3 only in the second, 0 and 1 only in the first
    one = Moments.of(X, Y).merge(Moments.of(X, Y))
    np.testing.assert_allclose(one.scatter, 2 * WITHIN, rtol=1e-10)

    def part(rows):
        whole = torch.zeros(4, 5, dtype=torch.float64)
        count = torch.bincount(torch.from_numpy(Y[rows]), minlength=4).double()
        for c in range(4):
            if count[c]:
                whole[c] = torch.from_numpy(X[rows][Y[rows] == c].mean(0))
        centred = torch.from_numpy(X[rows]) - whole[Y[rows]]
        return Moments(count, whole, centred.T @ centred)

    merged = part(first).merge(part(second))
    np.testing.assert_allclose(merged.mean, MEANS, rtol=1e-12)
    np.testing.assert_allclose(merged.scatter, WITHIN, rtol=1e-10)


def test_merging_other_classes_is_refused():
    with pytest.raises(UsageError, match="same classes and columns"):
        Moments.of(X, Y).merge(Moments.of(X))


def test_nothing_cancels_far_from_zero_or_between_far_classes():
    far = X + 1e6 * np.arange(4)[Y][:, None]
    # 1e6 + x keeps x to 1e-10
    np.testing.assert_allclose(Moments.of(far, Y).scatter, WITHIN, rtol=1e-7)


def test_float32_features_are_added_in_float64():
    ones = np.full((100_000, 1), 0.1, dtype=np.float32)
    assert Moments.of(ones).mean.item() == pytest.approx(float(np.float32(0.1)), rel=1e-14)


def test_moments_come_back_from_their_dict():
    found = Moments.of(X, Y)
    torch.testing.assert_close(Moments.from_dict(found.to_dict()).scatter, found.scatter)


def test_whitened_rows_have_unit_covariance():
    white = whitening(Moments.of(X).covariance, ridge=0.0)
    np.testing.assert_allclose(np.cov((X @ white.numpy()).T, bias=True), np.eye(5), atol=1e-10)


def test_the_ridge_is_relative_to_the_mean_variance():
    covariance = Moments.of(X).covariance
    ridged = covariance + 0.1 * covariance.diagonal().mean() * torch.eye(5)
    torch.testing.assert_close(whitening(covariance, ridge=0.1), whitening(ridged, ridge=0.0))
    torch.testing.assert_close(
        whitening(100 * covariance, ridge=0.1), whitening(covariance, ridge=0.1) / 10
    )


def test_what_cannot_be_whitened_is_refused():
    with pytest.raises(UsageError, match="must vary"):
        whitening(torch.zeros(2, 2))
    with pytest.raises(UsageError, match=r"full rank when ridge=0\.0"):
        whitening(torch.diag(torch.tensor([1.0, 0.0])), ridge=0.0)
    with pytest.raises(UsageError, match="ridge=-1"):
        whitening(torch.eye(2), ridge=-1.0)


def test_whitened_squared_distances_are_the_slow_loop():
    white = whitening(Moments.of(X, Y).covariance, ridge=0.0).numpy()
    inverse = np.linalg.inv(WITHIN / 200)
    slow = [[(x - m) @ inverse @ (x - m) for m in MEANS] for x in X[:20]]
    found = squared_distances(torch.from_numpy(X[:20] @ white), torch.from_numpy(MEANS @ white))
    np.testing.assert_allclose(found, slow, rtol=1e-9)


def test_squared_distances_are_never_negative():
    centres = torch.from_numpy(MEANS) + 1e3
    assert (squared_distances(centres, centres) >= 0).all()
    torch.testing.assert_close(
        squared_distances(centres, centres).diagonal(), torch.zeros(4).double(), rtol=0, atol=1e-8
    )


def test_chunks_put_together_are_the_rows():
    rows, others = torch.arange(10.0)[:, None], torch.arange(10)
    parts = list(chunks(rows, others, per_row=module.CHUNK // 3))
    assert [len(part) for part, _ in parts] == [3, 3, 3, 1]
    torch.testing.assert_close(torch.cat([other for _, other in parts]), others)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int64])
def test_an_array_comes_back_in_its_precision_or_float32(dtype):
    values = np.ones((2, 3)).astype(dtype)
    found = like(tensor("features", values).sum(1), values)
    assert found.dtype == (np.float64 if dtype is np.float64 else np.float32)


def test_a_tensor_of_full_precision_is_not_copied():
    values = torch.ones(2, 3)
    assert tensor("features", values) is values
    array = np.ones((2, 3))
    assert tensor("features", array).data_ptr() == array.ctypes.data


def test_large_finite_numbers_are_no_infinity():
    assert tensor("features", np.full((2, 2), 3e38, dtype=np.float32)).isfinite().all()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_refused_with_its_row(bad):
    values = np.ones((5, 2))
    values[3, 1] = bad
    with pytest.raises(UsageError, match=r"x must be finite, .* 1 of 5 rows, row 3 first"):
        tensor("x", values)


def test_no_rows_are_refused():
    with pytest.raises(UsageError, match=r"at least one row, got shape \(0, 3\)"):
        tensor("x", np.ones((0, 3)))


@pytest.mark.parametrize(
    ("labels", "classes", "said"),
    [
        ([0, 0, 0], None, "at least two classes, got only class 0"),
        ([1, 2, 1], None, r"only 2 classes of 0\.\.2"),
        ([-1, 0, 1], None, r"0\.\.C-1, got -1 to 1"),
        ([0, 1, 3], 3, r"0\.\.3-1, got 0 to 3"),
        ([0.0, 1.0, 2.0], None, "must be 3 integers"),
        ([True, False, True], None, "must be 3 integers"),
        ([0, 1], None, "must be 3 integers"),
    ],
)
def test_labels_are_refused_that_name_no_classes(labels, classes, said):
    with pytest.raises(UsageError, match=said):
        class_labels(labels, rows=3, classes=classes)


def test_a_class_may_be_absent_where_their_number_is_known():
    assert class_labels(np.array([0, 2, 2]), rows=3, classes=4).tolist() == [0, 2, 2]
