"""The work behind `limen ood train`; imported only when there is some."""

import json
import os
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np  # noqa: F401  before torch, whose C code imports it and swallows Ctrl-C
import torch

from limen._core.errors import UsageError
from limen.bank.content import model_hash
from limen.cli.held_out import HeldOut, apart, by_class, headline, look, records, table
from limen.cli.pictures import Reading, described, require_classes
from limen.cli.scoring import Asked, FromPixels, needs_outliers, objective, score
from limen.ood.augment import Augment
from limen.ood.choose import usual_score
from limen.ood.data import Images, require_apart
from limen.ood.models import About, Classifier, load_classifier, save_classifier
from limen.ood.scores.extra_class import extra_class
from limen.ood.scores.protocol import fits, name_of
from limen.ood.train import Training
from limen.report import Facts, Page, Table, Trace
from limen.run.folder import RunFolder
from limen.run.progress import say
from limen.run.provenance import origin

FRESH_LR, TUNED_LR = 0.03, 0.01
LARGEST = 10_000
"""Pixels on a side: one such picture takes 300 MB."""
_AS_IT_IS: Any = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}
"""Of an `Augment` that leaves the normalisation to the classifier."""


@dataclass(frozen=True)
class Plan:
    """Everything that was asked for, checked before a picture is read.

    Attributes:
        asked: The objective.
        told: Its text.
        training: The settings.
        score: What the held-out pictures are judged by.
        held_out: Share kept apart.
    """

    asked: Asked
    told: str
    training: Training
    score: Any
    held_out: float


@dataclass(frozen=True)
class Rows:
    """The pictures to learn from, and those kept apart."""

    inliers: Images
    outliers: Images | None
    held: HeldOut
    facts: Mapping[str, str]


