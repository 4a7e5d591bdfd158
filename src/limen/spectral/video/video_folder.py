"""Videos as folders: a cube for each frame, and the masks beside them."""

from pathlib import Path
from typing import Any

import numpy as np

from limen._core.errors import UsageError
from limen.run.progress import progress
from limen.run.store import replacing
from limen.spectral.light.cube import Cube
from limen.spectral.light.read_cube import read_cube
from limen.spectral.light.write_cube import write_cube
from limen.spectral.video.video import Frames, Video

_ENDINGS = (".hdr", ".npz", ".npy", ".mat", ".h5", ".hdf5", ".he5", ".tif", ".tiff")
_MASKS = "masks.npz"


def write_video(folder: str | Path, video: Video, *, half: bool = True) -> Path:
    """Write a video frame by frame; the folder appears when it is whole.

    Args:
        folder: Where; it must not be there yet.
        video: The video; `masks.npz` takes its masks and names.
        half: Keep float16 (3 digits) and half the bytes.

    Returns:
        The folder; `read_video` takes it.

    Raises:
        UsageError: The folder is there already.

    Example:
        >>> import tempfile
        >>> from limen.spectral.wavelengths import Wavelengths
        >>> video = Video(np.ones((2, 3, 3, 2)), Wavelengths([500.0, 600.0]))
        >>> read_video(write_video(Path(tempfile.mkdtemp()) / "v", video)).shape
        (2, 3, 3, 2)
    """
    where = Path(folder)
    if where.exists():
        raise UsageError(f"{where} must not be there yet; name another folder")
    with replacing(where) as draft, progress("writing frames", total=len(video)) as advance:
        draft.mkdir()
        for time, frame in enumerate(video):
            values = frame.astype(np.float16) if half else frame
            write_cube(draft / f"frame_{time:05d}.npz", Cube(values, video.wavelengths))
            advance()
        if video.masks is not None:
            masks = np.stack([np.asarray(video.mask(t)) for t in range(len(video))])
            np.savez_compressed(draft / _MASKS, masks=masks, names=np.array(video.names or [""]))
    return where


def read_video(path: str | Path, **how: Any) -> Video:
    """A video from a folder with a cube for each frame, or from one cube; frames are read as asked.

    Args:
        path: The folder, whose cubes are its frames in the order of their names and whose
            `masks.npz`, if there is one, holds "masks" (time, y, x) and "names"; or a cube's file.
        how: As for `read_cube`.

    Returns:
        The video.

    Raises:
        UsageError: No cube there, frames that change size (when they are read), or masks of another
            length.

    Example:
        >>> read_video.__name__
        'read_video'
    """
    where = Path(path)
    if where.is_file():
        one = read_cube(where, **how)
        return Video(Frames(lambda _: np.asarray(one), (1, *one.shape)), one.wavelengths)
    if not where.is_dir():
        raise UsageError(f"{where} must be a folder with a cube for each frame, or a cube's file")
    places = sorted(p for p in where.iterdir() if p.suffix in _ENDINGS and p.name != _MASKS)
    if not places:
        raise UsageError(f"{where} must hold cubes ({', '.join(_ENDINGS)}); it holds none")
    first = read_cube(places[0], **how)

    def frame(time: int) -> np.ndarray:
        values = np.asarray(read_cube(places[time], **how))
        return values.astype(np.float32) if values.dtype == np.float16 else values

    masks: Any = None
    names: tuple[str, ...] = ()
    beside = where / _MASKS
    if beside.is_file():
        with np.load(beside, allow_pickle=False) as held:
            masks = held["masks"]
            names = tuple(str(x) for x in held["names"]) if "names" in held.files else ()
    shape = (len(places), *first.shape)
    return Video(Frames(frame, shape), first.wavelengths, masks=masks, names=names)
