"""Choosing the encoder: the decoding error of a filter bank, before any decoder is trained."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from limen._core.errors import UsageError
from limen.run.progress import progress
from limen.spectral._descent import Best, descend, ready, restart
from limen.spectral.codec.statistics import SpectralPrior, channel_noise


def bayes_loss(
    matrix: Float[Tensor, "channels bands"],
    prior: SpectralPrior,
    *,
    variance: Float[Tensor, " channels"],
) -> Float[Tensor, ""]:
    """J(A) = tr C_x - tr[C_x A^T (A C_x A^T + C_n)^-1 A C_x]: squared error of LMMSE, low is good.

    The error summed over bands that the best affine decoder leaves, exact for Gaussian spectra,
    with photon noise inside C_n; differentiable in A, so physical filters are trained on it with
    no decoder in the loop.

    Args:
        matrix: The encoding matrix A.
        prior: Statistics of training spectra.
        variance: C_n, noise variance of each channel in units of light.

    Returns:
        J, a float64 scalar; divide by the number of bands for the mean squared error.

    Example:
        >>> prior = SpectralPrior(torch.zeros(2), torch.eye(2))
        >>> j = bayes_loss(torch.tensor([[1.0, 0.0]]), prior, variance=torch.tensor([1.0]))
        >>> round(float(j), 6)
        1.5
    """
    a = matrix.to(torch.float64)
    c = prior.covariance.to(a)
    cross = a @ c
    inner = cross @ a.T + torch.diag(variance.to(torch.float64))
    # scaled to a unit diagonal before Cholesky: channels may differ by orders in what they pass
    scale = inner.diagonal().clamp_min(1e-300).rsqrt()
    inner = inner * scale[:, None] * scale[None, :]
    inner = inner + 1e-13 * torch.eye(len(a), dtype=a.dtype, device=a.device)
    half = torch.linalg.solve_triangular(
        torch.linalg.cholesky(inner), scale[:, None] * cross, upper=False
    )
    return c.trace() - half.square().sum()


def predicted_error(
    camera: Any, prior: SpectralPrior, *, wavelengths: Any, sharpness: float | None = None
) -> Float[Tensor, ""]:
    """J of a camera as it stands: its matrix, exposure, noise and digitiser.

    Args:
        camera: The camera.
        prior: Statistics of training spectra at `wavelengths`.
        wavelengths: The bands.
        sharpness: Of the soft maximum of the full-well rule; None for the maximum itself.

    Returns:
        J, differentiable in the filters' parameters.

    Raises:
        UsageError: A prior of other bands.

    Example:
        >>> import numpy as np
        >>> from types import SimpleNamespace
        >>> from limen.spectral.camera.camera import Camera
        >>> class Open(nn.Module):
        ...     count = 1
        ...     def forward(self, wavelengths):
        ...         return torch.ones(1, 2)
        >>> bands = SimpleNamespace(nm=np.array([500.0, 510.0]), weights=np.array([5.0, 5.0]))
        >>> prior = SpectralPrior.of(torch.tensor([[0.2, 0.2], [0.4, 0.4]]))
        >>> error = predicted_error(Camera(Open()), prior, wavelengths=bands)
        >>> bool(0 < error < prior.covariance.trace())
        True
    """
    matrix = camera.matrix(wavelengths).to(torch.float64)
    if matrix.shape[1] != len(prior.mean):
        raise UsageError(
            f"prior must be of the {matrix.shape[1]} bands of wavelengths, got {len(prior.mean)}"
        )
    full_well = camera.noise.full_well
    gain = camera.exposure.gain(matrix, full_well=full_well, sharpness=sharpness)
    variance = channel_noise(matrix, prior, gain=gain, noise=camera.noise, bits=camera.bits)
    return bayes_loss(matrix, prior, variance=variance)


def diversity(matrix: Float[Tensor, "channels bands"]) -> Float[Tensor, ""]:
    """-log det of the Gram matrix of A's normalised rows: 0 when orthogonal, large when alike.

    Args:
        matrix: The encoding matrix A.

    Returns:
        A scalar, at least 0.

    Example:
        >>> abs(float(diversity(torch.eye(2))))
        0.0
    """
    rows = nn.functional.normalize(matrix, dim=1)
    return -torch.linalg.slogdet(rows @ rows.T)[1]


@dataclass(frozen=True)
class Designed:
    """How a design went.

    Attributes:
        before: J of the filters as they were.
        after: J of the best filters met, which the camera now holds.
        losses: The training loss at each step, of the start that ended best.
        starts: J of the best filters that each start met, the filters as they were first.

    Example:
        >>> round(Designed(before=1.0, after=0.1, losses=(1.0, 0.1)).decibel, 6)
        10.0
    """

    before: float
    after: float
    losses: tuple[float, ...]
    starts: tuple[float, ...] = ()

    @property
    def decibel(self) -> float:
        """Gain in PSNR that the closed form predicts: 10 log10(before / after)."""
        return float(10 * torch.log10(torch.tensor(self.before / self.after, dtype=torch.float64)))


def design(
    camera: Any,
    prior: SpectralPrior,
    *,
    wavelengths: Any,
    steps: int = 300,
    lr: float = 2.0,
    diverse: float = 0.0,
    sharpness: float = 50.0,
    penalty: Callable[[nn.Module], Tensor] | None = None,
    restarts: int = 1,
    seed: int = 0,
) -> Designed:
    """Train a camera's filters for the smallest J, by Adam on log J; they are changed in place.

    Each step is followed by `filters.clamp_()` where the bank has it, so that what cannot be made
    is never reached; gradients are clipped to norm 1. The best filters met are kept, judged by J
    with the true maximum in the exposure rule. The first start is the bank as it is, so it never
    ends worse than it began; thin films have many valleys, and eight starts or more are no luxury.

    Args:
        camera: The camera; its filters must have parameters.
        prior: Statistics of training spectra at `wavelengths`, of the training split alone.
        wavelengths: The bands.
        steps: Steps of Adam from each start, at least 1.
        lr: Step size in the unit of the parameters: 1 to 3 for thicknesses in nm, about 0.05 for
            logits, 0.01 for coupled modes.
        diverse: Weight of `diversity`, at least 0.
        sharpness: Of the soft maximum of the full-well rule.
        penalty: An addition to the loss, such as a smoothness of the filters.
        restarts: Starts, at least 1; those after the first are drawn by `filters.redraw_(seed)`.
        seed: Of these draws.

    Returns:
        J before and after, and the losses.

    Raises:
        UsageError: No parameters, no step, no start, or several for a bank that cannot be redrawn.
        WorkError: The loss is no longer finite; the filters are as the last step left them.

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
        >>> prior = SpectralPrior.of(torch.tensor([[0.1, 0.3], [0.9, 0.3]]))
        >>> found = design(Camera(Logits()), prior, wavelengths=bands, steps=20, lr=0.2)
        >>> found.after < found.before
        True
    """
    filters = camera.filters
    ready(filters, steps=steps, restarts=restarts)

    def truth() -> Tensor:
        with torch.no_grad():
            return predicted_error(camera, prior, wavelengths=wavelengths)

    def loss() -> Tensor:
        error = predicted_error(camera, prior, wavelengths=wavelengths, sharpness=sharpness)
        total = torch.log(error.clamp_min(1e-300))
        if diverse:
            total = total + diverse * diversity(camera.matrix(wavelengths).to(torch.float64))
        return total if penalty is None else total + penalty(filters)

    best = Best(filters, truth())
    before, starts = float(best.score), list[float]()
    told: tuple[float, ...] = ()
    with progress("designing filters", total=restarts * steps) as advance:
        for number in range(restarts):
            restart(filters, seed=seed, number=number)
            here = Best(filters, truth())
            losses = descend(
                filters,
                loss,
                look=lambda here=here: here.offer(filters, truth()),  # type: ignore[misc]
                advance=advance,
                steps=steps,
                lr=lr,
            )
            if not starts or here.score < best.score:
                best, told = here, losses
            starts.append(float(here.score))
    best.restore(filters)
    return Designed(before=before, after=float(best.score), losses=told, starts=tuple(starts))
