"""Do more data from a mixture of domains help beyond it, and do chosen rows? Digits, photos, PACS.

Command:
    limen run recipes/mixture_shift.py --data DIR --jobs 1

DIR holds images/, with MNIST's t10k files, cifar10_subset.zip and pacs_64px.zip. Cost: a quarter of
an hour on one core. Cells resume; the page names those that were not run.

Sources, targets between them and targets beyond: MNIST's digits turned by 0, 30, 60 | 15, 45 | 75,
90 degrees (histograms of gradients); CIFAR-10 under a blur of 0, 1, 2 | 0.5, 1.5 | 3, 4 pixels
(gradients and mean colours); PACS with one domain left out in turn (a frozen EfficientNet-Lite0 at
128 pixels, which learned ImageNet's photos). Rows are 64 principal components of the sources. A
logistic head of fixed decay learns from equally many rows of each source, or from 50 of the first
and ever more of the last; five seeds draw which. No picture learnt from is asked about. Gaps
compare 1,000 training rows of each source at most with 1,000 rows of each target at most. For
selection each seed draws a pool of 400 rows of each source; rules see its labels and sources and no
target. Nothing was tuned.

Published: "Data mixture" (arXiv 2312.16243) reports falling, rising and flat errors on such tasks,
and a learned selector that beats its baselines; settings and tables were not at hand, so that no
number can be laid beside these. Gap, verdicts and rules, `policy` above all, are limen's own; only
the question is the paper's.

Measured, more data of every source [95 % over seeds]: error falls on all 30 targets, also beyond,
where it ends far higher: digits at 90 degrees 50.7 % [49.2, 52.1], on the sources 10.3 to 12.5 %,
between them 9.2 and 9.8 %. Where one source grows beside few rows of another, 18 fall, 10 are flat
and 2 rise: digits at 0 degrees from 42.6 to 59.9 % while those at 60 degrees grow, and PACS's
photos from 21.6 to 42.7 % while sketches grow (the verdict is of the last half of the sizes; over
the last two doublings the latter is undecided). No dip was found.

Measured, gap against error, Spearman: digits 0.36 over 7 targets (p .44), CIFAR-10 0.89 over 7 (p
.013), PACS 0.53 over 16 (p .037), of which four are left out (0.63, p .51). A gap alone does not
tell the error: photos left out of PACS lie outside every mixture (gap 0.21) and are 16 points
easier than the nearest; turned digits between the sources are no mixture of them (p .005), and
easier too. Nor does none prove a mixture: a blur of 1 pixel passes for one of 0 and 2 (p .40),
which would have an error 2.7 points higher.

Measured, selection, against as many random rows on targets that are no source: of 84 comparisons 13
are better, 21 worse, 50 neither. On PACS `logdet` gains 10.3 [4.3, 16.4], 12.5 [6.0, 19.0] and 5.9
[2.8, 9.0] points at 5, 10 and 25 % and nothing at 50 %, k-center 5.6 and 6.6 at 5 and 10 %; on
digits `logdet` loses 1.1 to 4.6. Class-balanced random is never shown worse, and better in 4 of 12;
herding in 2; `hull_cover` neither in all 12. The hardest rows (`loss`) lose 7.6 to 23.5 points at 5
and 10 %, and gain 2.4 and 2.7 on digits and PACS at 50 %. `policy` is never shown better, and worse
in 6 of 12.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from gzip import open as unzip
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from scipy.stats import rankdata

from limen._core.errors import UsageError
from limen._core.streams import numpy_stream
from limen.measure import student
from limen.ood.data import read_images
from limen.report import Facts, Measured, Page, Table, Trace
from limen.run import Cell
from limen.run.progress import progress
from limen.shift import Blurred, Rotated, Selected, lite0, mixture_gap, rules, trend
from limen.shift.head import Head
from limen.shift.remedies.rows import Predict, Rows

SEEDS = (601, 602, 603, 604, 605)
SETTINGS = {"components": 64, "gap rows": 1000, "pool rows of an environment": 400}
BUDGETS = (0.05, 0.1, 0.25, 0.5)
DOMAINS = ("photo", "art_painting", "cartoon", "sketch")
MNIST, CIFAR, PACS = "MNIST, turned", "CIFAR-10, blurred", "PACS"
ANGLES = {"sources": (0, 30, 60), "between": (15, 45), "beyond": (75, 90)}
BLURS = {"sources": (0, 1, 2), "between": (0.5, 1.5), "beyond": (3, 4)}
TASKS = (MNIST, CIFAR, *(f"{PACS}, {name} left out" for name in DOMAINS))
SIZES = {MNIST: (25, 50, 100, 200, 400, 800, 1600), PACS: (10, 20, 40, 80, 160, 320, 640)}
SIZES[CIFAR] = SIZES[MNIST]
TRAIN, TEST = {MNIST: 2500, CIFAR: 2500, PACS: 800}, {MNIST: 2500, CIFAR: 2500, PACS: 400}
FILES = ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz", "cifar10_subset.zip",
         "pacs_64px.zip")  # fmt: skip
CURVES, GROWTH, GAPS, CHOICE = "error against size", "one source grows", "gap", "selection"
KEPT = 50  # rows of the first source while the last one grows
PIXELS = 128  # of the square that the frozen network is shown: a third of the work of 224
RANDOM, ALL = "random", "all rows of the pool"
RULES: dict[str, Callable[..., Any]] = {
    RANDOM: rules.random, "class-balanced random": rules.balanced_random, "loss": rules.loss,
    "herding": rules.herding, "k-center": rules.kcenter, "hull cover": rules.hull_cover,
    "logdet": rules.logdet, "policy": rules.policy,
}  # fmt: skip
SHUFFLES = 9999
EVERY, GROWS = "all targets", "One source grows"
OF_SIZES = "Logistic heads on equally many rows of each source"
OF_GROWTH = f"Logistic heads on {KEPT} rows of the first source and so many of the last"


@dataclass(frozen=True, eq=False)
class Labelled:
    """Features of pictures and what they show."""

    features: np.ndarray
    labels: np.ndarray

    def at(self, rows: np.ndarray) -> "Labelled":
        """Some of the rows."""
        return Labelled(self.features[rows], self.labels[rows])


@dataclass(frozen=True, eq=False)
class Task:
    """What can be learnt from, source by source, and where it is asked, by place and name."""

    train: dict[str, Labelled]
    test: dict[str, dict[str, Labelled]]

    def asked(self) -> dict[str, Labelled]:
        """Every test set by name."""
        return {name: rows for part in self.test.values() for name, rows in part.items()}


def cells(data: Path | None) -> list[Cell]:
    """Task by task: gaps, then errors against size and selection for each seed."""
    _folder(data)
    found = []
    for task in TASKS:
        found.append(Cell(f"{GAPS}, {task}", {**SETTINGS, "kind": GAPS, "task": task}))
        found += [
            Cell(f"{kind}, {task}, seed {seed}",
                 {**SETTINGS, "kind": kind, "task": task, "seed": seed})
            for kind in (CURVES, GROWTH, CHOICE)
            for seed in SEEDS
        ]  # fmt: skip
    return found


def run(settings: dict[str, Any], data: Path | None) -> dict[str, Any]:
    """One task's gaps, or one seed's errors."""
    torch.set_num_threads(1)
    doing = {GAPS: _gaps, CURVES: _curves, GROWTH: _curves, CHOICE: _choice}[settings["kind"]]
    return doing(_task(_folder(data), settings["task"]), settings)


def _gaps(task: Task, settings: dict[str, Any]) -> dict[str, Any]:
    most = settings["gap rows"]
    sources = {name: rows.features[:most] for name, rows in task.train.items()}
    found = {}
    for place, part in task.test.items():
        for name, rows in part.items():
            gap = mixture_gap(sources, rows.features[:most])
            found[name] = {
                "place": place, "squared": gap.squared, "gap": gap.distance, "p": gap.p_value,
                "weights": dict(gap.weights), "rows": gap.target_rows,
            }  # fmt: skip
    return {"gaps": found}


def _curves(task: Task, settings: dict[str, Any]) -> dict[str, Any]:
    """Errors of heads on the first N rows of each source, in an order that the seed decides.

    Or on a few rows of the first source and N of the last.
    """
    sizes = SIZES[_of(settings["task"])]
    orders = {
        name: numpy_stream(settings["seed"], "sizes", name).permutation(len(rows.labels))
        for name, rows in task.train.items()
    }
    errors: dict[str, list[float]] = {name: [] for name in task.asked()}
    names = list(task.train)
    for size in sizes:
        counts = dict.fromkeys(names, size)
        if settings["kind"] == GROWTH:
            counts = {names[0]: KEPT, names[-1]: size}
        rows = _joined({name: task.train[name].at(orders[name][:n]) for name, n in counts.items()})
        head = Head().fit(rows.inputs, rows.labels, classes=_classes(task))
        for name, error in _errors(head.predict, task).items():
            errors[name].append(error)
    return {"sizes": list(sizes), "errors": errors}


def _choice(task: Task, settings: dict[str, Any]) -> dict[str, Any]:
    """Errors of heads on chosen rows of a pool that the seed draws."""
    seed, most = settings["seed"], settings["pool rows of an environment"]
    pool = _joined({
        name: rows.at(numpy_stream(seed, "pool", name).permutation(len(rows.labels))[:most])
        for name, rows in task.train.items()
    })  # fmt: skip
    found: dict[str, Any] = {}
    with progress(f"choosing rows, seed {seed}", total=len(RULES)) as advance:
        for name, rule in RULES.items():
            found[name] = {}
            for budget in BUDGETS:
                logits = Selected(budget, by=rule)(pool, seed=seed)
                found[name][str(budget)] = _errors(_naming(logits), task)
            advance()
    full = Head().fit(pool.inputs, pool.labels, classes=_classes(task))
    return {"pool": len(pool), "rules": found, ALL: _errors(full.predict, task)}


def _naming(logits: Predict) -> Callable[[Any], np.ndarray]:
    return lambda inputs: logits(inputs).argmax(1)


def _errors(predict: Callable[[Any], np.ndarray], task: Task) -> dict[str, float]:
    return {
        name: float((predict(rows.features) != rows.labels).mean())
        for name, rows in task.asked().items()
    }


def _joined(parts: Mapping[str, Labelled]) -> Rows:
    """One table of several environments."""
    places = [np.full(len(part.labels), i) for i, part in enumerate(parts.values())]
    return Rows.of(
        np.concatenate([part.features for part in parts.values()]),
        np.concatenate([part.labels for part in parts.values()]),
        np.concatenate(places),
    )


def _classes(task: Task) -> int:
    return 1 + max(int(rows.labels.max()) for rows in task.asked().values())


def _of(task: str) -> str:
    return PACS if task.startswith(PACS) else task


def _folder(data: Path | None) -> Path:
    # Checked before any work starts.
    folder = (data or Path("data")) / "images"
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise UsageError(f"{folder} must hold {', '.join(missing)}; use --data")
    return folder


@lru_cache(maxsize=1)
def _task(folder: Path, name: str) -> Task:
    """Principal components of the sources' training rows, everywhere."""
    raw = _turned(folder) if name == MNIST else _blurred(folder) if name == CIFAR else None
    raw = raw or _left_out(_drawn_and_photographed(folder), name)
    pooled = np.concatenate([rows.features for rows in raw.train.values()])
    middle = pooled.mean(0)
    axes = np.linalg.svd(pooled - middle, full_matrices=False)[2][: SETTINGS["components"]]

    def seen(rows: Labelled) -> Labelled:
        return Labelled((rows.features - middle) @ axes.T, rows.labels)

    return Task(
        {source: seen(rows) for source, rows in raw.train.items()},
        {
            place: {target: seen(rows) for target, rows in part.items()}
            for place, part in raw.test.items()
        },
    )


