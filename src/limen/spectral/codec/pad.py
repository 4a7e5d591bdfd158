"""Frames of any size through networks that halve them."""

import torch
from jaxtyping import Float
from torch import Tensor


def padded(
    image: Float[Tensor, "batch planes y x"], multiple: int
) -> Float[Tensor, "batch planes y2 x2"]:
    """The image grown at its lower right to a multiple, mirrored where it is large enough.

    Args:
        image: Planes before rows and columns.
        multiple: What sides are to be divisible by.

    Returns:
        The image; callers crop what comes out to the old sides.

    Example:
        >>> padded(torch.zeros(1, 1, 5, 8), 4).shape
        torch.Size([1, 1, 8, 8])
    """
    down, right = -image.shape[-2] % multiple, -image.shape[-1] % multiple
    if not (down or right):
        return image
    mirrors = down < image.shape[-2] and right < image.shape[-1]
    mode = "reflect" if mirrors else "replicate"
    return torch.nn.functional.pad(image, (0, right, 0, down), mode=mode)
