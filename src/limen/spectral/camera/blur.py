"""What spreads light between pixels: the lens's point spread, and crosstalk under the mosaic."""

from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from limen._core.errors import UsageError


def kernel(of: Any, name: str) -> Float[Tensor, "planes rows columns"]:
    """A blur's kernels, each normalised to sum 1, from a width in pixels or from its own values.

    Args:
        of: Standard deviation of a Gaussian in pixels, above 0; or weights of odd sides, one
            kernel (rows, columns) or one for each band (bands, rows, columns).
        name: What an error calls it.

    Returns:
        Float64 kernels, one or one a band.

    Raises:
        UsageError: A width that is not positive, even sides, negative weights, or sum 0.

    Example:
        >>> kernel([[0, 1, 0], [1, 4, 1], [0, 1, 0]], "crosstalk")[0, 1].tolist()
        [0.125, 0.5, 0.125]
    """
    if isinstance(of, int | float):
        if not 0 < of < 1e3:
            raise UsageError(f"{name} must be a width above 0 pixels, got {of}; or None for none")
        reach = max(1, int(np.ceil(4 * of)))
        line = np.exp(-0.5 * (np.arange(-reach, reach + 1) / of) ** 2)
        of = line[:, None] * line[None, :]
    weights = torch.as_tensor(np.asarray(of, dtype=np.float64))
    weights = weights[None] if weights.ndim == 2 else weights
    odd = weights.ndim == 3 and weights.shape[1] % 2 == 1 and weights.shape[2] % 2 == 1
    if (
        not odd
        or not bool(((weights >= 0) & (weights < np.inf)).all())
        or not bool((weights.sum((1, 2)) > 0).all())
    ):
        raise UsageError(
            f"{name} must be non-negative weights of odd sides with a sum above 0, got shape "
            f"{tuple(weights.shape)}; mend the kernel"
        )
    return weights / weights.sum((1, 2), keepdim=True)


def blur(
    image: Float[Tensor, "*lead y x planes"], kernels: Float[Tensor, "kernels rows columns"]
) -> Float[Tensor, "*lead y x planes"]:
    """Each plane convolved with its kernel; the rim is continued, so a flat image stays flat.

    Args:
        image: Planes last.
        kernels: One for all planes, or one for each.

    Returns:
        The image, of the same shape.

    Raises:
        UsageError: As many kernels as neither one nor the planes.

    Example:
        >>> round(float(blur(torch.ones(4, 4, 1), kernel(1.0, "psf")).std()), 6)
        0.0
    """
    planes = image.shape[-1]
    if kernels.shape[0] not in (1, planes):
        raise UsageError(
            f"psf must hold one kernel or {planes}, got {kernels.shape[0]}; give one a band"
        )
    stack = image.movedim(-1, -3).reshape(-1, planes, *image.shape[-3:-1])
    up, left = kernels.shape[1] // 2, kernels.shape[2] // 2
    stack = torch.nn.functional.pad(stack, (left, left, up, up), mode="replicate")
    weight = kernels.to(stack).flip((1, 2)).expand(planes, -1, -1)[:, None]
    out = torch.nn.functional.conv2d(stack, weight, groups=planes)
    return out.reshape(*image.shape[:-3], planes, *image.shape[-3:-1]).movedim(-3, -1)
