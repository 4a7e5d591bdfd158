"""Filters and network trained as one, the noisy camera between them."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from limen._core.errors import UsageError, WorkError
from limen._core.streams import torch_stream
from limen.spectral.design import diversity


def soft_capture(
    camera: Any,
    values: Float[Tensor, "*lead y x bands"],
    *,
    wavelengths: Any,
    generator: torch.Generator,
    sharpness: float | None = None,
) -> Float[Tensor, "*lead channels y2 x2"]:
    """A differentiable capture: encoded light with noise, gradients reaching the filters.

    Args:
        camera: The camera; its frozen pattern is left out, a trained filter must serve any sensor.
        values: Reflectance or radiance.
        wavelengths: Its bands.
        generator: Draws the noise.
        sharpness: Of the soft maximum of the full-well rule; None for the maximum itself.

    Returns:
        Channels before rows and columns, as networks take them; super-pixels with a mosaic.

    Example:
        >>> import numpy as np
        >>> from types import SimpleNamespace
        >>> from limen._core.streams import torch_stream
        >>> from limen.spectral.camera.camera import Camera
        >>> class Open(nn.Module):
        ...     count = 1
        ...     def forward(self, wavelengths):
        ...         return torch.ones(1, 2)
        >>> bands = SimpleNamespace(nm=np.array([500.0, 510.0]), weights=np.array([5.0, 5.0]))
        >>> soft_capture(Camera(Open()), torch.ones(3, 4, 2), wavelengths=bands,
        ...              generator=torch_stream(0, "noise")).shape
        torch.Size([1, 3, 4])
    """
    matrix = camera.matrix(wavelengths)
    gain = camera.exposure.gain(matrix, full_well=camera.noise.full_well, sharpness=sharpness)
    mean = gain * camera.encode(values, wavelengths)
    light = camera.noise.soft(mean, bits=camera.bits, generator=generator) / gain
    if camera.mosaic is not None:
        cells = camera.mosaic.gather(light)
        pattern = torch.tensor(camera.mosaic.pattern)
        planes = [cells[..., pattern == c].mean(-1) for c in range(camera.mosaic.count)]
        light = torch.stack(planes, dim=-1)
    return light.movedim(-1, -3)


def train_end_to_end(
    camera: Any,
    head: nn.Module,
    scenes: Sequence[tuple[Tensor, Tensor]],
    *,
    wavelengths: Any,
    loss: Callable[[Tensor, Tensor], Tensor],
    steps: int = 500,
    lr: float = 2.0,
    head_lr: float = 1e-3,
    diverse: float = 0.0,
    seed: int = 0,
) -> tuple[float, ...]:
    """Train filters and head together on what the task needs; both are changed in place.

    Each step captures a scene of the training split with fresh noise, so the filters learn what
    survives it. The head ends in evaluation mode.

    Args:
        camera: The camera; its filters have parameters, and `clamp_()` where they have limits.
        head: A network on channels (batch, channels, y, x).
        scenes: Batches of values (batch, y, x, band) with their targets.
        wavelengths: The bands.
        loss: Of the head's output and the target: cross-entropy for classes, squared error for
            spectra.
        steps: Steps of Adam, at least 1; scenes take turns.
        lr: Step size of the filters, in the unit of their parameters.
        head_lr: Step size of the head.
        diverse: Weight of `diversity`, at least 0: keeps channels from becoming one another.
        seed: Of the noise.

    Returns:
        The loss at each step.

    Raises:
        UsageError: No scene, no step, or filters without parameters.
        WorkError: The loss is no longer finite.

    Example:
        >>> import numpy as np
        >>> from types import SimpleNamespace
        >>> from limen.spectral.camera.camera import Camera
        >>> class Logits(nn.Module):
        ...     count = 1
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.z = nn.Parameter(torch.zeros(1, 2))
        ...     def forward(self, wavelengths):
        ...         return torch.sigmoid(self.z)
        >>> bands = SimpleNamespace(nm=np.array([500.0, 510.0]), weights=np.array([5.0, 5.0]))
        >>> scene = torch.ones(1, 4, 4, 2), torch.zeros(1, 1, 4, 4)
        >>> losses = train_end_to_end(Camera(Logits()), nn.Conv2d(1, 1, 1), [scene], steps=3,
        ...                           wavelengths=bands, loss=nn.functional.mse_loss, lr=0.1)
        >>> len(losses)
        3
    """
    parameters = [p for p in camera.filters.parameters() if p.requires_grad]
    if not scenes or steps < 1 or not parameters:
        raise UsageError(
            f"there must be scenes, steps and parameters of filters to train, got {len(scenes)}, "
            f"{steps} and {len(parameters)}; give what is missing"
        )
    noise = torch_stream(seed, "end to end")
    groups = [{"params": parameters, "lr": lr}, {"params": list(head.parameters()), "lr": head_lr}]
    optimiser = torch.optim.Adam(groups)
    limits = getattr(camera.filters, "clamp_", lambda: None)
    losses: list[float] = []
    head.train()
    for step in range(steps):
        values, target = scenes[step % len(scenes)]
        optimiser.zero_grad()
        channels = soft_capture(
            camera, values, wavelengths=wavelengths, generator=noise, sharpness=50.0
        )
        value = loss(head(channels), target)
        if diverse:
            value = value + diverse * diversity(camera.matrix(wavelengths))
        if not bool(torch.isfinite(value.detach())):
            raise WorkError(f"the loss must stay finite, and did not at step {step}; lower lr")
        value.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        limits()
        losses.append(float(value.detach()))
    head.eval()
    return tuple(losses)
