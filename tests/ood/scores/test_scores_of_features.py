"""Scores of features: equal to slow obvious versions, and invariant to what they should be."""

import numpy as np
import pytest
import torch
from torch.nn.functional import log_softmax
from toy_outputs import BIAS, CLASSES, WEIGHT, WIDTH, inliers, outliers

from limen._core.errors import UsageError
from limen.ood.scores import (
    ASH,
    DICE,
    FDBD,
    KNN,
    NCI,
    SCALE,
    SHE,
    VRA,
    GradNorm,
    Gram,
    HullDistance,
    Mahalanobis,
    NNGuide,
    ReAct,
    RelativeMahalanobis,
    Residual,
    ViM,
    energy,
    nearest,
)
from limen.ood.scores.head import head
from limen.ood.scores.nearest import best, smallest
from limen.ood.scores.percentile import percentile
from limen.ood.scores.residual import usual_dim

TRAIN, TEST = inliers(dtype=np.float64), outliers(dtype=np.float64)
X, Y, T = TRAIN.features, TRAIN.labels, TEST.features
W, B = WEIGHT.astype(np.float64), BIAS.astype(np.float64)
MEANS = np.stack([X[c == Y].mean(0) for c in range(CLASSES)])
WITHIN = sum((X[c == Y] - MEANS[c]).T @ (X[c == Y] - MEANS[c]) for c in range(CLASSES)) / len(X)


def squared(x, mean, covariance):
    inverse = np.linalg.inv(covariance)
    return np.array([(row - mean) @ inverse @ (row - mean) for row in x])


def slow_mahalanobis(x):
    return np.min([squared(x, mean, WITHIN) for mean in MEANS], axis=0)


def slow_energy(features):
    return -np.log(np.exp(features @ W.T + B).sum(1))


def test_mahalanobis_is_the_slow_minimum_over_classes():
    np.testing.assert_allclose(Mahalanobis(ridge=0.0).fit(X, Y)(T), slow_mahalanobis(T), rtol=1e-9)


def test_relative_mahalanobis_takes_the_background_off():
    background = squared(T, X.mean(0), np.cov(X.T, bias=True))
    slow = slow_mahalanobis(T) - background
    np.testing.assert_allclose(RelativeMahalanobis(ridge=0.0).fit(X, Y)(T), slow, rtol=1e-9)


def turned(seed=0):
    return np.random.default_rng(seed).normal(size=(WIDTH, WIDTH))


@pytest.mark.parametrize("kind", [Mahalanobis, RelativeMahalanobis])
def test_mahalanobis_does_not_see_an_affine_map_of_the_features(kind):
    turn, shift = turned(), np.arange(WIDTH)
    mapped = kind(ridge=0.0).fit(X @ turn + shift, Y)(T @ turn + shift)
    np.testing.assert_allclose(mapped, kind(ridge=0.0).fit(X, Y)(T), rtol=1e-6)


def test_mahalanobis_does_not_see_the_names_of_the_classes():
    renamed = Mahalanobis().fit(X, np.array([2, 0, 1])[Y])
    np.testing.assert_allclose(renamed(T), Mahalanobis().fit(X, Y)(T), rtol=1e-9)


def test_a_feature_that_never_varied_is_far_and_finite_when_it_fires():
    dead = np.concatenate([X, np.zeros((len(X), 1))], 1)
    score = Mahalanobis().fit(dead, Y)
    still = score(np.concatenate([T, np.zeros((len(T), 1))], 1))
    fired = score(np.concatenate([T, np.ones((len(T), 1))], 1))
    np.testing.assert_allclose(still, Mahalanobis().fit(X, Y)(T), rtol=1e-4)  # another ridge
    assert np.isfinite(fired).all()
    assert (fired > still + 1e5).all()


def test_a_singular_covariance_without_a_ridge_is_refused():
    dead = np.concatenate([X, np.zeros((len(X), 1))], 1)
    with pytest.raises(UsageError, match=r"full rank when ridge=0\.0"):
        Mahalanobis(ridge=0.0).fit(dead, Y)


@pytest.mark.parametrize("engine", ["blocks", "faiss"])
@pytest.mark.parametrize("k", [1, 7, 90])
def test_knn_is_the_slow_kth_distance(engine, k):
    pytest.importorskip("faiss") if engine == "faiss" else None
    x, t = (m / np.linalg.norm(m, axis=1, keepdims=True) for m in (X, T))
    slow = np.sort(np.linalg.norm(t[:, None] - x, axis=2))[:, k - 1]
    found = KNN(k=k, engine=engine).fit(X.astype(np.float32))(T.astype(np.float32))
    np.testing.assert_allclose(found, slow, rtol=1e-6)


