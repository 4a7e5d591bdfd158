"""The demo's section on hyperspectral video: two fruits of one colour, told apart undecoded."""

from typing import Any

import numpy as np

from limen.measure.tradeoff import Tradeoff
from limen.measure.wilson import wilson
from limen.report.curves import Curves
from limen.report.facts import Facts
from limen.report.gallery import Gallery, Picture
from limen.report.measured import Measured
from limen.report.records import Section
from limen.report.table import Cell, Table
from limen.run.progress import progress, say
from limen.spectral.camera.camera import Camera
from limen.spectral.optics.curves import Gaussians
from limen.spectral.rates import Rates
from limen.spectral.toy import Fruit, fruit, lit_pixels
from limen.spectral.understand.channels import pure_cells
from limen.spectral.understand.linear_pixels import LinearPixels
from limen.spectral.understand.segmentation_scores import SegmentationScores, segmentation_scores
from limen.spectral.video.stream import stream
from limen.spectral.video.to_rgb import to_rgb
from limen.spectral.video.viewer import class_colours

SIDES = (1, 2, 3, 4)  # of mosaics: 1, 4, 9 and 16 channels
SHOWN = 3  # the nine channels of the platform
SIZE = (96, 132)  # a multiple of every side


def section(*, quick: bool = False, seed: int = 0) -> Section:
    """Tell real fruit from artificial fruit of the same RGB, by channels that nobody decodes.

    Args:
        quick: Fewer frames, to check that everything runs; its numbers mean little.
        seed: Decides shapes, paths, partners and noise.

    Returns:
        The section for the demo's page.

    Example:
        >>> section.__name__
        'section'
    """
    say("making two videos of fruit, real and artificial")
    scene = fruit(seed=seed, frames=3 if quick else 12, size=SIZE)
    cameras = {"RGB": scene.rgb, **{_name(s): _camera(scene, s) for s in SIDES}}
    shares, scores, masks = {}, {}, {}
    with progress("teaching and judging cameras", total=len(cameras)) as advance:
        for name, camera in cameras.items():
            shares[name] = _share(scene, camera, count=60 if quick else 600, seed=seed)
            scores[name], masks[name] = _read(scene, camera, seed=seed)
            advance()
    chosen = _name(SHOWN)
    return Section(
        "Hyperspectral video",
        [
            _curves(cameras, shares),
            _table(cameras, scores, shares),
            _gallery(scene, masks[chosen], masks["RGB"]),
            scores[chosen].table(),
            Rates.paper_1p2().table(
                protocol="4096 x 3000 pixels, 204 bands of 16 bit, 30 frames/s, a sensor of 8 bit"
            ),
            Facts(_facts(scene, seed), title="How to do it again"),
        ],
        answer=f"Of one colour, real and artificial fruit are told apart by RGB in {shares['RGB']} "
        f"of all pixels, where guessing gets 0.5, and by nine encoded channels in "
        f"{shares[chosen]}; nothing is decoded.",
        text="Measured reflectances of a colour chart stand in for fruit. Each has an artificial "
        "partner of another spectrum which a measured RGB camera cannot tell from it: metamers. "
        "They move, turn, mix at their edges and lie in uneven light. A camera with nine filters "
        "in a 3 x 3 mosaic, shot noise and 12 bits sees them, and a linear rule names its "
        "super-pixels straight from the sensor's numbers.\n\n"
        "The last table is a ledger of rates: what a cube at every pixel would weigh, and what the "
        "sensor reads out.",
    )


def _name(side: int) -> str:
    return "1 channel" if side == 1 else f"{side * side} channels"


def _camera(scene: Fruit, side: int) -> Camera:
    """Gaussian filters evenly over the bands, with the light and the sensor of the toy."""
    centres = np.linspace(400, 700, side * side + 2)[1:-1]
    bank = Gaussians(centres, max(60.0, 300 / (side * side)), 0.95)
    mosaic = (side, side) if side > 1 else None
    return Camera(bank, mosaic=mosaic, illuminant=scene.encoded.illuminant)


def _share(scene: Fruit, camera: Camera, *, count: int, seed: int) -> Measured:
    """How many independent pixels are rightly called real or artificial."""
    reader = LinearPixels().fit(*lit_pixels(scene, camera, count=count, seed=seed))
    asked, truth = lit_pixels(scene, camera, count=count, seed=seed + 1)
    right = reader(asked) % 2 == truth % 2
    found = wilson(int(right.sum()), len(right))
    return Measured(float(right.mean()), found.low, found.high)


