"""
Gradient surgery in your own loop
=================================

Going down one loss often drags another one up. :class:`limen.Rectify` bends the first gradient, by
as little as possible, until the step no longer harms the second, to first order. It needs no
trainer: three lines in a loop written by hand.
"""

import matplotlib.pyplot as plt
import torch

import limen

# %%
# One model with two parameters, which starts where the loss to keep, ``retain``, is lowest. The
# loss to go down, ``forget``, pulls it away. Along the first parameter the two are in conflict;
# along the second there is nearly nothing to lose.


class Point(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.at = torch.nn.Parameter(torch.zeros(2))

    def forget(self):
        return 0.5 * ((self.at - torch.tensor([1.0, 2.0])) ** 2).sum()

    def retain(self):
        return 0.5 * (torch.tensor([4.0, 0.05]) * self.at**2).sum()


# %%
# The plain loop, and the same loop with the surgery between the losses and the optimiser.


def plain(steps):
    model, history = Point(), []
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(steps):
        history.append((model.forget().item(), model.retain().item()))
        optimizer.zero_grad()
        model.forget().backward()
        optimizer.step()
    return history


def rectified(steps):
    model, history = Point(), []
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    rectify = limen.Rectify(goal="forget", guard="retain", ema=1.0)
    for _ in range(steps):
        history.append((model.forget().item(), model.retain().item()))
        optimizer.zero_grad()
        rectify.begin(model)
        rectify.backward({"forget": model.forget(), "retain": model.retain()})
        rectify.finish()
        optimizer.step()
    return history


histories = {"plain": plain(40), "rectified": rectified(40)}
for name, history in histories.items():
    forget, retain = history[-1]
    print(f"{name:10}  forget {forget:.3f}   retain {retain:.3f}")

# %%
# The rectified path gives up a part of the goal, and the guarded loss stays almost where it was. It
# is not exactly zero: the first step starts where the guard has no gradient, so nothing stops it,
# and the promise that follows is one of first order.

figure, panels = plt.subplots(1, 2, figsize=(8, 3.2), layout="constrained", sharex=True)
for name, history in histories.items():
    for panel, values in zip(panels, zip(*history, strict=True), strict=True):
        panel.plot(values, label=name)
panels[0].set(title="forget: to go down", xlabel="step")
panels[1].set(title="retain: not to go up", xlabel="step")
for panel in panels:
    panel.spines[["top", "right"]].set_visible(False)
panels[0].legend(frameon=False)
plt.show()
