"""How far a target environment lies from every mixture of the source environments."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from limen._core.errors import UsageError
from limen.measure._numbers import finite, numbers
from limen.measure.delong import holm
from limen.report.table import Cell, Table
from limen.shift.gap_null import Forms
from limen.shift.gapped import Gap
from limen.shift.kernels import exact, fourier, median_distance

EXACT_ROWS = 4096  # above, a kernel matrix outgrows memory: random features
Sources: TypeAlias = Mapping[str, Any] | Sequence[Any]


def mixture_gap(
    sources: Sources,
    target: Any,
    *,
    source_labels: Sources | None = None,
    target_labels: Any = None,
    bandwidth: float | None = None,
    standardise: bool = True,
    features: int = 2048,
    resamples: int = 200,
    seed: int = 0,
) -> Gap:
    """Distance of a target to the hull of the sources' distributions; higher = farther outside.

    With mu the mean of a Gaussian kernel's images of the rows (a characteristic kernel: mu tells
    any two distributions apart),

        gap^2 = min over shares pi of ||mu_target - sum_i pi_i mu_i||^2,

    where every inner product is estimated without bias: no row is ever compared with itself. The
    smallest of unbiased values is somewhat too small, and so it is in the null. Inside the hull a
    model's error on the target is the same mixture of its errors on the sources; outside nothing
    of the kind holds (`risk_bound`). That is another question than whether single rows lie between
    the sources' rows: data centred between two sources are no mixture of them.

    The p-value draws targets from the mixture found, of the target's own size, and the sources'
    means with them. Up to 4,096 rows in all the kernel is exact, above it is that of random
    features. With labels, rows of different classes count as unlike: a target whose inputs are a
    mixture but whose labels say something else (concept shift) then lies outside.

    Args:
        sources: Rows of features for each source by name; a list is named "0", "1", ...; two rows
            or more each.
        target: Rows of the same width, two or more.
        source_labels: Class of each row, source by source, integers; with `target_labels` or not
            at all.
        target_labels: Class of each target row.
        bandwidth: Of the kernel, above 0, in units of standardised features; by default the
            median distance between rows of the sources.
        standardise: Divide each column by its deviation over the sources. Without it the exact gap
            is the same for rotated features.
        features: Random features above 4,096 rows, an even number.
        resamples: Targets drawn for the p-value.
        seed: Of all draws.

    Returns:
        Distance, weights, p-value, null quantile and the weights' certificate.

    Raises:
        UsageError: No sources, fewer than two rows, another width, not finite; labels on one side
            only or not one for each row; a bandwidth or counts that are not above 0.

    Reference:
        A hull-aware reformulation of the question of "Data mixture", arXiv 2312.16243, not its
        method, whose text was not at hand. The distance is the maximum mean discrepancy of
        A. Gretton, K. Borgwardt, M. Rasch, B. Scholkopf and A. Smola, "A kernel two-sample test",
        JMLR 2012, equation 3; the null by signs and weights drawn anew is limen's own.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> left, right = rng.normal(-2, 1, (200, 2)), rng.normal(2, 1, (200, 2))
        >>> both = np.concatenate([rng.normal(-2, 1, (50, 2)), rng.normal(2, 1, (50, 2))])
        >>> mixture_gap({"left": left, "right": right}, both).outside()
        False
        >>> mixture_gap({"left": left, "right": right}, rng.normal(0, 1, (100, 2))).outside()
        True
    """
    found, goal = _checked(sources, target)
    classes = _labelled(found, goal, of_sources=source_labels, of_target=target_labels)
    _refuse(bandwidth=bandwidth, features=features, resamples=resamples)
    told = _warned(found, goal)
    alike = _alike(found, classes)
    kept = [name for name in found if alike[name] == name]
    scaled = _scaled([found[name] for name in kept], goal, standardise=standardise)
    sizes = tuple(len(found[name]) for name in kept)
    rows, owners = np.concatenate(scaled), np.concatenate([classes[n] for n in [*kept, None]])
    width = bandwidth or median_distance(rows[: sum(sizes)], seed=seed)
    few = len(rows) <= EXACT_ROWS
    holds = (
        exact(rows, owners, width)
        if few
        else fourier(rows, owners, width, features=features, seed=seed)
    )
    forms = Forms(holds, None if few else owners, sizes, len(goal))
    squared, best = forms.squared()
    null = forms.null(best.weights, resamples=resamples, seed=seed)
    return Gap(
        squared=squared,
        weights=_shared(best.weights, kept, alike),
        p_value=float((1 + np.count_nonzero(null >= squared)) / (1 + resamples)),
        quantile=float(np.quantile(null, 0.95)),
        certificate=best.gap,
        bandwidth=float(width),
        rows={name: len(one) for name, one in found.items()},
        target_rows=len(goal),
        standardised=standardise,
        features=0 if few else features,
        resamples=resamples,
        seed=seed,
        told=told,
    )


def mixture_gap_by_class(
    sources: Sources,
    target: Any,
    *,
    source_labels: Sources,
    target_labels: Any,
    bandwidth: float | None = None,
    standardise: bool = True,
    features: int = 2048,
    resamples: int = 200,
    seed: int = 0,
) -> dict[int, Gap]:
    """The gap of each class by itself: is the class as it looks in the target a mixture?

    Shares of the classes play no part here: a target with other class frequencies is inside if
    each of its classes is. Sources without two rows of a class are left out for it.

    Args:
        sources: As for `mixture_gap`.
        target: Likewise.
        source_labels: Class of each row, source by source.
        target_labels: Class of each target row.
        bandwidth: As for `mixture_gap`.
        standardise: Likewise.
        features: Likewise.
        resamples: Likewise.
        seed: Likewise.

    Returns:
        A gap for each class of the target, in order.

    Raises:
        UsageError: As `mixture_gap`; a class of which no source, or the target, has two rows.

    Reference:
        As `mixture_gap`.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> x, y = rng.normal(size=(60, 2)), np.arange(60) % 2
        >>> moved = x + 5.0 * y[:, None]    # only class 1 moves
        >>> found = mixture_gap_by_class({"a": x, "b": x + 0.1}, moved,
        ...                              source_labels={"a": y, "b": y}, target_labels=y)
        >>> [gap.outside() for gap in found.values()]
        [False, True]
    """
    found, goal = _checked(sources, target)
    classes = _labelled(found, goal, of_sources=source_labels, of_target=target_labels)
    gaps = {}
    for one in np.unique(classes[None]):
        parts = {name: rows[classes[name] == one] for name, rows in found.items()}
        parts = {name: rows for name, rows in parts.items() if len(rows) > 1}
        mine = goal[classes[None] == one]
        if not parts or len(mine) < 2:
            raise UsageError(
                f"class {one} must have two rows in the target and in one source at least, got "
                f"{len(mine)} and {len(parts)} such sources; leave it out"
            )
        gaps[int(one)] = mixture_gap(
            parts, mine, bandwidth=bandwidth, standardise=standardise, features=features,
            resamples=resamples, seed=seed,
        )  # fmt: skip
    return gaps


def gaps_table(gaps: Mapping[Any, Gap], *, title: str = "Mixture gaps") -> Table:
    """Several gaps side by side, with p-values corrected for their number.

    Args:
        gaps: Targets or classes by name.
        title: A few words above.

    Returns:
        One line for each: gap, p, Holm's p, largest weight.

    Example:
        >>> gaps_table({"a": Gap(squared=0.25, weights={"s": 1.0}, p_value=0.01, quantile=0.1,
        ...     certificate=0.0, bandwidth=1.0, rows={"s": 9}, target_rows=9)}).rows
        [['a', 9, 0.5, 0.01, 0.01, 's 1.00']]
    """
    corrected = holm([gap.p_value for gap in gaps.values()]) if gaps else np.empty(0)
    lines: list[list[Cell]] = [
        [str(name), gap.target_rows, gap.distance, gap.p_value, float(p), _weights(gap)]
        for (name, gap), p in zip(gaps.items(), corrected, strict=True)
    ]
    told = sorted({sentence for gap in gaps.values() for sentence in gap.told})
    return Table(
        ["target", "rows", "gap", "p", "p, Holm", "nearest mixture"],
        lines,
        title=title,
        protocol="Distance of kernel means to the nearest mixture of the sources; small p = no "
        "mixture of them." + "".join(f" {one[0].upper()}{one[1:]}." for one in told),
    )


def _weights(gap: Gap) -> str:
    parts = sorted(gap.weights.items(), key=lambda one: -one[1])
    return ", ".join(f"{name} {share:.2f}" for name, share in parts if share >= 0.005)


def _checked(sources: Sources, target: Any) -> tuple[dict[str, np.ndarray], np.ndarray]:
    goal = _rows("target", target)
    found = {name: _rows(f"source {name!r}", rows) for name, rows in _named(sources).items()}
    if not found:
        raise UsageError("sources must hold one environment at least, got none")
    for name, rows in found.items():
        if rows.shape[1] != goal.shape[1]:
            raise UsageError(
                f"sources and target must have one width, got {rows.shape[1]} in source {name!r} "
                f"and {goal.shape[1]} in the target; take features of one model"
            )
    return found, goal


def _named(sources: Sources) -> dict[str, Any]:
    if isinstance(sources, Mapping):
        return {str(name): rows for name, rows in sources.items()}
    return {str(place): rows for place, rows in enumerate(sources)}


def _rows(name: str, values: Any) -> np.ndarray:
    found = finite(name, numbers(name, values))
    if found.ndim != 2 or len(found) < 2 or not found.shape[1]:
        raise UsageError(f"{name} must be two rows or more of features, got shape {found.shape}")
    return found


def _labelled(
    found: dict[str, np.ndarray],
    goal: np.ndarray,
    *,
    of_sources: Sources | None,
    of_target: Any,
) -> dict[str | None, np.ndarray]:
    """Classes of each source's rows, and under None of the target's; all 0 without labels.

    Raises:
        UsageError: Labels on one side only, other names, or not one integer for each row.
    """
    if (of_sources is None) != (of_target is None):
        raise UsageError("source_labels and target_labels go together; give both or neither")
    sets: dict[str | None, np.ndarray] = {None: goal}
    sets.update(found)
    if of_sources is None:
        return {name: np.zeros(len(rows), dtype=np.int64) for name, rows in sets.items()}
    given: dict[str | None, Any] = {None: of_target}
    given.update(_named(of_sources))
    if set(given) != set(sets):
        raise UsageError(
            f"source_labels must name the sources {list(found)}, got {list(given)[1:]}"
        )
    labels = {name: np.asarray(given[name]) for name in sets}
    for name, rows in sets.items():
        if labels[name].shape != (len(rows),) or labels[name].dtype.kind not in "iu":
            raise UsageError(
                f"labels of {name or 'the target'} must be {len(rows)} integers, got "
                f"{labels[name].shape} of {labels[name].dtype}"
            )
    return {name: one.astype(np.int64) for name, one in labels.items()}


def _refuse(*, bandwidth: float | None, features: int, resamples: int) -> None:
    if bandwidth is not None and not 0 < bandwidth < np.inf:
        raise UsageError(f"bandwidth must be above 0 and finite, got {bandwidth}")
    if features < 2 or features % 2 or resamples < 1:
        raise UsageError(
            f"features must be even and at least 2, resamples at least 1; got {features} and "
            f"{resamples}"
        )


def _warned(found: dict[str, np.ndarray], goal: np.ndarray) -> tuple[str, ...]:
    told = []
    if len(found) == 1:
        told.append("there is one source only, so the gap is a plain distance to it")
    if len(goal) < goal.shape[1]:
        told.append(
            f"the target has {len(goal)} rows for {goal.shape[1]} dimensions: only large gaps show"
        )
    alike = _alike(found, None)
    twice = [name for name in found if alike[name] != name]
    if twice:
        told += [f"source {name} repeats another and shares its weight" for name in twice]
    for sentence in told:
        warnings.warn(sentence, UserWarning, stacklevel=3)
    return tuple(told)


def _alike(
    found: dict[str, np.ndarray], classes: Mapping[str | None, np.ndarray] | None
) -> dict[str, str]:
    """For each source the first one that has the same rows, in whatever order."""
    seen: dict[bytes, str] = {}
    first = {}
    for name, rows in found.items():
        full = rows if classes is None else np.column_stack([rows, classes[name]])
        key = np.ascontiguousarray(full[np.lexsort(full.T)]).tobytes()
        first[name] = seen.setdefault(key, name)
    return first


def _scaled(parts: list[np.ndarray], goal: np.ndarray, *, standardise: bool) -> list[np.ndarray]:
    """Sources, then the target, centred on the sources and in units of their deviation."""
    pooled = np.concatenate(parts)
    deviation = pooled.std(0) if standardise else np.ones(pooled.shape[1])
    deviation = np.where(deviation > 0, deviation, 1.0)
    return [(rows - pooled.mean(0)) / deviation for rows in (*parts, goal)]


def _shared(shares: np.ndarray, kept: list[str], alike: dict[str, str]) -> dict[str, float]:
    count = {name: list(alike.values()).count(name) for name in kept}
    whole = dict(zip(kept, shares.tolist(), strict=True))
    return {name: whole[first] / count[first] for name, first in alike.items()}
