"""Which filters, and how many, keep what Jasper Ridge shows? Encoders, decoders and classes.

Command:
    limen run recipes/jasper_encoders.py --data DIR --jobs 2

DIR holds cubes/, camera_illuminant/ and nk/, or spectral/ with them. Cost: about 35 minutes of one
core. Cells resume; the page names the banks that were not run.

A crop of an AVIRIS flight, 100 x 100 pixels, as reflectance: 64 bands from 409 to 1000 nm. Upper
half to learn from, lower half to ask; the halves are captured apart, so that no patch sees both.
Sunlight (ASTM G-173), bare silicon of 3 micrometres, photon noise, read noise of 2 electrons, a
full well of 10,000, 12 bits, every channel at every pixel. Two rules of exposure: the same time for
every bank, or as long as its brightest channel bears. From 3 to 16 channels. What is trained gets
1,600 steps on the closed-form error of the best linear decoder, on the statistics of the upper
half: four starts of 400, free curves one start of 1,600. Five seeds of noise; random films are five
draws instead, each a mean over those seeds. Classes are the four materials of the given abundances,
by which is largest; a least-squares classifier reads channels and their square roots from one noisy
capture of the upper half. Networks correct LMMSE, taught by four noisy captures. Settings were not
tuned on the lower half.

Published: the papers that this chain follows report on recordings of their own, which were not at
hand; no number can be laid beside theirs. The reference numbers were computed once with another
program on the same crop; its tables of n and k, and its random films, are not known to be ours.

Measured, PSNR of nine channels under equal exposure | a full well. Free curves keep 37.6 | 43.1 dB,
six coupled modes a channel 37.6 | 43.4, and what can be made 36.1 | 37.8 (Bragg cavities), 32.2 |
37.2 (Fabry-Perot), 31.7 | 33.5 (seven films). Training adds 7.1 [6.5, 7.7] | 7.2 [6.6, 7.9] dB to
films at random. Films brought to the curves of the free ones by plain least squares keep 31.0 |
23.4 dB: under a full well the detour costs 10 dB. From 3 to 16 channels free curves rise from 34.1
to 38.9 | from 39.2 to 45.0 dB; nine components without noise would keep 55.6 dB, so that noise is
the limit. The rule moves every bank but principal components, whose constant channel fills the well
under either. Training is no sure thing: under a full well Gaussians found nothing better than their
start at 3 and 8 channels, and free curves keep 0.3 dB less with 8 channels than with 7.

Measured, decoders: a bound at zero adds 0.2 dB at most; not knowing the noise costs 9 to 70 dB.
Networks add 0.2 to 3.1 dB to LMMSE, most behind filters that are bad: U-Net 3.1 on trained films
under equal exposure, 0.5 on free curves under a full well, where the pixel network adds 0.8.

Measured, classes, mIoU under a full well: RGB 0.64 (reference 0.70, of a colour camera not known to
be ours), films at random 0.65, narrow Gaussians 0.75, free curves 0.78, all 64 bands without noise
0.83. What is trained for spectra gains little for classes: 0.03 on films.

Measured against the references: Gaussians, components, free curves under equal exposure within 0.3
dB, classes but RGB within 0.02. Random films are 3.5 and 3.8 dB better than the reference's,
trained ones 0.8 worse and equal, Fabry-Perot 0.4 to 1.3 better, free curves under a full well 1.6.

All cells were run; networks behind other banks or other numbers of channels are no cells at all.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import torch
from scipy.io import loadmat

from limen._core.errors import UsageError
from limen._core.streams import seed_for
from limen.measure import student
from limen.report import Facts, Measured, Page, Table, Trace
from limen.run import Cell
from limen.spectral import (
    LMMSE,
    Camera,
    Codec,
    CoupledModes,
    Exposure,
    FreeForm,
    Gaussians,
    Lorentzians,
    MeasuredFilters,
    Network,
    Noise,
    NonNegative,
    PixelMLP,
    PrincipalComponents,
    SpectralPrior,
    SpectralTransformer,
    ThinFilm,
    UNet,
    Wavelengths,
    bragg_cavity,
    design,
    fabry_perot,
    fit_to_target,
    halves,
    predicted_error,
)

SEEDS = (0, 1, 2, 3, 4)
TEACHING = (100, 101, 102, 103)  # seeds of the noise that is learnt from
RULES = ("equal_exposure", "full_well")
CHANNELS = (9, 4, 16, 3, 6, 12, 8, 5, 7, 10, 14, 11, 13, 15)  # the most asked for first
SETTINGS = {"steps": 400, "starts": 4, "draws": 5}
NETWORKS = {"pixel steps": 1500, "U-Net steps": 800, "transformer steps": 150}
FILES = {
    "cube": "cubes/Jasper.mat", "chosen": "cubes/Jasper_selected_bands_1based.csv",
    "nm": "cubes/AVIRIS_wavelengths_nm.csv", "sun": "camera_illuminant/ASTMG173.csv",
    "rgb": "camera_illuminant/camera_sensitivities_400_700_10nm.csv",
    "silicon": "nk/Si__Green-2008.yml",
}  # fmt: skip
STACK = ["TiO2", "SiO2", "TiO2", "SiO2", "TiO2", "SiO2", "TiO2"]
BANK, TAUGHT, BOUNDS = "bank", "networks", "bounds"
MADE_OF, RGB = "films fitted to the free curves", "RGB camera"
RANDOM, FREE, TRAINED = "films at random", "free curves, trained", "films, trained"
NARROW, WIDE = "Gaussians, narrow", "Gaussians, wide"
BLIND, BOUNDED, AFFINE = "LMMSE blind to noise", "non-negative", "LMMSE"


@dataclass(frozen=True, eq=False)
class Scene:
    """Both halves with their classes, the bands, and the light on them."""

    train: np.ndarray
    test: np.ndarray
    train_classes: np.ndarray
    test_classes: np.ndarray
    bands: Wavelengths
    light: tuple[np.ndarray, np.ndarray]
    red_green_blue: np.ndarray

    @property
    def prior(self) -> SpectralPrior:
        """Statistics of the half that is learnt from."""
        return SpectralPrior.of(self.train)

    def camera(self, filters: Any, rule: str) -> Camera:
        """A camera in this light."""
        sun, silicon = self.light
        return Camera(filters, illuminant=sun, efficiency=silicon, exposure=Exposure(rule),
                      noise=Noise(prnu=0, dsnu=0))  # fmt: skip


Bank = Callable[[int, Scene], Any]


def _peaks(kind: Any, share: float) -> Bank:
    """Evenly spaced peaks, each as wide as a share of their spacing."""

    def made(k: int, scene: Scene) -> Any:
        low, high = scene.bands.nm[0], scene.bands.nm[-1]
        return kind(np.linspace(low, high, k), share * (high - low) / (k - 1))

    return made


def _modes(k: int, scene: Scene) -> Any:
    return CoupledModes.random(k, 6, band=(scene.bands.nm[0], scene.bands.nm[-1]), seed=0)


def _rgb(k: int, scene: Scene) -> Any:
    return MeasuredFilters(scene.bands.nm, scene.red_green_blue)


# widths at 9 channels: 59 and 141 nm
FIXED: dict[str, Bank] = {
    NARROW: _peaks(Gaussians, 0.8), WIDE: _peaks(Gaussians, 1.91),
    "Lorentzians": _peaks(Lorentzians, 0.8),
    "principal components": lambda k, scene: PrincipalComponents.of(scene.prior, k - 1),
    "Fabry-Perot": lambda k, scene: fabry_perot(k),
    "Bragg cavities": lambda k, scene: bragg_cavity(k, between=(430.0, 950.0)),
    RANDOM: lambda k, scene: ThinFilm.random(k, STACK, seed=0),
}  # fmt: skip
# a bank to begin with, and the step size in the unit of its parameters
TRAINS: dict[str, tuple[Bank, float]] = {
    "Gaussians, trained": (FIXED[NARROW], 2.0),
    "Fabry-Perot, trained": (FIXED["Fabry-Perot"], 2.0),
    "Bragg cavities, trained": (FIXED["Bragg cavities"], 2.0),
    TRAINED: (FIXED[RANDOM], 2.0),
    "coupled modes, trained": (_modes, 0.01),
    FREE: (lambda k, scene: FreeForm.random(k, len(scene.bands), seed=0), 0.1),
}
ENCODERS = (*FIXED, *TRAINS, MADE_OF)
TAUGHT_ON = (NARROW, TRAINED, FREE)
REFERENCE = {  # PSNR in dB under either rule, nine channels unless the name says otherwise
    (NARROW, 9): (32.7, 38.3), (WIDE, 9): (35.0, 37.4), ("Fabry-Perot", 9): (24.6, 31.7),
    (RANDOM, 9): (21.1, 22.5), ("Fabry-Perot, trained", 9): (31.8, 35.9),
    (TRAINED, 9): (32.5, 33.5), (FREE, 9): (37.6, 41.5), (FREE, 4): (35.3, None),
    (FREE, 16): (38.6, None),
}  # fmt: skip
COMPONENTS = {"64": {3: 44.6, 4: 47.7, 6: 52.9, 9: 55.6, 16: 57.4},
              "198": {3: 36.7, 4: 39.6, 6: 42.7, 9: 44.7, 16: 47.9}}  # fmt: skip
CLASSES = {(NARROW, 9): 0.75, ("Fabry-Perot", 9): 0.74, (RGB, 3): 0.70}
CLASSES_OF_BANDS = {"64": 0.83, "198": 0.84}


def cells(data: Path | None) -> list[Cell]:
    """Bounds; then, for each number of channels, every bank under both rules; networks on some."""
    _folder(data)
    found = [Cell(BOUNDS, {"kind": BOUNDS})]
    found += [Cell(f"{RGB}, {rule}", _settings(BANK, RGB, k=3, rule=rule)) for rule in RULES]
    for k in CHANNELS:
        found += [
            Cell(f"{name}, {k} channels, {rule}", _settings(BANK, name, k=k, rule=rule))
            for name in ENCODERS
            if name != MADE_OF or k in (4, 9, 16)
            for rule in RULES
        ]
        if k == 9:
            found += [
                Cell(f"{TAUGHT}, {name}, {k} channels, {rule}",
                     _settings(TAUGHT, name, k=k, rule=rule) | NETWORKS)
                for name in TAUGHT_ON
                for rule in RULES
            ]  # fmt: skip
    return found


def run(settings: dict[str, Any], data: Path | None) -> dict[str, Any]:
    """What one bank leaves of the lower half, or what bands and components do without noise."""
    torch.set_num_threads(1)
    folder = _folder(data)
    doing = {BANK: _bank, TAUGHT: _taught, BOUNDS: _bounds}[settings["kind"]]
    return doing(settings, folder)


def _settings(kind: str, encoder: str, *, k: int, rule: str) -> dict[str, Any]:
    return {**SETTINGS, "kind": kind, "encoder": encoder, "k": k, "rule": rule}


def _bank(settings: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Errors and classes of a bank as it is, or after training."""
    scene, start = _scene(folder), process_time()
    if settings["encoder"] == RANDOM:
        return _drawn(settings, scene)
    camera = _made(settings, scene)
    seconds = process_time() - start
    return {"seconds": seconds, **_told(camera, scene), **_measured(camera, scene)}


