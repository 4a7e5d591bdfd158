"""The four losses of GenIAS, as pure functions."""

from math import log
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

KL = Literal["exact", "printed"]
Reduction = Literal["mean", "sum"]
Rows = Float[Tensor, "rows channels time"]
Errors = Float[Tensor, " rows"]
Latents = Float[Tensor, "rows latent"]


def squared_error(first: Rows, second: Rows) -> Errors:
    """Mean squared difference of each window; lower = closer.

    Args:
        first: Windows.
        second: As many.

    Returns:
        One number a window, at least 0.

    Example:
        >>> squared_error(torch.zeros(1, 1, 4), torch.ones(1, 1, 4)).tolist()
        [1.0]
    """
    return (first - second).square().mean((1, 2))


def two_sided_margin(copy: Errors, perturbed: Errors, *, least: float, most: float) -> Errors:
    """How far each perturbed window is from the band it should lie in; lower = better, 0 inside.

    `relu(d(x, copy) - d(x, perturbed) + least) + relu(d(x, perturbed) - most)`, window by window:
    a mean over the batch before the hinges would let near copies hide behind windows far off. A
    window can reach 0 only where its copy is as good as `most - least`.

    Args:
        copy: d(x, copy) of each window.
        perturbed: d(x, perturbed) of each window.
        least: By how much a perturbed window must be further off than the copy.
        most: How far off it may be.

    Returns:
        One number a window.

    Reference:
        Zamanzadeh Darban et al., GenIAS: Generator for Instantiating Anomalies in time Series,
        arXiv 2502.08262, 2025, the perturbation loss.

    Example:
        >>> at = torch.tensor
        >>> two_sided_margin(at([0.0]), at([0.25]), least=0.125, most=0.1875).tolist()
        [0.0625]
    """
    return (copy - perturbed + least).relu() + (perturbed - most).relu()


def compact_kl(
    mu: Latents, log_var: Latents, *, prior_std: float, form: KL = "exact"
) -> Float[Tensor, "rows latent"]:
    """KL divergence from N(0, prior_std^2) of each latent number, in nats; lower = more compact.

    exact: `1/2 ((sigma^2 + mu^2) / s^2 - 1 - ln sigma^2 + 2 ln s)`, 0 at the prior and nowhere
    below; "printed", the paper's expression as transcribed by others,
    `-1/2 (1 + ln sigma^2 - mu^2 - sigma^2 / s^2 + 2 ln s)`, which does not divide mu^2 by s^2 and
    has the other sign at 2 ln s. Both are least at mu = 0, sigma = s.

    Args:
        mu: Means.
        log_var: ln sigma^2.
        prior_std: s, a standard deviation above 0.
        form: "exact" or "printed".

    Returns:
        One number for each latent number of each window.

    Reference:
        Zamanzadeh Darban et al., GenIAS: Generator for Instantiating Anomalies in time Series,
        arXiv 2502.08262, 2025, the compact KL. Departure: the exact form by default.

    Example:
        >>> one, zero = torch.ones(1, 1), torch.zeros(1, 1)
        >>> compact_kl(one, zero, prior_std=1.0).item()
        0.5
    """
    spread = log_var.exp() / prior_std**2
    if form == "printed":
        return -0.5 * (1 + log_var - mu.square() - spread + 2 * log(prior_std))
    return 0.5 * (spread + mu.square() / prior_std**2 - 1 - log_var + 2 * log(prior_std))


def reduced(
    values: Float[Tensor, "rows latent"], *, reduction: Reduction = "mean"
) -> Float[Tensor, ""]:
    """Mean over windows of the mean or the sum over latent numbers.

    The sum, at the published weight of 0.1, outweighs everything that the other losses can win:
    the encoder then says nothing of its input.

    Args:
        values: Of `compact_kl`.
        reduction: "mean" or "sum" over the latent numbers.

    Returns:
        One number.

    Example:
        >>> reduced(torch.ones(2, 5), reduction="sum").item()
        5.0
    """
    each = values.sum(1) if reduction == "sum" else values.mean(1)
    return each.mean()


def zero_perturbation(
    windows: Rows, perturbed: Rows, *, tolerance: float = 1e-8
) -> Float[Tensor, ""]:
    """How little constant channels move; lower = they move more, in (0, 1], 0 where none is.

    The mean of `1 / (1 + d_j(x, perturbed))` over the pairs of window and channel j that are
    constant within the window, d_j being the mean squared difference over time. A constant channel
    is the easiest one to copy, so that nothing else would ever move it.

    Args:
        windows: x.
        perturbed: As many.
        tolerance: The largest range of a channel that counts as constant.

    Returns:
        One number.

    Reference:
        Zamanzadeh Darban et al., GenIAS: Generator for Instantiating Anomalies in time Series,
        arXiv 2502.08262, 2025, zero perturbation. Departure: channels constant at any value
        count, not those at zero alone.

    Example:
        >>> zero_perturbation(torch.zeros(1, 1, 4), torch.ones(1, 1, 4)).item()
        0.5
    """
    constant = windows.amax(2) - windows.amin(2) <= tolerance
    moved = (windows - perturbed).square().mean(2)
    kept = torch.where(constant, 1 / (1 + moved), torch.zeros_like(moved))
    return kept.sum() / constant.sum().clamp(min=1)
