"""The demo's section on time series: one real anomaly among six thousand points."""

import warnings
from typing import Any

import numpy as np

from limen._core.optional import require
from limen.anomaly.data import UCR
from limen.anomaly.detectors.classifier import Classifier
from limen.anomaly.detectors.contrastive import Contrastive
from limen.anomaly.detectors.knn import KNN
from limen.anomaly.detectors.pca import WindowedPCA
from limen.anomaly.detectors.protocol import Detector
from limen.anomaly.detectors.rms_z import RMSZ
from limen.anomaly.judge import judge
from limen.anomaly.judged import CHANCE, FOUND, MAIN, Judged
from limen.anomaly.synth.carla import CARLA
from limen.anomaly.synth.genias import GenIAS
from limen.anomaly.synth.genias_diagnosis import Diagnosis
from limen.report.curves import Curves
from limen.report.facts import Facts
from limen.report.gallery import Gallery, Picture
from limen.report.records import Section
from limen.report.timeline import Timeline
from limen.run.progress import say

WINDOW = 100
SHOWN = ("classifier, GenIAS", "windowed PCA")  # named beforehand, not by what the table says


def section(*, quick: bool = False, seed: int = 0) -> Section:
    """Make anomalies, train on them, and look for a real one that nothing was told of.

    Args:
        quick: Fewer steps, to check that everything runs; its numbers mean little.
        seed: Decides weights, draws and noise.

    Returns:
        The section for the demo's page.

    Example:
        >>> section.__name__
        'section'
    """
    found = series_135()
    steps = 12 if quick else 200
    with warnings.catch_warnings(action="ignore" if quick else "default"):
        maker = GenIAS(window=WINDOW, steps=steps, width=16, stride=2, seed=seed).fit(found.train)
    detectors = fitted(maker, found, steps=steps, quick=quick, seed=seed)
    say("looking for the one real anomaly")
    scores = {name: one.decision_function(found.test) for name, one in detectors.items()}
    table = judge(scores, found.labels, window=WINDOW, seed=seed)
    return Section(
        "Time series",
        [
            Curves(
                list(table.tradeoffs),
                title="Events caught, against false alarms",
                caption="There is one event, so each line has one step: at how many false alarms "
                "the detector reaches it.",
            ),
            _timeline(found, scores),
            table,
            _made(maker, found, seed),
            Facts(_facts(maker, found, steps=steps, seed=seed), title="How to do it again"),
        ],
        answer=_answer(table, found),
        text="A blood pressure of which 1,200 points are known to be normal, and 6,301 that hold "
        "one short anomaly. A generator learns what normal windows look like and makes windows "
        "that are not; detectors learn from those. The labels were used for nothing but the table.",
    )


def series_135() -> UCR:
    """Number 135 of the UCR archive, which aeon ships: "InternalBleeding16"."""
    load = require("aeon.datasets", extra="timeseries").load_kdd_tsad_135
    whole, labels = load(split="test")  # with the training part before it
    train, _ = load(split="train")
    marked = np.flatnonzero(np.asarray(labels).ravel())
    values = np.asarray(whole, dtype=np.float64).reshape(-1, 1)
    return UCR(
        values, train_end=len(train), start=int(marked[0]), end=int(marked[-1]) + 1,
        name="135_UCR_Anomaly_InternalBleeding16",
    )  # fmt: skip


def fitted(maker: GenIAS, found: UCR, *, steps: int, quick: bool, seed: int) -> dict[str, Detector]:
    """The detectors, trained on the normal part alone.

    Args:
        maker: Fitted.
        found: The series.
        steps: Of the learned ones.
        quick: One epoch of the contrastive one's first stage.
        seed: Decides every random number.

    Returns:
        By name, in the table's order.

    Example:
        >>> fitted.__name__
        'fitted'
    """
    rules = CARLA(window=WINDOW).fit(found.train)
    epochs = 1 if quick else 6
    made: dict[str, Detector] = {
        "RMS of z": RMSZ(),
        "KNN on windows": KNN(window=WINDOW),
        "windowed PCA": WindowedPCA(window=WINDOW),
        "classifier, rules": Classifier(rules, steps=steps, seed=seed),
        "classifier, GenIAS": Classifier(maker, steps=steps, seed=seed),
        "contrastive, rules": Contrastive(rules, epochs=epochs, steps=steps, seed=seed),
        "contrastive, GenIAS": Contrastive(maker, epochs=epochs, steps=steps, seed=seed),
    }
    return {name: one.fit(found.train) for name, one in made.items()}


def _timeline(found: UCR, scores: dict[str, np.ndarray]) -> Timeline:
    lanes = {"blood pressure": found.test[:, 0], **{name: scores[name] for name in SHOWN}}
    return Timeline.of(
        lanes,
        first=found.train_end,
        spans={"the real anomaly": [(found.start - found.train_end, found.end - found.train_end)]},
        title="The series, and two detectors' scores",
        caption="Drag to zoom; double-click to see all again.",
    )


def _made(maker: GenIAS, found: UCR, seed: int) -> Gallery:
    """What the generator made of normal windows, the parent beside each."""
    made = maker.sample(3, found.train, seed=seed)
    items = []
    for window, parent, kind in zip(made.windows, made.parents, made.kinds, strict=True):
        items += [Picture(parent[:, 0], "a normal window"), Picture(window[:, 0], f"made: {kind}")]
    return Gallery(items, title="What the generator makes")


def _answer(table: Judged, found: UCR) -> str:
    column = {name: table.columns.index(name) for name in (MAIN, FOUND)}
    rows: dict[Any, Any] = {row[0]: row for row in table.rows}
    hits = [name for name, row in rows.items() if name != CHANCE and float(row[column[FOUND]]) == 1]
    best = [f"{name} {float(rows[name][column[MAIN]]):.2f}" for name in SHOWN]
    chance = float(rows[CHANCE][column[MAIN]])
    return (
        f"Of {len(rows) - 1} detectors {len(hits)} have their highest score at the one real "
        f"anomaly, {found.end - found.start} points of {len(found.test)}; VUS-PR: "
        f"{', '.join(best)}, chance {chance:.2f}."
    )


def _facts(maker: GenIAS, found: UCR, *, steps: int, seed: int) -> dict[str, Any]:
    told = maker.diagnosis
    return {
        "command": f"limen demo anomaly --seed {seed}",
        "series": found.name,
        "training": f"{found.train_end} points, no labels",
        "window": WINDOW,
        "steps": steps,
        "seed": seed,
        "generator": "not trained" if told is None else _told(told),
    }


def _told(found: Diagnosis) -> str:
    return (
        f"copies to {found.copy_error:.3g}, {found.in_band:.0%} of windows in the band, "
        f"{found.active_units} latent numbers in use"
    )