def _drawn(settings: dict[str, Any], scene: Scene) -> dict[str, Any]:
    """The same of several random stacks, each a mean over the seeds of noise."""
    found = []
    for seed in range(settings["draws"]):
        stack = ThinFilm.random(settings["k"], STACK, seed=seed)
        camera = scene.camera(stack, settings["rule"])
        found.append((_told(camera, scene), _measured(camera, scene)))
    means = {name: float(np.mean([told[name] for told, _ in found])) for name in found[0][0]}
    drawn = {
        metric: {name: [float(np.mean(one[metric][name])) for _, one in found] for name in names}
        for metric, names in found[0][1].items()
    }
    return {"seconds": 0.0, **means, **drawn}


def _made(settings: dict[str, Any], scene: Scene) -> Camera:
    """A camera with the bank that is asked for, trained where its name says so."""
    name, k, rule = settings["encoder"], settings["k"], settings["rule"]
    steps, starts = settings["steps"], settings["starts"]
    if name == RGB:
        return scene.camera(_rgb(k, scene), rule)
    if name in FIXED:
        return scene.camera(FIXED[name](k, scene), rule)
    if name == MADE_OF:
        goal = _made({**settings, "encoder": FREE}, scene)
        films = ThinFilm.random(k, STACK, seed=0)
        fit_to_target(films, goal.filters, wavelengths=scene.bands, steps=steps, restarts=starts)
        return scene.camera(films, rule)
    made, lr = TRAINS[name]
    camera = scene.camera(made(k, scene), rule)
    if name == FREE:  # one valley: long rather than often
        steps, starts = steps * starts, 1
    design(camera, scene.prior, wavelengths=scene.bands, steps=steps, lr=lr, restarts=starts)
    return camera


