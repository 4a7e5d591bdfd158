"""Equal to pytorch-ood 0.4 where the definitions agree, and as far from it as the docs say."""

import math

import pytest
import torch
from torch import nn

from limen.ood import scores as ours

theirs = pytest.importorskip("pytorch_ood.detector")

ROWS, WIDTH, CLASSES = 300, 24, 5
draw = torch.Generator().manual_seed(0)
HEAD = nn.Linear(WIDTH, CLASSES).requires_grad_(False)
HEAD.weight.copy_(torch.randn(CLASSES, WIDTH, generator=draw))
HEAD.bias.copy_(torch.randn(CLASSES, generator=draw))
WEIGHT, BIAS = HEAD.weight.clone(), HEAD.bias.clone()
LABELS = torch.arange(ROWS) % CLASSES
TRAIN = (torch.randn(ROWS, WIDTH, generator=draw) + 0.8 * WEIGHT[LABELS]).relu()
TEST = torch.cat([TRAIN[:20] + 0.1, 2 * torch.randn(40, WIDTH, generator=draw).relu()])
TRAIN_LOGITS, LOGITS = HEAD(TRAIN), HEAD(TEST)


def maps(features):
    return features[:, :, None, None]


def head_of_maps(found):
    return HEAD(found.flatten(1))


def same(one, other, *, times=1.0):
    """To 1e-5 of the largest score: they sum in float32."""
    other = other.double() * times
    worst = (one.double() - other).abs().max() / other.abs().max()
    assert worst < 1e-5


@pytest.mark.parametrize("temperature", [1.0, 20.0])
def test_msp(temperature):
    peer = theirs.MaxSoftmax(None, t=temperature).predict_logits(LOGITS)
    same(ours.msp(LOGITS, temperature=temperature), peer)


def test_max_logit():
    same(ours.max_logit(LOGITS), theirs.MaxLogit(None).predict_logits(LOGITS))


@pytest.mark.parametrize("temperature", [1.0, 20.0])
def test_energy(temperature):
    peer = theirs.EnergyBased(None, t=temperature).predict_logits(LOGITS)
    same(ours.energy(LOGITS, temperature=temperature), peer)


def test_entropy():
    same(ours.entropy(LOGITS), theirs.Entropy(None).predict_logits(LOGITS))


@pytest.mark.parametrize(("gamma", "top"), [(0.1, 100), (0.5, 3)])
def test_gen_is_their_mean_times_the_number_of_classes(gamma, top):
    mild = LOGITS / 5  # they clamp probabilities to 1e-7 and above
    peer = theirs.GEN(None, gamma=gamma, M=top).predict_logits(mild)
    same(ours.GEN(gamma=gamma, top=top)(mild), peer, times=min(top, CLASSES))


def test_kl_matching():
    peer = theirs.KLMatching(None).fit_logits(TRAIN_LOGITS).predict_logits(LOGITS)
    same(ours.KLMatching().fit(TRAIN_LOGITS)(LOGITS), peer)


def test_temperature_scaling_is_no_less_likely_than_theirs():
    wrong = LABELS.roll(1).where(torch.arange(ROWS) < 60, LABELS)
    peer = theirs.TemperatureScaling(None).fit_logits(TRAIN_LOGITS, wrong)
    found = ours.TemperatureScaling().fit(TRAIN_LOGITS, wrong)

    def nll(t):
        return nn.functional.cross_entropy(TRAIN_LOGITS.double() / t, wrong).item()

    assert nll(found.temperature) <= nll(peer.t.item())
    same(ours.msp(LOGITS, temperature=peer.t.item()), peer.predict_logits(LOGITS))


def test_mahalanobis_is_twice_theirs_times_the_rows():
    peer = theirs.Mahalanobis(None).fit_features(TRAIN.double(), LABELS)
    found = ours.Mahalanobis(ridge=0.0).fit(TRAIN, LABELS)
    same(found(TEST), peer.predict_features(TEST), times=2 * ROWS)


def test_relative_mahalanobis_is_theirs_times_the_rows():
    peer = theirs.RMD(None).fit_features(TRAIN.double(), LABELS)
    found = ours.RelativeMahalanobis(ridge=0.0).fit(TRAIN, LABELS)
    same(found(TEST), peer.predict_features(TEST), times=ROWS)


@pytest.mark.parametrize("k", [1, 10])
@pytest.mark.parametrize("normalise", [True, False])
def test_knn(k, normalise):
    pytest.importorskip("sklearn")
    peer = theirs.KNN(None, k=k, normalize=normalise).fit_features(TRAIN, LABELS)
    found = ours.KNN(k=k, normalise=normalise).fit(TRAIN)
    same(found(TEST), peer.predict_features(TEST))


def test_vim():
    peer = theirs.ViM(None, d=10, w=WEIGHT, b=BIAS).fit_features(TRAIN, LABELS)
    found = ours.ViM(dim=10).fit(TRAIN, WEIGHT, BIAS)
    assert math.isclose(found.alpha, peer.alpha, rel_tol=1e-5)
    same(found(TEST, LOGITS), peer.predict_features(TEST))


