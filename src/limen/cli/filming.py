"""The work behind `limen spectral make, encode, train, judge, stream`."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from limen._core.errors import UsageError, nearest
from limen.run.files import load, save
from limen.run.progress import progress, say
from limen.run.store import replacing
from limen.spectral.camera.camera import Camera
from limen.spectral.codec.codec import Codec
from limen.spectral.optics.curves import Gaussians
from limen.spectral.toy import fruit
from limen.spectral.understand.channels import pure_cells
from limen.spectral.understand.linear_pixels import LinearPixels
from limen.spectral.understand.segmentation_scores import segmentation_scores
from limen.spectral.understand.segmenter import Segmenter
from limen.spectral.video.export_video import export_video
from limen.spectral.video.stream import stream as streamed
from limen.spectral.video.to_rgb import to_rgb
from limen.spectral.video.video import Video
from limen.spectral.video.video_folder import read_video, write_video
from limen.spectral.video.viewer import class_colours, viewer

READERS = ("linear", "unet")
_CODEC_FRAMES = 4  # that the viewer's decoder is fitted on


def make(
    into: Path, *, kinds: int, frames: int, size: tuple[int, int], film: Path | None, seed: int
) -> None:
    """The toy's training video, and its test video beside it."""
    _check_film(film)
    if size[0] % 3 or size[1] % 3:
        raise UsageError(
            f"--height and --width must be multiples of 3, got {size[0]} and {size[1]}"
        )
    if into.exists():
        raise UsageError(f"--into {into} must not be there yet; name another folder")
    found = fruit(seed=seed, frames=frames, size=size, kinds=kinds)
    with replacing(into) as draft:
        draft.mkdir()
        for name, video in (("train", found.train), ("test", found.test)):
            write_video(draft / name, video)
    if film is not None:
        export_video(film, (to_rgb(frame, found.train.wavelengths) for frame in found.train))
        print(f"film: {film}")
    print(f"training video: {into / 'train'}")
    print(f"test video: {into / 'test'}")


def encode(
    scene: Path, camera: str, how: Mapping[str, Any], *, into: Path, seed: int, as_json: bool
) -> None:
    """Numbers of the sensor, as an archive."""
    if into.suffix != ".npz":
        raise UsageError(f"--into {into} must be a file that ends in .npz")
    video = read_video(scene, **how)
    seen = _camera(camera, video)
    values, clipped = [], 0.0
    with progress("capturing", total=len(video)) as advance:
        for frame in streamed(video, seen, seed=seed):
            values.append(frame.counts.values)  # type: ignore[union-attr]
            clipped += frame.counts.saturated / len(video)  # type: ignore[union-attr]
            last = frame.counts
            advance()
    side = _side(seen)
    told: dict[str, Any] = {
        "frames": len(video), "shape": list(values[0].shape), "saturated": clipped,
        "gain": last.gain, "step": last.step, "black": last.black, "mosaic": side,  # type: ignore[union-attr]
    }  # fmt: skip
    with replacing(into) as draft, draft.open("wb") as file:
        np.savez(file, values=np.stack(values), wavelengths=video.wavelengths.nm,
                 **{name: told[name] for name in ("gain", "step", "black", "mosaic")})  # fmt: skip
    if as_json:
        print(json.dumps({**told, "file": str(into)}, indent=2))
    else:
        print(f"{told['frames']} frames of {tuple(told['shape'])}, saturated {clipped:.2%}")
        print(f"numbers: {into}")


def train(
    video: Path, camera: str, reader: str, *, steps: int, test: Path | None, into: Path, seed: int,
    as_json: bool,
) -> None:  # fmt: skip
    """Teach a reader, save it, judge it on another recording."""
    if reader not in READERS:
        raise UsageError(f"--reader {reader!r} is not known; nearest: {nearest(reader, READERS)}")
    if into.suffix != ".safetensors":
        raise UsageError(f"--into {into} must be a file that ends in .safetensors")
    taught, asked = _masked(video), None if test is None else _masked(test)
    if test is not None and test.resolve() == video.resolve():
        raise UsageError("--test must be another recording than the one that teaches")
    seen = _camera(camera, taught)
    frames, masks = _captured(taught, seen, seed=seed, label="capturing")
    classes = int(max(mask.max() for mask in masks)) + 1
    found: Any
    if reader == "linear":
        found = LinearPixels().fit(frames, masks)
    else:
        found = Segmenter(classes, steps=steps)
        found.fit(frames, masks, seed=seed, label="training the U-Net")
    save(found, into)
    if asked is not None:
        _tell(asked, seen, found, seed=seed, split=f"another recording, {test}", as_json=as_json,
              more={"reader": str(into)})  # fmt: skip
    elif as_json:
        print(json.dumps({"reader": str(into)}))
    if not as_json:
        print(f"reader: {into}")


def judge(
    video: Path | None, camera: str, reader: Path | None, *, seed: int, as_json: bool
) -> None:
    """Scores of a saved reader on a recording."""
    if video is None or reader is None:
        raise UsageError("judge needs a VIDEO with masks and its --reader, or --rates")
    asked = _masked(video)
    found = _reader(reader)
    _tell(asked, _camera(camera, asked), found, seed=seed, split=str(video), as_json=as_json,
          more={})  # fmt: skip


