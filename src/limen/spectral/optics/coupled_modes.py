"""Filters of coupled resonances: energy is kept whatever the parameters are."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Complex, Float
from torch import Tensor, nn

from limen._core.errors import UsageError
from limen._core.streams import numpy_stream


def scattering_matrix(
    frequency: Float[Tensor, " frequencies"],
    *,
    resonances: Float[Tensor, "*lead modes"],
    coupling: Complex[Tensor, "*lead modes ports"],
    background: Complex[Tensor, "*lead ports ports"],
    absorption: Float[Tensor, "*lead modes modes"] | Complex[Tensor, "*lead modes modes"] | None,
) -> Complex[Tensor, "*lead frequencies ports ports"]:
    """S(w) = C (1 - K^H [i(w - W) + G + G_abs]^-1 K): amplitudes out of the ports for those in.

    Modes of frequencies W ring, fed by the ports through K, and lose to the ports what `G = K K^H /
    2` says. That G follows from K is what keeps the energy: without absorption S is unitary at
    every frequency, with it no singular value exceeds 1.

    Args:
        frequency: w, in any unit of angular frequency.
        resonances: W, in the same unit.
        coupling: K, in the root of that unit.
        background: C, unitary: what the ports do to one another without modes.
        absorption: G_abs, Hermitian and not negative; None for no loss but to the ports.

    Returns:
        S at each frequency.

    Example:
        >>> one = torch.ones(1, 1, dtype=torch.complex128)
        >>> s = scattering_matrix(torch.tensor([0.0, 0.5]).double(), coupling=one, background=one,
        ...                       resonances=torch.zeros(1).double(), absorption=None)
        >>> s[:, 0, 0].tolist()    # one port sends all back; on resonance a half turn later
        [(-1+0j), 1j]
    """
    damping = coupling @ coupling.mH / 2
    if absorption is not None:
        damping = damping + absorption
    away = frequency[:, None] - resonances[..., None, :]
    inner = torch.diag_embed(1j * away) + damping[..., None, :, :]
    modes = torch.linalg.solve(inner, coupling[..., None, :, :].expand(*inner.shape[:-1], -1))
    ports = torch.eye(background.shape[-1], dtype=coupling.dtype, device=coupling.device)
    return background[..., None, :, :] @ (ports - coupling.mH[..., None, :, :] @ modes)


class CoupledModes(nn.Module):
    """T = power from port 0 to port 1 of a nanostructure with a few resonances: 0 <= T <= 1.

    Temporal coupled-mode theory: resonances W, couplings K and a background C = exp(iH) are all
    that a small resonant structure shows of itself. With enough resonances any passive response
    comes as near as one likes, so this is the bound on what nanostructures can do, as `FreeForm` is
    on anything; which structure has these parameters is another search. Frequencies are counted in
    the band: 0 at its longest wave, 1 at its shortest, so all parameters are about 1 and one step
    size suits them.

    Args:
        resonances: W, (channels, modes), in the band's unit; training keeps them in [0, 1].
        coupling: K, complex (channels, modes, ports), two ports or more.
        phases: X, real (channels, ports, ports); H = (X + X^T) / 2 + i (X - X^T) / 2.
        band: Shortest and longest wavelength in nm, which set the unit of frequency.
        absorption: G_abs of every mode, at least 0, in the band's unit; not trained.

    Raises:
        UsageError: Shapes that do not fit, fewer than two ports, numbers that are not finite, a
            negative absorption, or a band that does not rise.

    Reference:
        F. Getman et al., "Broadband vectorial ultrathin optics with experimental efficiency up to
        99% in the visible region via universal approximators", Light: Science & Applications 10,
        47, 2021,
        https://doi.org/10.1038/s41377-021-00489-7. Departure: K and C need not be reciprocal.

    Example:
        >>> from limen.spectral.wavelengths import Wavelengths
        >>> bank = CoupledModes([[0.5]], [[[0.3, 0.3]]], np.zeros((1, 2, 2)), band=(400.0, 800.0))
        >>> passed = bank(Wavelengths([400.0, 1600 / 3, 800.0]))  # the resonance lies midway
        >>> [round(value, 4) for value in passed[0].tolist()]
        [0.0314, 1.0, 0.0314]
    """

    def __init__(
        self,
        resonances: Any,
        coupling: Any,
        phases: Any,
        *,
        band: tuple[float, float],
        absorption: float = 0.0,
    ) -> None:
        super().__init__()
        modes = torch.as_tensor(np.array(resonances, dtype=np.float64))
        pairs = np.array(coupling, dtype=np.complex128)
        given = torch.as_tensor(np.array(phases, dtype=np.float64))
        k = torch.as_tensor(np.stack([pairs.real, pairs.imag], axis=-1))
        fits = modes.ndim == 2 and k.ndim == 4 and k.shape[:2] == modes.shape
        if not fits or k.shape[2] < 2 or given.shape != (len(modes), k.shape[2], k.shape[2]):
            raise UsageError(
                f"resonances, coupling and phases must be (channels, modes), (channels, modes, "
                f"ports) and (channels, ports, ports) with two ports or more, got "
                f"{tuple(modes.shape)}, {pairs.shape} and {tuple(given.shape)}; mend their shapes"
            )
        if not all(bool(torch.isfinite(part).all()) for part in (modes, k, given)):
            raise UsageError("resonances, coupling and phases must be finite; mend them")
        if not 0 < band[0] < band[1] or not 0 <= absorption < np.inf:
            raise UsageError(
                f"band must rise from above 0 nm and absorption be at least 0, got {band} and "
                f"{absorption}; mend them"
            )
        self.resonances, self.coupling = nn.Parameter(modes), nn.Parameter(k)
        self.phases = nn.Parameter(given)
        self.band, self.loss = (float(band[0]), float(band[1])), float(absorption)

    @classmethod
    def random(
        cls,
        channels: int,
        modes: int,
        *,
        band: tuple[float, float],
        seed: int,
        ports: int = 2,
        absorption: float = 0.0,
    ) -> "CoupledModes":
        """Resonances drawn evenly over the band, of widths around 8 % of it.

        Args:
            channels: How many structures.
            modes: Resonances of each; up to 16 are quick.
            band: Shortest and longest wavelength in nm.
            seed: Of the draw.
            ports: Two or more.
            absorption: As for `CoupledModes`.

        Returns:
            The bank.
        """
        start = np.zeros((channels, modes)), np.zeros((channels, modes, ports))
        found = cls(*start, np.zeros((channels, ports, ports)), band=band, absorption=absorption)
        found.redraw_(seed)
        return found

    @property
    def count(self) -> int:
        """Channels."""
        return int(self.resonances.shape[0])

    def forward(self, wavelengths: Any) -> Float[Tensor, "channels bands"]:
        """Transmission of each channel at the bands, in float64.

        Args:
            wavelengths: `Wavelengths`; they may reach beyond the band.
        """
        return self.scattering(wavelengths)[..., 1, 0].abs().square()

    def scattering(self, wavelengths: Any) -> Complex[Tensor, "channels bands ports ports"]:
        """The whole scattering matrix at the bands.

        Args:
            wavelengths: `Wavelengths`.

        Returns:
            Amplitudes out of the ports for those in; unitary without absorption.
        """
        short, long = (1 / edge for edge in self.band)
        waves = 1 / torch.as_tensor(np.array(wavelengths.nm)).to(self.resonances)
        x = self.phases
        hermitian = torch.complex(x + x.mT, x - x.mT) / 2
        lost = self.loss * torch.eye(self.resonances.shape[1]).to(x)
        return scattering_matrix(
            (waves - long) / (short - long),
            resonances=self.resonances,
            coupling=torch.view_as_complex(self.coupling),
            background=torch.linalg.matrix_exp(1j * hermitian),
            absorption=lost.expand(self.count, -1, -1) if self.loss else None,
        )

    @torch.no_grad()
    def clamp_(self) -> None:
        """Resonances stay in the band."""
        self.resonances.clamp_(0.0, 1.0)

    @torch.no_grad()
    def redraw_(self, seed: int) -> None:
        """Draw everything anew, as `random` does.

        Args:
            seed: Of the draw.
        """
        draw = numpy_stream(seed, "coupled modes")
        shape = tuple(self.coupling.shape)
        drawn = {
            "resonances": draw.uniform(size=tuple(self.resonances.shape)),
            "coupling": draw.standard_normal(shape) * (0.04 / shape[2]) ** 0.5,
            "phases": draw.standard_normal(tuple(self.phases.shape)),
        }
        for name, parameter in self.named_parameters():
            parameter.copy_(torch.as_tensor(drawn[name]))

    def to_dict(self) -> dict[str, Any]:
        """Parameters, band and absorption."""
        state = {name: part.detach().cpu().numpy() for name, part in self.named_parameters()}
        return {**state, "band": list(self.band), "absorption": self.loss}

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> "CoupledModes":
        """The inverse of `to_dict`."""
        pairs = np.asarray(state["coupling"])
        return cls(
            state["resonances"],
            pairs[..., 0] + 1j * pairs[..., 1],
            state["phases"],
            band=(float(state["band"][0]), float(state["band"][1])),
            absorption=float(state["absorption"]),
        )
