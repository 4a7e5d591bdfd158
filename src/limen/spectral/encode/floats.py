"""Encoding in floating point by torch, block by block, on any device."""

import torch
from jaxtyping import Float
from torch import Tensor

from limen._core.errors import UsageError


def encode_floats(
    cube: Float[Tensor, "*lead bands"],
    matrix: Float[Tensor, "channels bands"],
    *,
    block: int = 65_536,
) -> Float[Tensor, "*lead channels"]:
    """A l for every pixel, a block of pixels at a time, so that a mapped cube is never copied.

    Args:
        cube: Values, bands last; whole numbers are taken into the matrix's precision by block.
        matrix: The encoding matrix.
        block: Pixels at a time, at least 1.

    Returns:
        Encoded light in the matrix's precision.

    Raises:
        UsageError: Another number of bands, or no block.

    Example:
        >>> encode_floats(torch.tensor([[1.0, 2.0]]), torch.tensor([[0.5, 0.25]])).tolist()
        [[1.0]]
    """
    if cube.shape[-1] != matrix.shape[1] or block < 1:
        raise UsageError(
            f"matrix has {matrix.shape[1]} bands and cube {cube.shape[-1]}, with block={block}; "
            "evaluate the filters at the cube's wavelengths"
        )
    flat = cube.reshape(-1, cube.shape[-1])
    parts = [part.to(matrix.dtype) @ matrix.T for part in flat.split(block)]
    return torch.cat(parts).reshape(*cube.shape[:-1], matrix.shape[0])
