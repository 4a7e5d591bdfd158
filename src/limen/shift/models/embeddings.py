"""Embeddings that were saved: the pair's answers without the pair."""

import json
from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from jaxtyping import Float, Int64
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from limen._core.errors import UsageError
from limen.run.store import replacing
from limen.shift.cosines import cosines
from limen.shift.models.unit import unit

_ARRAYS, _WORDS = ("images", "texts"), ("names", "labels")
_KINDS = (".npz", ".safetensors")


class Embeddings:
    """Saved image and text embeddings as a model: `logits` are cosines, nothing is run.

    Rows are found by the photos' names, so a folder may be asked in any order and from another
    place: a path matches the one name that it ends with, part by part.

    Args:
        images: (rows, width), of any length above 0.
        texts: Class embeddings, (classes, width).
        names: A photo's path for each row, each once, with / between parts, best relative to the
            folder of the photos; None: rows stand in the order in which photos will be asked for.
        labels: Names of the classes; None: not known.
        scale: Multiplies cosines into logits, above 0.

    Raises:
        UsageError: Widths that differ; rows of length 0 or not finite; names or labels that are
            not one each, or a name twice.

    Example:
        >>> saved = Embeddings([[1.0, 0.0], [0.0, 2.0]], [[3.0, 0.0], [4.0, 4.0]],
        ...                    names=["hen/a.jpg", "hen/b.jpg"])
        >>> saved.logits(["/photos/hen/b.jpg"]).round(2).tolist()
        [[0.0, 0.7099999785423279]]
    """

    def __init__(
        self,
        images: Any,
        texts: Any,
        *,
        names: Sequence[str] | None = None,
        labels: Sequence[str] | None = None,
        scale: float = 1.0,
    ):
        self.images, self.texts = unit("images", images), unit("texts", texts)
        if self.images.shape[1] != self.texts.shape[1]:
            raise UsageError(
                "images and texts must have one width, got "
                f"{self.images.shape[1]} and {self.texts.shape[1]}; both must come from one pair"
            )
        if not 0 < scale < float("inf"):
            raise UsageError(f"scale={scale} must be above 0")
        self.names = _counted(names, len(self.images), what="names", kind="image")
        self.labels = _counted(labels, len(self.texts), what="labels", kind="text")
        self.scale, self.name = scale, "embeddings"
        self._row = {PurePath(name).parts: i for i, name in enumerate(self.names or ())}
        if len(self._row) < len(self.names or ()):
            twice = next(n for n in self.names or () if (self.names or []).count(n) > 1)
            raise UsageError(f"names must be different, got {twice!r} twice")

    @classmethod
    def read(cls, path: str | Path) -> "Embeddings":
        """Read a .npz or .safetensors file; nothing is unpickled.

        Args:
            path: Arrays `images` and `texts`; beside them `names` and `labels` (arrays of text in
                npz, JSON lists in the metadata of safetensors) and `scale`, where there are.

        Returns:
            The model.

        Raises:
            UsageError: The file cannot be read, lacks an array, or the arrays are no good.
        """
        path = Path(path)
        if path.suffix not in _KINDS or not path.is_file():
            raise UsageError(f"{path} must be a file that ends in {' or '.join(_KINDS)}")
        held = _npz(path) if path.suffix == ".npz" else _safetensors(path)
        lacking = [name for name in _ARRAYS if name not in held]
        if lacking:
            raise UsageError(
                f"{path} must hold arrays called images and texts; it lacks {' and '.join(lacking)}"
            )
        words = {n: [str(w) for w in held[n]] for n in _WORDS if held.get(n) is not None}
        scale = float(held.get("scale", 1.0))
        return cls(
            held["images"],
            held["texts"],
            names=words.get("names"),
            labels=words.get("labels"),
            scale=scale,
        )

    def write(self, path: str | Path) -> Path:
        """Write a .npz or .safetensors file that `read` reads.

        Args:
            path: The file; its end decides; parents are made.

        Returns:
            The path.

        Raises:
            UsageError: It ends otherwise.
        """
        path = Path(path)
        if path.suffix not in _KINDS:
            raise UsageError(f"{path} must end in {' or '.join(_KINDS)}")
        arrays = {"images": self.images, "texts": self.texts}
        words = {n: getattr(self, n) for n in _WORDS if getattr(self, n) is not None}
        with replacing(path) as temporary:
            if path.suffix == ".npz":
                told: dict[str, Any] = {n: np.array(w) for n, w in words.items()}
                told |= {**arrays, "scale": np.float64(self.scale)}
                np.savez(temporary, **told)
            else:
                metadata = {n: json.dumps(w) for n, w in words.items()}
                save_file(arrays, temporary, metadata={**metadata, "scale": repr(self.scale)})
        return path

    def embed(self, images: Any, batch: int = 64) -> Float[np.ndarray, "rows width"]:
        """The saved unit rows of photos.

        Args:
            images: Paths, in any order; without `names` as many photos as there are rows.
            batch: Not needed here.

        Returns:
            float32.

        Raises:
            UsageError: A photo that no saved name fits, or another number of photos.
        """
        return self.images if self.names is None and self._all(images) else (
            self.images[self.rows(images)]
        )  # fmt: skip

    def logits(self, images: Any, batch: int = 64) -> Float[np.ndarray, "rows classes"]:
        """Cosines with the class embeddings, times `scale`.

        Args:
            images: As for `embed`.
            batch: Not needed here.

        Returns:
            float32.

        Raises:
            UsageError: A photo that no saved name fits, or another number of photos.
        """
        found = np.concatenate(list(cosines(self.embed(images), self.texts)))
        return found if self.scale == 1 else found * np.float32(self.scale)

    def rows(self, images: Any) -> Int64[np.ndarray, " photos"]:
        """Which saved row each photo has.

        Args:
            images: Paths.

        Returns:
            Row numbers from 0.

        Raises:
            UsageError: A photo that no saved name fits, or no names are saved.
        """
        if self.names is None:
            raise UsageError("embeddings saved without names cannot be looked up; save them too")
        return np.array([self._found(path) for path in images], np.int64)

    def _found(self, path: Any) -> int:
        parts = PurePath(path).parts
        for start in range(len(parts)):
            if (row := self._row.get(parts[start:])) is not None:
                return row
        raise UsageError(
            f"{path} must be among the {len(self._row)} saved names and is not; the first saved "
            f"name is {(self.names or ['none'])[0]!r}: names must be the ends of the paths"
        )

    def _all(self, images: Any) -> bool:
        if len(images) != len(self.images):
            raise UsageError(
                f"embeddings saved without names must be asked for all of their {len(self.images)} "
                f"photos, in their order; got {len(images)}"
            )
        return True


def _counted(words: Sequence[str] | None, rows: int, *, what: str, kind: str) -> list[str] | None:
    if words is None:
        return None
    found = [str(word) for word in words]
    if len(found) != rows:
        raise UsageError(
            f"{what} must be one for each {kind} embedding, got {len(found)} for {rows}"
        )
    return found


def _npz(path: Path) -> dict[str, Any]:
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, AttributeError) as broken:  # AttributeError: a .npy
        raise UsageError(f"{path} must be an npz file of plain arrays: {broken}") from broken


def _safetensors(path: Path) -> dict[str, Any]:
    try:
        with safe_open(path, framework="pt") as file:  # torch also reads bfloat16
            held: dict[str, Any] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            metadata = file.metadata() or {}
            words = {n: json.loads(metadata[n]) for n in _WORDS if n in metadata}
            scale = float(metadata.get("scale", "1"))
    except (SafetensorError, OSError, ValueError) as broken:
        raise UsageError(f"{path} must be a safetensors file: {broken}") from broken
    return {**held, **words, "scale": scale}
