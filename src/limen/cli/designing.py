"""The work behind `limen spectral design` and the rates of `judge`."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from limen._core.errors import UsageError, nearest
from limen.report import Facts, Page, Table, Trace
from limen.run.files import save
from limen.run.progress import say
from limen.run.provenance import origin
from limen.spectral.camera.camera import Camera
from limen.spectral.camera.exposure import Exposure
from limen.spectral.codec.codec import Codec
from limen.spectral.codec.spectral_scores import spectral_scores
from limen.spectral.codec.split import halves
from limen.spectral.codec.statistics import SpectralPrior
from limen.spectral.design import design as trained
from limen.spectral.light.cube import Cube
from limen.spectral.light.illuminant import illuminant
from limen.spectral.light.read_cube import read_cube
from limen.spectral.optics.curves import FreeForm, Gaussians, Lorentzians
from limen.spectral.optics.presets import fabry_perot
from limen.spectral.optics.thin_film import ThinFilm
from limen.spectral.rates import rates as counted

_FILTERS = {"thin-film": 2.0, "fabry-perot": 2.0, "free-form": 0.05, "gaussians": 2.0,
            "lorentzians": 2.0}  # step sizes  # fmt: skip
_REDRAWN = ("thin-film", "free-form", "gaussians", "lorentzians")


@dataclass(frozen=True)
class Plan:
    """What is designed, and how."""

    filters: str
    count: int
    layers: int
    mosaic: int
    exposure: str
    light: str | None
    steps: int
    restarts: int
    seed: int

    def __post_init__(self) -> None:
        if self.filters not in _FILTERS:
            raise UsageError(
                f"--filters {self.filters!r} is not known; nearest: "
                f"{nearest(self.filters, list(_FILTERS))}"
            )
        if self.mosaic > 1 and self.mosaic**2 != self.count:
            raise UsageError(
                f"--count {self.count} must be {self.mosaic**2} for --mosaic {self.mosaic}"
            )
        Exposure(self.exposure)


def reading(
    wavelengths: Path | None, *, key: str | None, order: str | None, scale: float | None, sort: bool
) -> dict[str, Any]:
    """Settings of `read_cube` from options.

    Raises:
        UsageError: A file of wavelengths that holds something else.
    """
    nm = None
    if wavelengths is not None:
        try:
            nm = np.array([float(line) for line in wavelengths.read_text().split()])
        except (OSError, ValueError) as wrong:
            raise UsageError(
                f"--wavelengths {wavelengths} must hold numbers in nm, one a line: {wrong}"
            ) from None
    return {"wavelengths": nm, "key": key, "order": order, "scale": scale, "sort": sort}


def scene(path: Path, wavelengths: Path | None, **how: Any) -> Cube:
    """The cube, looked at once."""
    return read_cube(path, **reading(wavelengths, **how)).check()


def check_outputs(into: Path, page: Path | None) -> None:
    """Refuse places that cannot be written to, before any work.

    Raises:
        UsageError: A folder, or another ending.
    """
    for option, place, ending in (("--into", into, ".safetensors"), ("--page", page, ".html")):
        if place is not None and (place.suffix != ending or place.is_dir()):
            raise UsageError(f"{option} {place} must be a file that ends in {ending}")


def design(cube: Cube, plan: Plan, *, into: Path, page: Path | None, as_json: bool) -> None:
    """Train on the upper half, judge on the lower, save the camera."""
    bands = cube.wavelengths
    values = np.asarray(cube, dtype=np.float32)
    top = float(values.max())
    train_rows, test_rows = (mask[:, 0] for mask in halves(values.shape[:2], radius=1))
    side = max(plan.mosaic, 1)
    train, test = (_cropped(values[rows], side) for rows in (train_rows, test_rows))
    light = None if plan.light is None else illuminant(plan.light, bands)
    camera = Camera(
        _bank(plan, bands), mosaic=(side, side) if side > 1 else None, illuminant=light,
        exposure=Exposure(plan.exposure),
    )  # fmt: skip
    before = _psnr(camera, train, test, bands, top=top, seed=plan.seed)
    prior = SpectralPrior.of(torch.as_tensor(train.reshape(-1, len(bands))))
    starts = plan.restarts if plan.filters in _REDRAWN else 1
    found = trained(
        camera, prior, wavelengths=bands, steps=plan.steps, lr=_FILTERS[plan.filters],
        restarts=starts, seed=plan.seed,
    )  # fmt: skip
    after = _psnr(camera, train, test, bands, top=top, seed=plan.seed)
    table = Table(
        ["filters", "PSNR on the other half [dB]", "predicted error"],
        [["as drawn", before, found.before], ["trained", after, found.after]],
        title=f"{plan.count} filters, {plan.filters}",
        protocol=f"Trained on the upper half of {cube.name}, judged on the lower, with a row "
        f"between; LMMSE decoding of one noisy capture, peak {top:.3g}; exposure rule "
        f"{plan.exposure}; {starts} start(s) of {plan.steps} steps. Predicted: J, the squared "
        "error that the best affine decoder leaves under photon noise, over bands.",
    )
    save(camera, into)
    if page is not None:
        curves = camera.filters(bands).detach().numpy()
        trace = Trace(
            [float(x) for x in bands.nm],
            {f"filter {i + 1}": row.tolist() for i, row in enumerate(curves)},
            title="Transmission", x_name="wavelength [nm]", y_name="share of light",
        )  # fmt: skip
        facts = Facts({**vars(plan), "cube": cube.name, **origin()}, title="How to do it again")
        answer = f"Training gains {after - before:.1f} dB on the half that it has not seen."
        say(f"the page: {Page('Filters for a scene', answer, [table, trace, facts]).write(page)}")
    if as_json:
        print(json.dumps({"table": table.to_dict(), "camera": str(into)}, indent=2))
    else:
        print(table.to_text())
        print(f"camera: {into}")


def rates(
    *, height: int, width: int, bands: int, cube_bits: int, fps: float, sensor_bits: int,
    mosaic: int, seconds: float | None, as_json: bool,
) -> None:  # fmt: skip
    """The ledger of rates."""
    found = counted(
        height=height, width=width, bands=bands, cube_bits=cube_bits, fps=fps,
        sensor_bits=sensor_bits, mosaic=(mosaic, mosaic), seconds=seconds,
    )  # fmt: skip
    table = found.table(
        protocol=f"{width} x {height} pixels, {bands} bands of {cube_bits} bit, {fps:g} frames/s, "
        f"sensor of {sensor_bits} bit, mosaic {mosaic} x {mosaic}; 1 Gb = 10^9 bit. At the default "
        "settings the nominal rate is our reconstruction of a published 1.2 Tb/s"
    )
    print(json.dumps(found.to_dict(), indent=2) if as_json else table.to_text())


def _bank(plan: Plan, bands: Any) -> Any:
    low, high = float(bands.nm[0]), float(bands.nm[-1])
    centres = np.linspace(low, high, plan.count + 2)[1:-1]
    width = (high - low) / plan.count
    if plan.filters == "thin-film":
        pair = ["TiO2", "SiO2"]
        materials = [pair[i % 2] for i in range(plan.layers)]
        return ThinFilm.random(plan.count, materials, seed=plan.seed)
    if plan.filters == "fabry-perot":
        return fabry_perot(plan.count)
    if plan.filters == "free-form":
        return FreeForm.random(plan.count, len(bands), seed=plan.seed)
    kind = Gaussians if plan.filters == "gaussians" else Lorentzians
    return kind(centres, width, 0.95)


def _cropped(values: np.ndarray, side: int) -> np.ndarray:
    """Whole super-pixels."""
    height, width = (n - n % side for n in values.shape[:2])
    return np.ascontiguousarray(values[:height, :width])


def _psnr(
    camera: Camera, train: np.ndarray, test: np.ndarray, bands: Any, *, top: float, seed: int
) -> float:
    """Of one noisy capture of the test half, decoded by LMMSE fitted to the training half."""
    codec = Codec(camera).fit(train, wavelengths=bands, seed=seed)
    decoded = codec.decode(camera.capture(test, seed=seed, wavelengths=bands))
    truth = test if camera.mosaic is None else camera.mosaic.averaged(test)
    return spectral_scores(decoded, truth, split="the other half", peak=top).psnr