def _turned(folder: Path) -> Task:
    """Other digits at each source's angle; the same test digits at every angle."""
    with unzip(folder / FILES[0]) as images, unzip(folder / FILES[1]) as labels:
        pictures = np.frombuffer(images.read(), np.uint8, offset=16).reshape(-1, 28, 28) / 255.0
        named = np.frombuffer(labels.read(), np.uint8, offset=8).astype(np.int64)
    order = numpy_stream(0, "MNIST").permutation(len(named))  # the file has easy writers first
    return _changed(
        pictures[order], named[order], MNIST, ways=ANGLES, unit="degrees",
        change=lambda x, angle: Rotated(angle)(x), features=lambda x: _gradients(x, 7),
    )  # fmt: skip


def _blurred(folder: Path) -> Task:
    """Other pictures under each source's blur; the same test pictures under every blur."""
    each = [read_images(folder / FILES[2] / part, size=32) for part in ("train", "test")]
    order = [numpy_stream(0, "cifar", i).permutation(len(one)) for i, one in enumerate(each)]
    count = (len(BLURS["sources"]) * TRAIN[CIFAR], TEST[CIFAR])
    some = [one.take(rows[:n]) for one, rows, n in zip(each, order, count, strict=True)]
    pictures = np.concatenate([one.inputs for one in some]).transpose(0, 2, 3, 1) / 255.0
    return _changed(
        pictures, np.concatenate([one.labels for one in some]), CIFAR, ways=BLURS,
        change=lambda x, sigma: Blurred(sigma)(x) if sigma else x,
        features=lambda x: np.column_stack([_gradients(x.mean(3), 8), _colours(x)]),
        unit="pixels",
    )  # fmt: skip


