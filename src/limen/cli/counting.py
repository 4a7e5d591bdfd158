"""The work behind `limen shift counter`; imported only when there is some."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from limen._core.errors import UsageError
from limen.cli.pages import PageFolder
from limen.cli.seeing import Seen, saved
from limen.report import Bars, Facts, Gallery, Page, Section
from limen.report.gallery import Picture
from limen.run.progress import say
from limen.run.provenance import origin
from limen.shift.class_names import read_names
from limen.shift.compare import Contrast, compare
from limen.shift.counted import Counted
from limen.shift.counter import counter
from limen.shift.labels import LabelSpace, label_space
from limen.shift.manifest import read_manifest
from limen.shift.photos import Photos, read_photos

_SIDE, _SHOWN = 160, 6


def photos(source: str, labels: Path | None) -> tuple[Photos, list[str] | None]:
    """The photos of both groups, and the names of the model's columns where they are given.

    Raises:
        UsageError: They cannot be read, or a class lacks a group.
    """
    names = None if labels is None else read_names(labels)
    held = read_manifest(source) if Path(source).is_file() else read_photos(source, names=names)
    return held, names


def second(first: Seen, told: str | None, *, weights: str | None) -> Seen | None:
    """The model of --compare, asked as the first; None without one.

    Raises:
        UsageError: Weights of a model that is not there.
    """
    if told is None and weights is not None:
        raise UsageError(f"--compare-weights {weights} needs --compare, the network they are of")
    if told is None:
        return None
    return replace(first, told=told, weights=weights, option="--compare")


def candidates(reference: str | None, held: Photos, *, size: int) -> LabelSpace | None:
    """The likest names of each class by a reference pair's saved embeddings; None without one.

    Raises:
        UsageError: The file is no such thing, or holds fewer names.
    """
    if reference is None:
        return None
    pair = saved(reference, option="--reference")
    if size > len(pair.texts):
        raise UsageError(
            f"--candidates {size} must be at most the {len(pair.texts)} names of {reference}"
        )
    return label_space(pair, held, size=size)


def count(
    models: Sequence[Any],
    held: Photos,
    *,
    names: list[str] | None,
    space: LabelSpace | None,
    source: str,
    seed: int,
    into: PageFolder | None,
    as_json: bool,
) -> None:
    """Count one model or two, print what was found, write the page."""
    found = [counter(one, held, labels=names, candidates=space, seed=seed) for one in models]
    found = _told_apart(found)
    tables = [table for one in found for table in (one.overall, one.table)]
    against = compare(*found, seed=seed) if len(found) > 1 else None
    if against is not None:
        tables.insert(0, against.table)
    answers = [one.answer for one in found] + ([_apart(against)] if against else [])
    for answer in answers:
        say(answer)
    if as_json:
        print(json.dumps([one.to_dict() for one in found], indent=2, default=np.ndarray.tolist))
    else:
        print("\n\n".join(table.to_text() for table in tables))
    if into is not None:
        records = [_lost(found, held), *_placed(found), *tables]
        facts = Facts({"photos": source, "count": len(held), "seed": seed, **origin()},
                      title="How to do it again")  # fmt: skip
        into.write(
            Page("The animal, or its background?", " ".join([answers[0], *answers[2:]]),
                 [*records, facts],
                 subtitle=f"{len(found[0].classes)} classes, {found[0].space}")
        )  # fmt: skip


def _apart(against: Contrast) -> str:
    """By how much less, or more, the second model falls, in one sentence."""
    drop = against.drop
    sign, word = (1, "less") if drop.difference >= 0 else (-1, "more")
    low, high = sorted((100 * sign * drop.interval.low, 100 * sign * drop.interval.high))
    return (
        f"{against.second} falls by {abs(100 * drop.difference):.1f} points {word} "
        f"[{low:.1f}, {high:.1f}] than {against.first}, for other classes."
    )


def _told_apart(found: list[Counted]) -> list[Counted]:
    """Two models of one name get another for the second."""
    if len({one.name for one in found}) == len(found):
        return found
    return [found[0], replace(found[1], name=f"{found[1].name} (compared)")]


def _placed(found: list[Counted]) -> list[Any]:
    """The models among the published ones, where these are comparable."""
    try:
        placed = [one.placed() for one in found]
    except UsageError as wrong:
        say(f"not placed beside published models: {wrong}")
        return []
    mine = {one.name: (one.common, one.counter) for one in placed}
    lines = placed[0].lines
    return [lines[family].record(mine, title=f"Beside {family}") for family in lines]


def _lost(found: list[Counted], held: Photos) -> Section:
    """What each class loses, the most on top, beside photos of the first classes."""
    order = np.argsort(-found[0].drops, kind="stable").tolist()
    common, other = found[0].groups
    bars = Bars(
        [found[0].names[place] for place in order],
        {one.name: [one.lost[place] for place in order] for one in found},
        caption=f"Right of zero: {common} photos are named better than {other} ones. Whiskers: "
        f"Newcombe's {found[0].level:.0%} intervals for other photos of the class.",
        x_name="drop of accuracy [points]",
    )
    pictures = _examples(found[0], held)
    return Section("What each class loses", [bars, *pictures], beside=bool(pictures))


def _examples(found: Counted, held: Photos) -> list[Gallery]:
    """For the classes that fall most, a photo of either group."""
    items = []
    for place in np.argsort(-found.drops, kind="stable")[:_SHOWN]:
        for group in (0, 1):
            rows = np.flatnonzero((held.labels == found.classes[place]) & (held.group == group))
            right = np.asarray(found.predicted)[rows] == found.classes[place]
            row = int(rows[np.argmax(right == (group == 0))])  # common and known, counter and not
            pixels = _small(str(held.paths[row]))
            if pixels is not None:
                behind = held.background[row] or found.groups[group]
                items.append(Picture(pixels, f"{found.names[place]}, {behind}"))
    return [Gallery(items, title="Where accuracy falls most")] if items else []


def _small(path: str) -> np.ndarray | None:
    """A small copy of a photo; None where it is not at hand, as with saved embeddings."""
    from PIL import Image

    if not Path(path).is_file():
        return None
    with Image.open(path) as photo:
        photo.thumbnail((_SIDE, _SIDE))
        return np.asarray(photo.convert("RGB"), dtype=np.uint8)
