"""Pictures and series with a sentence under each."""

import math
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import cast

import numpy as np

from limen._core.errors import UsageError
from limen.report.png import SIGNATURE, png, size
from limen.report.strict import number, plain

WIDE, TALL = 240.0, 80.0


@dataclass(frozen=True)
class Picture:
    """A PNG file, pixels, or a series, with a caption.

    Args:
        data: the bytes of a PNG file; or uint8 pixels (height, width), (height, width, 3 or 4),
            which are encoded at once; or a series of numbers, in which NaN is a gap.
        caption: what it shows; also its alternative text.

    Raises:
        UsageError: bytes that are no PNG file, or an array of another shape or type.

    Example:
        >>> Picture(np.zeros((2, 3), dtype=np.uint8), "black").size
        (3, 2)
        >>> Picture([1.0, 3.0, 2.0], "a bump").paths()
        ['M0.0 78.0L120.0 2.0L240.0 40.0']
    """

    data: bytes | Sequence[float] | np.ndarray
    caption: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "data", _encoded(self.data))

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels; of a series, those of the box in which it is drawn."""
        return size(self.data) if isinstance(self.data, bytes) else (int(WIDE), int(TALL))

    def uri(self) -> str:
        """The picture as a data URI; empty for a series."""
        if not isinstance(self.data, bytes):
            return ""
        return f"data:image/png;base64,{b64encode(self.data).decode()}"

    def paths(self) -> list[str]:
        """A series as the paths of an SVG, one for each stretch without a gap."""
        values = np.asarray([] if isinstance(self.data, bytes) else self.data, dtype=float)
        known = values[np.isfinite(values)]
        if not known.size:
            return []
        across = np.linspace(0, WIDE, len(values)) if len(values) > 1 else [WIDE / 2]
        span = float(np.ptp(known)) or 1.0
        up = TALL - 2 - (values - known.min()) / span * (TALL - 4)
        pieces: list[list[str]] = [[]]
        for x, y in zip(across, up, strict=True):
            if math.isfinite(y):
                pieces[-1].append(f"{x:.1f} {y:.1f}")
            elif pieces[-1]:
                pieces.append([])
        return [f"M{'L'.join(piece)}" + "h.1" * (len(piece) == 1) for piece in pieces if piece]

    def to_dict(self) -> dict[str, object]:
        """Everything, JSON-safe; a PNG file in base 64."""
        if isinstance(self.data, bytes):
            return {"png": b64encode(self.data).decode(), "caption": self.caption}
        return {"series": plain(self.data), "caption": self.caption}

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> "Picture":
        """The inverse of `to_dict`."""
        if "png" in data:
            return cls(b64decode(str(data["png"])), str(data["caption"]))
        series = cast("list[object]", data["series"])
        return cls([number(value) for value in series], str(data["caption"]))


@dataclass(frozen=True)
class Gallery:
    """Pictures side by side, in the order given.

    Example:
        >>> gallery = Gallery([Picture([0.0, 1.0], "a step")], title="Before and after")
        >>> Gallery.from_dict(gallery.to_dict()) == gallery
        True
    """

    items: Sequence[Picture]
    _: KW_ONLY
    title: str = ""
    caption: str = ""

    kind = "gallery"

    def __post_init__(self) -> None:
        object.__setattr__(self, "items", list(self.items))

    def to_dict(self) -> dict[str, object]:
        """Everything, JSON-safe."""
        items = [item.to_dict() for item in self.items]
        return {"kind": self.kind, "items": items, "title": self.title, "caption": self.caption}

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> "Gallery":
        """The inverse of `to_dict`."""
        items = cast("list[dict[str, object]]", data["items"])
        return cls(
            [Picture.from_dict(item) for item in items],
            title=str(data["title"]),
            caption=str(data["caption"]),
        )


def _encoded(data: object) -> bytes | list[float]:
    if isinstance(data, bytes):
        if not data.startswith(SIGNATURE):
            raise UsageError(f"a picture's bytes must be a PNG file, got {data[:8]!r}")
        return data
    array = np.asarray(data)
    if array.ndim == 1 and array.dtype.kind in "bifu":
        return [number(value) for value in array.tolist()]
    pixels = array.ndim == 2 or (array.ndim == 3 and array.shape[2] in {3, 4})
    if not pixels or array.dtype != np.uint8 or not array.size:
        raise UsageError(
            "a picture must be a PNG file, a series (1-D), or uint8 pixels of shape (height, width)"
            f" or (height, width, 3 or 4); got {array.dtype} of shape {array.shape}"
        )
    return png(array)
