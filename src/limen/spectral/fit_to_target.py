"""The second of two steps: a bank that can be made, as near as can be to one that cannot."""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from limen._core.errors import UsageError
from limen.run.progress import progress
from limen.spectral._descent import Best, descend, ready, restart


@dataclass(frozen=True)
class TargetFit:
    """How near the filters came to their target.

    Attributes:
        error: Root of the weighted mean squared difference of transmission, over all channels.
        errors: The same for each channel.
        starts: `error` of the best filters that each start met.

    Example:
        >>> TargetFit(error=0.1, errors=(0.1,), starts=(0.2, 0.1)).error
        0.1
    """

    error: float
    errors: tuple[float, ...]
    starts: tuple[float, ...]


def fit_to_target(
    filters: Any,
    target: Any,
    *,
    wavelengths: Any,
    weight: Any = None,
    steps: int = 300,
    lr: float = 2.0,
    restarts: int = 8,
    seed: int = 0,
) -> TargetFit:
    """Bring a bank's transmission to a target by weighted least squares; changed in place.

    Least over the parameters of `sum_b w_b (T_cb - T*_cb)^2 / sum_b w_b` for each channel c, by
    Adam on its logarithm, so that no channel waits for another. A channel of every bank here has
    parameters of its own, so the best start is kept for each channel by itself. What counts in the
    end is the decoder's error: compare `predicted_error` with that of the target.

    Args:
        filters: A bank with parameters.
        target: T* in [0, 1], (channels, bands), or a bank to be asked for it.
        wavelengths: The bands.
        weight: w, at least 0: (bands,) or (channels, bands), such as the squared gradient of J;
            None for the same everywhere.
        steps: Steps of Adam from each start, at least 1.
        lr: Step size in the unit of the parameters: 1 to 3 for thicknesses in nm, about 0.05 for
            logits, 0.01 for coupled modes.
        restarts: Starts, at least 1: the bank as it is, then drawn by `filters.redraw_(seed)`.
        seed: Of these draws.

    Returns:
        What is left, in transmission.

    Raises:
        UsageError: A target or weight of another shape or range, no parameters, no step, no start,
            or several for a bank that cannot be redrawn.
        WorkError: The loss is no longer finite.

    Reference:
        A. Makarenko et al., "Real-time hyperspectral imaging in hardware via trained metasurface
        encoders", CVPR 2022, for the idea of targets first and structures after; ours is plain
        least squares on thin films.

    Example:
        >>> from limen.spectral.optics.curves import Gaussians
        >>> from limen.spectral.wavelengths import Wavelengths
        >>> bands = Wavelengths([450.0, 500.0, 550.0, 600.0])
        >>> bank, goal = Gaussians([500.0], 60.0), Gaussians([540.0], 80.0)
        >>> fit_to_target(bank, goal, wavelengths=bands, steps=200, restarts=1).error < 0.01
        True
    """
    ready(filters, steps=steps, restarts=restarts)
    shape = (int(filters.count), len(wavelengths.nm))
    goal, share = _goal(target, wavelengths, shape), _share(weight, shape)

    def errors() -> Tensor:
        away = filters(wavelengths).to(torch.float64) - goal
        return (share * away.square()).sum(dim=1)

    def look() -> None:
        with torch.no_grad():
            found = errors()
        best.offer(filters, found)
        whole.offer(filters, found.mean())
        here.append(float(found.mean()))

    with torch.no_grad():
        first = errors()
    best, whole = Best(filters, first), Best(filters, first.mean())
    starts: list[float] = []
    with progress("fitting filters to a target", total=restarts * steps) as advance:
        for number in range(restarts):
            restart(filters, seed=seed, number=number)
            here: list[float] = []
            look()
            descend(
                filters,
                lambda: errors().clamp_min(1e-12).log().sum(),
                look=look,
                advance=advance,
                steps=steps,
                lr=lr,
            )
            starts.append(min(here) ** 0.5)
    left = _restored(filters, [best, whole], errors)
    return TargetFit(
        error=float(left.mean().sqrt()),
        errors=tuple(left.sqrt().tolist()),
        starts=tuple(starts),
    )


@torch.no_grad()
def _restored(filters: Any, kept: list[Best], errors: Any) -> Tensor:
    """Whichever is nearer: the best of each channel, or the best bank where channels share."""
    found: list[Tensor] = []
    for one in kept:
        one.restore(filters)
        found.append(errors())
    better = int(found[1].mean() < found[0].mean())
    kept[better].restore(filters)
    return found[better]


def _goal(target: Any, wavelengths: Any, shape: tuple[int, int]) -> Float[Tensor, "channels bands"]:
    with torch.no_grad():
        asked = target(wavelengths) if callable(target) else target
        goal = torch.as_tensor(asked, dtype=torch.float64).detach().clone()
    if goal.shape != shape or not bool(((goal >= 0) & (goal <= 1)).all()):
        raise UsageError(
            f"target must be {shape} of transmissions in [0, 1] as filters and wavelengths say, "
            f"got {tuple(goal.shape)}; scale it, or ask another bank"
        )
    return goal


def _share(weight: Any, shape: tuple[int, int]) -> Float[Tensor, "channels bands"]:
    given = torch.ones(shape) if weight is None else torch.as_tensor(weight)
    given = given.detach().to(torch.float64)
    fits = given.shape in (shape, shape[1:]) and bool((given >= 0).all())
    total = given.expand(shape).sum(dim=1, keepdim=True) if fits else torch.zeros(1)
    if not bool(((total > 0) & torch.isfinite(total)).all()):
        raise UsageError(
            f"weight must be {shape[1:]} or {shape} numbers, at least 0 and not all 0 in a "
            f"channel, got {tuple(given.shape)}; leave it out for the same everywhere"
        )
    return given / total
