"""Remedies against one baseline, each environment left out in turn."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool

from limen._core.errors import UsageError, nearest
from limen._core.streams import numpy_stream
from limen.shift.remedies.compared import Compared
from limen.shift.remedies.rows import Predict, Remedy, Rows


def compare_remedies(
    remedies: Mapping[str, Remedy],
    inputs: Any,
    labels: Any,
    *,
    environments: Any,
    baseline: str | None = None,
    seeds: int | Sequence[int] = 5,
    home: float = 0.2,
    level: float = 0.95,
) -> Compared:
    """Error on environments that were left out of training, and its change against a baseline.

    For each seed and environment, every remedy learns from the other environments, less a share of
    their rows, which tells the error at home; the left-out environment tells the error away. All
    remedies see the same rows, and start from the same weights where their networks are alike, so
    differences are paired.

    Two uncertainties are told. Over seeds: another run of the training, the same rows (Student's
    interval, needs two seeds or more). Over rows: other rows of the same environments, with the
    runs as they are (bootstrap of the rows' differences averaged over seeds, sign-flip p, corrected
    by Holm over all remedies and environments). Neither says what another environment would do:
    the environments are few, and that is why each has its own line.

    Args:
        remedies: By name, such as `{"ERM": ERM(), "CORAL": CORAL()}`; any `Remedy`.
        inputs: (rows, ...): cached features or pictures.
        labels: Class of each row, integers or strings.
        environments: Environment of each row, integers or strings; two or more.
        baseline: Its name; None takes the first remedy.
        seeds: How many (0, 1, ...), or which.
        home: Share of every environment kept from training for the error at home, above 0 and
            below 1.
        level: Nominal coverage of the intervals.

    Returns:
        The table, and every row's errors that it was made of.

    Raises:
        UsageError: No remedies, an unknown baseline, fewer than two environments, a class that
            only one environment holds, no seeds, or a share or level out of range.

    Example:
        >>> from limen.shift.remedies import ERM, GroupDRO, Training
        >>> x = np.tile([[-1.0], [1.0]], (20, 1))
        >>> quick = Training(steps=20)
        >>> found = compare_remedies({"ERM": ERM(quick), "DRO": GroupDRO(training=quick)},
        ...     x, np.tile([0, 1], 20), environments=np.repeat(["a", "b"], 20), seeds=2)
        >>> found.rows[0][:3]    # an easy task
        ['ERM', 'a', 0.0]
    """
    rows = Rows.of(inputs, labels, environments)
    drawn = tuple(range(seeds)) if isinstance(seeds, int) else tuple(int(one) for one in seeds)
    first = next(iter(remedies), "") if baseline is None else baseline
    _refuse(remedies, first, drawn, home=home, level=level)
    places = tuple(str(one) for one in np.unique(np.asarray(environments)))
    _refuse_places(rows, places)
    wrong = np.zeros((len(remedies), len(drawn), len(rows)), dtype=bool)
    at_home = np.zeros((len(remedies), len(drawn), len(places)))
    for run, seed in enumerate(drawn):
        kept = _at_home(rows, home, seed)
        for place in range(len(places)):
            away = rows.environments == place
            train, test = rows.at(~away & ~kept), rows.at(~away & kept)
            for which, remedy in enumerate(remedies.values()):
                predict = remedy(train, seed=seed)
                wrong[which, run, away] = _misses(predict, rows.at(away))
                at_home[which, run, place] = _misses(predict, test).mean()
    return Compared.of(
        tuple(remedies), places,
        wrong=wrong, home=at_home, environments=rows.environments,
        baseline=tuple(remedies).index(first), seeds=drawn, level=level,
    )  # fmt: skip


def _misses(predict: Predict, rows: Rows) -> Bool[np.ndarray, " rows"]:
    return np.asarray(predict(rows.inputs)).argmax(1) != rows.labels


def _at_home(rows: Rows, share: float, seed: int) -> Bool[np.ndarray, " rows"]:
    """Rows kept from training: the same share of every class in every environment, rounded up."""
    stream = numpy_stream(seed, "remedies", "home")
    draw = stream.random(len(rows))
    kept = np.zeros(len(rows), dtype=bool)
    group = rows.groups("group")
    for one in np.unique(group):
        mine = np.flatnonzero(group == one)
        count = min(len(mine) - 1, int(np.ceil(share * len(mine))))
        kept[mine[np.argsort(draw[mine])[:count]]] = True
    return kept


def _refuse(
    remedies: Mapping[str, Remedy],
    baseline: str,
    seeds: Sequence[int],
    *,
    home: float,
    level: float,
) -> None:
    if not remedies or not seeds:
        raise UsageError(f"give one remedy and one seed or more, got {len(remedies)}, {len(seeds)}")
    if baseline not in remedies:
        close = nearest(baseline, remedies)
        raise UsageError(f"baseline={baseline!r} must be one of the remedies; nearest: {close}")
    if not 0 < home < 1 or not 0 < level < 1:
        raise UsageError(f"home={home} and level={level} must be above 0 and below 1")


def _refuse_places(rows: Rows, places: Sequence[str]) -> None:
    if len(places) < 2:
        raise UsageError(f"environments must be two or more to leave one out, got {places[0]!r}")
    for one in range(rows.classes):
        held = np.unique(rows.environments[rows.labels == one])
        if len(held) == 1:
            raise UsageError(
                f"class number {one} occurs in environment {places[held[0]]!r} only: with that "
                "left out nothing teaches it; drop the class"
            )
