"""Outliers made of inliers, where no others are at hand: functions of rows and random numbers."""

import torch
from jaxtyping import Float
from torch import Tensor

from limen._core.errors import UsageError


def shuffled_columns(
    rows: Float[Tensor, "rows columns"], stream: torch.Generator
) -> Float[Tensor, "rows columns"]:
    """Tables whose columns are shuffled one by one: each column's values stay, their ties go.

    Args:
        rows: Inliers.
        stream: Random numbers, on the CPU.

    Returns:
        As many rows.

    Example:
        >>> found = shuffled_columns(torch.arange(6.0).view(3, 2), torch.Generator().manual_seed(0))
        >>> found.sort(0).values.tolist()
        [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]
    """
    order = torch.rand(rows.shape, generator=stream).argsort(0)
    return rows.gather(0, order.to(rows.device))


def uniform_box(
    rows: Float[Tensor, "rows ..."], stream: torch.Generator, *, widen: float = 1.2
) -> Float[Tensor, "rows ..."]:
    """Noise, uniform in the box around the inliers.

    Args:
        rows: Inliers.
        stream: Random numbers, on the CPU.
        widen: Width of the box over the inliers' range, positive; about the same middle.

    Returns:
        As many rows.

    Raises:
        UsageError: `widen` is not positive.

    Example:
        >>> rows = torch.tensor([[0.0, 10.0], [1.0, 10.0]])
        >>> found = uniform_box(rows, torch.Generator().manual_seed(0), widen=1.0)
        >>> bool((0 <= found[:, 0]).all() and (found[:, 0] <= 1).all()), found[:, 1].tolist()
        (True, [10.0, 10.0])
    """
    if not 0 < widen < float("inf"):
        raise UsageError(f"widen={widen} must be positive")
    low, high = rows.amin(0), rows.amax(0)
    share = torch.rand(rows.shape, generator=stream).to(rows)
    return (low + high) / 2 + widen * (high - low) * (share - 0.5)


def permuted_pixels(
    images: Float[Tensor, "rows channels height width"], stream: torch.Generator
) -> Float[Tensor, "rows channels height width"]:
    """Pictures whose pixels are permuted, a new order for each: colours stay, shapes go.

    Args:
        images: Inliers.
        stream: Random numbers, on the CPU.

    Returns:
        As many pictures.

    Example:
        >>> image = torch.arange(4.0).view(1, 1, 2, 2)
        >>> found = permuted_pixels(image, torch.Generator().manual_seed(0))
        >>> found.flatten().sort().values.tolist()
        [0.0, 1.0, 2.0, 3.0]
    """
    order = torch.rand(len(images), 1, images[0, 0].numel(), generator=stream).argsort(-1)
    pixels = images.flatten(2)
    return pixels.gather(2, order.to(images.device).expand_as(pixels)).view_as(images)


def shuffled_patches(
    images: Float[Tensor, "rows channels height width"], stream: torch.Generator, *, parts: int = 2
) -> Float[Tensor, "rows channels height width"]:
    """Pictures cut into `parts` x `parts` tiles that change places: textures stay, objects go.

    Args:
        images: Inliers.
        stream: Random numbers, on the CPU.
        parts: Tiles along a side; divides height and width.

    Returns:
        As many pictures. By chance, one in `(parts^2)!` comes out as it was.

    Raises:
        UsageError: `parts` does not divide height and width.

    Example:
        >>> image = torch.arange(4.0).view(1, 1, 2, 2)
        >>> found = shuffled_patches(image, torch.Generator().manual_seed(0))
        >>> found.flatten().sort().values.tolist()
        [0.0, 1.0, 2.0, 3.0]
    """
    rows, channels, height, width = images.shape
    if parts < 1 or height % parts or width % parts:
        raise UsageError(f"parts={parts} must divide height {height} and width {width}")
    split = images.view(rows, channels, parts, height // parts, parts, width // parts)
    tiles = split.permute(0, 2, 4, 1, 3, 5).flatten(1, 2)
    order = torch.rand(rows, parts**2, generator=stream).argsort(-1).to(images.device)
    moved = tiles[torch.arange(rows, device=images.device)[:, None], order]
    return moved.unflatten(1, (parts, parts)).permute(0, 3, 1, 4, 2, 5).reshape(images.shape)


def rotated(
    images: Float[Tensor, "rows channels side side"], stream: torch.Generator
) -> Float[Tensor, "rows channels side side"]:
    """Square pictures turned by 90, 180 or 270 degrees, each by its own.

    Args:
        images: Inliers that have a right way up.
        stream: Random numbers, on the CPU.

    Returns:
        As many pictures.

    Example:
        >>> image = torch.arange(4.0).view(1, 1, 2, 2)
        >>> torch.equal(rotated(image, torch.Generator().manual_seed(0)), image)
        False
    """
    turns = torch.randint(1, 4, (len(images), 1, 1, 1), generator=stream).to(images.device)
    for turn in (1, 2, 3):
        images = torch.where(turns >= turn, images.rot90(1, (2, 3)), images)
    return images


def mixed(
    rows: Float[Tensor, "rows ..."], stream: torch.Generator, *, least: float = 0.3
) -> Float[Tensor, "rows ..."]:
    """Each row averaged with another: `t x + (1 - t) x'`, t uniform in [least, 1 - least].

    Args:
        rows: Inliers, two at least.
        stream: Random numbers, on the CPU.
        least: Smallest share of either, from 0 to 0.5.

    Returns:
        As many rows. Two of one class may give a third; shuffle classes apart where that matters.

    Raises:
        UsageError: `least` is out of range, or there are fewer than two rows.

    Example:
        >>> rows = torch.tensor([[0.0], [1.0]])
        >>> mixed(rows, torch.Generator().manual_seed(0), least=0.5).tolist()
        [[0.5], [0.5]]
    """
    if not 0 <= least <= 0.5 or len(rows) < 2:
        raise UsageError(f"least={least} must be 0 to 0.5, for two rows or more; got {len(rows)}")
    ahead = int(torch.randint(1, len(rows), (1,), generator=stream))
    share = torch.rand(len(rows), *[1] * (rows.ndim - 1), generator=stream).to(rows)
    share = least + (1 - 2 * least) * share
    return share * rows + (1 - share) * rows.roll(ahead, 0)
