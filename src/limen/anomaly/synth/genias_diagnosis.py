"""Whether a trained GenIAS works: what it copies, what it perturbs, whether it collapsed."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch

from limen.algebra.modes import in_mode
from limen.anomaly.synth.genias_losses import compact_kl, squared_error
from limen.anomaly.synth.genias_training import Batch
from limen.anomaly.synth.vae import TCNVAE

_ACTIVE = 0.01  # variance of a latent mean over windows above which it says something
_COLLAPSED = 0.9  # of the variance left unexplained


@dataclass(frozen=True)
class Diagnosis:
    """What a trained generator does to windows of training, in units of the scaled data.

    Attributes:
        copy_error: Mean squared error of the copies; lower is better.
        perturbed_error: Mean squared distance of the perturbed windows; should be in the band.
        least: Lower end of the band.
        most: Upper end.
        in_band: Share of windows whose perturbed one is within it, 0 to 1.
        active_units: Latent numbers whose mean varies over windows by more than 0.01.
        latent: Latent numbers.
        psi: Mean widening factor, at least 1.
        psi_least: The least.
        psi_most: The greatest.
        sigma: Mean deviation of the latents.
        kl: Exact KL divergence from the prior, in nats a window.
        variance: Mean variance of a channel within a window.
        patched_windows: Share of windows of which the first draw replaces a part, 0 to 1.
        patched_numbers: Share of all their numbers that are replaced, 0 to 1.
        shared_noise: Whether copy and perturbed window came from the same noise.
        psi_trace: Mean psi after each step of training.

    Example:
        >>> found = Diagnosis(
        ...     copy_error=0.01, perturbed_error=0.15, least=0.1, most=0.2, in_band=0.8,
        ...     active_units=0, latent=50, psi=2.3, psi_least=2.0, psi_most=2.6, sigma=0.5, kl=0.0,
        ...     variance=0.08, patched_windows=1.0, patched_numbers=0.5,
        ... )
        >>> found.collapsed
        True
    """

    copy_error: float
    perturbed_error: float
    least: float
    most: float
    in_band: float
    active_units: int
    latent: int
    psi: float
    psi_least: float
    psi_most: float
    sigma: float
    kl: float
    variance: float
    patched_windows: float
    patched_numbers: float
    shared_noise: bool = True
    psi_trace: tuple[float, ...] = ()

    @property
    def collapsed(self) -> bool:
        """Whether the latents say nothing of the window, so that copies are all alike."""
        return self.active_units == 0 or self.copy_error > _COLLAPSED * self.variance

    def complaints(self) -> list[str]:
        """What the user should know, one sentence each; empty where all is well."""
        found = []
        if self.collapsed:
            found.append(
                f"GenIAS collapsed: {self.active_units} of {self.latent} latent numbers are active "
                f"and copies miss {self.copy_error / max(self.variance, 1e-12):.0%} of the "
                "variance, so what it makes has nothing to do with the windows; lower zeta, take "
                "reduction='mean', or train for more steps"
            )
        if self.patched_windows < 0.5:
            found.append(
                f"GenIAS replaces a part of only {self.patched_windows:.0%} of windows in its "
                "first draw, the others fall back to more draws and to rules; lower tau"
            )
        return found

    def to_dict(self) -> dict[str, Any]:
        """The state, for `limen.save`."""
        return {**asdict(self), "psi_trace": list(self.psi_trace)}

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> "Diagnosis":
        """Rebuild what `to_dict` gave."""
        return cls(**{**state, "psi_trace": tuple(state["psi_trace"])})


def measured(net: TCNVAE, batch: Batch, *, prior_std: float) -> tuple[dict[str, Any], torch.Tensor]:
    """The numbers of a `Diagnosis` that the network alone decides, and the perturbed windows.

    Args:
        net: Trained.
        batch: Windows of training with noise.
        prior_std: Deviation of the latents' prior.

    Returns:
        Values by name, with the errors of each window as "near" and "far"; the perturbed windows.

    Example:
        >>> net = TCNVAE(1, window=8, width=2, latent=2)
        >>> batch = Batch(torch.zeros(3, 1, 8), torch.zeros(3, 2))
        >>> measured(net, batch, prior_std=0.5)[0]["active_units"]
        0
    """
    with torch.no_grad(), in_mode(net, training=False):
        copy, perturbed, seen = net(*batch)
    kl = compact_kl(seen.mu, seen.log_var, prior_std=prior_std)
    values = {
        "near": squared_error(batch.windows, copy).double(),
        "far": squared_error(batch.windows, perturbed).double(),
        "active_units": int((seen.mu.var(0, correction=0) > _ACTIVE).sum()),
        "latent": net.latent,
        "psi": seen.psi.mean().item(),
        "psi_least": seen.psi.min().item(),
        "psi_most": seen.psi.max().item(),
        "sigma": (0.5 * seen.log_var).exp().mean().item(),
        "kl": kl.sum(1).mean().item(),
        "variance": batch.windows.var(2, correction=0).mean().item(),
    }
    return values, perturbed
