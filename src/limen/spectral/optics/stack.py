"""What a stack of thin films passes, reflects and swallows."""

import math
from typing import NamedTuple

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from limen._core.errors import UsageError


class StackPower(NamedTuple):
    """Shares of the incident power, which add up to 1.

    Attributes:
        transmitted: T, for each stack and wavelength.
        reflected: R.
        absorbed: 1 - T - R.

    Example:
        >>> StackPower(torch.tensor(0.9), torch.tensor(0.1), torch.tensor(0.0)).reflected.item()
        0.10000000149011612
    """

    transmitted: Tensor
    reflected: Tensor
    absorbed: Tensor


def stack_power(
    nm: Float[Tensor, " bands"],
    indices: Complex[Tensor, "layers bands"],
    thickness: Float[Tensor, "stacks layers"],
    *,
    before: float = 1.0,
    behind: complex | Complex[Tensor, " bands"] = 1.0,
    angle: float | Float[Tensor, " bands"] = 0.0,
    polarisation: str = "mean",
) -> StackPower:
    """Power that flat layers transmit, reflect and absorb; differentiable in the thicknesses.

    Light of wavelength l meets layers of index n + ik and thickness d in their order. Amplitudes
    are gathered from the far side by `r = (f + r' e) / (1 + f r' e)`, `e = exp(2 i delta)`,
    `delta = 2 pi (n + ik) d cos(theta) / l`, f the Fresnel coefficient of the boundary: only
    fading exponentials occur, so no thickness overflows, however strongly a layer absorbs.

    Args:
        nm: Wavelengths.
        indices: n + ik, k at least 0, of each layer.
        thickness: In nm, at least 0.
        before: Index in front, real: light comes from where nothing absorbs.
        behind: Index of what lies behind.
        angle: Of incidence in front, in radians, from 0 to below pi / 2; one for all, or one for
            each wavelength, so that many angles are had in one call by repeating wavelengths.
        polarisation: "s", "p", or "mean" of both.

    Returns:
        T, R and A, (stacks, bands) each, in float64.

    Raises:
        UsageError: An angle or polarisation that is none, `before` not above 0, or a thickness
            below 0.

    Example:
        >>> none = torch.zeros(0, 1, dtype=torch.complex128), torch.zeros(1, 0)
        >>> bare = stack_power(torch.tensor([500.0]), *none, behind=1.5)
        >>> round(bare.reflected.item(), 12)    # (0.5 / 2.5)^2
        0.04
    """
    if polarisation not in ("s", "p", "mean"):
        raise UsageError(f"polarisation={polarisation!r} must be 's', 'p' or 'mean'")
    if not bool((thickness.detach() >= 0).all()):
        raise UsageError("thickness must be at least 0 nm; clamp it after each step of training")
    turned = torch.as_tensor(angle, dtype=torch.float64, device=nm.device)
    if not bool(((turned >= 0) & (turned < math.pi / 2)).all()) or not before > 0:
        raise UsageError(f"angle={angle} must lie from 0 to below pi / 2, before={before} above 0")
    both = "sp" if bool(turned.any()) else "s"
    ways = both if polarisation == "mean" else polarisation
    last = torch.as_tensor(behind, dtype=torch.complex128, device=nm.device).expand(len(nm))
    first = torch.full_like(last, before)
    media = torch.cat([first[None], indices.to(torch.complex128), last[None]])
    cosines = _cosines(media, before * turned.sin())
    found = [
        _shares(nm.double(), media, cosines, thickness=thickness.double(), p=way == "p")
        for way in ways
    ]
    passed, back = (torch.stack(part).mean(0) for part in zip(*found, strict=True))
    return StackPower(passed, back, 1 - passed - back)


def _cosines(media: Tensor, sine: Tensor) -> Tensor:
    """cos(theta) in each medium by Snell's law, on the branch that fades away from the source."""
    root = (1 - (sine / media) ** 2).sqrt()
    return torch.where((media * root).imag < 0, -root, root)


def _shares(
    nm: Tensor, media: Tensor, cosines: Tensor, *, thickness: Tensor, p: bool
) -> tuple[Tensor, Tensor]:
    admittance = media / cosines if p else media * cosines
    phases = 2 * math.pi * media * cosines / nm
    stacks = thickness.shape[0]
    back = torch.zeros(stacks, len(nm), dtype=torch.complex128, device=nm.device)
    through = torch.ones_like(back)
    for layer in range(len(media) - 2, -1, -1):
        near, far = admittance[layer], admittance[layer + 1]
        fresnel, into = (near - far) / (near + far), 2 * near / (near + far)
        if layer == len(media) - 2:  # behind the last boundary nothing comes back
            back, through = fresnel.expand_as(back), into.expand_as(back)
            continue
        step = torch.exp(1j * phases[layer + 1] * thickness[:, layer, None])
        round_trip = back * step**2
        bounced = 1 + fresnel * round_trip
        through = into * through * step / bounced
        back = (fresnel + round_trip) / bounced
    share = admittance[-1].real / admittance[0].real
    return share * through.abs() ** 2, back.abs() ** 2
