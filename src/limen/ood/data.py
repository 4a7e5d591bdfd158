"""Pictures from a folder, a zip archive or an npz file, as small integers in memory."""

import hashlib
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import BytesIO
from itertools import combinations
from pathlib import Path, PurePosixPath
from typing import Any
from zipfile import BadZipFile, ZipFile

import numpy as np
from jaxtyping import Int64, UInt8

from limen._core.errors import UsageError, nearest
from limen._core.optional import require
from limen.run.progress import progress

CLASSES = 100_000
"""No label of an npz file reaches so far: each class gets a name."""
_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
_TOLD = 5  # names in a message


@dataclass(frozen=True)
class Images:
    """Pictures in memory, with their classes where folders or labels name them.

    Attributes:
        inputs: Pixels, 0 to 255.
        names: Where each picture was read.
        hashes: A hash of each file's content (of an npz file: of each row's pixels).
        labels: Number of each picture's class, or None without classes.
        classes: Names of the classes, in the order of their numbers.
        skipped: Pictures that could not be read and were left out.

    Example:
        >>> pixels = np.zeros((2, 3, 4, 4), dtype=np.uint8)
        >>> len(Images(pixels, ("a.png", "b.png"), ("1f", "2e")))
        2
    """

    inputs: UInt8[np.ndarray, "rows 3 height width"]
    names: tuple[str, ...]
    hashes: tuple[str, ...]
    labels: Int64[np.ndarray, " rows"] | None = None
    classes: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.inputs)

    def take(self, rows: Sequence[int] | np.ndarray) -> "Images":
        """Some of the pictures, in this order.

        Args:
            rows: Their numbers.

        Returns:
            The same kind, with all classes kept.
        """
        at = np.asarray(rows, dtype=np.int64)
        return Images(
            self.inputs[at],
            tuple(self.names[i] for i in at),
            tuple(self.hashes[i] for i in at),
            labels=None if self.labels is None else self.labels[at],
            classes=self.classes,
        )


def read_images(
    source: str | Path, *, size: int, limit: int | None = None, skip_bad: bool = False
) -> Images:
    """Read pictures, in the order of their names; everything is decoded before this returns.

    The shorter side is resized to `size` (bicubic, with antialiasing), then the middle is cut out;
    a picture that has the size already is left alone. Grey pictures become three equal channels.
    Memory is rows x 3 x size x size bytes; for more than that, hand a DataLoader to the library.

    Args:
        source: A folder or a .zip archive, or a folder inside one ("photos.zip/train"): folders in
            it are classes, pictures without a folder have none. Or an .npz file with "images" of
            shape (rows, height, width) or (rows, height, width, 3), uint8, and perhaps "labels".
        size: Height and width in pixels.
        limit: At most this many pictures of each class, the first by name.
        skip_bad: Leave out what cannot be read, listed in `skipped`, instead of refusing it.

    Returns:
        The pictures.

    Raises:
        UsageError: Nothing there, no pictures, one that cannot be read, pictures both in folders
            and beside them, or an npz file of another form.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "set.npz"
        >>> np.savez(path, images=np.zeros((2, 8, 8), dtype=np.uint8), labels=np.array([0, 1]))
        >>> found = read_images(path, size=4)
        >>> found.inputs.shape, found.labels.tolist()
        ((2, 3, 4, 4), [0, 1])
    """
    if size < 1 or (limit is not None and limit < 1):
        raise UsageError(f"size={size} and limit={limit} must be at least 1")
    path = Path(source)
    if path.suffix == ".npz":
        return _npz(path, size=size, limit=limit)
    files = _files(path)
    _require_utf8([str(name) for name, _ in files])
    if not files:
        kinds = ", ".join(_SUFFIXES[:3])
        raise UsageError(f"{source} must hold pictures ({kinds}, ...); there are none")
    folders = [name.parts[0] if len(name.parts) > 1 else "" for name, _ in files]
    classes = tuple(sorted(set(folders)))
    if "" in classes and len(classes) > 1:
        raise UsageError(
            f"{source} must hold pictures or one folder for each class; it holds both: "
            f"{files[folders.index('')][0]} stands beside {classes[1]}/"
        )
    chosen = _first(folders, limit)
    pixels, hashes, bad = _decoded([files[i] for i in chosen], size=size, what=path.name)
    if bad and not skip_bad:
        raise UsageError(
            f"{source}: {len(bad)} of {len(chosen)} pictures cannot be read "
            f"({_some([str(files[chosen[i]][0]) for i in bad])}); mend them, or skip them with "
            "--skip-bad (skip_bad=True)"
        )
    left = [i for i in range(len(chosen)) if i not in set(bad)]
    if not left:
        raise UsageError(f"{source} must hold a picture that can be read; none of {len(bad)} can")
    labels = np.array([classes.index(folders[chosen[i]]) for i in left], dtype=np.int64)
    return Images(
        np.stack([found for found in pixels if found is not None]),
        tuple(str(files[chosen[i]][0]) for i in left),
        tuple(hashes[i] for i in left),
        labels=None if classes == ("",) else labels,
        classes=() if classes == ("",) else classes,
        skipped=tuple(str(files[chosen[i]][0]) for i in bad),
    )


