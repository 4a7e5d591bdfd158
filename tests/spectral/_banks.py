"""A filter bank with given curves, and bands, for tests of what stands behind them."""

import numpy as np
import torch
from torch import nn

from limen._core.streams import numpy_stream, torch_stream


class Bands:
    def __init__(self, nm):
        self.nm = np.asarray(nm, dtype=np.float64)
        self.weights = np.gradient(self.nm)
        ends = (self.nm[1] - self.nm[0], self.nm[-1] - self.nm[-2])
        self.weights[0], self.weights[-1] = ends[0] / 2, ends[1] / 2

    def __len__(self):
        return len(self.nm)


class Curves(nn.Module):
    def __init__(self, curves):
        super().__init__()
        self.curves = nn.Parameter(torch.as_tensor(curves))

    @property
    def count(self):
        return self.curves.shape[0]

    def forward(self, wavelengths):
        return self.curves


def random_bank(channels, bands, seed=0):
    chance = torch_stream(seed, "curves")
    return Curves(torch.rand(channels, bands, generator=chance, dtype=torch.float64))


def smooth_cubes(bands, rows=40, rank=4, seed=0):
    draw = numpy_stream(seed, "cubes")
    axis = np.linspace(0, 1, bands)
    centres = np.linspace(0.1, 0.9, rank)
    base = np.exp(-0.5 * ((axis - centres[:, None]) / 0.25) ** 2)
    weights = draw.dirichlet(np.ones(rank), size=(rows, rows))
    return weights @ base * 0.8
