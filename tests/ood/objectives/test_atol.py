import copy
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from outlier_toys import CLASSES, WIDTH, batch, net, rows, trained
from torch import nn
from torch.nn.functional import cross_entropy

from limen import Loop, Weighted, fit
from limen._core.errors import UsageError
from limen._core.streams import torch_stream
from limen.bank.network import Seen
from limen.ood.objectives.atol import ATOL
from limen.ood.objectives.losses import oe, supcon
from limen.ood.pairs import pairs
from limen.ood.seen import View
from limen.ood.step import PairedRows, Step
from limen.ood.synth.gan import Generator
from limen.ood.synth.latents import Latents
from limen.ood.synth.pca import PCAGenerator


def atol(**options) -> ATOL:
    inputs, labels = rows(60)
    generator = PCAGenerator.fit(inputs, width=4)
    latents = Latents.anchored(generator.encode(inputs), labels, spread=0.1)
    return ATOL(generator, latents, **options)


def alone(seed: int = 0) -> PairedRows:
    return batch(seed=seed)._replace(outliers=None)


def view(model: nn.Module, *, step: int = 0) -> View:
    given = alone()
    layer = [m for m in model.modules() if isinstance(m, nn.Linear)][-1]
    seen = View(
        model, layer, given.inputs, given.labels,
        inlier=Seen(torch.zeros(1, 1), torch.zeros(1, 1)), step=step,
    )  # fmt: skip
    return replace(seen, inlier=seen.forward(given.inputs))


def test_without_any_outliers_it_learns_to_be_unsure_of_real_ones():
    told = []
    for objective in (None, atol()):
        model = net(norm="layer")
        trained(model, Step(objective), [alone()], steps=20)
        with torch.no_grad():
            told.append(oe(model(batch(seed=7).outliers)).item())
    plain, learnt = told
    assert learnt < plain


def test_auxiliary_outliers_keep_the_margin_and_inliers_stay_within_theirs():
    objective = atol()
    latents, stream = objective.latents, torch_stream(0)
    labels = rows(90)[1]
    outside, inside = (
        latents.outliers(500, stream=stream).rows,
        latents.inliers(labels, stream=stream),
    )
    assert (latents.distances(outside) > latents.reach).all()
    assert (latents.distances(inside).gather(1, labels[:, None]) <= latents.reach).all()


@pytest.mark.parametrize(("mode", "away"), [("shared", 0), ("official", 1000)])
def test_the_alignment_is_supcon_with_shared_or_disjoint_labels(mode, away):
    seen = view(net(norm="layer"))
    objective = atol(label_mode=mode)
    made = seen.forward(
        objective.generated(seen.labels, step=seen.step, seed=seen.seed)[0][: len(seen.labels)]
    )
    wanted = supcon(
        torch.cat([seen.inlier.features, made.features]),
        torch.cat([seen.labels, seen.labels + away]),
    )
    assert objective(seen)["align"].item() == pytest.approx(wanted.item(), rel=1e-5)


def test_the_released_alignment_prefers_domains_apart_and_the_shared_one_together():
    labels = torch.arange(3).repeat(2)
    eye = torch.eye(6)
    together, apart = eye[labels], torch.cat([eye[:3], eye[3:]])
    shifted = torch.cat([labels[:3], labels[3:] - 3])
    assert supcon(together, labels) < supcon(apart, labels)
    assert supcon(together, shifted) >= supcon(apart, shifted)


def test_official_mode_brings_the_released_labels_smoothing_and_redraws():
    seen, official = view(net(norm="layer")), atol(mode="official")
    apart = atol(label_mode="official", smoothing=0.5)
    assert official(seen)["align"] == apart(seen)["align"]
    assert official(seen)["inlier"] == apart(seen)["inlier"]
    assert official(seen)["align"] != atol()(seen)["align"]
    assert atol(mode="official", label_mode="off").labelling == "off"


@pytest.mark.parametrize(("mode", "redrawn"), [("aligned", {0, 1, 2, 3}), ("official", {0, 2})])
def test_official_mode_draws_outliers_once_an_epoch_and_the_default_each_batch(mode, redrawn):
    rows, labels = alone().inputs[:8], torch.arange(8) % CLASSES
    batches, step = pairs((rows, labels), batch=4), Step(atol(mode=mode, inliers=False), seed=3)
    model = net(norm="layer")
    step.prepare(model, batches)
    made: list[torch.Tensor] = []
    model.register_forward_hook(lambda _, given, __: made.append(given[0][4:].clone()))
    for number in range(4):
        step(model, batches[number])
    new = {n for n in range(4) if n == 0 or not torch.equal(made[n], made[n - 1])}
    assert new == redrawn


def test_inliers_share_one_mean_of_real_and_auxiliary_rows():
    seen, objective = view(net(norm="layer")), atol(smoothing=0.5)
    count = len(seen.labels)
    made = seen.forward(objective.generated(seen.labels, step=seen.step, seed=seen.seed)[0])
    losses = objective(seen)
    logits = torch.cat([seen.inlier.logits, made.logits[:count]])
    soft = 0.5 * torch.eye(CLASSES)[seen.labels.repeat(2)] + 0.5 / CLASSES
    assert losses["inlier"].item() == pytest.approx(cross_entropy(logits, soft).item(), rel=1e-5)
    assert losses["outlier"].item() == pytest.approx(oe(made.logits[count:]).item(), rel=1e-5)


