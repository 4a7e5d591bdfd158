"""How much a model leans on backgrounds: accuracy on common photos against counter photos."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from limen._core.errors import UsageError
from limen.shift.class_names import Names, read_names
from limen.shift.counted import Counted
from limen.shift.labels import LabelSpace
from limen.shift.manifest import read_manifest
from limen.shift.models.embeddings import Embeddings
from limen.shift.models.zero_shot import ZeroShot
from limen.shift.photos import Photos, read_photos, tally
from limen.shift.predict import predictions


def counter(
    model: Any,
    photos: Photos | str | Path,
    *,
    labels: Names | None = None,
    candidates: LabelSpace | None = None,
    name: str | None = None,
    level: float = 0.95,
    seed: int = 0,
    resamples: int = 2000,
) -> Counted:
    """Accuracy on common and counter photos of the same classes; a lower drop leans less on them.

    For group g and class y, ACC_g(y) is the share of photos named y, ACC_g its mean over classes
    and drop = ACC_common - ACC_counter. The animal is the same, only the background is not: what
    falls was owed to the background. The groups were chosen by one model, which they flatter least
    (regression to the mean): a large drop of that model says less than one of another.

    Args:
        model: Predictions (rows,), logits (rows, classes), saved `Embeddings`, a `ZeroShot` pair,
            a `Classifier`, or any object with `logits(paths)`. Each photo passes once.
        photos: `Photos`, a folder as `read_photos` takes it, or a manifest file.
        labels: Names of the model's columns, or a text file of them: their number is compared with
            the model's, and folders without an index are looked up in them.
        candidates: As `label_space` gives them, for the 1-vs-20 protocol; None: all columns.
        name: What tables call the model; None: its own name where it has one.
        level: Nominal coverage of the intervals, between 0 and 1.
        seed: Of the bootstrap over classes.
        resamples: Its draws, at least 1.

    Returns:
        Both accuracies and the drop with two uncertainties, class by class too: see `Counted`.

    Raises:
        UsageError: Photos that cannot be read or lack a group; rows, columns or names of another
            number than photos, classes or columns; embeddings of unequal width, of length 0 or not
            finite; an option out of range.

    Reference:
        Q. Wang, Y. Lin, Y. Chen, L. Schmidt, B. Han and T. Zhang, "A Sober Look at the Robustness
        of CLIPs to Spurious Features", NeurIPS 2024, section 4 and appendix C. Departures: both
        uncertainties, ties to the lowest number, and counts taken from the files.

    Example:
        >>> photos = Photos(["a", "b", "c", "d"], [9, 9, 9, 9], [0, 0, 1, 1])
        >>> found = counter([9, 9, 9, 2], photos)    # 2 of 2 common, 1 of 2 counter
        >>> found.common, found.counter, found.drop
        (1.0, 0.5, 0.5)
    """
    _refuse(level, resamples)
    names = None if labels is None else read_names(labels)
    held = photos if isinstance(photos, Photos) else _read(photos, names)
    own = getattr(model, "labels", None) if isinstance(model, Embeddings | ZeroShot) else None
    predicted, columns = predictions(model, held, candidates=candidates)
    if names is not None and columns is not None and len(names) != columns:
        raise UsageError(
            f"labels must name each of the model's {columns} columns, got {len(names)} names"
        )
    right = predicted == held.labels
    counts = held.counts
    return Counted(
        name=name or str(getattr(model, "name", None) or "model"),
        groups=held.groups,
        classes=held.classes,
        names=tuple(held.names.values()),
        backgrounds=_backgrounds(held),
        right=tally(held.labels[right], held.group[right], held.classes),
        rows=counts,
        mistaken=_mistaken(held, predicted, names or own),
        predicted=predicted,
        columns=columns,
        candidates=None if candidates is None else candidates.size,
        put_in=() if candidates is None else tuple(
            one for one in candidates.put_in if one in set(held.classes.tolist())
        ),
        level=level, seed=seed, resamples=resamples,
    )  # fmt: skip


def _read(source: str | Path, names: list[str] | None) -> Photos:
    return read_manifest(source) if Path(source).is_file() else read_photos(source, names=names)


def _backgrounds(photos: Photos) -> tuple[tuple[str, str], ...]:
    """What stands behind each class in either group, joined where there are several."""
    seen: dict[tuple[int, int], set[str]] = {}
    cells = zip(photos.labels.tolist(), photos.group.tolist(), photos.background, strict=True)
    for label, group, background in cells:
        seen.setdefault((label, group), set()).add(background)
    first, second = (
        [", ".join(sorted(seen[label, group] - {""})) for label in photos.classes.tolist()]
        for group in (0, 1)
    )
    return tuple(zip(first, second, strict=True))


def _mistaken(photos: Photos, predicted: np.ndarray, names: Any) -> tuple[str, ...]:
    """What each class's counter photos are most often mistaken for; "" where never."""
    wrong = (photos.group == 1) & (predicted != photos.labels)
    found = []
    for label in photos.classes.tolist():
        named = Counter(predicted[wrong & (photos.labels == label)].tolist())
        if not named:
            found.append("")
            continue
        likest = min(named, key=lambda one: (-named[one], one))
        found.append(_called(likest, photos, names))
    return tuple(found)


def _called(index: int, photos: Photos, names: Any) -> str:
    if names is not None and 0 <= index < len(names):
        return str(names[index]).split(",")[0]
    return photos.names.get(index, str(index))


def _refuse(level: float, resamples: int) -> None:
    if not 0 < level < 1:
        raise UsageError(f"level must be between 0 and 1, got {level}")
    if isinstance(resamples, bool) or resamples < 1:
        raise UsageError(f"resamples must be at least 1, got {resamples}")
