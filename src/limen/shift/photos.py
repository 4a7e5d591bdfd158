"""Photos of the same classes on two kinds of background, read from folders."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64

from limen._core.errors import UsageError
from limen.shift.class_names import LIST, Names, class_of, read_names

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")
ALIASES = ("easy", "hard")  # a later version's words for common and counter
_TOLD = 3  # names in a message


@dataclass(frozen=True, eq=False)
class Photos:
    """Photos with their class, group and background, in one fixed order; no pixel is held.

    Attributes:
        paths: Where each photo lies; any names where nothing is read.
        labels: Class of each, the number of the model's column (ImageNet's index, 0 to 999).
        group: 0 in the first group (common), 1 in the second (counter).
        background: What each shows behind the animal; "" where nobody said.
        names: Name of each class, by its number.
        groups: What the two groups are called.
        pair_id: Which photos belong together, where a manifest says so.

    Raises:
        UsageError: No photo, other lengths, a group that is not 0 or 1, or a class without photos
            of one of the groups.

    Example:
        >>> photos = Photos(["a.jpg", "b.jpg"], [9, 9], [0, 1])
        >>> len(photos), photos.classes.tolist(), photos.counts.tolist()
        (2, [9], [[1, 1]])
    """

    paths: Sequence[str]
    labels: Any
    group: Any
    background: Sequence[str] = ()
    names: Mapping[int, str] = field(default_factory=dict)
    groups: tuple[str, str] = ("common", "counter")
    pair_id: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        held = {
            "paths": tuple(map(str, self.paths)),
            "labels": _whole("labels", self.labels),
            "group": _whole("group", self.group),
            "background": tuple(self.background) or ("",) * len(self.paths),
        }
        _refuse_lengths(held | ({} if self.pair_id is None else {"pair_id": self.pair_id}))
        for name, value in held.items():
            object.__setattr__(self, name, value)
        present = self.classes.tolist()
        called = {index: str(self.names.get(index, index)) for index in present}
        object.__setattr__(self, "names", called)
        object.__setattr__(self, "groups", two_groups(self.groups))
        self._refuse_groups()

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def classes(self) -> Int64[np.ndarray, " classes"]:
        """The classes that occur, sorted."""
        return np.unique(self.labels)

    @property
    def counts(self) -> Int64[np.ndarray, "classes 2"]:
        """Photos of every class in either group, in the order of `classes`."""
        return tally(self.labels, self.group, self.classes)

    def take(self, rows: Any) -> "Photos":
        """Some of the photos, in this order.

        Args:
            rows: Their numbers, or a mask.

        Returns:
            The same kind.

        Raises:
            UsageError: A class has lost one of its groups.
        """
        at = np.arange(len(self))[np.asarray(rows)]
        return Photos(
            [self.paths[i] for i in at], self.labels[at], self.group[at],
            background=[self.background[i] for i in at], names=self.names, groups=self.groups,
            pair_id=None if self.pair_id is None else tuple(self.pair_id[i] for i in at),
        )  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """Everything, for `limen.save`."""
        return {
            "paths": list(self.paths), "labels": self.labels, "group": self.group,
            "background": list(self.background), "groups": list(self.groups),
            "names": {str(index): name for index, name in self.names.items()},
            "pair_id": None if self.pair_id is None else list(self.pair_id),
        }  # fmt: skip

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> "Photos":
        """Rebuild what `to_dict` gave."""
        pairs = state["pair_id"]
        return cls(
            state["paths"], state["labels"], state["group"], background=state["background"],
            names={int(index): name for index, name in state["names"].items()},
            groups=tuple(state["groups"]), pair_id=None if pairs is None else tuple(pairs),
        )  # fmt: skip

    def _refuse_groups(self) -> None:
        odd = np.flatnonzero((self.group < 0) | (self.group > 1))
        if len(odd) or (self.labels < 0).any():
            raise UsageError(
                "group must be 0 or 1 and labels 0 or more, got group "
                f"{self.group.min()} to {self.group.max()} and labels from {self.labels.min()}"
            )
        for one, other in ((0, 1), (1, 0)):
            lacking = self.classes[self.counts[:, one] == 0]
            if len(lacking):
                told = ", ".join(f"{i} {self.names[i]}" for i in lacking[:_TOLD].tolist())
                more = f" and {len(lacking) - _TOLD} more" if len(lacking) > _TOLD else ""
                raise UsageError(
                    f"every class needs photos of both groups; without {self.groups[one]!r}, only "
                    f"{self.groups[other]!r}: {told}{more}; add them or take the class out"
                )


def read_photos(
    folder: str | Path,
    *,
    groups: Sequence[str] = ("common", "counter"),
    names: Names | None = None,
) -> Photos:
    """Photos of a folder of classes, each with folders `common-<background>`, `counter-<...>`.

    CounterAnimal's layout: `<index> <class name>/common-<background>/*.jpg`. The index may be left
    out where the name says which class is meant. Everything is read in sorted order; files that
    are no photos and whatever begins with a dot are passed over. `easy-` and `hard-` are read as
    the first and the second group, too. Counts are the files', never those of a publication.

    Args:
        folder: It holds one folder for each class.
        groups: What the two groups are called: the beginnings of the folders within a class.
        names: The classes' names in the order of the model's columns, or a text file of them.
            None: `imagenet_names.txt` in the folder where it stands, else the 45 animals.

    Returns:
        The photos, by class number, then group, then path.

    Raises:
        UsageError: No such folder, no class in it, a class folder that means no index or the index
            of another, or a class without photos of one of the groups.

    Reference:
        Q. Wang, Y. Lin, Y. Chen, L. Schmidt, B. Han and T. Zhang, "A Sober Look at the Robustness
        of CLIPs to Spurious Features", NeurIPS 2024. Departures: easy and hard, the words of its
        second version; folders without an index; groups of any name.

    Example:
        >>> from tempfile import mkdtemp
        >>> root = Path(mkdtemp())
        >>> for name in ("9 ostrich/common-ground/a.jpg", "9 ostrich/counter-water/b.jpg"):
        ...     (root / name).parent.mkdir(parents=True)
        ...     (root / name).touch()
        >>> photos = read_photos(root)
        >>> photos.labels.tolist(), photos.group.tolist(), photos.background
        ([9, 9], [0, 1], ('ground', 'water'))
    """
    root, pair = Path(folder), two_groups(groups)
    if not root.is_dir():
        raise UsageError(f"{folder} must be a folder of classes; there is no such folder")
    if names is None and (root / LIST).is_file():
        names = root / LIST
    known = None if names is None else read_names(names)
    classes = [(path, *class_of(path.name, known)) for path in _folders(root)]
    if not classes:
        raise UsageError(
            f"{folder} must hold one folder for each class, with {pair[0]}-<background> and "
            f"{pair[1]}-<background> in it; it holds no folder"
        )
    found: list[tuple[int, int, str, str]] = []
    passed: list[Path] = []
    taken: dict[int, Path] = {}
    for path, index, _ in classes:
        if index in taken:
            raise UsageError(
                f"folders {taken[index].name!r} and {path.name!r} are both class {index}; put "
                "them into one"
            )
        taken[index] = path
        mine, others = _read_class(path, pair)
        found += [(index, *photo) for photo in mine]
        passed += others
        _refuse_empty(path.name, pair, {photo[0] for photo in mine})
    _warn_of(passed, root, pair)
    found.sort()
    return Photos(
        [photo[3] for photo in found],
        np.array([photo[0] for photo in found]),
        np.array([photo[1] for photo in found]),
        background=[photo[2] for photo in found],
        names={index: name for _, index, name in classes}, groups=pair,
    )  # fmt: skip


def tally(
    labels: Int64[np.ndarray, " rows"],
    group: Int64[np.ndarray, " rows"],
    classes: Int64[np.ndarray, " classes"],
) -> Int64[np.ndarray, "classes 2"]:
    """Rows of each class (sorted) in either group."""
    cell = 2 * np.searchsorted(classes, labels) + group
    return np.bincount(cell, minlength=2 * len(classes)).reshape(-1, 2).astype(np.int64)


def is_photo(path: Path) -> bool:
    """Whether the name is a photo's; hidden files are none."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def _read_class(
    folder: Path, groups: tuple[str, str]
) -> tuple[list[tuple[int, str, str]], list[Path]]:
    """(group, background, path) of a class's photos, and photos that stand in no group."""
    mine, passed = [], sorted(p for p in folder.iterdir() if is_photo(p) and p.is_file())
    for path in _folders(folder):
        start, _, background = path.name.partition("-")
        photos = _below(path)
        place = _place(start, groups)
        if place is None:
            passed += photos
        else:
            mine += [(place, background.strip(), str(photo)) for photo in photos]
    return mine, passed