def _require_utf8(names: Sequence[str]) -> None:
    """Refuse names that no page and no run folder could hold.

    Raises:
        UsageError: One of them is not UTF-8.
    """
    odd = next((name for name in names if any("\ud800" <= sign <= "\udfff" for sign in name)), None)
    if odd is not None:
        shown = odd.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        raise UsageError(f"names of pictures and folders must be UTF-8, got {shown}; rename it")


def require_apart(sets: Mapping[str, Images]) -> None:
    """Refuse sets that share a file: what is an inlier here and an outlier there teaches nothing.

    Files are compared by content. The same picture saved twice differently is not noticed.

    Args:
        sets: Pictures by the name of their set.

    Raises:
        UsageError: Two sets hold the same file.

    Example:
        >>> one = Images(np.zeros((1, 3, 2, 2), dtype=np.uint8), ("a.png",), ("1f",))
        >>> require_apart({"inliers": one})
    """
    for (name, these), (other, those) in combinations(sets.items(), 2):
        where = dict(zip(those.hashes, those.names, strict=True))
        shared = [
            (a, where[h]) for a, h in zip(these.names, these.hashes, strict=True) if h in where
        ]
        if shared:
            raise UsageError(
                f"{name} and {other} must not share files; they share {len(shared)}, such as "
                f"{shared[0][0]} = {shared[0][1]}: take them out of one of the two"
            )


_File = tuple[PurePosixPath, Callable[[], bytes]]


def _files(path: Path) -> list[_File]:
    """Pictures below a folder, on disk or in an archive, by their names in it.

    Raises:
        UsageError: There is no such folder, or the archive is broken.
    """
    archive = next((p for p in (path, *path.parents) if p.suffix == ".zip" and p.is_file()), None)
    if archive is not None:
        return _zipped(archive, path.relative_to(archive).as_posix())
    if not path.is_dir():
        what = "it is none" if path.exists() else f"there is nothing there{_near(path)}"
        raise UsageError(f"{path} must be a folder, a .zip archive or an .npz file; {what}")
    found = sorted(p for p in path.rglob("*") if _is_picture(p.name) and p.is_file())
    return [(PurePosixPath(p.relative_to(path).as_posix()), p.read_bytes) for p in found]


def _near(path: Path) -> str:
    """What lies beside it under the likest names."""
    here = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
    return f"; nearest: {nearest(path.name, here)}" if here else ""


def _zipped(archive: Path, folder: str) -> list[_File]:
    try:
        opened = ZipFile(archive)  # stays open for as long as its files are read
    except (BadZipFile, OSError) as broken:
        raise UsageError(f"{archive} must be a zip archive: {broken}") from broken
    start = "" if folder == "." else f"{folder}/"
    names = sorted(n for n in opened.namelist() if n.startswith(start) and _is_picture(n))
    if not names and start:
        raise UsageError(f"{archive} must hold pictures in {folder}/; there are none")
    return [
        (PurePosixPath(name.removeprefix(start)), lambda name=name: opened.read(name))  # type: ignore[misc]
        for name in names
    ]


def _is_picture(name: str) -> bool:
    last = PurePosixPath(name)
    return last.suffix.lower() in _SUFFIXES and not last.name.startswith(".")


def _first(folders: Sequence[str], limit: int | None) -> list[int]:
    """Numbers of the first `limit` of each folder, in order."""
    seen: dict[str, int] = {}
    chosen = []
    for i, folder in enumerate(folders):
        seen[folder] = seen.get(folder, 0) + 1
        if limit is None or seen[folder] <= limit:
            chosen.append(i)
    return chosen