def _told(camera: Camera, scene: Scene) -> dict[str, float]:
    """What the matrix says of itself: the condition, the light let through, the error foretold."""
    with torch.no_grad():
        matrix = camera.matrix(scene.bands).numpy()
        passed = float(camera.filters(scene.bands).mean())
        error = float(predicted_error(camera, scene.prior, wavelengths=scene.bands))
    codec = Codec(camera).fit(scene.train, wavelengths=scene.bands)
    shot = camera.capture(scene.train, seed=SEEDS[0], wavelengths=scene.bands)
    simulated = np.square(codec.decode(shot) - scene.train).mean()
    return {
        "condition": float(np.linalg.cond(matrix)), "passed": passed,
        "foretold over simulated": error / len(scene.bands) / float(simulated),
    }  # fmt: skip


Numbers = dict[str, dict[str, list[float]]]  # metric -> decoder or reader -> seeds


def _measured(camera: Camera, scene: Scene) -> Numbers:
    """PSNR, RMSE and angle behind three decoders, and the classes, for each seed of noise."""
    decoders = _closed_forms(camera, scene)
    reader = _Reader(_channels(camera, scene.train, scene, seed=TEACHING[0]), scene.train_classes)
    found: Numbers = {metric: {name: [] for name in decoders} for metric in ("psnr", "rmse", "sam")}
    found["classes"] = {"mIoU": [], "accuracy": []}
    for seed in SEEDS:
        signal = _channels(camera, scene.test, scene, seed=seed)
        for name, decode in decoders.items():
            for metric, value in _errors(decode(signal), scene.test).items():
                found[metric][name].append(value)
        for metric, value in _scores(reader(signal), scene.test_classes).items():
            found["classes"][metric].append(value)
    return found