def _place(start: str, groups: tuple[str, str]) -> int | None:
    for pair in (groups, ALIASES):
        folded = [name.casefold() for name in pair]
        if start.strip().casefold() in folded:
            return folded.index(start.strip().casefold())
    return None


def _below(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if is_photo(path) and not hidden and path.is_file():
            yield path


def _folders(path: Path) -> list[Path]:
    return sorted(p for p in path.iterdir() if p.is_dir() and not p.name.startswith((".", "__")))


def _refuse_empty(name: str, groups: tuple[str, str], present: set[int]) -> None:
    lacking = [groups[place] for place in (0, 1) if place not in present]
    if lacking:
        raise UsageError(
            f"class folder {name!r} must hold photos in {groups[0]}-<background> and in "
            f"{groups[1]}-<background>; it has none of {' and '.join(lacking)}"
        )


def _warn_of(passed: list[Path], root: Path, groups: tuple[str, str]) -> None:
    if passed:
        warnings.warn(
            f"{len(passed)} photos stand in no folder of {groups[0]} or {groups[1]} and were left "
            f"out, the first {passed[0].relative_to(root)}",
            UserWarning,
            stacklevel=3,
        )


def two_groups(groups: Sequence[str]) -> tuple[str, str]:
    """The two names, which must differ.

    Raises:
        UsageError: They are not two, or the same.
    """
    if isinstance(groups, str) or len(groups) != 2 or len({g.casefold() for g in groups}) != 2:
        raise UsageError(f"groups must be two different names, got {groups!r}")
    return str(groups[0]), str(groups[1])


def _whole(name: str, values: Any) -> Int64[np.ndarray, " rows"]:
    found = np.asarray(values)
    if found.ndim != 1 or not found.size or found.dtype.kind not in "iu":
        raise UsageError(
            f"{name} must be one or more whole numbers, one a photo, got {found.dtype} of shape "
            f"{found.shape}"
        )
    return found.astype(np.int64)


def _refuse_lengths(held: Mapping[str, Any]) -> None:
    lengths = {name: len(value) for name, value in held.items()}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{count} {name}" for name, count in lengths.items())
        raise UsageError(f"photos need one of everything each, got {told}")
