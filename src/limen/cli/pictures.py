"""What `limen ood` looks at: sets of pictures, read once and checked before any work."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from limen._core.errors import UsageError, nearest
from limen.ood.data import Images, read_images
from limen.run.progress import say
from limen.run.store import read_json

TOLD = 5
"""Names of pictures in a message."""


@dataclass(frozen=True)
class Reading:
    """How pictures are read.

    Attributes:
        limit: At most this many of each class.
        skip_bad: Leave out what cannot be read.
    """

    limit: int | None = None
    skip_bad: bool = False

    def __call__(self, source: str, *, size: int, option: str) -> Images:
        """The pictures of a set; what is left out is told on stderr.

        Raises:
            UsageError: It cannot be read.
        """
        try:
            found = read_images(source, size=size, limit=self.limit, skip_bad=self.skip_bad)
        except UsageError as wrong:
            said = str(wrong)  # "--outliers far" names a set that may be called as its folder is
            if option.endswith(f" {source}"):
                said = said.removeprefix(f"{source} ")
            raise UsageError(f"{option} {said}") from None
        tell_skipped(source, found.skipped)
        return found


def sets(given: Iterable[str], *, option: str, taken: Iterable[str]) -> dict[str, str]:
    """Sets by name out of `NAME=PATH`, or of a path alone, whose last part is the name.

    Raises:
        UsageError: No path, or a name that is taken.
    """
    found: dict[str, str] = {}
    for text in given:
        name, equals, path = text.partition("=")
        if not equals or Path(text).exists():
            name, path = Path(text).stem, text
        if not name or not path:
            raise UsageError(f"{option} {text!r} must read NAME=PATH")
        if name in {*found, *taken}:
            raise UsageError(
                f"{option} {text!r} must have a name of its own, {name!r} is taken; "
                "give it one by NAME=PATH"
            )
        found[name] = path
    return found


def require_classes(images: Images, *, option: str) -> None:
    """Refuse a set that a classifier cannot learn from.

    Raises:
        UsageError: No classes, one class, or a class without pictures.
    """
    if images.labels is None:
        raise UsageError(f"{option} must hold one folder for each class, or labels; it has none")
    _present(images, option=option)
    counts = np.bincount(images.labels, minlength=len(images.classes))
    if not counts.all():
        raise UsageError(
            f"{option} must hold pictures of every class, 0 to {len(images.classes) - 1}; class "
            f"{images.classes[int(counts.argmin())]!r} has none"
        )


def _present(images: Images, *, option: str) -> list[str]:
    """The classes that there are pictures of.

    Raises:
        UsageError: One class alone.
    """
    present = [images.classes[i] for i in np.unique(np.asarray(images.labels))]
    if len(present) < 2:
        raise UsageError(
            f"{option} must hold two classes or more; all {len(images)} pictures are of "
            f"{present[0]!r}"
        )
    return present


def renumbered(images: Images, classes: Sequence[str], *, option: str) -> Images:
    """The pictures with a classifier's numbers for their classes, which are matched by name.

    Raises:
        UsageError: No classes, one class alone, or a class that the classifier does not know.
    """
    if images.labels is None:
        raise UsageError(f"{option} must hold one folder for each class, or labels; it has none")
    present = _present(images, option=option)
    if not classes:
        return images
    odd = next((name for name in present if name not in classes), None)
    if odd is not None:
        raise UsageError(
            f"{option} must hold classes that the model knows; it does not know {odd!r}, nearest: "
            f"{nearest(odd, classes)}"
        )
    number = {name: i for i, name in enumerate(classes)}
    labels = np.array([number[images.classes[i]] for i in images.labels], dtype=np.int64)
    return replace(images, labels=labels, classes=tuple(classes))


def bare(images: Images) -> Images:
    """The pictures without their classes, which are no classes of the model."""
    return replace(images, labels=None, classes=())


def content(images: Images) -> str:
    """16 hex digits of the pictures' files, labels, classes and size."""
    labels = None if images.labels is None else images.labels.tolist()
    told = repr((images.inputs.shape, images.hashes, labels, images.classes))
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def taught_on(model: str, images: Images) -> bool:
    """Whether these are the very pictures whose training made a run folder; parts are not known."""
    homes = [Path(model), Path(model).parent]
    spec = next((home / "spec.json" for home in homes if (home / "spec.json").is_file()), None)
    told = read_json(spec) if spec else {}
    facts = str(told.get("inliers pictures", "")) if isinstance(told, dict) else ""
    return facts.endswith(f", hash {content(images)}")