Decode = Callable[[np.ndarray], np.ndarray]


def _closed_forms(camera: Camera, scene: Scene) -> dict[str, Decode]:
    """LMMSE, the same bounded at zero, and the inverse that knows of no noise."""
    with torch.no_grad():
        matrix = camera.matrix(scene.bands)
    blind = LMMSE().fit(scene.prior, matrix, variance=torch.zeros(len(matrix)))
    fitted = {
        AFFINE: Codec(camera).fit(scene.train, wavelengths=scene.bands),
        BOUNDED: Codec(camera, decoder=NonNegative()).fit(scene.train, wavelengths=scene.bands),
    }
    plain: Decode = lambda signal: blind(torch.as_tensor(signal).double()).numpy()  # noqa: E731
    return {name: codec.decode for name, codec in fitted.items()} | {BLIND: plain}


def _taught(settings: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Three networks around LMMSE, on four noisy captures of the upper half."""
    scene = _scene(folder)
    camera = _made(settings, scene)
    k, bands = settings["k"], len(scene.bands)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_for(SEEDS[0], "networks"))
        nets = {
            "pixel network": (PixelMLP(k, bands), "pixel steps"),
            "U-Net": (UNet(k, bands, width=16, levels=2), "U-Net steps"),
            "spectral transformer": (SpectralTransformer(k, bands, stages=1), "transformer steps"),
        }
    metrics = ("psnr", "rmse", "sam")
    found: dict[str, Any] = {metric: {name: [] for name in nets} for metric in metrics}
    found["seconds"] = {}
    for name, (net, steps) in nets.items():
        start = process_time()
        decoder = Network(net, steps=settings[steps], batch=4)
        codec = Codec(camera, decoder=decoder)
        # the same half four times: each is captured with noise of its own
        codec.fit([scene.train] * len(TEACHING), wavelengths=scene.bands, seed=TEACHING[0])
        found["seconds"][name] = process_time() - start
        for seed in SEEDS:
            decoded = codec.decode(_channels(camera, scene.test, scene, seed=seed))
            for metric, value in _errors(decoded, scene.test).items():
                found[metric][name].append(value)
    return found


def _bounds(settings: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Without noise: principal components by their number, and classes from every band."""
    found: dict[str, Any] = {}
    for visible in (True, False):
        scene = _scene(folder, visible=visible)
        axes = torch.linalg.eigh(scene.prior.covariance)[1].numpy()
        centred = scene.test - scene.prior.mean.numpy()
        errors = {}
        for k in sorted(CHANNELS):
            kept = centred @ axes[:, -k:] @ axes[:, -k:].T
            errors[str(k)] = _errors(kept + scene.prior.mean.numpy(), scene.test)
        reader = _Reader(scene.train, scene.train_classes)
        read = _scores(reader(scene.test), scene.test_classes)
        found[str(len(scene.bands))] = {"components": errors, "classes": read}
    return found


def _channels(camera: Camera, half: np.ndarray, scene: Scene, *, seed: int) -> np.ndarray:
    return camera.capture(half, seed=seed, wavelengths=scene.bands).channels()


class _Reader:
    """Classes by least squares on channels, their square roots and a constant."""

    def __init__(self, signal: np.ndarray, classes: np.ndarray) -> None:
        wanted = np.eye(int(classes.max()) + 1)[classes.ravel()]
        self.weight = np.linalg.lstsq(self._seen(signal), wanted)[0]

    def __call__(self, signal: np.ndarray) -> np.ndarray:
        """The likeliest class of each pixel."""
        return (self._seen(signal) @ self.weight).argmax(1).reshape(signal.shape[:-1])

    @staticmethod
    def _seen(signal: np.ndarray) -> np.ndarray:
        flat = signal.reshape(-1, signal.shape[-1]).astype(np.float64)
        return np.concatenate([flat, np.sqrt(flat.clip(0)), np.ones((len(flat), 1))], axis=1)


def _errors(decoded: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """RMSE over all entries, PSNR with the largest truth as peak, mean angle in degrees."""
    rmse = float(np.sqrt(np.square(decoded - truth).mean()))
    along = (decoded * truth).sum(-1)
    lengths = np.linalg.norm(decoded, axis=-1) * np.linalg.norm(truth, axis=-1)
    angle = np.arccos(np.clip(along / np.maximum(lengths, 1e-12), -1, 1))
    return {"psnr": float(20 * np.log10(truth.max() / rmse)), "rmse": rmse,
            "sam": float(np.degrees(angle).mean())}  # fmt: skip


def _scores(guess: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Mean IoU over the classes that truth or guess have, and the share of right pixels."""
    shares = []
    for one in range(int(max(truth.max(), guess.max())) + 1):
        either = ((guess == one) | (truth == one)).sum()
        if either:
            shares.append(((guess == one) & (truth == one)).sum() / either)
    return {"mIoU": float(np.mean(shares)), "accuracy": float((guess == truth).mean())}


def _folder(data: Path | None) -> Path:
    # Checked before any work starts.
    folder = data or Path("data")
    folder = folder / "spectral" if (folder / "spectral").is_dir() else folder
    missing = [name for name in FILES.values() if not (folder / name).is_file()]
    if missing:
        raise UsageError(f"{folder} must hold {', '.join(missing)}; use --data")
    return folder


@lru_cache(maxsize=2)
def _scene(folder: Path, *, visible: bool = True) -> Scene:
    """The crop, its bands in order, in sunlight; all 198 bands where `visible` is False."""
    held = loadmat(folder / FILES["cube"])
    values = held["Y"].T.reshape(100, 100, -1, order="F") / 1e4
    chosen = _numbers(folder / FILES["chosen"], separator=",")[:, -1].astype(int)
    nm = _numbers(folder / FILES["nm"], separator=",")[:, -1][chosen - 1]
    order = np.argsort(nm)  # detectors of the instrument overlap
    if visible:
        order = order[(nm[order] >= 400) & (nm[order] <= 1000)]
    bands, classes = Wavelengths(nm[order]), held["S_GT"].argmax(-1)
    train, test = halves((100, 100))
    kept = (values[train][:, order], values[test][:, order], classes[train], classes[test])
    parts = [part.reshape(50, 100, *part.shape[1:]) for part in kept]
    curves = _numbers(folder / FILES["rgb"], separator=",")
    # the lens's infrared filter: nothing passes beyond what was measured
    seen = [np.interp(bands.nm, curves[:, 0], curves[:, i], right=0.0) for i in (1, 2, 3)]
    rgb = np.stack(seen).clip(0)
    return Scene(*parts, bands, _light(folder, bands.nm), rgb / rgb.max())


def _light(folder: Path, nm: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sunlight, and the share of photons that 3 micrometres of bare silicon take."""
    sun = _numbers(folder / FILES["sun"], separator=",")
    silicon = _numbers(folder / FILES["silicon"])
    n, k = (np.interp(nm, silicon[:, 0] * 1e3, silicon[:, i]) for i in (1, 2))
    reflected = ((n - 1) ** 2 + k**2) / ((n + 1) ** 2 + k**2)
    taken = 1 - np.exp(-4 * np.pi * k / (nm * 1e-3) * 3)
    return np.interp(nm, sun[:, 0], sun[:, 2]), (1 - reflected) * taken


def _numbers(path: Path, *, separator: str | None = None) -> np.ndarray:
    """The rows of a text file that are nothing but numbers, as many as the last has."""
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            rows.append([float(part) for part in line.split(separator)])
        except ValueError:
            continue
    full = [row for row in rows if row]
    return np.array([row for row in full if len(row) == len(full[-1])])


Done = list[tuple[Cell, dict[str, Any]]]
Held = dict[tuple[str, int, str], dict[str, Any]]  # encoder, channels, rule
Lines = list[list[Any]]
SHOWN = (FREE, "coupled modes, trained", "Bragg cavities, trained", NARROW, TRAINED, RANDOM)
PAIRS = {"films": (TRAINED, RANDOM), "Fabry-Perot": ("Fabry-Perot, trained", "Fabry-Perot"),
         "Bragg cavities": ("Bragg cavities, trained", "Bragg cavities"),
         "Gaussians": ("Gaussians, trained", NARROW)}  # fmt: skip
SAID = {"equal_exposure": "equal exposure", "full_well": "full well"}
OVER = (
    "Lower half, behind LMMSE, peak the largest truth. Mean over five seeds of noise; random "
    "films: over five draws, each a mean over those seeds."
)


def page(done: Done) -> Page:
    """What is kept by nine channels, by any number, by other decoders; beside the references."""
    held, taught, bounds = _of(done, BANK), _of(done, TAUGHT), _bounded(done)
    title = "Which filters keep what Jasper Ridge shows"
    if not held:
        return Page(title, "No cell has been run yet.", [_facts(done, held)])
    records: list[Any] = [_nine(held, bounds), _matrices(held)]
    records += [_trace(held, rule) for rule in RULES]
    for make in (_by_channels, _gains):
        for what, pick in (("PSNR [dB]", _psnr), ("mIoU of classes", _miou)):
            records += [make(held, rule, pick, what=what) for rule in RULES]
    records += [_decoders(held, taught), _spectra_beside(held, bounds)]
    records += [_classes_beside(held, bounds), _facts(done, held)]
    return Page(title, _answer(held, bounds), records)


def _of(done: Done, kind: str) -> Held:
    return {
        (c.settings["encoder"], c.settings["k"], c.settings["rule"]): result
        for c, result in done if c.settings["kind"] == kind
    }  # fmt: skip


def _bounded(done: Done) -> dict[str, Any]:
    found = [result for cell, result in done if cell.settings["kind"] == BOUNDS]
    return {bands: one for result in found for bands, one in result.items() if bands in COMPONENTS}


def _psnr(result: dict[str, Any]) -> np.ndarray:
    return np.array(result["psnr"][AFFINE])


def _miou(result: dict[str, Any]) -> np.ndarray:
    return np.array(result["classes"]["mIoU"])


Pick = Callable[[dict[str, Any]], np.ndarray]


def _interval(values: np.ndarray) -> Measured:
    around = student(values)
    return Measured(float(values.mean()), around.low, around.high)


def _at(held: Held, key: tuple[str, int, str], pick: Pick) -> Measured | None:
    return _interval(pick(held[key])) if key in held else None


def _mean(held: Held, key: tuple[str, int, str], pick: Pick) -> float | None:
    return float(pick(held[key]).mean()) if key in held else None


def _nine(held: Held, bounds: dict[str, Any]) -> Table:
    def row(name: str, k: int) -> list[Any]:
        keys = [(name, k, rule) for rule in RULES]
        return [_at(held, key, pick) for pick in (_psnr, _miou) for key in keys]

    rows: Lines = [[name, *row(name, 9)] for name in ENCODERS]
    rows.sort(key=lambda one: -(one[2].value if one[2] else -1))
    rows.append([f"{RGB}, 3 channels", *row(RGB, 3)])
    for bands, one in bounds.items():
        mean = one["classes"]["mIoU"]
        rows.append([f"all {bands} bands, no noise", None, None, mean, mean])
    columns = [f"{what}, {SAID[rule]}" for what in ("PSNR [dB]", "mIoU") for rule in RULES]
    return Table(
        ["encoder", *columns], rows, title="Nine channels",
        protocol=f"{OVER} 95 % Student intervals over these five: of one scene, they say nothing "
        "of another. mIoU: four materials, upper half learnt from.",
    )  # fmt: skip


def _matrices(held: Held) -> Table:
    """What stands behind the decibels of nine channels."""
    asked: dict[str, Callable[[dict[str, Any]], float]] = {
        "angle [degrees]": lambda one: float(np.mean(one["sam"][AFFINE])),
        "condition": lambda one: float(one["condition"]),
        "light let through": lambda one: float(one["passed"]),
    }
    rows: Lines = [
        [name, *(
            pick(held[name, 9, rule]) if (name, 9, rule) in held else None
            for pick in asked.values() for rule in RULES)]
        for name in ENCODERS
    ]  # fmt: skip
    return Table(
        ["encoder", *(f"{what}, {SAID[rule]}" for what in asked for rule in RULES)], rows,
        title="Nine channels: angles and matrices",
        protocol="Angle between spectra and what LMMSE makes of them, a mean over the lower half. "
        "Condition of the encoding matrix: huge where two channels are one. Light: the mean of "
        "the filters' curves over the bands.",
    )  # fmt: skip


def _known(held: Held) -> list[int]:
    return sorted({k for name, k, _ in held if name != RGB})


def _trace(held: Held, rule: str) -> Trace:
    """Lines of a few banks, where all of them were run; else of each alone, with gaps."""
    ks = [k for k in _known(held) if all((name, k, rule) in held for name in SHOWN)]
    ks = ks if len(ks) > 1 else _known(held)
    series = {
        name: [_mean(held, (name, k, rule), _psnr) or float("nan") for k in ks] for name in SHOWN
    }
    return Trace(ks, series, title=f"Spectra kept, {SAID[rule]}", x_name="channels",
                 y_name="PSNR [dB]")  # fmt: skip


def _by_channels(held: Held, rule: str, pick: Pick, *, what: str) -> Table:
    ks = _known(held)
    rows: Lines = [
        [name, *(_mean(held, (name, k, rule), pick) for k in ks)] for name in (RGB, *ENCODERS)
    ]
    return Table(
        ["encoder", *map(str, ks)], rows, title=f"{what} by channels, {SAID[rule]}", protocol=OVER
    )


def _gains(held: Held, rule: str, pick: Pick, *, what: str) -> Table:
    ks, rows = _known(held), []
    for name, pair in PAIRS.items():
        found = [[_mean(held, (one, k, rule), pick) for one in pair] for k in ks]
        gains = [None if a is None or b is None else a - b for a, b in found]
        rows.append([name, *gains])
    return Table(
        ["trained less untrained", *map(str, ks)], rows,
        title=f"What training adds to {what}, by channels, {SAID[rule]}",
        protocol=f"{OVER} Untrained films are random ones; the other banks are as they were "
        "planned. Training minimises the error of spectra; it knows of no classes.",
    )  # fmt: skip


def _decoders(held: Held, taught: Held) -> Table:
    nets = list(next(iter(taught.values()))["psnr"]) if taught else []
    rows: Lines = []
    for name in ENCODERS:
        for rule in RULES:
            key = (name, 9, rule)
            if key not in held:
                continue
            base, others = _psnr(held[key]), held[key]["psnr"]
            learnt = taught[key]["psnr"] if key in taught else {}
            more = [others[BOUNDED], others[BLIND], *(learnt.get(net) for net in nets)]
            added = [None if one is None else _interval(np.array(one) - base) for one in more]
            rows.append([name, SAID[rule], float(base.mean()), *added])
    return Table(
        ["encoder", "exposure", AFFINE, BOUNDED, BLIND, *nets], rows,
        title="Other decoders, nine channels",
        caption="PSNR in dB of LMMSE, and what the others add to it.",
        protocol="Paired by seeds of noise: 95 % Student intervals. Networks correct LMMSE, on "
        "four captures of the upper half, and were not tuned; a dash is a decoder that was not "
        "run on that encoder.",
    )  # fmt: skip


def _spectra_beside(held: Held, bounds: dict[str, Any]) -> Table:
    """Each reference PSNR with what was measured here."""
    rows: Lines = []
    for (name, k), pair in REFERENCE.items():
        for rule, wanted in zip(RULES, pair, strict=True):
            found = _mean(held, (name, k, rule), _psnr)
            if wanted is not None and found is not None:
                rows.append([f"{name}, {k} channels, {SAID[rule]}", found, wanted, found - wanted])
    for bands, one in bounds.items():
        for k, wanted in COMPONENTS[bands].items():
            found = one["components"][str(k)]["psnr"]
            what = f"{k} principal components of {bands} bands, no noise"
            rows.append([what, found, wanted, found - wanted])
    return _compared(rows, "PSNR [dB]")


def _classes_beside(held: Held, bounds: dict[str, Any]) -> Table:
    """Each reference mIoU with what was measured here."""
    rows: Lines = []
    for (name, k), wanted in CLASSES.items():
        found = _mean(held, (name, k, "full_well"), _miou)
        if found is not None:
            rows.append([f"{name}, {k} channels, full well", found, wanted, found - wanted])
    for bands, one in bounds.items():
        found, wanted = one["classes"]["mIoU"], CLASSES_OF_BANDS[bands]
        rows.append([f"all {bands} bands, no noise", found, wanted, found - wanted])
    return _compared(rows, "mIoU")


def _compared(rows: Lines, measure: str) -> Table:
    return Table(
        [measure, "here", "reference", "difference"],
        [[what, *(round(value, 3) for value in values)] for what, *values in rows],
        title=f"Beside the reference numbers, {measure}",
        protocol="References: computed once with another program on the same crop; its tables of "
        "n and k, random films, colour camera and length of training are not known to be ours.",
    )  # fmt: skip


def _answer(held: Held, bounds: dict[str, Any]) -> str:
    said = []
    for rule in RULES:
        kept = _mean(held, (FREE, 9, rule), _psnr)
        if kept is None:
            continue
        line = f"Nine channels, {SAID[rule]}: {FREE} keep {kept:.1f} dB"  # named beforehand
        if all(_mean(held, (name, 9, rule), _psnr) is not None for name in (RANDOM, TRAINED)):
            gains = _mean(held, (TRAINED, 9, rule), _psnr) - _psnr(held[RANDOM, 9, rule])
            line += f"; training adds {_interval(gains)} dB to films at random"
        said.append(line + ".")
    classes = {
        name: _mean(held, (name, k, "full_well"), _miou)
        for name, k in ((FREE, 9), (NARROW, 9), (RGB, 3))
    }
    read = [f"{name} {mean:.2f}" for name, mean in classes.items() if mean is not None]
    read += [f"all {bands} bands {one['classes']['mIoU']:.2f}" for bands, one in bounds.items()]
    return " ".join([*said, f"Classes, mIoU under a full well: {', '.join(read)}."])


def _facts(done: Done, held: Held) -> Facts:
    ratios = [one["foretold over simulated"] for one in held.values()]
    told = f"{min(ratios):.2f} to {max(ratios):.2f}" if ratios else "none"
    return Facts({**SETTINGS, **NETWORKS, "seeds of noise": list(SEEDS), "cells": len(done),
                  "error foretold over simulated, upper half": told,
                  "banks not run": _missing(held)}, title="Settings")  # fmt: skip


def _missing(held: Held) -> list[str]:
    """Bank, rule and numbers of channels that the page says nothing of."""
    found = []
    for name in ENCODERS:
        for rule in RULES:
            ks = (4, 9, 16) if name == MADE_OF else sorted(CHANNELS)
            lacks = [str(k) for k in ks if (name, k, rule) not in held]
            if lacks:
                found.append(f"{name}, {SAID[rule]}: {', '.join(lacks)} channels")
    return found or ["none"]