def _read(scene: Fruit, camera: Camera, *, seed: int) -> tuple[SegmentationScores, list[Any]]:
    """Taught by one video, judged on the other."""
    side = 1 if camera.mosaic is None else camera.mosaic.rows
    frames = [frame.counts for frame in stream(scene.train, camera, seed=seed)]
    taught = [pure_cells(scene.train.mask(t), side) for t in range(len(frames))]
    reader = LinearPixels().fit(frames, taught)
    found = [frame.mask for frame in stream(scene.test, camera, reader, seed=seed + 1)]
    truth = np.stack([pure_cells(scene.test.mask(t), side) for t in range(len(found))])
    scores = segmentation_scores(
        np.stack(found), truth, split="another video of the same things", names=scene.test.names
    )
    return scores, found


def _curves(cameras: dict[str, Camera], shares: dict[str, Measured]) -> Curves:
    """Gain against channels."""
    kinds = {"encoded": [name for name in cameras if name != "RGB"], "RGB": ["RGB"]}
    tradeoffs = []
    for kind, names in kinds.items():
        price = [float(cameras[name].count) for name in names]
        tradeoffs.append(Tradeoff(
            price=price, gain=[shares[name].value for name in names], knob=names, name=kind,
            price_name="channels", gain_name="real or artificial, rightly", knob_name="camera",
        ))  # fmt: skip
    return Curves(
        tradeoffs,
        at=float(SHOWN**2),
        title="What is told apart, for how many channels",
        caption="Independent pixels, half of them real; guessing gets 0.5. The line marks the nine "
        "channels of a 3 x 3 mosaic.",
    )


def _table(
    cameras: dict[str, Camera], scores: dict[str, SegmentationScores], shares: dict[str, Measured]
) -> Table:
    rows: list[list[Cell]] = [
        [name, camera.count, shares[name], scores[name].miou_objects, scores[name].pixel_accuracy]
        for name, camera in cameras.items()
    ]
    return Table(
        ["camera", "channels", "real or artificial, rightly", "mIoU of things", "pixels, rightly"],
        rows,
        title="Cameras with the same sensor and light",
        protocol="Real or artificial: independent pixels in lights of 0.6 to 1, Wilson intervals. "
        "mIoU and pixels: another video of the same things, super-pixels of one class, which "
        "differ in size between cameras. A linear rule on channels reads all of them.",
    )


def _gallery(scene: Fruit, masks: list[Any], rgb: list[Any]) -> Gallery:
    """Frames of the test video as seen by the eye, in truth, and as named."""
    pictures = []
    colours = class_colours()
    for time in (0, len(scene.test) // 2):
        truth = np.asarray(scene.test.mask(time))
        frame = to_rgb(scene.test[time], scene.test.wavelengths, white=0.9)
        pictures += [
            Picture(_large(frame), f"frame {time + 1} as the eye sees it"),
            Picture(_large(colours[truth]), "what it is: each colour a kind, real or artificial"),
            Picture(_large(colours[masks[time]]), "named from nine channels, by super-pixels"),
            Picture(_large(colours[rgb[time]]), "named from RGB, which guesses within each kind"),
        ]
    return Gallery(
        pictures,
        title="Real and artificial fruit",
        caption="Each kind lies there twice, real and artificial, in the same colour to the eye of "
        "the RGB camera.",
    )


def _large(pixels: np.ndarray) -> np.ndarray:
    times = max(1, 396 // pixels.shape[1])
    return np.ascontiguousarray(pixels.repeat(times, 0).repeat(times, 1))


def _facts(scene: Fruit, seed: int) -> dict[str, Any]:
    return {
        "data": "reflectances of a colour chart, daylight D65 and the curves of a Nikon D5100, all "
        "from colour-science",
        "kinds": ", ".join(scene.kinds),
        "difference of partners": ", ".join(
            f"{root:.3f}" for root in np.sqrt(((scene.real - scene.artificial) ** 2).mean(axis=1))
        )
        + " (root mean square reflectance)",
        "videos": f"two of {len(scene.train)} frames of {SIZE[0]} x {SIZE[1]}, 31 bands",
        "sensor": "full well 10,000 electrons, read noise 2, 12 bit; all cameras at equal exposure",
        "seed": seed,
    }
