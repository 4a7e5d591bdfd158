"""What every objective promises; new ones are found by `__all__`."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from outlier_toys import batch, net, rows, trained

import limen
from limen.ood import objectives
from limen.ood.step import Step
from limen.ood.synth.latents import Latents
from limen.ood.synth.pca import PCAGenerator
from limen.run.tree import read_tree, write_tree
from limen.train.losses import Back


def atol() -> objectives.ATOL:
    inputs, labels = rows()
    generator = PCAGenerator.fit(inputs, width=3)
    return objectives.ATOL(generator, Latents.anchored(generator.encode(inputs), labels))


# Settings for toys; an objective that is not named here must work by its defaults.
MADE: dict[str, Callable[[], Any]] = {
    "ATOL": atol,
    "EnergyMargin": lambda: objectives.EnergyMargin(m_in=-3.0, m_out=-1.0),
    "VOS": lambda: objectives.VOS(queue=4),
}
NAMES = objectives.__all__
ADDITIVE = [name for name in NAMES if getattr(getattr(objectives, name), "additive", True)]


def made(name: str) -> Any:
    return MADE.get(name, getattr(objectives, name))()


def toy(objective: Any) -> torch.nn.Module:
    return net(extra=getattr(objective, "extra_classes", 0))


@pytest.mark.parametrize("name", NAMES)
def test_the_losses_are_finite_and_one_is_called_outlier(name):
    objective = made(name)
    losses = Step(objective)(toy(objective), batch())
    assert {"inlier", "outlier"} <= losses.keys()
    for loss in losses.values():
        assert not isinstance(loss, torch.Tensor) or torch.isfinite(loss).all()


@pytest.mark.parametrize("name", NAMES)
def test_the_gradient_reaches_the_first_layer(name):
    objective = made(name)
    model, step = toy(objective), Step(objective)
    first = next(model.parameters()).detach().clone()
    limen.fit(
        model, step, [batch()], steps=2, optimizer=torch.optim.SGD(model.parameters(), 0.1),
        combine=limen.Weighted(inlier=0.0), loop=limen.Loop(label=""),
    )  # fmt: skip
    assert not torch.equal(first, next(model.parameters()))


@pytest.mark.parametrize("name", NAMES)
def test_five_steps_lower_the_training_loss(name):
    objective = made(name)
    history = trained(toy(objective), Step(objective), [batch()]).history
    total = [row["inlier"] + 0.5 * row["outlier"] for row in history]
    assert total[-1] < total[0]


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_trains_to_the_same_bits(name):
    objective = made(name)
    start = toy(objective)
    ends = [copy.deepcopy(start) for _ in range(2)]
    for model in ends:
        trained(model, Step(objective, seed=3), [batch()])
    for one, other in zip(*(model.state_dict().values() for model in ends), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("name", ADDITIVE)
def test_it_works_under_accumulation(name):
    objective = made(name)
    history = trained(toy(objective), Step(objective), [batch(12), batch(8)], accumulate=2).history
    assert len(history) == 5


@pytest.mark.parametrize("name", NAMES)
def test_the_state_goes_through_a_file_and_back(name, tmp_path):
    objective = made(name)
    model, step = toy(objective), Step(objective, seed=3)
    trained(model, step, [batch()], steps=3)
    write_tree(tmp_path / "state.safetensors", step.state_dict())
    again = Step(objective, seed=3)
    again.load_state_dict(read_tree(tmp_path / "state.safetensors"))
    twin = copy.deepcopy(model)
    seen = [trained_on(s, m) for s, m in ((step, model), (again, twin))]
    assert seen[0] == seen[1]


def trained_on(step: Step, model: torch.nn.Module) -> list[float]:
    losses = step(model, batch(seed=1))
    back = Back(model)
    tensors = [x if isinstance(x, torch.Tensor) else back(x, 1.0) for x in losses.values()]
    return [x.item() for x in tensors]


@pytest.mark.parametrize("name", NAMES)
def test_it_leaves_the_global_generator_alone(name):
    objective = made(name)
    model, step = toy(objective), Step(objective)
    before = torch.get_rng_state()
    step(model, batch())
    assert torch.equal(before, torch.get_rng_state())
