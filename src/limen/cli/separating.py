"""The work behind `limen ood judge`; imported only when there is some."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np  # before torch, whose C code imports it and swallows Ctrl-C

from limen._core.errors import UsageError, nearest
from limen.cli.classifiers import Seer, load
from limen.cli.pages import PageFolder
from limen.cli.pictures import Reading, bare, described, renumbered, sets, taught_on
from limen.cli.separating_records import called, curves, hardest
from limen.measure._numbers import share_of
from limen.measure.separation import roc
from limen.ood.compare import compare
from limen.ood.data import Images, require_apart
from limen.ood.judge import judge as judged_on
from limen.ood.judged import Judged
from limen.report import Facts, Histogram, Page, Section, Table
from limen.run.progress import say
from limen.run.provenance import origin

INLIERS, TRAIN = "inliers", "train"
TAKEN = (INLIERS, TRAIN, "all")


@dataclass(frozen=True)
class Question:
    """What is judged: sets by name, and how they go together.

    Attributes:
        paths: Where each set lies, in order: train (perhaps), inliers, outliers.
        outliers: Names of the outlier sets.
        groups: Sets to be pooled.
        scores: What judges.
        seed: Of the bootstrap.
    """

    paths: Mapping[str, str]
    outliers: tuple[str, ...]
    groups: Mapping[str, Sequence[str]]
    scores: Sequence[Any]
    seed: int


def question(
    inliers: str,
    outliers: Sequence[str],
    *,
    near: Sequence[str],
    train: str | None,
    scores: Sequence[Any],
    seed: int,
) -> Question:
    """The sets by name.

    Raises:
        UsageError: A name that is taken, or a near set that is none of the outlier sets.
    """
    found = sets(outliers, option="--outliers", taken=TAKEN)
    odd = next((name for name in near if name not in found), None)
    if odd is not None:
        raise UsageError(
            f"--near {odd!r} must be one of the --outliers; nearest: {nearest(odd, found)}"
        )
    sides = {"near": list(near), "far": [name for name in found if name not in near]}
    groups = {group: names for group, names in sides.items() if near and len(names) > 1}
    both = next((group for group in groups if group in found), None)
    if both is not None:
        raise UsageError(f"--outliers {both!r} must have another name, which that of a group is")
    paths = {**({TRAIN: train} if train else {}), INLIERS: inliers, **found}
    return Question(paths, tuple(found), groups, scores, seed)


def load_all(
    models: Sequence[str], banks: Sequence[Path], *, device: Any, scores: Sequence[Any]
) -> list[tuple[Seer, Path | None]]:
    """The models, each with the place of its bank; nothing is read before all of them fit.

    Raises:
        UsageError: More than two models, the same one twice, or banks that do not go with them.
    """
    if len(models) > 2:
        raise UsageError(f"--model names one classifier, or two to compare; got {len(models)}")
    if banks and len(banks) != len(models):
        raise UsageError(f"--bank must be given once for each --model; got {len(banks)}")
    found = [load(where, device, scores=scores) for where in models]
    if len({seer.hash for seer in found}) < len(found):
        raise UsageError(f"--model must name each classifier once; {models[1]} is the same one")
    for seer, bank in zip(found, banks, strict=False):
        seer.check_bank(bank)
    places: list[Path | None] = [*banks] or [None] * len(found)
    return list(zip(found, places, strict=True))


def judge(
    asked: Question,
    seers: Sequence[tuple[Seer, Path | None]],
    *,
    reading: Reading,
    into: PageFolder | None,
    as_json: bool,
) -> None:
    """Forward every set once for each model, judge, print, write the page."""
    cache: dict[int, dict[str, Images]] = {}
    looked = [(seer, bank, _read(asked, seer, reading, cache)) for seer, bank in seers]
    found: dict[str, Judged] = {}
    shown: dict[str, dict[str, Images]] = {}
    for seer, place, pictures in looked:
        bank = seer.bank(pictures, asked.scores, into=place)
        found[seer.where] = judged_on(
            bank,
            inliers=INLIERS,
            outliers=list(asked.outliers),
            scores=asked.scores,
            groups=asked.groups,
            seed=asked.seed,
        )
        shown[seer.where] = pictures
    compared = compare(*found.values()) if len(found) == 2 else None
    _print(found, compared, as_json=as_json)
    if into is not None:
        parts = {
            seer.where: _records(found[seer.where], shown[seer.where], seer.classes)
            for seer, *_ in looked
        }
        into.write(_page(asked, found, parts, compared, _facts(asked, looked)))


def _read(
    asked: Question, seer: Seer, reading: Reading, cache: dict[int, dict[str, Images]]
) -> dict[str, Images]:
    """All sets at the model's size, with its numbers for the classes; apart from one another."""
    if seer.size not in cache:
        cache[seer.size] = {
            name: reading(path, size=seer.size, option=_option(name))
            for name, path in asked.paths.items()
        }
        require_apart({_option(name): images for name, images in cache[seer.size].items()})
    found = dict(cache[seer.size])
    if taught_on(seer.where, found[INLIERS]):
        say(f"--inliers are the pictures that {seer.where} was trained on, which flatters it")
    for name in (TRAIN, INLIERS):
        if name in found:
            found[name] = renumbered(found[name], seer.classes, option=_option(name))
    few = next((name for name in (INLIERS, *asked.outliers) if len(found[name]) < 2), None)
    if few is not None:
        raise UsageError(f"{_option(few)} must hold two pictures or more, to be judged")
    return {
        name: bare(images) if name in asked.outliers else images for name, images in found.items()
    }


