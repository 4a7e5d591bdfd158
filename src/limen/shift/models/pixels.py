"""Batches of pixels out of paths, pictures or arrays, read while the network works."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import default_collate

from limen._core.errors import UsageError
from limen._core.optional import require
from limen.bank.batches import Slices

Prepare = Callable[[Any], Any]


def batches(
    images: Any, *, prepare: Prepare | None, size: int, workers: int = 1
) -> Iterator[tuple[int, Any]]:
    """Batches in order, each with its number of rows.

    Arrays and tensors of prepared pixels, and dicts of them, are cut and never copied; paths and
    PIL images are opened as RGB and pass `prepare`, one batch ahead of the one that is asked for,
    so that a folder of any size needs the memory of two batches.

    Args:
        images: A list of paths or PIL images, a (rows, ...) array or tensor, or a dict of such.
        prepare: A PIL image to pixels, or to a dict of them; None where `images` is prepared.
        size: Rows of a batch, 1 or more.
        workers: Threads that open photos.

    Yields:
        Number of rows, and tensors.

    Raises:
        UsageError: A photo that cannot be read, no photo, photos without `prepare`, or photos that
            come out in different shapes.

    Example:
        >>> [count for count, pixels in batches(np.zeros((5, 3, 2, 2)), prepare=None, size=2)]
        [2, 2, 1]
    """
    if size < 1 or workers < 1:
        raise UsageError(f"batch={size} and workers={workers} must be 1 or more")
    if isinstance(images, Tensor | np.ndarray | Mapping) and not _is_names(images):
        rows = count_of(images)
        for start, part in zip(
            range(0, rows, size), Slices(images, rows=rows, size=size), strict=True
        ):
            yield min(size, rows - start), _tensors(part)
        return
    photos = list(images)
    count_of(photos)
    if prepare is None:
        raise UsageError(
            "preprocess must be given to read photos: the model's own transform, from its library"
        )
    parts = [photos[start : start + size] for start in range(0, len(photos), size)]
    with ThreadPoolExecutor(workers) as pool:
        waiting = _sent(pool, parts[0], prepare)
        for i, part in enumerate(parts):
            ready = waiting
            waiting = _sent(pool, parts[i + 1], prepare) if i + 1 < len(parts) else []
            yield len(part), _stacked([each.result() for each in ready])


def count_of(images: Any) -> int:
    """How many images there are.

    Raises:
        UsageError: None, arrays of different lengths, or one path where a list of them belongs.

    Example:
        >>> count_of(["a.jpg", "b.jpg"])
        2
    """
    if isinstance(images, str | Path):
        raise UsageError(f"images must be a list of photos, got the one path {str(images)!r}")
    found = {len(part) for part in images.values()} if isinstance(images, Mapping) else {
        len(images)
    }  # fmt: skip
    if len(found) != 1 or found == {0}:
        raise UsageError(f"images must be one or more and of one length, got {sorted(found)}")
    return found.pop()


def preparing(preprocess: Any) -> Prepare | None:
    """A library's preprocessing as one function of a PIL image.

    Args:
        preprocess: A callable as torchvision, timm and open_clip have them; an image processor of
            transformers, or a processor that holds one; None.

    Returns:
        The function; None for None.

    Raises:
        UsageError: It is none of these.

    Example:
        >>> class Processor:    # as transformers has them
        ...     model_input_names = ["pixel_values"]
        ...     def __call__(self, images, return_tensors):
        ...         return {"pixel_values": torch.tensor([[len(image)] for image in images])}
        >>> preparing(Processor())("four")
        {'pixel_values': tensor([4])}
    """
    processor = getattr(preprocess, "image_processor", preprocess)
    if hasattr(processor, "model_input_names"):
        return _Processed(processor)
    if preprocess is not None and not callable(preprocess):
        kind = type(preprocess).__name__
        raise UsageError(f"preprocess must be a function of a picture, got {kind}")
    return preprocess


class _Processed:
    """An image processor of transformers, one picture at a time."""

    def __init__(self, processor: Any):
        self._processor = processor

    def __call__(self, image: Any) -> dict[str, Any]:
        found = self._processor(images=[image], return_tensors="pt")
        return {str(name): value[0] for name, value in found.items()}


def _sent(pool: ThreadPoolExecutor, photos: Sequence[Any], prepare: Prepare) -> list[Future]:
    return [pool.submit(_prepared, photo, prepare) for photo in photos]


def _prepared(photo: Any, prepare: Prepare) -> Any:
    if isinstance(photo, str | Path):
        reader = require("PIL.Image", extra="vision")
        try:
            with reader.open(photo) as opened:
                photo = opened.convert("RGB")
        except (OSError, SyntaxError) as broken:  # SyntaxError: Pillow's word for a broken png
            raise UsageError(f"{photo} must be a photo that can be read: {broken}") from broken
    elif getattr(photo, "mode", "RGB") != "RGB":
        photo = photo.convert("RGB")
    return prepare(photo)


def _stacked(rows: list[Any]) -> Any:
    try:
        return default_collate(rows)
    except (RuntimeError, TypeError) as uneven:
        reason = str(uneven).splitlines()[0]
        raise UsageError(
            f"preprocess must make tensors of one shape from every photo: {reason}"
        ) from uneven


def _tensors(part: Any) -> Any:
    if isinstance(part, Mapping):
        return {str(name): _tensors(value) for name, value in part.items()}
    return part if isinstance(part, Tensor) else torch.from_numpy(np.ascontiguousarray(part))


def _is_names(images: Any) -> bool:
    return isinstance(images, np.ndarray) and images.dtype.kind in "UO"