def _changed(
    pictures: np.ndarray, labels: np.ndarray, kind: str, *, ways: Mapping[str, Sequence[float]],
    change: Callable[[np.ndarray, float], np.ndarray],
    features: Callable[[np.ndarray], np.ndarray], unit: str,
) -> Task:  # fmt: skip
    train, test = TRAIN[kind], slice(len(labels) - TEST[kind], None)
    if len(labels) < len(ways["sources"]) * train + TEST[kind]:
        raise UsageError(f"{kind} must have more pictures than {len(labels)}")
    parts = {f"{way} {unit}": slice(i * train, (i + 1) * train)
             for i, way in enumerate(ways["sources"])}  # fmt: skip

    def seen(way: float, rows: slice) -> Labelled:
        return Labelled(features(change(pictures[rows], way)), labels[rows])

    with progress(f"features of {kind}", total=len(parts) + sum(map(len, ways.values()))) as tick:
        sources = {}
        for (name, rows), way in zip(parts.items(), ways["sources"], strict=True):
            sources[name] = seen(way, rows)
            tick()
        asked: dict[str, dict[str, Labelled]] = {}
        for place, some in ways.items():
            asked[place] = {}
            for way in some:
                asked[place][f"{way} {unit}"] = seen(way, test)
                tick()
    return Task(sources, asked)


