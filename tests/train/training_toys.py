"""Models, steps and batches so small that a test can redo their training by hand."""

import torch
from torch import nn

import limen


def net(seed=0, *, dropout=0.0, dtype=torch.float64):
    """A small MLP with its own random numbers."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Dropout(dropout), nn.Linear(8, 2)).to(
            dtype
        )


def pairs(count, *, rows=4, seed=0, dtype=torch.float64):
    """Batches of what to forget and what to retain."""
    draw = torch.Generator().manual_seed(seed)

    def data():
        x = torch.randn(rows, 3, generator=draw, dtype=dtype)
        return x, torch.randn(rows, 2, generator=draw, dtype=dtype)

    return [{"forget": data(), "retain": data()} for _ in range(count)]


def mse(model, data):
    """The loss of a plain regression."""
    x, y = data
    return (model(x) - y).square().mean()


def two_losses(model, batch):
    """Ascent on one half, descent on the other: they conflict on most batches."""
    return {
        "forget": lambda: -mse(model, batch["forget"]),
        "retain": lambda: mse(model, batch["retain"]),
    }


def one_loss(model, batch):
    """Plain training."""
    return {"loss": mse(model, batch["retain"])}


def grads_of(model, loss):
    """The gradient of a loss, by hand."""
    params = dict(model.named_parameters())
    found = torch.autograd.grad(loss, list(params.values()))
    return limen.ParamVector(dict(zip(params, found, strict=True)))


def bits(model):
    """A snapshot of the weights."""
    return {name: p.detach().clone() for name, p in model.named_parameters()}


def same(a, b):
    """Whether two snapshots agree bit for bit."""
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def close(a, b, tolerance=1e-9):
    """Assert that two named sets of tensors agree."""
    assert a.keys() == b.keys()
    for name in a:
        torch.testing.assert_close(a[name], b[name], atol=tolerance, rtol=tolerance)


class Watch:
    """A callback that keeps the final gradients and the applied updates."""

    needs_before = True

    def __init__(self):
        self.grads, self.updates = [], []

    def before_update(self, state):
        self.grads.append(state.grads.copy())

    def after_update(self, state):
        self.updates.append(state.update)
