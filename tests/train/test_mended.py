"""Failures that were silent once."""

import os
import signal

import pytest
import torch
from torch import nn
from training_toys import grads_of, mse, net, one_loss, pairs, two_losses

import limen
from limen import Loop
from limen._core.errors import InterruptedRun, UsageError, WorkError
from limen.algebra import placed


def sgd(model, lr=0.1):
    return torch.optim.SGD(model.parameters(), lr=lr)


def test_an_infinite_gradient_of_a_finite_loss_leaves_the_weights_alone(tmp_path):
    model = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(model.weight)

    def root(model, x):
        return {"loss": model(x).square().sqrt().mean()}

    with pytest.raises(WorkError, match="gradient is infinite or not a number at step 0"):
        limen.fit(
            model, root, [torch.ones(1, 1)], steps=3, optimizer=sgd(model), loop=Loop(into=tmp_path)
        )
    assert model.weight.item() == 0.0
    assert not (tmp_path / "checkpoint" / "latest").exists()


def test_autocast_sees_weights_that_were_placed():
    layer = nn.Linear(4, 4, bias=False)
    x = torch.ones(1, 4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        with placed(layer, {"weight": torch.zeros(4, 4)}):
            assert not layer(x).any()
        loss = layer(x).sum()
    loss.backward()
    assert layer.weight.grad.any()
    assert torch.allclose(loss.float(), layer.weight.sum(), rtol=1e-2, atol=1e-2)  # bfloat16


def test_ctrl_c_during_the_last_step_is_not_swallowed(tmp_path):
    class Ask:
        def before_update(self, state): ...

        def after_update(self, state):
            if state.step == state.steps:
                os.kill(os.getpid(), signal.SIGINT)

    model = net()
    with pytest.raises(InterruptedRun, match="after step 2 of 2"):
        limen.fit(
            model, one_loss, pairs(2), steps=2, optimizer=sgd(model), callbacks=[Ask()],
            loop=Loop(into=tmp_path),
        )  # fmt: skip
    assert (tmp_path / "checkpoint" / "latest").read_text() == "step-000002\n"


def test_a_foreign_log_is_refused_and_kept(tmp_path):
    (tmp_path / "log.jsonl").write_text("mine\n")
    model = net()
    with pytest.raises(UsageError, match=r"holds a log.jsonl of something else"):
        limen.fit(
            model, one_loss, pairs(1), steps=1, optimizer=sgd(model), loop=Loop(into=tmp_path)
        )
    assert (tmp_path / "log.jsonl").read_text() == "mine\n"


@pytest.mark.parametrize("file", ["last.ckpt", "latest-run", "step-000001/weights.bin"])
def test_a_foreign_checkpoint_is_refused_and_kept(tmp_path, file):
    theirs = tmp_path / "checkpoint" / file
    theirs.parent.mkdir(parents=True)
    theirs.write_text("mine")
    model = net()
    with pytest.raises(UsageError, match="holds a checkpoint of something else"):
        limen.fit(
            model, one_loss, pairs(1), steps=1, optimizer=sgd(model), loop=Loop(into=tmp_path)
        )
    assert theirs.read_text() == "mine"
    assert not (tmp_path / "log.jsonl").exists()


def test_a_run_folder_without_its_checkpoint_begins_again(tmp_path):
    (tmp_path / "spec.json").write_text("{}")
    (tmp_path / "log.jsonl").write_text('{"step": 1, "loss": 2.0}\n')
    model = net()
    state = limen.fit(
        model, one_loss, pairs(1), steps=1, optimizer=sgd(model), loop=Loop(into=tmp_path)
    )
    assert len(state.history) == len((tmp_path / "log.jsonl").read_text().splitlines()) == 1


class Indexed:
    """Batches by number, of a name."""

    def __init__(self, name):
        self.name = name

    def __getitem__(self, i):
        return pairs(1, dtype=torch.float32)[0]

    def __repr__(self):
        return f"Indexed({self.name!r})"


def other_loss(model, batch):
    return one_loss(model, batch)


@pytest.mark.parametrize(
    ("step", "batches", "precision", "says"),
    [
        (other_loss, Indexed("a"), "no", "step was one_loss there and is other_loss"),
        (one_loss, Indexed("b"), "no", r"batches was Indexed\('a'\) there and is Indexed\('b'\)"),
        (one_loss, Indexed("a"), "bf16", "precision was no there and is bf16"),
    ],
    ids=["step", "batches", "precision"],
)
def test_another_experiment_is_refused(tmp_path, step, batches, precision, says):
    model = net(dtype=torch.float32)

    def go(step, batches, precision, steps):
        loop = Loop(into=tmp_path, precision=precision)
        limen.fit(model, step, batches, steps=steps, optimizer=sgd(model), loop=loop)

    go(one_loss, Indexed("a"), "no", 1)
    with pytest.raises(UsageError, match=says):
        go(step, batches, precision, 2)


def test_preparation_sees_the_precision_of_the_training():
    class Careful:
        found = None

        def __call__(self, model, batch):
            return one_loss(model, batch)

        def prepare(self, model, batches):
            self.found = model(batches[0]["retain"][0]).dtype

    step, model = Careful(), net(dtype=torch.float32)
    limen.fit(
        model, step, pairs(1, dtype=torch.float32), steps=0, optimizer=sgd(model),
        loop=Loop(precision="bf16"),
    )  # fmt: skip
    assert step.found == torch.bfloat16


def test_ctrl_c_while_a_finished_run_is_taken_up_is_not_swallowed(tmp_path):
    class Ask:
        def before_update(self, state): ...

        def after_update(self, state): ...

        def state_dict(self):
            return {}

        def load_state_dict(self, state):
            os.kill(os.getpid(), signal.SIGINT)

    def go():
        model = net()
        limen.fit(
            model, one_loss, pairs(1), steps=1, optimizer=sgd(model), callbacks=[Ask()],
            loop=Loop(into=tmp_path),
        )  # fmt: skip

    go()
    with pytest.raises(InterruptedRun, match="after step 1 of 1"):
        go()


def test_surgery_carries_its_average_into_the_next_training():
    rectify, model = limen.Rectify(goal="forget", guard="retain", ema=0.5), net()
    for _ in range(2):
        limen.fit(model, two_losses, pairs(1), steps=1, optimizer=sgd(model, 0.0), combine=rectify)
    guard = grads_of(model, mse(model, pairs(1)[0]["retain"]))
    for name, mean in rectify.average.items():
        torch.testing.assert_close(mean, 0.75 * guard[name])


def test_a_resumed_run_with_another_learning_rate_is_refused(tmp_path):
    model = net()
    limen.fit(model, one_loss, pairs(1), steps=1, optimizer=sgd(model), loop=Loop(into=tmp_path))
    with pytest.raises(UsageError, match="optimizer's settings was"):
        limen.fit(
            model, one_loss, pairs(1), steps=2, optimizer=sgd(model, 0.2), loop=Loop(into=tmp_path)
        )


def test_surgery_reused_on_another_model_starts_anew():
    rectify = limen.Rectify(goal="a", guard="b")
    for width in (2, 3):
        layer = nn.Sequential(nn.Linear(width, 1, bias=False), *[nn.Identity()] * width)
        layer.add_module(f"extra{width}", nn.Linear(1, 1))
        rectify.begin(layer)
        out = layer(torch.ones(1, width)).sum()
        rectify.backward({"a": out, "b": -out})
        rectify.finish()
        assert rectify.average.keys() == dict(layer.named_parameters()).keys()