def _gradients(pictures: np.ndarray, cell: int) -> np.ndarray:
    """Histograms of oriented gradients."""
    from skimage.feature import hog

    return np.stack([
        hog(one, orientations=8, pixels_per_cell=(cell, cell), cells_per_block=(2, 2))
        for one in pictures
    ])  # fmt: skip


def _colours(pictures: np.ndarray) -> np.ndarray:
    """Mean colour of each of 4 x 4 squares."""
    rows, high, wide, channels = pictures.shape
    squares = pictures.reshape(rows, 4, high // 4, 4, wide // 4, channels)
    return np.asarray(squares.mean((2, 4)).reshape(rows, -1))


@lru_cache(maxsize=1)
def _drawn_and_photographed(folder: Path) -> dict[str, Labelled]:
    """Features of a frozen ImageNet network, domain by domain, in a drawn order."""
    network = lite0()
    found = {}
    for name in DOMAINS:
        images = read_images(folder / FILES[3] / name, size=64)
        count = TRAIN[PACS] + TEST[PACS]
        rows = numpy_stream(0, "PACS", name).permutation(len(images))[:count]
        features = []
        with progress(f"features of {name}", total=count) as advance:
            for batch in np.array_split(rows, count // 50):
                seen = torch.stack([_enlarged(images.inputs[one]) for one in batch])
                with torch.no_grad():
                    features.append(network.features(seen).double().numpy())
                advance(len(batch))
        assert images.labels is not None
        found[name] = Labelled(np.concatenate(features), images.labels[rows])
    return found


def _enlarged(picture: np.ndarray) -> torch.Tensor:
    shown = Image.fromarray(picture.transpose(1, 2, 0)).resize((PIXELS, PIXELS))
    return (torch.from_numpy(np.array(shown, np.float32)).permute(2, 0, 1) - 127) / 128


def _left_out(found: dict[str, Labelled], task: str) -> Task:
    target = task.removeprefix(f"{PACS}, ").removesuffix(" left out")
    first, last = np.arange(TRAIN[PACS]), np.arange(TRAIN[PACS], TRAIN[PACS] + TEST[PACS])
    sources = {name: rows for name, rows in found.items() if name != target}
    return Task(
        {name: rows.at(first) for name, rows in sources.items()},
        {
            "sources": {name: rows.at(last) for name, rows in sources.items()},
            "beyond": {target: found[target].at(last)},
        },
    )


Done = list[tuple[Cell, dict[str, Any]]]
Seeded = dict[str, dict[int, dict[str, Any]]]  # task -> seed -> what a cell found
Gaps = dict[str, dict[str, dict[str, Any]]]  # task -> target -> gap
Lines = list[list[Any]]
KINDS = (MNIST, CIFAR, PACS)


def page(done: Done) -> Page:
    """Error against size, gap against error, chosen rows against random ones."""
    gaps: Gaps = {}
    held: dict[str, Seeded] = {CURVES: {}, GROWTH: {}, CHOICE: {}}
    for cell, result in done:
        kind, task = cell.settings["kind"], cell.settings["task"]
        if kind == GAPS:
            gaps[task] = result["gaps"]
        else:
            held[kind].setdefault(task, {})[cell.settings["seed"]] = result
    curves, grown = (
        {task: some for task, some in held[kind].items() if len(some) > 1 and task in gaps}
        for kind in (CURVES, GROWTH)
    )
    chosen = held[CHOICE]
    records: list[Any] = []
    said: list[str] = []
    if curves:
        verdicts, ranks = _verdicts(curves, gaps), _ranks(curves, gaps)
        records += [verdicts, *_traces(curves, gaps), ranks, _targets(curves, gaps)]
        said += [_shapes(verdicts, "Error against size"), *_correlations(ranks)]
    if grown:
        roles = _roles(grown, gaps)
        grows = _verdicts(grown, roles, title=GROWS, protocol=OF_GROWTH)
        records += [grows, *_traces(grown, roles, title=f"{GROWS}: ")]
        said.append(_shapes(grows, "Where one source grows beside few rows of another"))
    kinds = [kind for kind in KINDS if len(_shared(chosen, kind)) > 1]
    if kinds:
        unseen, seen = (
            [_rules(chosen, gaps, kind, sources=where) for kind in kinds] for where in (False, True)
        )
        records += [*unseen, *seen]
        said.append(_against_random(unseen))
    facts: dict[str, Any] = {**SETTINGS, "seeds": list(SEEDS), "cells": len(done)}
    title = "Data from a mixture of domains: how much, how far, which rows"
    answer = " ".join(said) or "No cell has been run yet."
    return Page(title, answer, [*records, Facts(facts, title="Settings")])


def _runs(some: dict[int, dict[str, Any]], target: str) -> np.ndarray:
    """Errors on a target: (seeds, sizes)."""
    return np.array([result["errors"][target] for result in some.values()])


def _roles(grown: Seeded, gaps: Gaps) -> Gaps:
    """The targets, with what became of each source in place of "sources"."""
    found: Gaps = {}
    for task in grown:
        sources = [name for name, gap in gaps[task].items() if gap["place"] == "sources"]
        roles = {sources[0]: "few rows", sources[-1]: "grows"}
        found[task] = {
            name: {**gap, "place": roles.get(name, "not learnt" if name in sources
                                             else gap["place"])}
            for name, gap in gaps[task].items()
        }  # fmt: skip
    return found


def _verdicts(
    curves: Seeded, gaps: Gaps, *, title: str = "Error against rows of each source",
    protocol: str = OF_SIZES,
) -> Table:  # fmt: skip
    rows: Lines = []
    for task, some in curves.items():
        sizes = next(iter(some.values()))["sizes"]
        for target, gap in gaps[task].items():
            errors = 100 * _runs(some, target)
            told = trend(sizes, errors)
            rows.append([
                task, target, gap["place"], told.verdict, _interval(errors[:, 0]),
                _interval(errors[:, -1]), _interval(errors[:, -1] - errors[:, -3]), len(errors),
            ])  # fmt: skip
    return Table(
        ["task", "target", "place", "verdict", "error, smallest [%]", "error, largest [%]",
         "last two doublings [points]", "seeds"],
        rows,
        title=title,
        protocol=f"{protocol}; sizes "
        f"{', '.join(map(str, SIZES[MNIST]))} of digits and CIFAR-10, "
        f"{', '.join(map(str, SIZES[PACS]))} of PACS. 95 % Student intervals over seeds, which "
        "draw the training rows; test rows are the same. Sources: rows held out.",
    )  # fmt: skip


def _traces(curves: Seeded, gaps: Gaps, *, title: str = "") -> list[Trace]:
    """Mean error on every target of digits and CIFAR-10; on what was left out of PACS."""
    found: dict[str, dict[str, Any]] = {}
    for task, some in curves.items():
        for target, gap in gaps[task].items():
            if _of(task) != PACS or gap["place"] == "beyond":
                name = f"{target}, {gap['place']}" if _of(task) != PACS else target
                found.setdefault(_of(task), {})[name] = _runs(some, target).mean(0)
    lengths = {kind: len(next(iter(series.values()))) for kind, series in found.items()}
    return [
        Trace(
            np.log2(SIZES[kind][: lengths[kind]]), series, title=title + kind, y_name="error",
            x_name="log2 of the rows of a source",
        )
        for kind, series in found.items()
    ]  # fmt: skip


def _made(curves: Seeded, gaps: Gaps, task: str) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Error on each target at the largest size, and less that of the nearest mixture, by seed."""
    last = {target: _runs(curves[task], target)[:, -1] for target in gaps[task]}
    return {
        target: (last[target], last[target] - sum(
            share * last[source] for source, share in gap["weights"].items()))
        for target, gap in gaps[task].items()
    }  # fmt: skip


def _targets(curves: Seeded, gaps: Gaps) -> Table:
    rows: Lines = []
    for task in curves:
        for target, (error, excess) in _made(curves, gaps, task).items():
            gap = gaps[task][target]
            parts = sorted(gap["weights"].items(), key=lambda one: -one[1])
            rows.append([
                task, target, gap["place"], gap["gap"], gap["p"], _interval(100 * error),
                _interval(100 * excess),
                ", ".join(f"{name} {share:.2f}" for name, share in parts if share >= 0.005),
            ])  # fmt: skip
    return Table(
        ["task", "target", "place", "gap", "p", "error [%]", "above the mixture's [points]",
         "nearest mixture"],
        rows,
        title="Every target",
        protocol="Gap: distance of kernel means to the nearest mixture of the sources' training "
        f"rows, at most {SETTINGS['gap rows']} each; p small: no mixture of them. Error: largest "
        "size. Above the mixture's: error less the errors on the sources' held-out rows in that "
        "mixture's shares, which is 0 in a true mixture. 95 % Student intervals over seeds.",
    )  # fmt: skip


def _ranks(curves: Seeded, gaps: Gaps) -> Table:
    rows: Lines = []
    for kind in (*KINDS, "all"):
        every, unseen = [], []
        for task in curves:
            if kind not in ("all", _of(task)):
                continue
            for target, (error, excess) in _made(curves, gaps, task).items():
                one = (gaps[task][target]["squared"], error.mean(), excess.mean())
                every.append(one)
                unseen += [one] * (gaps[task][target]["place"] != "sources")
        for name, points in ((EVERY, every), ("not a source", unseen)):
            if len(points) > 3:
                gap, error, excess = np.array(points).T
                rows.append([kind, name, len(points), *_rank(gap, error), *_rank(gap, excess)])
    return Table(
        ["data", "over", "targets", "gap and error", "p", "gap and error above the mixture's", "p"],
        rows,
        title="Spearman's correlation over targets",
        protocol=f"p: {SHUFFLES} shuffles, two-sided. Means over seeds. Targets of one task share "
        "sources and, turned or blurred, the test pictures; p takes them for independent. Over all "
        "data, errors of easy and hard tasks are mixed.",
    )  # fmt: skip


def _rank(one: np.ndarray, two: np.ndarray) -> tuple[float, float]:
    """Correlation of ranks, and the share of shuffles with one as strong."""
    first, second = (rankdata(values) - (len(values) + 1) / 2 for values in (one, two))
    scale = float(np.sqrt((first**2).sum() * (second**2).sum()))
    found = float(first @ second) / scale
    stream = numpy_stream(0, "shuffles")
    drawn = stream.permuted(np.tile(second, (SHUFFLES, 1)), axis=1) @ first / scale
    strong = np.abs(drawn) >= abs(found) - 1e-12
    return found, float((1 + strong.sum()) / (1 + SHUFFLES))


def _shared(chosen: Seeded, kind: str) -> list[int]:
    """Seeds that every task of a kind has run."""
    tasks = [task for task in TASKS if _of(task) == kind]
    return [seed for seed in SEEDS if all(seed in chosen.get(task, {}) for task in tasks)]


def _levels(
    chosen: Seeded, gaps: Gaps, kind: str, *, sources: bool
) -> dict[str, dict[str, np.ndarray]]:
    """Rule -> budget -> error by seed, a mean over tasks and targets."""

    def level(pick: Callable[[dict[str, Any]], dict[str, float]], seed: int) -> float:
        return 100 * float(np.mean([
            error
            for task in TASKS if _of(task) == kind
            for target, error in pick(chosen[task][seed]).items()
            if (gaps[task][target]["place"] == "sources") == sources
        ]))  # fmt: skip

    seeds = _shared(chosen, kind)
    found = {
        rule: {
            str(budget): np.array([
                level(lambda one, r=rule, b=str(budget): one["rules"][r][b], seed)  # type: ignore[misc]
                for seed in seeds
            ])
            for budget in BUDGETS
        }
        for rule in RULES
    }  # fmt: skip
    return found | {ALL: {"1": np.array([level(lambda one: one[ALL], seed) for seed in seeds])}}


def _rules(chosen: Seeded, gaps: Gaps, kind: str, *, sources: bool) -> Table:
    levels = _levels(chosen, gaps, kind, sources=sources)
    base = levels[RANDOM]
    rows: Lines = [[f"{RANDOM}: error", *(_interval(base[str(b)]) for b in BUDGETS)]]
    for rule in list(RULES)[1:]:
        rows.append([rule, *(_interval(levels[rule][str(b)] - base[str(b)]) for b in BUDGETS)])
    rows.append([f"{ALL}: error", None, None, None, _interval(levels[ALL]["1"])])
    where = "the sources' held-out rows" if sources else "targets that are no source"
    of = ", and over the four tasks" if kind == PACS else ""
    return Table(
        ["less random [points]", *(f"{budget:.0%}" for budget in BUDGETS)], rows,
        title=f"{kind}: chosen less random rows, asked on {where}",
        caption="Below 0: better than as many random rows. The first line is the error of random "
        "rows in percent, the last that of the whole pool.",
        protocol=f"Logistic heads; a mean over those targets{of}. Pool: "
        f"{SETTINGS['pool rows of an environment']} rows of each of three sources, drawn by the "
        f"seed. Paired by seed ({len(_shared(chosen, kind))}): 95 % Student intervals, not "
        "corrected for their number.",
    )  # fmt: skip


def _shapes(verdicts: Table, what: str) -> str:
    told = Counter(str(row[3]) for row in verdicts.rows)
    counts = ", ".join(f"{count} {name}" for name, count in told.most_common())
    return f"{what}, over {told.total()} targets: {counts}."


def _correlations(ranks: Table) -> list[str]:
    return [
        f"{row[0]}: gap and error correlate at {row[3]:.2f} over {row[2]} targets."
        for row in ranks.rows
        if row[1] == EVERY and row[0] in KINDS
    ]


def _against_random(tables: list[Table]) -> str:
    gains = [one for table in tables for row in table.rows for one in row[1:] if row[0] in RULES]
    ends = [(one.low, one.high) for one in gains if isinstance(one, Measured)]
    better, worse = sum(high < 0 for _, high in ends), sum(low > 0 for low, _ in ends)
    return (
        f"Of {len(ends)} comparisons of a rule with random rows on targets that are no source, "
        f"{better} say better, {worse} worse, {len(ends) - better - worse} neither."
    )


def _interval(values: np.ndarray) -> Measured:
    around = student(values)
    return Measured(float(values.mean()), around.low, around.high)
