"""Tiny pictures for the tests of `limen ood`: a bright corner is a class, a cross is none."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from limen import ood
from limen.cli import outlying, subjects  # noqa: F401  here, so that no test waits for them
from limen.ood.data import read_images
from limen.ood.models import About, Classifier, save_classifier
from limen.report import Page, read

SIZE = 16
CORNERS = {"low": (slice(8, 16), slice(0, 8)), "right": (slice(0, 8), slice(8, 16)),
           "top": (slice(0, 8), slice(0, 8))}  # fmt: skip


def picture(kind: str, draw: np.random.Generator) -> np.ndarray:
    """Dim noise with a bright corner; "noise" is bright everywhere, "cross" along both middles."""
    pixels = draw.integers(0, 70, (SIZE, SIZE), dtype=np.uint8)
    if kind in CORNERS:
        pixels[CORNERS[kind]] += 140
    elif kind == "cross":
        pixels[6:10] += 140
        pixels[:, 6:10] = 200
    else:
        pixels = draw.integers(0, 255, (SIZE, SIZE), dtype=np.uint8)
    return pixels


def folder(path: Path, kind: str, count: int, *, seed: int) -> None:
    """So many pictures of one kind."""
    path.mkdir(parents=True)
    draw = np.random.default_rng([seed, *path.as_posix().encode()[-12:]])
    for number in range(count):
        Image.fromarray(picture(kind, draw)).save(path / f"{number:02}.png")


def folders(home: Path) -> None:
    """Labelled `train` and `test`, plain `calibration`, `crosses`, `noise`; `aux` of two kinds."""
    for name in CORNERS:
        folder(home / "train" / name, name, 12, seed=0)
        folder(home / "test" / name, name, 8, seed=1)
    for number in range(39):
        draw = np.random.default_rng([2, number])
        (home / "calibration").mkdir(exist_ok=True)
        pixels = picture(list(CORNERS)[number % 3], draw)
        Image.fromarray(pixels).save(home / "calibration" / f"{number:02}.png")
    folder(home / "crosses", "cross", 10, seed=3)
    folder(home / "noise", "noise", 10, seed=4)
    folder(home / "aux" / "cross", "cross", 10, seed=5)
    folder(home / "aux" / "noise", "noise", 10, seed=6)


def classifier(into: Path, train: Path, *, seed: int) -> None:
    """A LeNet that has learnt the classes."""
    images = read_images(train, size=SIZE)
    model = Classifier(About("LeNet", images.classes, SIZE), seed=seed)
    rows = torch.from_numpy(images.inputs), torch.from_numpy(images.labels)
    ood.Training(None, steps=25, lr=0.03, batch=16, seed=seed).run(model, rows, label="")
    save_classifier(model, into)


def page_at(path: Path) -> Page:
    """The records of a page that was written."""
    return Page.from_dict(read(path))
