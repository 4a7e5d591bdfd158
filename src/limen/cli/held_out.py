"""Held-out pictures: which they are, and what they say of a classifier."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
import torch

from limen._core.errors import UsageError
from limen._core.streams import numpy_stream
from limen.bank.bank import FeatureBank
from limen.cli.classifiers import asked
from limen.cli.separating_records import curves, hardest
from limen.measure.separation import roc
from limen.measure.wilson import wilson
from limen.ood.data import Images
from limen.ood.judge import judge
from limen.ood.judged import Judged, measured
from limen.ood.models import Classifier
from limen.ood.scores.protocol import name_of
from limen.report import Measured, Table

KNOWN, STRANGE = "held-out inliers", "held-out outliers"


@dataclass(frozen=True)
class HeldOut:
    """Pictures kept apart from training, and how they are judged.

    Attributes:
        known: Inliers.
        strange: Outliers, if any.
        score: What judges.
        seed: Of the bootstrap.
    """

    known: Images
    strange: Images | None
    score: Any
    seed: int


@dataclass(frozen=True)
class Look:
    """What the held-out pictures say of a classifier."""

    accuracy: Measured
    judged: Judged | None


def by_class(images: Images, share: float, *, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows to learn from and rows kept apart, the same share of each class.

    Raises:
        UsageError: A class has too few for both.
    """
    kept = []
    for number, name in enumerate(images.classes):
        own = np.flatnonzero(images.labels == number)
        count = ceil(share * len(own))
        if count >= len(own):
            raise UsageError(
                f"--held-out {share} of the {len(own)} pictures of class {name!r} must leave some "
                "to learn from"
            )
        kept.append(numpy_stream(seed, "held out", name).permutation(own)[:count])
    asked = np.sort(np.concatenate(kept))
    return np.setdiff1d(np.arange(len(images)), asked), asked


def apart(images: Images, share: float, *, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The same of outliers: by whole classes where there are some, as a test's are others too.

    Raises:
        UsageError: Too few for both.
    """
    labels = images.labels
    classes = np.arange(len(images)) if labels is None else np.unique(labels)
    labels = classes if len(classes) < 2 or labels is None else labels
    pool = np.unique(labels)
    count = max(ceil(share * len(pool)), 2 if labels is classes else 1)
    kept = numpy_stream(seed, "held-out outliers").permutation(pool)[:count]
    asked = np.isin(labels, kept)
    if count >= len(pool) or asked.sum() < 2:
        raise UsageError(
            f"--held-out {share} of {len(images)} --outliers must keep two apart and leave some to "
            "learn from; bring more"
        )
    return np.flatnonzero(~asked), np.flatnonzero(asked)


def look(model: Classifier, rows: HeldOut) -> Look:
    """Accuracy on the held-out inliers, and how well the outliers are told from them."""
    sets: dict[str, Any] = {KNOWN: _tensors(rows.known)}
    if rows.strange is not None:
        sets[STRANGE] = torch.from_numpy(rows.strange.inputs)
    bank = FeatureBank.extract(asked(model, [rows.score]), sets)
    logits = np.asarray(bank[KNOWN].logits)[:, : len(model.about.classes)]
    right = logits.argmax(1) == rows.known.labels
    accuracy = measured(float(right.mean()), wilson(int(right.sum()), len(right)))
    if rows.strange is None:
        return Look(accuracy, None)
    judged = judge(bank, inliers=KNOWN, outliers=[STRANGE], scores=[rows.score], seed=rows.seed)
    return Look(accuracy, judged)


def _tensors(images: Images) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.from_numpy(images.inputs), torch.from_numpy(np.asarray(images.labels))


def table(looks: Mapping[str, Look], rows: HeldOut) -> Table:
    """A row for each moment: accuracy and, where there are outliers, how well they are told."""
    columns, strange = ["held-out pictures", "accuracy"], rows.strange is not None
    columns += ["AUROC", "FPR95, 95 % of inliers kept"] if strange else []
    lines = []
    for when, look in looks.items():
        cells = look.judged.rows[0] if look.judged else None
        lines.append([when, look.accuracy, *([cells[2], cells[5]] if cells else [])])
    told = f" and {len(rows.strange)} outliers" if rows.strange else ""
    return Table(
        columns,
        lines,
        title="Held-out pictures",
        protocol=f"{len(rows.known)} inliers{told}, kept apart from the training pictures by the "
        f"seed: not a test set. Score: {name_of(rows.score)}. Intervals at 95 %: accuracy "
        "Wilson, AUROC DeLong, FPR bootstrap of each side.",
    )


def headline(looks: Mapping[str, Look], rows: HeldOut) -> str:
    """The result in one sentence."""
    after = looks["after"]
    said = f"On held-out pictures {after.accuracy} of the inliers are classified rightly"
    if after.judged is None:
        return f"{said}; no outliers were given to look at."
    cells = after.judged.rows[0]
    before = looks.get("before")
    was = f", before {before.judged.rows[0][2]}" if before and before.judged else ""
    return f"{said}; {name_of(rows.score)} tells outliers from them with AUROC {cells[2]}{was}."


def records(looks: Mapping[str, Look], rows: HeldOut) -> list[Any]:
    """The curve before and after, and the held-out pictures that are hardest."""
    after = looks["after"].judged
    if after is None or rows.strange is None:
        return []
    key = name_of(rows.score), STRANGE
    found = {when: roc(*look.judged.pair(*key)) for when, look in looks.items() if look.judged}
    sets = {KNOWN: rows.known, STRANGE: rows.strange}
    return [
        curves(found, title="Outliers caught, against inliers rejected"),
        hardest(after, key[0], sets, inliers=KNOWN, classes=rows.known.classes),
    ]