def _decoded(
    files: Sequence[_File], *, size: int, what: str
) -> tuple[list[np.ndarray | None], list[str], list[int]]:
    """Pixels and hash of each file, and which could not be read."""
    image = require("PIL.Image", extra="vision")
    broken = (BadZipFile, zlib.error, image.DecompressionBombError)
    pixels: list[np.ndarray | None] = []
    hashes: list[str] = []
    bad: list[int] = []

    def one(file: _File) -> tuple[np.ndarray | None, str]:
        try:
            content = file[1]()
            with image.open(BytesIO(content)) as opened:
                return _fitted(opened, size), hashlib.sha256(content).hexdigest()[:32]
        except (OSError, ValueError, SyntaxError, *broken):
            return None, ""

    with progress(f"reading {what}", total=len(files)) as advance, ThreadPoolExecutor(4) as pool:
        for i, (found, digest) in enumerate(pool.map(one, files)):
            if found is None:
                bad.append(i)
            pixels.append(found)
            hashes.append(digest)
            advance()
    return pixels, hashes, bad


def _fitted(picture: Any, size: int) -> np.ndarray:
    """RGB pixels (3, size, size): the shorter side resized, the middle cut out."""
    picture = picture.convert("RGB")
    wide, tall = picture.size
    if (wide, tall) != (size, size):
        scale = size / min(wide, tall)
        wide, tall = max(size, round(wide * scale)), max(size, round(tall * scale))
        left, top = (wide - size) // 2, (tall - size) // 2
        picture = picture.resize((wide, tall)).crop((left, top, left + size, top + size))
    return np.asarray(picture, dtype=np.uint8).transpose(2, 0, 1)


def _npz(path: Path, *, size: int, limit: int | None) -> Images:
    images, labels = _arrays(path)
    image = require("PIL.Image", extra="vision")
    folders = [""] * len(images) if labels is None else [str(label) for label in labels.tolist()]
    chosen = _first(folders, limit)
    with progress(f"reading {path.name}", total=len(chosen)) as advance:
        rows = list(_each(images[chosen], advance))
    pixels = [_fitted(image.fromarray(row), size) for row in rows]
    classes = 0 if labels is None else int(labels.max()) + 1
    return Images(
        np.stack(pixels),
        tuple(f"{path.name}:{i}" for i in chosen),
        tuple(hashlib.sha256(row.tobytes()).hexdigest()[:32] for row in rows),
        labels=None if labels is None else labels[chosen],
        classes=tuple(str(number) for number in range(classes)),
    )


def _each(images: np.ndarray, advance: Callable[..., None]) -> Iterator[np.ndarray]:
    for row in images:
        yield np.ascontiguousarray(row)
        advance()


def _arrays(path: Path) -> tuple[np.ndarray, np.ndarray | None]:
    """The pictures and labels of an npz file.

    Raises:
        UsageError: There is no such file, or it holds something else.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            found = {name: stored[name] for name in stored.files}
    except FileNotFoundError:
        where = f"there is nothing there{_near(path)}"
        raise UsageError(f"{path} must be an npz file; {where}") from None
    except (OSError, BadZipFile, ValueError, EOFError) as broken:
        why = "it is none" if "pickled" in str(broken) else str(broken)
        raise UsageError(f"{path} must be an npz file of plain arrays: {why}") from broken
    images = found.get("images")
    if images is None or images.dtype != np.uint8:
        raise UsageError(f"{path} must hold 'images', uint8; it holds {_told(found)}")
    if images.ndim != 3 and images.shape[3:] != (3,):
        raise UsageError(
            f"{path}: images must have shape (rows, height, width) or (rows, height, width, 3); "
            f"got {images.shape}"
        )
    if not images.size:
        raise UsageError(f"{path} must hold a picture, of a pixel at least; got {images.shape}")
    labels = found.get("labels")
    return images, None if labels is None else _labels(labels, len(images), path)


def _labels(labels: np.ndarray, rows: int, path: Path) -> np.ndarray:
    """The labels as numbers of classes.

    Raises:
        UsageError: They are none, or not one for each picture.
    """
    if labels.shape != (rows,) or labels.dtype.kind not in "iu":
        raise UsageError(
            f"{path}: labels must be a whole number from 0 up for each of {rows} pictures; "
            f"got {labels.dtype} of shape {labels.shape}"
        )
    if labels.min() < 0 or labels.max() >= CLASSES:  # before a cast could turn them negative
        odd = int(labels.min() if labels.min() < 0 else labels.max())
        raise UsageError(f"{path}: labels must lie in 0 to {CLASSES - 1:,}, got {odd:,}")
    return labels.astype(np.int64)


def _told(found: Mapping[str, np.ndarray]) -> str:
    return _some([f"{name} {v.dtype} {v.shape}" for name, v in found.items()]) or "nothing"


def _some(names: Sequence[str]) -> str:
    rest = f" and {len(names) - _TOLD} more" if len(names) > _TOLD else ""
    return ", ".join(names[:_TOLD]) + rest