def plan(
    *, told: str, weight: float | None, judged_by: str | None, held_out: float, crop: int | None,
    flip: bool, size: int, **settings: Any,
) -> Plan:  # fmt: skip
    """The settings as objects; names are looked up here and nowhere else.

    Raises:
        UsageError: An unknown name, a value out of range, or a setting of what is switched off.
    """
    asked = objective(told)
    if asked is None and weight is not None:
        raise UsageError("--weight is the factor of an objective's loss; --objective none has none")
    if not 0 < held_out < 1:
        raise UsageError(f"--held-out {held_out} must lie between 0 and 1")
    by = usual_score(asked) if judged_by is None else score(judged_by)
    if fits(by):
        raise UsageError(
            f"--score {name_of(by)} is fitted; held-out pictures are judged by others, such as "
            "energy"
        )
    if by is extra_class and not getattr(asked, "extra_classes", 0):
        raise UsageError(f"--score extra_class is for --objective NTOM, got {told}; take another")
    augment = Augment(padding=size // 8 if crop is None else crop, flip=flip, **_AS_IT_IS)
    training = Training(
        objective=None if isinstance(asked, FromPixels) else asked,
        weight=getattr(asked, "weight", 0.5) if weight is None else weight,
        augment=augment,
        **settings,
    )
    return Plan(asked, told, training, by, held_out)


def rate(lr: float | None, *, tuned: bool) -> float:
    """The first learning rate: the one given, or less for what is trained already."""
    return lr if lr is not None else TUNED_LR if tuned else FRESH_LR


def check_into(into: Path) -> None:
    """Refuse a folder that cannot be a run's, before anything is read.

    Raises:
        UsageError: It holds something else.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UsageError("the commands run in one process; use limen.fit in a script for several")
    if not (into / "spec.json").is_file():
        RunFolder(into).check({})


def start(net: str | None, begun: str | None, *, size: int | None) -> tuple[int, Classifier | None]:
    """Size of the pictures, and the classifier to go on from, if any.

    Raises:
        UsageError: Both a network and a classifier, neither, or another size than its own.
    """
    if (net is None) == (begun is None):
        raise UsageError("--net, a fresh network, or --from, a classifier to go on from: give one")
    if begun is None:
        if size is not None and not 1 <= size <= LARGEST:
            raise UsageError(f"--size {size} must be at least 1 and at most {LARGEST:,}")
        return size or 32, None
    try:
        model = load_classifier(begun)
    except UsageError as wrong:
        raise UsageError(f"--from {wrong}") from None
    own = model.about.size
    if size not in (None, own):
        raise UsageError(f"--size {size} must be that of --from, {own}; leave it out")
    return own, model


def rows(inliers: str, outliers: str | None, *, size: int, reading: Reading, plan: Plan) -> Rows:
    """All pictures, read, checked and parted.

    Raises:
        UsageError: Too few classes or pictures, shared files, or no outliers where needed.
    """
    learns = needs_outliers(plan.asked)
    if learns and outliers is None:
        raise UsageError(
            f"--outliers is needed: {plan.told} learns from them; ATOL, VOS and none do without"
        )
    known = reading(inliers, size=size, option="--inliers")
    require_classes(known, option=f"--inliers {inliers}")
    given = {"--inliers": (inliers, known)}
    strange = None
    if outliers is not None:
        strange = reading(outliers, size=size, option="--outliers")
        given["--outliers"] = (outliers, strange)
    require_apart({name: images for name, (_, images) in given.items()})
    facts = described({name.removeprefix("--"): told for name, told in given.items()})
    seed = plan.training.seed
    mine, asked = by_class(known, plan.held_out, seed=seed)
    if strange is None:
        held = HeldOut(known.take(asked), None, plan.score, seed)
        return Rows(known.take(mine), None, held, facts)
    learnt, kept = apart(strange, plan.held_out, seed=seed)
    taught = strange.take(learnt) if learns else None
    held = HeldOut(known.take(asked), strange.take(kept), plan.score, seed)
    return Rows(known.take(mine), taught, held, facts)


def classifier(
    net: str | None, begun: Classifier | None, rows: Rows, *, plan: Plan, size: int
) -> Classifier:
    """A fresh classifier with the inliers' own normalisation, or the one to go on from.

    Raises:
        UsageError: An unknown network, one that has no such pictures, or classes that disagree.
    """
    extra = int(getattr(plan.asked, "extra_classes", 0))
    classes = rows.inliers.classes
    if begun is None:
        pixels = rows.inliers.inputs / 255
        mean, std = pixels.mean((0, 2, 3)), pixels.std((0, 2, 3)).clip(1 / 255)
        mean, std = (tuple(round(float(v), 6) for v in part) for part in (mean, std))
        try:
            fresh = Classifier(About(str(net), classes, size, mean, std, extra),
                               seed=plan.training.seed)  # fmt: skip
            with torch.no_grad():
                deepcopy(fresh).eval()(torch.from_numpy(rows.inliers.inputs[:2]))
        except UsageError as wrong:
            raise UsageError(f"--net: {wrong}") from None
        except (RuntimeError, AssertionError, ValueError) as wrong:
            why = str(wrong).splitlines()[0]
            raise UsageError(f"--net {net} must take pictures of size {size}: {why}") from None
        return fresh
    about = begun.about
    if about.classes != classes:
        raise UsageError(
            f"--from knows the classes {', '.join(about.classes)}, and --inliers holds "
            f"{', '.join(classes)}; they must agree"
        )
    if about.extra != extra:
        raise UsageError(
            f"--from has {about.extra} logits behind its classes' and {plan.told} needs {extra}; "
            "train such a one with --net"
        )
    return begun


def train(
    model: Classifier, rows: Rows, plan: Plan, *, tuned: bool, into: Path, as_json: bool
) -> None:
    """Train, look at the held-out pictures, write; a finished run is only told again."""
    facts = _facts(model, rows, plan, tuned=tuned)
    folder = RunFolder(into)
    folder.check(facts)
    if folder.result is not None:
        say(f"{into} was finished before; nothing to do")
        _tell(into, as_json=as_json)
        return
    with folder.opened(facts):
        settings = _ready(plan, rows)
        looks = {"before": look(model, rows.held)} if tuned else {}
        state = settings.run(
            model,
            (torch.from_numpy(rows.inliers.inputs), torch.from_numpy(rows.inliers.labels)),
            None if rows.outliers is None else torch.from_numpy(rows.outliers.inputs),
            into=into,
            label=f"training, {plan.told}",
        )
        looks["after"] = look(model, rows.held)
        save_classifier(model, into / "model")
        found = table(looks, rows.held)
        page = Page(
            "A classifier trained to know what it does not know" if plan.asked
            else "A classifier trained on its classes alone",
            headline(looks, rows.held),
            [*records(looks, rows.held), found, *_losses(state.history),
             Facts({**facts, **origin()}, title="How to do it again")],
            subtitle=f"{plan.told}; {len(rows.inliers)} inliers of "
            f"{len(rows.inliers.classes)} classes, "
            f"{len(rows.outliers) if rows.outliers else 'no'} outliers to learn from",
        )  # fmt: skip
        page.write(into / "report.html")
        folder.finish({"objective": plan.told, "table": found.to_dict()})
    _tell(into, as_json=as_json)


def _ready(plan: Plan, rows: Rows) -> Training:
    """The settings, with ATOL's generator fitted on the inliers to learn from."""
    if not isinstance(plan.asked, FromPixels):
        return plan.training
    fitted = plan.asked.fitted(rows.inliers, seed=plan.training.seed)
    return replace(plan.training, objective=fitted)


def _facts(model: Classifier, rows: Rows, plan: Plan, *, tuned: bool) -> dict[str, Any]:
    """Everything that decides the numbers."""
    settings = plan.training
    names = ("weight", "steps", "lr", "momentum", "weight_decay", "batch", "outlier_batch", "bn",
             "clip", "seed", "save_every")  # fmt: skip
    device = next(model.parameters()).device
    return {
        "kind": "ood train",
        "objective": repr(plan.asked) if plan.asked is not None else "none",
        **{name.replace("_", " "): getattr(settings, name) for name in names},
        "augment": repr(settings.augment),
        "score": name_of(plan.score),
        "held out": plan.held_out,
        **rows.facts,
        "net": model.about.net,
        "size": model.about.size,
        "classes": ", ".join(model.about.classes),
        "went on from": model_hash(model) if tuned else None,
        "device": device.type,
    }


def _losses(history: list[dict[str, float]]) -> list[Trace]:
    names = [name for name in history[0] if name in ("inlier", "outlier", "align")]
    series = {name: [row[name] for row in history] for name in names}
    steps = list(range(1, len(history) + 1))
    return [Trace(steps, series, title="Losses", y_name="loss")]


def _tell(into: Path, *, as_json: bool) -> None:
    """The result on stdout, and where model and page lie."""
    result = dict(RunFolder(into).result or {})
    places = {"model": str(into / "model"), "report": str(into / "report.html")}
    if as_json:
        print(json.dumps({**result, **places}, indent=2))
        return
    table = Table.from_dict(result["table"])
    print(table.to_text())
    for name, place in places.items():
        print(f"{name}: {place}")