def test_knn_sees_directions_unless_told_otherwise():
    np.testing.assert_allclose(KNN(k=3).fit(X)(5 * T), KNN(k=3).fit(X)(T), rtol=1e-12)
    assert (KNN(k=3, normalise=False).fit(X)(5 * T) > KNN(k=3, normalise=False).fit(X)(T)).all()


def test_knn_tells_a_tiny_distance_from_none():
    points = np.ones((20, 8), dtype=np.float32)
    points[:, 0] += np.linspace(0, 1e-3, 20, dtype=np.float32)
    slow = np.sort(np.abs(points[:, None, 0] - points[:, 0]))[:, 1]
    found = KNN(k=2, normalise=False).fit(points)(points)
    np.testing.assert_allclose(found, slow, rtol=1e-3)


def test_knn_rises_with_k():
    found = [KNN(k=k).fit(X)(T) for k in (1, 5, 20)]
    assert (found[0] <= found[1]).all()
    assert (found[1] <= found[2]).all()


@pytest.mark.parametrize("width", [5, 640, 1000, 4096])
@pytest.mark.parametrize("k", [1, 3])
def test_the_smallest_by_groups_are_the_smallest(width, k):
    values = torch.randn(6, width, generator=torch.Generator().manual_seed(width))
    found, columns = smallest(values, k)
    torch.testing.assert_close(found, values.sort(1).values[:, :k], rtol=0, atol=0)
    torch.testing.assert_close(values.gather(1, columns), found, rtol=0, atol=0)


@pytest.mark.parametrize("columns", [7, 64, 1000])
def test_blocks_of_points_and_queries_do_not_matter(monkeypatch, columns):
    draw = torch.Generator().manual_seed(0)
    queries, points = torch.randn(10, 4, generator=draw), torch.randn(150, 4, generator=draw)
    offset = torch.rand(150, generator=draw)
    values, at = best(queries, points, offset, k=9)
    monkeypatch.setattr(nearest, "ROWS", 3)
    monkeypatch.setattr(nearest, "COLUMNS", columns)
    again, there = best(queries, points, offset, k=9)
    torch.testing.assert_close(again, values)
    torch.testing.assert_close(there, at)
    torch.testing.assert_close(values, (offset - queries @ points.T).sort(1).values[:, :9])


def test_the_smallest_by_groups_with_ties_are_as_many():
    values = torch.randint(0, 2, (4, 3000), generator=torch.Generator().manual_seed(0)).float()
    found, columns = smallest(values, 9)
    assert (found == 0).all()
    assert all(len(set(row)) == 9 for row in columns.tolist())


def test_the_residual_is_what_the_principal_directions_leave():
    origin = -np.linalg.pinv(W) @ B
    _, vectors = np.linalg.eigh((X - origin).T @ (X - origin))
    main = vectors[:, -4:]
    slow = [np.linalg.norm((row - origin) - main @ main.T @ (row - origin)) for row in T]
    np.testing.assert_allclose(Residual(dim=4).fit(X, W, B)(T), slow, rtol=1e-9)


def test_vim_makes_the_virtual_logit_as_large_as_the_largest_on_the_training_set():
    score = ViM(dim=4).fit(X, W, B)
    virtual = score(X, TRAIN.logits) - energy(TRAIN.logits)
    assert virtual.mean() == pytest.approx(TRAIN.logits.max(1).mean(), rel=1e-9)


