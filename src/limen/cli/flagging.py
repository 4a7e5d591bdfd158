"""The work behind `limen ood threshold` and `limen ood score`; imported only when there is some."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np  # before torch, whose C code imports it and swallows Ctrl-C
import torch
from torch import nn

from limen._core.errors import UsageError
from limen.bank.bank import FeatureBank
from limen.cli.classifiers import Seer
from limen.cli.pages import PageFolder
from limen.cli.pictures import Reading, bare, described, renumbered, scattered, taught_on
from limen.cli.separating_records import called
from limen.measure.threshold import Threshold
from limen.ood.data import Images, require_apart
from limen.ood.detector import Detector
from limen.ood.scores.hull_distance import HullDistance
from limen.ood.scores.knn import KNN
from limen.ood.scores.nn_guide import NNGuide
from limen.ood.scores.protocol import fits, fitted, learns, name_of, scored, sees
from limen.report import Facts, Histogram, Page, Table
from limen.report.table import Cell
from limen.run.files import load as loaded
from limen.run.files import save
from limen.run.progress import say
from limen.run.provenance import origin

ROWS, TRAIN = "rows", "train"
FILE = "detector.safetensors"
"""A detector's, in a folder."""
_IN_BLOCKS = (KNN, NNGuide, HullDistance)
"""Scores that go through rows in blocks, which no graph can."""


def place_of(into: Path) -> Path:
    """The detector's file: the one named, or `FILE` in the folder named.

    Raises:
        UsageError: A file that is no detector's stands there, or where its folder would.
    """
    path = into / FILE if into.is_dir() or not into.suffix else into
    _require_room(path, option="--into")
    if path.exists() and not _is_detector(path):
        raise UsageError(f"--into {path} holds something else than a detector; name another file")
    return path


def _require_room(path: Path, *, option: str) -> None:
    """Refuse a file below another file, or in a folder that we may not write to.

    Raises:
        UsageError: So it is.
    """
    home = next(place for place in path.absolute().parents if place.exists())
    if path.is_dir() or not home.is_dir() or not os.access(home, os.W_OK):
        what = path if path.is_dir() else home
        why = "may not be written to" if home.is_dir() and home is what else "stands in its way"
        raise UsageError(f"{option} {path} must be a file that can be written; {what} {why}")


def check_alpha(alpha: float) -> None:
    """Refuse a share that no threshold can keep.

    Raises:
        UsageError: It is not between 0 and 1.
    """
    if not 0 < alpha < 1:
        raise UsageError(f"--alpha {alpha} must lie between 0 and 1")


def check_onnx(onnx: Path | None, seer: Seer, score: Any, *, per_class: bool) -> None:
    """Refuse what no ONNX file can be written of.

    Raises:
        UsageError: A classifier that is an ONNX file itself, thresholds by class, a score whose
            graph takes one number of rows only, or a file name without the ending.
    """
    if onnx is None:
        return
    if onnx.suffix != ".onnx":
        raise UsageError(f"--onnx {onnx} must end in .onnx")
    _require_room(onnx, option="--onnx")
    if not isinstance(seer.network, nn.Module):
        raise UsageError("--onnx writes a classifier that train wrote; --model is an ONNX file")
    if per_class:
        raise UsageError("--onnx holds one threshold for all pictures; leave --per-class out")
    odd = [name for name in sees(score) if name not in ("logits", "features")]
    if odd or isinstance(score, _IN_BLOCKS):
        raise UsageError(
            f"--onnx holds scores of logits and features that take any number of rows; "
            f"{name_of(score)} does not: leave --onnx out"
        )


def detector_at(where: Path) -> Detector:
    """A detector that threshold wrote.

    Raises:
        UsageError: There is none.
    """
    path = where / FILE if where.is_dir() else where
    try:
        found = loaded(path)
    except UsageError as wrong:
        raise UsageError(f"--detector {wrong}") from None
    if not isinstance(found, Detector):
        raise UsageError(f"--detector {path} must hold a detector that 'limen ood threshold' wrote")
    return found


def require_same(found: Detector, seer: Seer, *, where: Path) -> None:
    """Refuse a detector of another classifier.

    Raises:
        UsageError: It is.
    """
    if found.model != seer.hash:
        raise UsageError(
            f"--detector {where} was made for another model, {found.model}, and --model "
            f"{seer.where} is {seer.hash}; run 'limen ood threshold' for this one"
        )


