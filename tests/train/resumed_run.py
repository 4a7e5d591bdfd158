"""One run with everything that a checkpoint must remember; also a program, to be killed."""

import sys
from pathlib import Path

import torch
from training_toys import net, pairs, two_losses

import limen
from limen import Loop, Rectify
from limen.run.tree import write_tree


def warmed_up(optimizer):
    """A schedule whose rate differs at every step."""
    return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 / (1 + step))


def run(into, *, steps=8, seed=0, callbacks=(), batches=None, step=two_losses, **settings):
    """Dropout, a moving average, Adam's moments, weight decay, a schedule, accumulation."""
    torch.manual_seed(seed)
    model = net(dropout=0.3)
    combine = settings.pop("combine", None) or Rectify(goal="forget", guard="retain", ema=0.8)
    optimizer = settings.pop("optimizer", torch.optim.AdamW)
    loop = {"accumulate": 2, "save_every": 3, "schedule": warmed_up, "label": "", **settings}
    return limen.fit(
        model,
        step,
        batches or pairs(5),
        steps=steps,
        optimizer=lambda params: optimizer(params, 0.05),
        combine=combine,
        callbacks=callbacks,
        loop=Loop(into=into, **loop),
    )


def outcome(state):
    """All that must agree to the bit."""
    return {
        "weights": dict(state.params),
        "optimizer": state.optimizer.state_dict(),
        "history": state.history,
        "random": torch.get_rng_state(),
    }


if __name__ == "__main__":
    torch.set_num_threads(1)
    into, result = map(Path, sys.argv[1:])
    write_tree(result, outcome(run(into, steps=100, clip=0.5, save_every=1)))