def _option(name: str) -> str:
    return f"--{name}" if name in (INLIERS, TRAIN) else f"--outliers {name}"


def _print(found: Mapping[str, Judged], compared: Table | None, *, as_json: bool) -> None:
    if as_json:
        models = {
            where: {"table": one.to_dict(), "paired": one.paired.to_dict(),
                    "by class": one.by_class.to_dict()}
            for where, one in found.items()
        }  # fmt: skip
        told = {"models": models, "compared": compared.to_dict() if compared else None}
        print(json.dumps(told, indent=2))
        return
    for where, one in found.items():
        if len(found) > 1:
            print(f"Model: {where}")
        print(one.to_text())
        if len(one.inliers) > 1:
            print(f"\n{replace(one.paired, protocol='').to_text()}")  # the same as above
    if compared is not None:
        print(f"\n{compared.to_text()}")
        print(f"Difference: {' minus '.join(found)}. Paired over rows, DeLong; p Holm-corrected.")


def _records(judged: Judged, pictures: Mapping[str, Images], classes: Sequence[str]) -> list[Any]:
    """Curves, table, histograms, the hardest pictures, class by class, score against score."""
    groups = list(next(iter(judged.outliers.values())))
    first = next(iter(judged.inliers))
    last = [judged.paired] if len(judged.inliers) > 1 else []
    return [
        *(_roc(judged, group) for group in groups[::-1]),
        judged,
        *(_spread(judged, score) for score in judged.inliers),
        hardest(judged, first, pictures, inliers=INLIERS, classes=classes),
        _by_class(judged, classes),
        *last,
    ]


def _roc(judged: Judged, group: str) -> Any:
    found = {score: roc(*judged.pair(score, group)) for score in judged.inliers}
    what = "all outliers" if group == "all" else group
    return curves(found, title=f"Outliers caught, against inliers rejected: {what}")


def _spread(judged: Judged, score: str) -> Histogram:
    """The score's values on the inliers and on each set, and where 95 % of inliers end."""
    values = np.sort(judged.inliers[score])
    kept = share_of(len(values), judged.tpr)
    sides = {INLIERS: values, **{name: judged.outliers[score][name] for name in judged.predicted}}
    return Histogram.of(
        sides,
        at=float(values[kept - 1]),
        title=f"{score}, inliers and outliers",
        caption=f"Higher = more outlying. Right of the line {1 - judged.tpr:.0%} of the inliers "
        "would be rejected; outliers left of it pass. The outermost bins hold what lies beyond.",
        x_name=score,
    )


def _by_class(judged: Judged, classes: Sequence[str]) -> Table:
    """Class by class, with the classes' names."""
    table = judged.by_class
    rows = [[score, called(classes, number), *rest] for score, number, *rest in table.rows]
    return Table(
        table.columns,
        rows,
        title=table.title,
        caption=f"At the threshold that keeps {judged.tpr:.0%} of the inliers.",
    )


def _page(
    asked: Question,
    found: Mapping[str, Judged],
    parts: Mapping[str, list[Any]],
    compared: Table | None,
    facts: Facts,
) -> Page:
    told = {where: _first(one) for where, one in found.items()}
    said = "; ".join(
        f"{f'{where}, ' if len(found) > 1 else ''}AUROC {row[2]} by {row[0]}"
        for where, row in told.items()
    )
    if len(asked.scores) > 1:
        said += f". It was asked for first; {len(asked.scores) - 1} more below"
    of = "all outliers" if len(asked.outliers) > 1 else asked.outliers[0]
    records: list[Any] = (
        next(iter(parts.values()))
        if compared is None
        else [compared, *(Section(where, records) for where, records in parts.items())]
    )
    counts = ", ".join(f"{name} ({len(values)})" for name, values in _counts(found).items())
    return Page(
        "What the classifier does not know",
        f"Outliers told from inliers, {of}: {said}.",
        [*records, facts],
        subtitle=f"{len(next(iter(found.values())).labels)} inliers; outliers: {counts}",
    )


def _first(judged: Judged) -> Sequence[Any]:
    """The row of the score asked for first, over all outliers where there are several sets."""
    name = next(iter(judged.inliers))
    rows = [row for row in judged.rows if row[0] == name]
    return next((row for row in rows if row[1] == "all"), rows[0])


def _counts(found: Mapping[str, Judged]) -> Mapping[str, Any]:
    return next(iter(found.values())).predicted


def _facts(
    asked: Question, looked: Sequence[tuple[Seer, Path | None, Mapping[str, Images]]]
) -> Facts:
    pictures = looked[0][2]
    models = {
        f"model {place}" if len(looked) > 1 else "model": f"{seer.where}, hash {seer.hash}"
        for place, (seer, *_) in enumerate(looked, start=1)
    }
    told = described({name: (asked.paths[name], images) for name, images in pictures.items()})
    protocol = {"seed of the bootstrap": asked.seed, "size of the pictures": looked[0][0].size}
    return Facts({**models, **told, **protocol, **origin()}, title="How to do it again")