def test_the_principal_space_has_the_usual_size():
    sizes = {64: 32, 767: 383, 768: 512, 1499: 512, 1500: 1000, 2048: 1000}
    assert {width: usual_dim(width) for width in sizes} == sizes
    assert Residual().fit(X, W, B).rest.shape == (WIDTH, WIDTH // 2)


def test_fdbd_is_the_slow_mean_over_boundaries():
    slow = []
    for row, z in zip(T, TEST.logits, strict=True):
        y = z.argmax()
        gaps = [(z[y] - z[c]) / np.linalg.norm(W[y] - W[c]) for c in range(CLASSES) if c != y]
        slow.append(-np.mean(gaps) / np.linalg.norm(row - X.mean(0)))
    np.testing.assert_allclose(FDBD().fit(X, W)(T, TEST.logits), slow, rtol=1e-9)


def test_classes_with_equal_weights_have_no_boundary():
    score = FDBD().fit(X, np.concatenate([W, W[:1]]))
    assert np.isfinite(score(T, np.concatenate([TEST.logits, TEST.logits[:, :1]], 1))).all()


def test_nci_does_not_see_the_length_of_the_centred_feature():
    score, mean = NCI().fit(X, W), X.mean(0)
    near = score(mean + 0.5 * (T - mean), TEST.logits)
    np.testing.assert_allclose(near, score(T, TEST.logits), rtol=1e-9)


def test_nci_rewards_size_by_alpha():
    gap = NCI(alpha=0.2).fit(X, W)(T, TEST.logits) - NCI().fit(X, W)(T, TEST.logits)
    np.testing.assert_allclose(gap, -0.2 * np.abs(T).sum(1), rtol=1e-9)


def test_she_averages_only_rows_that_are_predicted_right():
    right = TRAIN.logits.argmax(1) == Y
    assert not right.all()
    patterns = [X[right & (c == Y)].mean(0) for c in range(CLASSES)]
    slow = [-row @ patterns[z.argmax()] for row, z in zip(T, TEST.logits, strict=True)]
    np.testing.assert_allclose(SHE().fit(X, TRAIN.logits, Y)(T, TEST.logits), slow, rtol=1e-9)


def test_she_refuses_a_class_that_is_never_predicted_right():
    logits = TRAIN.logits.copy()
    logits[Y == 2] = [9.0, 0.0, 0.0]
    with pytest.raises(UsageError, match=r"predicted right, 1 of 3 have none, such as \[2\]"):
        SHE().fit(X, logits, Y)


def test_nn_guide_is_the_slow_product():
    def unit(m):
        return m / np.linalg.norm(m, axis=1, keepdims=True)

    bank = unit(X) * -energy(TRAIN.logits)[:, None]
    guidance = np.sort(unit(T) @ bank.T)[:, -4:].mean(1)
    found = NNGuide(k=4).fit(X, TRAIN.logits)(T, TEST.logits)
    np.testing.assert_allclose(found, guidance * energy(TEST.logits), rtol=1e-9)


def test_grad_norm_is_the_norm_of_the_gradient():
    slow = []
    for row in torch.from_numpy(T[:6]):
        weight = torch.from_numpy(W).requires_grad_()
        z = weight @ row + torch.from_numpy(B)
        loss = -log_softmax(z / 2.0, 0).mean()
        slow.append(-torch.autograd.grad(loss, weight)[0].abs().sum().item())
    found = GradNorm(temperature=2.0)(T[:6], TEST.logits[:6])
    np.testing.assert_allclose(found, slow, rtol=1e-9)


def test_react_clips_at_the_percentile_of_all_activations():
    clip = np.percentile(X, 80)
    found = ReAct(percentile=80).fit(X, W, B)(T)
    np.testing.assert_allclose(found, slow_energy(np.minimum(T, clip)), rtol=1e-9)


def test_shaping_that_shapes_nothing_leaves_the_energy():
    plain = slow_energy(T)
    for score in (ReAct(percentile=100), VRA(lower=0, upper=100)):
        np.testing.assert_allclose(score.fit(X, W, B)(T), plain, rtol=1e-9)
    np.testing.assert_allclose(ASH(variant="p", percentile=0).fit(W, B)(T), plain, rtol=1e-9)


@pytest.mark.parametrize("shift", [0.0, 0.3])
def test_vra_is_the_slow_rectification(shift):
    low, high = np.percentile(X, 60), np.percentile(X, 95)

    def rectified(v):
        return 0.0 if v < low else high if v > high else v + shift

    slow = slow_energy(np.vectorize(rectified, otypes=[float])(T))
    found = VRA(lower=60, upper=95, shift=shift).fit(X, W, B)(T)
    np.testing.assert_allclose(found, slow, rtol=1e-9)


@pytest.mark.parametrize("variant", ["p", "b", "s"])
def test_ash_is_the_slow_shaping_of_each_row(variant):
    shaped = np.zeros_like(T)
    for row, out in zip(T, shaped, strict=True):
        keep = np.argsort(row)[-3:]  # a quarter of 12
        factor = np.exp(row.sum() / row[keep].sum()) if variant == "s" else 1.0
        out[keep] = row.sum() / 3 if variant == "b" else factor * row[keep]
    found = ASH(variant=variant, percentile=75).fit(W, B)(T)
    np.testing.assert_allclose(found, slow_energy(shaped), rtol=1e-9)


def test_scale_is_the_slow_scaling_of_each_row():
    ratio = T.sum(1) / np.sort(T)[:, -3:].sum(1)
    found = SCALE(percentile=75).fit(W, None)(T)
    slow = -np.log(np.exp(np.exp(ratio)[:, None] * T @ W.T).sum(1))
    np.testing.assert_allclose(found, slow, rtol=1e-9)


@pytest.mark.parametrize("score", [SCALE(), ASH(variant="s")])
def test_scaling_refuses_features_that_are_no_activations(score):
    with pytest.raises(UsageError, match="sum to more than 0"):
        score.fit(W, B)(-np.abs(T))


@pytest.mark.parametrize("score", [SCALE(), ASH(variant="s"), ASH(variant="b")])
def test_an_input_that_fires_nothing_has_the_energy_of_the_bias(score):
    found = score.fit(W, B)(np.zeros((1, WIDTH)))
    np.testing.assert_allclose(found, -np.log(np.exp(B).sum()), rtol=1e-9)


def test_dice_keeps_the_weights_that_contribute_most():
    contribution = W * X.mean(0)
    kept = np.where(contribution > np.percentile(contribution, 95), W, 0.0)
    found = DICE(percentile=95).fit(X, W, B)(T)
    np.testing.assert_allclose(found, -np.log(np.exp(T @ kept.T + B).sum(1)), rtol=1e-9)


@pytest.mark.parametrize("percent", [0, 12.5, 50, 99.9, 100])
def test_a_percentile_is_numpys(percent):
    values = np.random.default_rng(0).normal(size=(7, 11))
    found = percentile(torch.from_numpy(values), percent)
    assert found == pytest.approx(np.percentile(values, percent), rel=1e-12)


def test_a_head_of_another_width_is_refused():
    with pytest.raises(UsageError, match="a column for each of the 12 features, got 11"):
        head(W[:, 1:], B, width=WIDTH)
    with pytest.raises(UsageError, match=r"bias \(classes,\), got \(3, 12\) and \(2,\)"):
        head(W, B[1:])


def test_the_head_is_kept_as_it_was_when_fitted():
    weight = W.copy()
    score = ASH().fit(weight, B)
    before = score(T)
    weight += 1
    np.testing.assert_array_equal(score(T), before)


def test_gram_is_zero_on_the_rows_that_set_the_ranges():
    score = Gram(held_out=0.0).fit(TRAIN.logits, TRAIN.grams)
    np.testing.assert_array_equal(score(TRAIN.logits, TRAIN.grams), 0.0)


def test_gram_is_the_slow_sum_over_layers():
    layers, guess = [5, 7], TRAIN.logits.argmax(1)
    score = Gram(held_out=0.0).fit(TRAIN.logits, TRAIN.grams, layers)
    slow = []
    for z, row in zip(TEST.logits, TEST.grams, strict=True):
        own = TRAIN.grams[guess == z.argmax()]
        low, high = own.min(0), own.max(0)
        below, above = np.maximum(low - row, 0), np.maximum(row - high, 0)
        slow.append((below / (abs(low) + 1e-6) + above / (abs(high) + 1e-6)).sum())
    np.testing.assert_allclose(score(TEST.logits, TEST.grams), slow, rtol=1e-9)


def test_gram_layers_count_alike_however_large_their_deviations():
    grams = np.concatenate([TRAIN.grams, TRAIN.grams], 1)
    twice = Gram(seed=1).fit(TRAIN.logits, grams, [WIDTH, WIDTH])
    once = Gram(seed=1).fit(TRAIN.logits, TRAIN.grams)
    assert once.expected.item() != 1
    found = twice(TEST.logits, np.concatenate([TEST.grams, TEST.grams], 1))
    np.testing.assert_allclose(found, 2 * once(TEST.logits, TEST.grams), rtol=1e-9)


def test_gram_holds_rows_of_each_class_out_and_repeats_itself():
    one = Gram(held_out=0.2).fit(TRAIN.logits, TRAIN.grams)
    two = Gram(held_out=0.2).fit(TRAIN.logits, TRAIN.grams)
    torch.testing.assert_close(one.expected, two.expected, rtol=0, atol=0)
    assert (one.high <= Gram(held_out=0.0).fit(TRAIN.logits, TRAIN.grams).high).all()


def test_gram_refuses_layers_that_do_not_add_up():
    with pytest.raises(UsageError, match=r"layers=\[5, 5\] must add up to the 12"):
        Gram().fit(TRAIN.logits, TRAIN.grams, [5, 5])


def test_hull_distance_is_zero_for_mixtures_of_training_rows():
    weights = np.random.default_rng(0).dirichlet(np.full(len(X), 0.05), 20)
    for score in (HullDistance(), HullDistance(dim=3), HullDistance(dim=None)):
        np.testing.assert_array_equal(score.fit(X)(weights @ X), 0.0)
    assert (HullDistance().fit(X)(T) > 0).all()


def test_the_hull_of_each_class_lies_in_the_hull_of_all():
    whole, parts = HullDistance().fit(X), HullDistance(per_class=True).fit(X, Y)
    assert (parts(T) >= whole(T) - 1e-9).all()
    between = 0.5 * (MEANS[:1] + MEANS[1:2])
    assert whole(between)[0] == 0 < parts(between)[0]


def test_a_hull_in_fewer_directions_is_nearer():
    assert (HullDistance(dim=4).fit(X)(T) <= HullDistance(dim=None).fit(X)(T) + 1e-9).all()


def test_hulls_of_classes_need_labels():
    with pytest.raises(UsageError, match="per_class=True needs labels"):
        HullDistance(per_class=True).fit(X)
    assert HullDistance(per_class=True).fits == ("features", "labels")