def test_nn_guide():
    peer = theirs.NNGuide(None, HEAD, k=7).fit_features(TRAIN, LABELS)
    same(ours.NNGuide(k=7).fit(TRAIN, TRAIN_LOGITS)(TEST, LOGITS), peer.predict_features(TEST))


def test_she():
    peer = theirs.SHE(None, HEAD).fit_features(TRAIN, LABELS)
    found = ours.SHE().fit(TRAIN, TRAIN_LOGITS, LABELS)
    same(found(TEST, LOGITS), peer.predict_features(TEST))


def test_fdbd():
    peer = theirs.fDBD(None, HEAD).fit_features(TRAIN)
    same(ours.FDBD().fit(TRAIN, WEIGHT)(TEST, LOGITS), peer.predict_features(TEST))


@pytest.mark.parametrize("alpha", [0.0, 0.01])
def test_nci(alpha):
    peer = theirs.NCI(None, HEAD, alpha=alpha).fit_features(TRAIN)
    same(ours.NCI(alpha=alpha).fit(TRAIN, WEIGHT)(TEST, LOGITS), peer.predict_features(TEST))


@pytest.mark.parametrize("percent", [50, 90])
def test_react(percent):
    peer = theirs.ReAct(None, head_of_maps, percentile=percent / 100)
    peer.fit_feature_maps(maps(TRAIN), LABELS)
    found = ours.ReAct(percentile=percent).fit(TRAIN, WEIGHT, BIAS)
    same(found(TEST), peer.predict_feature_maps(maps(TEST)))


@pytest.mark.parametrize("variant", ["p", "b", "s"])
@pytest.mark.parametrize("percent", [50, 80])
def test_ash(variant, percent):
    peer = theirs.ASH(None, head_of_maps, variant=f"ash-{variant}", percentile=percent / 100)
    found = ours.ASH(variant=variant, percentile=percent).fit(WEIGHT, BIAS)
    same(found(TEST), peer.predict_feature_maps(maps(TEST)))


def test_scale():
    peer = theirs.SCALE(None, head_of_maps, percentile=0.85)
    found = ours.SCALE(percentile=85).fit(WEIGHT, BIAS)
    same(found(TEST), peer.predict_feature_maps(maps(TEST)))


@pytest.mark.parametrize("percent", [50, 90])
def test_dice(percent):
    peer = theirs.DICE(None, WEIGHT, BIAS, p=percent / 100).fit_features(TRAIN, LABELS)
    found = ours.DICE(percentile=percent).fit(TRAIN, WEIGHT, BIAS)
    same(found(TEST), peer.predict_features(TEST))


@pytest.mark.parametrize("temperature", [1.0, 10.0])
def test_grad_norm_is_theirs_of_the_last_weight(temperature):
    peer = theirs.GradNorm(HEAD, lambda name: name == "weight", temperature=temperature)
    same(ours.GradNorm(temperature=temperature)(TEST, LOGITS), peer.to("cpu").predict(TEST))


def test_mcm():
    peer = theirs.MCM(None, WEIGHT, temperature=0.5).predict_features(TEST)
    cosines = nn.functional.normalize(TEST) @ nn.functional.normalize(WEIGHT).T
    same(ours.MCM(temperature=0.5)(cosines), peer)


@pytest.mark.parametrize("std", [None, (0.5, 2.0)])
def test_odin(std):
    draw = torch.Generator().manual_seed(1)
    images = torch.randn(8, 2, 4, 4, generator=draw)
    model = nn.Sequential(nn.Flatten(), nn.Linear(32, 16), nn.Tanh(), nn.Linear(16, 3))
    options = {"temperature": 10.0}
    peer = theirs.ODIN(model, eps=0.02, norm_std=std and list(std), **options)(images)
    same(ours.ODIN(epsilon=0.02, std=std, **options)(model, images), peer)


def test_gram_by_the_ranges_of_their_classes():
    """They take ranges by label, limen by prediction: equal where all are predicted right."""
    layers = [nn.Conv1d(2, 3, 1), nn.Tanh()]
    for layer in layers:
        layer.requires_grad_(False)
    draw = torch.Generator().manual_seed(2)
    labels = torch.arange(60) % 2
    train = torch.randn(60, 2, 5, generator=draw)
    test = 2 * torch.randn(20, 2, 5, generator=draw)
    right = {id(train): nn.functional.one_hot(labels).float()}
    logits = nn.functional.one_hot(torch.arange(20) % 2).float()

    class TellsLabels(nn.Module):
        def forward(self, found):
            return logits if len(found) == len(logits) else right[id(train)]

    peer = theirs.Gram(TellsLabels(), layers, 2, [1, 2]).to("cpu")
    peer.validation_fraction = 0.0
    peer.fit([(train, labels)])

    def grams(found):
        first = layers[0](found)
        return torch.cat(
            [peer._gram_vector(m, p) for m in (first, layers[1](first)) for p in (1, 2)], 1
        )

    found = ours.Gram(held_out=0.0).fit(right[id(train)], grams(train), [6, 6])
    same(found(logits, grams(test)), peer.predict(test))
