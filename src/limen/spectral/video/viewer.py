"""Four panes in one file: raw frame, one channel, one wavelength, the mask."""

from base64 import b64encode
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from limen._core.errors import UsageError
from limen.report.look import SERIES, THEME
from limen.report.strict import dumps
from limen.run.store import write_text
from limen.spectral.camera.counts import Counts
from limen.spectral.video.stream import StreamFrame

# Class 0, then the palette of the pages, then that of their other theme.
_CLASSES = (("#d5d9de", "#3a414b"), *SERIES, *(pair[::-1] for pair in SERIES))


def viewer(
    path: str | Path,
    frames: Sequence[StreamFrame],
    *,
    codec: Any = None,
    wavelengths: Any = None,
    names: Sequence[str] = (),
    fps: float = 10.0,
    title: str = "Hyperspectral video",
    limit_mb: float = 24.0,
) -> Path:
    """Write one page that plays a stream: raw frame, channel, wavelength, mask, and spectra.

    The page asks the network for nothing. The wavelength pane shows what the codec decodes; a
    click on any pane draws the decoded spectrum of that pixel. Where the page would grow beyond
    `limit_mb`, every second, third, ... frame is left out, and the page says so.

    Args:
        path: The HTML file.
        frames: Frames of a `stream`, with `Counts` and, if there was a segmenter, masks.
        codec: A fitted `Codec`; None leaves the wavelength pane empty.
        wavelengths: The bands that it decodes to.
        names: Of the classes.
        fps: Frames a second when it plays.
        title: Above the panes.
        limit_mb: Bound on the embedded values in megabytes.

    Returns:
        The path.

    Raises:
        UsageError: No frame, frames without `Counts`, or a codec without wavelengths.

    Example:
        >>> viewer.__name__
        'viewer'
    """
    kept = list(frames)
    if not kept or not all(isinstance(frame.counts, Counts) for frame in kept):
        raise UsageError("frames must be one or more frames of a stream with a camera; got none")
    if codec is not None and wavelengths is None:
        raise UsageError("a codec must come with the wavelengths= that it decodes to")
    one = _panes(kept[:1], codec)
    room = max(1, int(limit_mb * 1e6 * 3 / 4 / sum(x.nbytes for x in one.values())))
    stride = -(-len(kept) // room)
    shown = kept[::stride]
    panes = _panes(shown, codec)
    left = f"Every {stride}. frame of {len(kept)} is shown. " if stride > 1 else ""
    top = float(panes.pop("top")[0]) if "top" in panes else 1.0
    data: dict[str, Any] = {
        name: {"shape": list(x.shape), "values": b64encode(x.tobytes()).decode()}
        for name, x in panes.items()
    }
    data |= {
        "nm": [] if wavelengths is None else [float(x) for x in wavelengths.nm],
        "names": list(names), "frames": len(shown), "fps": fps, "top": top, "at": [0.5, 0.5],
        "colours": [list(pair) for pair in _CLASSES],
    }  # fmt: skip
    height, width = shown[0].counts.values.shape[:2]  # type: ignore[union-attr]
    place = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined
    )
    text = place.get_template("viewer.html.j2").render(
        title=title, theme=THEME, data=dumps(data).replace("</", "<\\/"),
        subtitle=f"{len(shown)} frames of {height} x {width}",
        note=f"{left}Pictures are scaled to their brightest value; spectra are as decoded, "
        "clipped at 0.",
    )  # fmt: skip
    where = Path(path)
    write_text(where, text)
    return where


def class_colours() -> UInt8[np.ndarray, "classes 3"]:
    """RGB of the classes as pages show them in the light, 0 grey.

    Returns:
        One row a class; classes beyond begin again.

    Example:
        >>> class_colours()[0].tolist()
        [213, 217, 222]
    """
    return np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c, _ in _CLASSES], np.uint8)


def _panes(frames: Sequence[StreamFrame], codec: Any) -> dict[str, np.ndarray]:
    """Everything that is drawn, as bytes: (time, y, x) and (time, y, x, channel or band)."""
    captured = [frame.counts for frame in frames if isinstance(frame.counts, Counts)]
    raw = np.stack([counts.values for counts in captured]).astype(np.float32)
    channels = np.stack([counts.channels() for counts in captured])
    planes = raw if raw.ndim == 3 else raw.mean(axis=-1)
    found = {"raw": _bytes(planes)[0], "channels": _bytes(channels)[0]}
    if codec is not None:
        cube = np.stack([codec.decode(counts) for counts in captured])
        found["cube"], top = _bytes(cube)
        found["top"] = np.array([top], dtype=np.float32)
    if all(frame.mask is not None for frame in frames):
        found["mask"] = np.stack([np.asarray(frame.mask) for frame in frames]).astype(np.uint8)
    return found


def _bytes(values: np.ndarray) -> tuple[np.ndarray, float]:
    """0 to the largest value as 0 to 255, and that value."""
    top = float(values.max())
    scaled = np.clip(values / max(top, 1e-12), 0, 1)
    return np.rint(255 * scaled).astype(np.uint8), top