def threshold(
    seer: Seer,
    score: Any,
    *,
    calibration: str,
    train: str | None,
    alpha: float,
    each: tuple[bool, bool],
    reading: Reading,
    into: Path,
    onnx: Path | None,
    page: PageFolder | None,
    as_json: bool,
) -> None:
    """Calibrate a detector, write it, print what it promises, write the page.

    `each` says whether every predicted class has a threshold of its own, and whether those with
    too few pictures take that of all.
    """
    pictures = reading(calibration, size=seer.size, option="--calibration")
    if taught_on(seer.where, pictures):
        raise UsageError(
            f"--calibration {calibration} holds the pictures that --model {seer.where} was trained "
            "on, so nothing could be promised of new ones; bring others"
        )
    Threshold(alpha=alpha).fit(np.zeros(len(pictures)))  # too few are refused before any pass
    taught = _taught(seer, train, reading, apart={"--calibration": pictures})
    per_class, fallback = each
    sets = {ROWS: bare(pictures), **({TRAIN: taught} if taught is not None else {})}
    bank = seer.bank(sets, [score])
    detector = Detector(score=score)
    detector.fit(
        bank[ROWS], alpha, train=bank if fits(score) else None, per_class=per_class,
        fallback=fallback,
    )  # fmt: skip
    detector.model = seer.hash
    save(detector, into)
    say(f"the detector: {into}")
    if onnx is not None:
        onnx.parent.mkdir(parents=True, exist_ok=True)
        example = torch.from_numpy(pictures.inputs[: max(2, min(len(pictures), 8))])
        detector.attach(seer.network).export_onnx(onnx, example)
        say(f"network, score and threshold: {onnx}")
    table = _promise(detector, seer)
    if page is not None:
        page.write(
            _page(detector, seer, table, described({"calibration": (calibration, pictures)}))
        )
    print(json.dumps({**table.to_dict(), "detector": str(into)}, indent=2) if as_json
          else table.to_text())  # fmt: skip


def tell(
    seer: Seer,
    paths: Sequence[str],
    *,
    score: Any,
    detector: Detector | None,
    train: str | None,
    reading: Reading,
    as_json: bool,
) -> None:
    """A line for each picture: its score, whether it is flagged, the class named, its name."""
    pictures = scattered(paths, size=seer.size, skip_bad=reading.skip_bad)
    taught = _taught(seer, train, reading, apart={})
    ready = score if detector is None else detector.score
    sets = {ROWS: pictures, **({TRAIN: taught} if taught is not None else {})}
    bank = seer.bank(sets, [ready])
    rows = bank[ROWS]
    if detector is None:
        found, flags = _scores(ready, bank, fit=taught is not None), [None] * len(pictures)
    else:
        found, raised = detector(rows)
        flags = raised.tolist()
    named = np.asarray(rows.logits)[:, : len(seer.classes) or None].argmax(axis=1)
    for name, value, flag, number in zip(pictures.names, found, flags, named, strict=True):
        known = called(seer.classes, number)
        told = {"name": name, "score": float(value), "flagged": flag, "class": known}
        print(json.dumps(told) if as_json else _line(told))


def _line(told: dict[str, Any]) -> str:
    marks = {True: "outlier", False: "inlier", None: "-"}
    return f"{told['score']:.6g}\t{marks[told['flagged']]}\t{told['class']}\t{told['name']}"


def _scores(score: Any, bank: FeatureBank, *, fit: bool) -> np.ndarray:
    ready = score
    if fits(score) and (fit or not learns(score)):
        rows = bank[TRAIN] if learns(score) else None
        ready = fitted(score, rows, weight=bank.weight, bias=bank.bias, layers=bank.layers)
    return np.asarray(scored(ready, bank[ROWS]))


def _taught(
    seer: Seer, train: str | None, reading: Reading, *, apart: dict[str, Images]
) -> Images | None:
    """The training pictures, which share no file with the others.

    Raises:
        UsageError: They do, or their classes are not the model's.
    """
    if train is None:
        return None
    found = reading(train, size=seer.size, option="--train")
    require_apart({**apart, "--train": found})
    return renumbered(found, seer.classes, option=f"--train {train}")


def _promise(detector: Detector, seer: Seer) -> Table:
    """Level, count and rate for all pictures, or for each class."""
    levels = detector.threshold
    assert levels is not None
    parts = {"all": levels.overall}
    parts |= {called(seer.classes, one): found for one, found in levels.by_class.items()}
    rows: list[list[Cell]] = [
        [name, one.level, one.count, one.expected] for name, one in parts.items()
    ]
    alpha = levels.overall.alpha
    return Table(
        ["predicted class", "level", "calibration pictures", "expected rate of false alarms"],
        rows,
        title=f"{name_of(detector.score)}: flagged above the level",
        protocol=f"Split conformal, alpha {alpha:g}: a new inlier, exchangeable with the "
        "calibration pictures, is flagged with a probability of at most floor((n + 1) alpha) / "
        "(n + 1), the rate shown.",
    )


def _page(detector: Detector, seer: Seer, table: Table, told: Mapping[str, Any]) -> Page:
    """What the detector promises, and the calibration scores that the promise rests on."""
    levels, calibration = detector.threshold, detector.calibration
    assert levels is not None
    assert calibration is not None
    overall, score = levels.overall, name_of(detector.score)
    spread = Histogram.of(
        {"calibration": calibration},
        at=overall.level,
        title=f"{score} of the calibration pictures",
        caption="Higher = more outlying. What lies right of the line is flagged"
        + (", where a class has no line of its own." if levels.by_class else "."),
        x_name=score,
    )
    facts: dict[str, Any] = {
        "model": f"{seer.where}, hash {seer.hash}",
        "score": score,
        "alpha": overall.alpha,
    }
    return Page(
        "A threshold that keeps a promise",
        f"Above {overall.level:.6g} a picture is flagged; of new inliers {overall.expected:.2%} "
        "are, on average.",
        [table, spread, Facts({**facts, **told, **origin()}, title="How to do it again")],
        subtitle=f"{score}, {overall.count} calibration pictures",
    )


def _is_detector(path: Path) -> bool:
    try:
        return isinstance(loaded(path), Detector)
    except UsageError:
        return False