def described(sets: Mapping[str, tuple[str, Images]]) -> dict[str, str]:
    """Facts: for each set where it lies, how much it holds, and its hash."""
    facts = {}
    for name, (source, images) in sets.items():
        classes = f", {len(images.classes)} classes" if images.classes else ""
        skipped = f", {len(images.skipped)} unreadable left out" if images.skipped else ""
        facts[f"{name} pictures"] = (
            f"{source}: {len(images)} pictures{classes}{skipped}, hash {content(images)}"
        )
    return facts


def scattered(paths: Sequence[str], *, size: int, skip_bad: bool) -> Images:
    """The pictures of folders, archives, npz files and single files, named by their paths.

    Raises:
        UsageError: Nothing there, or pictures that cannot be read.
    """
    absent = next((path for path in paths if not Path(path).exists() and ".zip/" not in path), None)
    if absent is not None:
        raise UsageError(f"PATHS must be pictures, or sets of them; there is nothing at {absent}")
    alone = [path for path in paths if Path(path).is_file() and not _holds(path)]
    parts = [_single(alone, size=size, skip_bad=skip_bad)] if alone else []
    for path in paths:
        if path in alone:
            continue
        found = Reading(skip_bad=skip_bad)(path, size=size, option="PATHS")
        home = Path(path).parent if path.endswith(".npz") else Path(path)
        parts.append(replace(found, names=tuple(str(home / name) for name in found.names)))
    return Images(
        np.concatenate([part.inputs for part in parts]),
        tuple(name for part in parts for name in part.names),
        tuple(digest for part in parts for digest in part.hashes),
    )


def tell_skipped(source: str, skipped: Sequence[str]) -> None:
    """Say what was left out, and how much."""
    if skipped:
        rest = f" and {len(skipped) - TOLD} more" if len(skipped) > TOLD else ""
        say(f"{source}: left out {len(skipped)} that cannot be read: "
            f"{', '.join(skipped[:TOLD])}{rest}")  # fmt: skip


def _holds(path: str) -> bool:
    return Path(path).suffix in (".npz", ".zip")


def _single(paths: Sequence[str], *, size: int, skip_bad: bool) -> Images:
    """Single files, read as a folder of links to them."""
    with TemporaryDirectory() as home:
        folder = Path(home) / "pictures"  # the name that progress tells
        folder.mkdir()
        links = [f"{place:09}{Path(path).suffix}" for place, path in enumerate(paths)]
        for link, path in zip(links, paths, strict=True):
            (folder / link).symlink_to(Path(path).resolve())
        where = dict(zip(links, paths, strict=True))
        try:
            found = read_images(folder, size=size, skip_bad=True)
        except UsageError:
            raise UsageError(
                f"PATHS must be pictures that can be read; {paths[0]} is none"
            ) from None
    unread = [path for link, path in where.items() if link not in found.names]
    if unread and not skip_bad:
        raise UsageError(
            f"PATHS: {len(unread)} of {len(paths)} pictures cannot be read "
            f"({', '.join(unread[:TOLD])}); mend them, or skip them with --skip-bad"
        )
    tell_skipped("PATHS", unread)
    return replace(found, names=tuple(where[name] for name in found.names), skipped=())