def stream(
    video: Path, camera: str, reader: Path | None, *, into: Path | None, film: Path | None,
    drop: bool, seed: int, as_json: bool,
) -> None:  # fmt: skip
    """Capture and read frame by frame; a viewer and a film of it."""
    _check_shown(into, film, reader)
    source = read_video(video)
    seen = _camera(camera, source)
    found = None if reader is None else _reader(reader)
    running = streamed(source, seen, found, drop=drop, seed=seed)
    kept = []
    with progress("streaming", total=len(source)) as advance:
        for frame in running:
            if into is not None or film is not None:
                kept.append(frame)
            advance()
    told = running.summary().to_dict()
    if into is not None:
        _view(into, kept, source, camera=seen)
    if film is not None:
        colours = class_colours()
        export_video(film, (colours[np.asarray(f.mask) % len(colours)] for f in kept))
    if as_json:
        print(json.dumps(told, indent=2))
        return
    print(
        f"{told['frames']} frames, {told['fps']:.1f} a second with capture; reading one took "
        f"{1e3 * told['p50_seconds']:.2f} ms (median), {1e3 * told['p99_seconds']:.2f} ms (99 %); "
        f"{told['dropped']} dropped; {told['bytes_moved'] / 1e6:.1f} MB of sensor values"
    )
    for name, place in (("viewer", into), ("film", film)):
        if place is not None:
            print(f"{name}: {place}")


def _check_shown(into: Path | None, film: Path | None, reader: Path | None) -> None:
    """Refuse what cannot be shown, before any work.

    Raises:
        UsageError: Other endings, or a film of masks that nobody makes.
    """
    _check_film(film)
    if into is not None and into.suffix != ".html":
        raise UsageError(f"--into {into} must be a file that ends in .html")
    if film is not None and reader is None:
        raise UsageError("--film shows masks, which a --reader makes; name one")


def _view(into: Path, frames: list[Any], source: Video, *, camera: Camera) -> None:
    """The four panes; their decoder is fitted to some of the video's own frames."""
    some = [source[t] for t in range(0, len(source), -(-len(source) // _CODEC_FRAMES))]
    codec = Codec(camera).fit(np.concatenate(some), wavelengths=source.wavelengths)
    say("the viewer's decoder is fitted to the video's own frames, so its spectra flatter")
    shown = [replace(frame, mask=_planes(frame.mask)) for frame in frames]
    viewer(into, shown, codec=codec, wavelengths=source.wavelengths, names=source.names)


def _camera(told: str, video: Video) -> Camera:
    """A saved camera, or nine Gaussians over the video's bands."""
    if told != "nine":
        found = _loaded(Path(told), "--camera")
        if not isinstance(found, Camera):
            raise UsageError(f"--camera {told} must hold a camera, it holds {type(found).__name__}")
        return found
    low, high = float(video.wavelengths.nm[0]), float(video.wavelengths.nm[-1])
    centres = np.linspace(low, high, 11)[1:-1]
    return Camera(Gaussians(centres, (high - low) / 5, 0.95), mosaic=(3, 3))


def _loaded(path: Path, option: str) -> Any:
    """What a file holds.

    Raises:
        UsageError: There is none, or it is of another kind.
    """
    if not path.is_file():
        raise UsageError(f"{option} {path} must be a saved file; there is none")
    return load(path)


def _reader(path: Path) -> Any:
    """A saved thing that names or scores pixels.

    Raises:
        UsageError: It is something else.
    """
    found = _loaded(path, "--reader")
    if not callable(found) or isinstance(found, Camera):
        raise UsageError(f"--reader {path} must hold a reader, it holds {type(found).__name__}")
    return found


def _masked(path: Path) -> Video:
    """A video that comes with masks.

    Raises:
        UsageError: It has none.
    """
    found = read_video(path)
    if found.masks is None:
        raise UsageError(f"{path} must have its masks beside its frames, in masks.npz")
    return found


def _captured(video: Video, camera: Camera, *, seed: int, label: str) -> Any:
    """Counts and masks on the grid of super-pixels, frame by frame."""
    side = _side(camera)
    frames, masks = [], []
    with progress(label, total=len(video)) as advance:
        for frame in streamed(video, camera, seed=seed):
            frames.append(frame.counts)
            masks.append(pure_cells(video.mask(frame.index), side))
            advance()
    return frames, masks


def _tell(
    video: Video, camera: Camera, reader: Any, *, seed: int, split: str, as_json: bool,
    more: Mapping[str, str],
) -> None:  # fmt: skip
    """Scores of a reader on a recording, with noise of its own."""
    frames, masks = _captured(video, camera, seed=seed + 1, label="capturing the test recording")
    found = np.stack([reader(frame) for frame in frames])
    scores = segmentation_scores(found, np.stack(masks), split=split, names=video.names)
    table = scores.table()
    if as_json:
        numbers = {name: getattr(scores, name) for name in (
            "miou", "miou_objects", "pixel_accuracy", "class_accuracy", "frequency_weighted_iou",
        )}  # fmt: skip
        print(json.dumps({**numbers, "table": table.to_dict(), **more}, indent=2))
    else:
        print(table.to_text())


def _side(camera: Camera) -> int:
    """Sensor pixels along a super-pixel.

    Raises:
        UsageError: Its mosaic is no square.
    """
    if camera.mosaic is None:
        return 1
    if camera.mosaic.rows != camera.mosaic.columns:
        raise UsageError("the camera's mosaic must be square, so that masks have its grid")
    return int(camera.mosaic.rows)


def _planes(mask: Any) -> Any:
    return None if mask is None else np.asarray(mask).astype(np.uint8)


def _check_film(film: Path | None) -> None:
    if film is not None and film.suffix not in (".mp4", ".gif"):
        raise UsageError(f"--film {film} must end in .mp4 or .gif")
