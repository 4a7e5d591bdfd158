"""Pictures in a row as a film."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from limen._core.errors import UsageError
from limen._core.optional import require
from limen.run.store import replacing
from limen.spectral.video.video import require_size

_KINDS = (".mp4", ".gif")


def export_video(path: str | Path, pictures: Iterable[Any], *, fps: float = 25.0) -> Path:
    """Write pictures as MP4 or GIF, one at a time; whole or not at all.

    Args:
        path: Ends in .mp4 or .gif; folders are made.
        pictures: uint8, (y, x) or (y, x, 3), all of one size, such as `to_rgb` gives.
        fps: Pictures a second, above 0.

    Returns:
        The path.

    Raises:
        UsageError: Another ending, no picture, another dtype, or pictures that change size.

    Example:
        >>> import tempfile
        >>> shade = [np.full((16, 16), level, dtype=np.uint8) for level in (0, 128, 255)]
        >>> export_video(Path(tempfile.mkdtemp()) / "film.gif", shade).stat().st_size > 0
        True
    """
    where = Path(path)
    if where.suffix.lower() not in _KINDS or not 0 < fps < float("inf"):
        raise UsageError(f"path must end in .mp4 or .gif and fps={fps} be above 0; got {where}")
    iio = require("imageio.v2", extra="spectral")
    kind = where.suffix.lower()
    options: dict[str, Any] = (
        {"duration": 1000 / fps, "loop": 0} if kind == ".gif"
        else {"fps": fps, "macro_block_size": 1, "codec": "libx264", "pixelformat": "yuv420p"}
    )  # fmt: skip
    found = _checked(pictures, even=kind == ".mp4")
    first = next(found, None)
    if first is None:
        raise UsageError("pictures must be one or more, got none")
    where.parent.mkdir(parents=True, exist_ok=True)
    with replacing(where) as draft:
        film = draft.with_suffix(kind)
        with iio.get_writer(film, **options) as writer:
            writer.append_data(first)
            for picture in found:
                writer.append_data(picture)
        if film != draft:
            film.replace(draft)
    return where


def _checked(pictures: Iterable[Any], *, even: bool) -> Any:
    """The pictures with three channels; odd sides repeat their last row, as films need even ones.

    Raises:
        UsageError: Another dtype or size.
    """
    size: tuple[int, ...] | None = None
    for time, picture in enumerate(pictures):
        found = np.asarray(picture)
        odd = found.ndim not in (2, 3) or found.shape[2:] not in ((), (3,)) or not found.size
        if found.dtype != np.uint8 or odd:
            raise UsageError(
                "pictures must not be empty and be uint8, (y, x) or (y, x, 3); number "
                f"{time} is {found.dtype} {found.shape}"
            )
        size = size or found.shape
        require_size(found.shape, size, time=time)
        found = found if found.ndim == 3 else np.repeat(found[..., None], 3, axis=2)
        if even:
            found = np.pad(found, [(0, n % 2) for n in found.shape[:2]] + [(0, 0)], mode="edge")
        yield found
