"""Failures that were silent once."""

import pytest
import torch
from torch import nn
from training_toys import net, one_loss, pairs

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
    import os
    import signal

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