def test_bare_it_is_outlier_exposure_on_generated_outliers():
    objective, seen = atol(label_mode="off", inliers=False), view(net(norm="layer"))
    losses = objective(seen)
    assert losses.keys() == {"inlier", "outlier", "kept"}
    plain = oe(
        seen.forward(objective.generated(seen.labels, step=seen.step, seed=seen.seed)[0]).logits
    )
    assert losses["outlier"].item() == pytest.approx(plain.item(), rel=1e-6)
    wanted = cross_entropy(seen.inlier.logits, seen.labels)
    assert losses["inlier"].item() == pytest.approx(wanted.item(), rel=1e-6)


def test_every_row_passes_the_network_once():
    model, passed = net(), []
    model.register_forward_hook(lambda _, given, __: passed.append(len(given[0])))
    Step(atol(ratio=4.0))(model, alone())
    assert passed == [24 + 24 + 96]


def test_a_networks_weights_statistics_and_mode_are_left_alone():
    maker = Generator(4, side=8, channels=1, width=2).train()
    before = copy.deepcopy(maker.state_dict())
    flat = nn.Sequential(maker, nn.Flatten(), nn.Linear(64, WIDTH)).train()
    trained(net(), Step(replace(atol(), generator=flat)), [alone()], steps=2)
    assert all(torch.equal(before[name], value) for name, value in maker.state_dict().items())
    assert all(p.grad is None for p in flat.parameters())
    assert all(module.training for module in flat.modules())


def test_a_networks_rows_do_not_depend_on_their_batch():
    maker = nn.Sequential(Generator(4, side=8, channels=1, width=2), nn.Flatten(), nn.Linear(64, 6))
    seen = view(net())
    few, many = (
        replace(atol(), generator=maker, inliers=False, ratio=ratio).generated(
            seen.labels, step=seen.step, seed=seen.seed
        )[0]
        for ratio in (1.0, 1.5)
    )
    assert len(few) < len(many)
    assert torch.allclose(few[0], many[0], atol=1e-5)


@pytest.mark.parametrize(
    ("resample", "changes"), [(1, [True, True, True]), (2, [False, True, False])]
)
def test_outliers_are_drawn_anew_as_often_as_asked(resample, changes):
    objective, labels = atol(resample=resample), alone().labels
    drawn = [objective.generated(labels, step=step, seed=0)[0][24:] for step in range(4)]
    found = [not torch.equal(a, b) for a, b in pairwise(drawn)]
    assert found == changes


def test_it_works_in_feature_space():
    model = net()
    features = view(model).inlier.features.detach()
    generator = PCAGenerator.fit(features, width=3, space="features")
    latents = Latents.anchored(generator.encode(features), view(model).labels, spread=0.05)
    passed = []
    model.register_forward_hook(lambda _, given, __: passed.append(len(given[0])))
    losses = Step(ATOL(generator, latents))(model, alone())
    assert passed == [24]
    assert losses["outlier"].requires_grad


def test_the_combine_weighs_the_alignment():
    model = net()
    state = fit(
        model, Step(atol()), [alone()], steps=1,
        optimizer=torch.optim.SGD(model.parameters(), 0.1),
        combine=Weighted(align=5.0), loop=Loop(label=""),
    )  # fmt: skip
    assert 0 < state.values["kept"] <= 1


def test_too_few_means_or_regions_that_fill_the_cube_are_refused():
    few = Latents(torch.zeros(2, 4), spread=0.1)
    with pytest.raises(UsageError, match="a mean for each of 3 classes"):
        replace(atol(), latents=few)(view(net()))
    full = Latents(torch.zeros(3, 2), spread=2.0, half_width=1.0)
    with pytest.raises(UsageError, match="too small to draw from"):
        replace(atol(), latents=full).begin(net())


@pytest.mark.parametrize("changed", [{"ratio": 0.0}, {"resample": 0}, {"smoothing": 1.0}])
def test_settings_out_of_range_are_refused(changed):
    with pytest.raises(UsageError):
        atol(**changed)


@pytest.mark.parametrize(
    ("bn", "sizes"), [("joint", [144]), ("frozen", [144]), ("id_stats", [120, 24])]
)
def test_generated_rows_share_the_inliers_pass_unless_statistics_are_apart(bn, sizes):
    model, passed = net(), []
    model.register_forward_hook(lambda _, given, __: passed.append(len(given[0])))
    Step(atol(ratio=4.0), bn=bn)(model, alone())
    assert passed == sizes


def test_joint_statistics_are_those_of_real_and_generated_rows_together():
    model, objective = net(), atol(ratio=4.0)
    given = alone()
    made, _ = objective.generated(given.labels, step=0, seed=0)
    expected = copy.deepcopy(model)
    logits = expected(torch.cat([given.inputs, made]))
    losses = Step(objective)(model, given)
    assert losses["outlier"].item() == pytest.approx(oe(logits[48:]).item(), rel=1e-6)
    assert all(
        torch.equal(mine, theirs)
        for mine, theirs in zip(model.buffers(), expected.buffers(), strict=True)
    )


def test_the_share_of_draws_that_were_kept_is_told_after_a_joined_pass():
    losses = Step(atol())(net(), alone())
    assert 0 < float(losses["kept"]) <= 1
