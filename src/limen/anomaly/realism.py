"""How real and how varied made anomalies are, in an embedding of windows."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.cluster.vq import kmeans2, vq
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist

from limen._core.errors import UsageError
from limen._core.streams import numpy_stream, seed_for
from limen.measure.separation import auroc
from limen.report.measured import Measured
from limen.report.table import Cell, Table

Points = Float[np.ndarray, "rows width"]


def arp(real: Points, made: Float[np.ndarray, "made width"]) -> float:
    """Anomaly-representation proximity, in (0, 1]; higher = real anomalies lie nearer to made ones.

    `1 / (1 + mean_r min_g ||f(r) - f(g)||)` over real anomalies r and made ones g. It has the
    embedding's scale, and it rewards covering everything densely: lay it beside the rows of noise
    and of near copies that `realism` adds, and never choose a maker by it, for it needs labels.

    Args:
        real: Embedded real anomalies, one row each.
        made: Embedded made ones.

    Returns:
        The proximity.

    Raises:
        UsageError: No rows, or another width.

    Reference:
        Zamanzadeh Darban et al., GenIAS: Generator for Instantiating Anomalies in time Series,
        arXiv 2502.08262, appendix E, as transcribed by others: its text was not at hand.

    Example:
        >>> arp(np.array([[0.0], [2.0]]), np.array([[1.0]]))
        0.5
    """
    _check(real, made)
    near, _ = cKDTree(made).query(real)
    return float(1 / (1 + np.mean(near)))


def edi(
    made: Mapping[str, Points], *, clusters: int = 16, seed: int = 0, starts: int = 5
) -> dict[str, float]:
    """Entropy-based diversity index of each maker, in nats; higher = more varied.

    K-means on the union of all makers' embedded anomalies; then the Shannon entropy of how one
    maker's fall into the clusters, at most ln(clusters). It depends on which makers are pooled,
    and says nothing without realism: noise is varied too.

    Args:
        made: For each maker its embedded anomalies.
        clusters: k.
        seed: Of the clusters' starts.
        starts: Of these the clustering with the least distortion is taken.

    Returns:
        The entropy, for each maker.

    Raises:
        UsageError: Fewer anomalies than clusters.

    Reference:
        As `arp`.

    Example:
        >>> two = {"one place": np.zeros((4, 1)), "both": np.array([[0.0], [0.1], [9.0], [9.1]])}
        >>> {name: round(value, 4) for name, value in edi(two, clusters=2).items()}
        {'one place': 0.0, 'both': 0.6931}
    """
    pooled = np.concatenate(list(made.values())).astype(np.float64)
    if len(pooled) < clusters:
        raise UsageError(f"{clusters} clusters need as many anomalies, got {len(pooled)}")
    centres = _centres(pooled, clusters, seed=seed, starts=starts)
    return {
        name: entropy(np.bincount(vq(rows.astype(np.float64), centres)[0], minlength=clusters))
        for name, rows in made.items()
    }


def entropy(counts: Sequence[float] | np.ndarray) -> float:
    """Shannon entropy of shares, in nats.

    Args:
        counts: At least 0, not all 0; brought to a sum of 1.

    Returns:
        From 0 to the logarithm of how many there are.

    Example:
        >>> round(entropy([0.7, 0.2, 0.1]), 6), round(entropy([1, 1, 1, 1]), 6)
        (0.801819, 1.386294)
    """
    found = np.asarray(counts, dtype=np.float64)
    shares = found[found > 0] / found.sum()
    return float(-np.sum(shares * np.log(shares))) + 0.0


@dataclass(frozen=True)
class PRDC:
    """Precision, recall, density and coverage of made rows beside real ones.

    Attributes:
        precision: Share of made rows within a real one's ball, whose radius is the distance to its
            k-th nearest other real row.
        recall: Share of real rows within a made one's ball.
        density: Real balls that hold a made row, mean over made rows, over k; may exceed 1.
        coverage: Share of real rows whose ball holds a made row.

    Example:
        >>> PRDC(1.0, 1.0, 1.0, 1.0).coverage
        1.0
    """

    precision: float
    recall: float
    density: float
    coverage: float


_FOUR = [field.name for field in fields(PRDC)]


def prdc(real: Points, made: Float[np.ndarray, "made width"], *, nearest: int = 5) -> PRDC:
    """Precision, recall, density and coverage.

    Args:
        real: Embedded real rows.
        made: Embedded made rows.
        nearest: k, less than the number of rows of either.

    Returns:
        The four numbers; higher = better.

    Raises:
        UsageError: Too few rows for k.

    Reference:
        Naeem, Oh, Uh, Choi, Yoo, Reliable fidelity and diversity metrics for generative models,
        ICML 2020; precision and recall after Kynkäänniemi et al., NeurIPS 2019.

    Example:
        >>> line = np.arange(10.0)[:, None]
        >>> prdc(line, line, nearest=2)
        PRDC(precision=1.0, recall=1.0, density=1.5, coverage=1.0)
    """
    _check(real, made)
    if not 0 < nearest < min(len(real), len(made)):
        raise UsageError(
            f"nearest={nearest} must be at least 1 and below the rows of either, {len(real)} real "
            f"and {len(made)} made"
        )
    far_real, far_made = (
        cKDTree(rows).query(rows, k=[nearest + 1])[0][:, 0] for rows in (real, made)
    )
    distances = cdist(real, made)
    inside = distances <= far_real[:, None]
    return PRDC(
        precision=float(inside.any(0).mean()),
        recall=float((distances <= far_made[None, :]).any(1).mean()),
        density=float(inside.sum(0).mean() / nearest),
        coverage=float(inside.any(1).mean()),
    )


def two_sample_auc(
    real: Points, made: Float[np.ndarray, "made width"], *, folds: int = 5, seed: int = 0
) -> float:
    """How well nearest neighbours tell made rows from real ones: 0.5 = not at all, 1 = always.

    As many of either are taken; each is scored by the share of made ones among its sqrt(n)
    nearest rows of the other folds. For made anomalies, nearer to 0.5 is better.

    Args:
        real: Embedded real rows.
        made: Embedded made rows.
        folds: Of the cross-validation.
        seed: Of the choice of rows and of the folds.

    Returns:
        The AUROC.

    Raises:
        UsageError: Fewer than `folds` rows of either.

    Reference:
        Lopez-Paz and Oquab, Revisiting classifier two-sample tests, ICLR 2017.

    Example:
        >>> two_sample_auc(np.zeros((20, 1)), np.ones((20, 1)))
        1.0
    """
    _check(real, made)
    count = min(len(real), len(made))
    if count < folds or folds < 2:
        raise UsageError(f"{folds} folds need as many rows of either and be 2 or more; got {count}")
    stream = numpy_stream(seed, "two samples")
    rows = np.concatenate([x[stream.permutation(len(x))[:count]] for x in (real, made)])
    is_made = np.repeat([0.0, 1.0], count)
    fold = np.concatenate([stream.permutation(count) % folds for _ in range(2)])
    nearest = max(1, round(np.sqrt(2 * count * (folds - 1) / folds)))
    scores = np.empty(2 * count)
    for part in range(folds):
        inside = fold == part
        _, found = cKDTree(rows[~inside]).query(rows[inside], k=nearest)
        scores[inside] = is_made[~inside][found.reshape(inside.sum(), -1)].mean(1)
    return float(auroc(scores[:count], scores[count:]))


def realism(
    real: Float[np.ndarray, "real time channels"],
    made: Mapping[str, Float[np.ndarray, "made time channels"]],
    *,
    normal: Float[np.ndarray, "normal time channels"],
    embed: Callable[[Any], np.ndarray],
    events: Sequence[int] | np.ndarray | None = None,
    seed: int = 0,
    resamples: int = 1000,
) -> Table:
    """ARP, EDI, PRDC, two-sample AUC and distance to normal windows, maker by maker.

    Three rows stand beside the makers': "near copy", normal windows with hardly any noise; "noise",
    normal windows under noise as strong as the data; and "oracle", half of the real anomalies
    (those of every other event) judged against the other half. What does not beat the first two is
    not realistic, and the third is what can be reached.

    Args:
        real: Windows around real, labelled anomalies.
        made: For each maker its windows.
        normal: Normal windows.
        embed: Windows to points (rows, width): `DeepSVDD(...).fit(train).embed`, for instance.
        events: The event that each real window is of: the interval of ARP draws whole events
            again. Each window its own by default.
        seed: Of noise, clusters and draws.
        resamples: Draws for the interval.

    Returns:
        One row for each maker, then the three.

    Raises:
        UsageError: Too few windows, fewer than two events, or events of another number.

    Reference:
        As `arp`, `prdc`, `two_sample_auc`.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> some = lambda shift: rng.normal(shift, 1.0, (40, 4, 1))
        >>> table = realism(some(3.0), {"shift": some(3.0)}, normal=some(0.0),
        ...                 embed=lambda windows: windows.mean(2))
        >>> [row[0] for row in table.rows]
        ['shift', 'near copy', 'noise', 'oracle']
    """
    groups = np.arange(len(real)) if events is None else np.asarray(events)
    if len(groups) != len(real):
        raise UsageError(f"events must be one for each real window, {len(real)}; got {len(groups)}")
    if len(np.unique(groups)) < 2:
        raise UsageError(
            "events must name two real events or more, for the oracle judges one by another and "
            "the interval draws among them; got 1: bring windows of another event, or call arp "
            "and prdc alone"
        )
    stream = numpy_stream(seed, "realism")
    spread = normal.std((0, 1), keepdims=True)
    copies = normal + 0.05 * spread * stream.normal(size=normal.shape)
    noise = normal + spread * stream.normal(size=normal.shape)
    points = {name: _embedded(embed, rows) for name, rows in made.items()}
    points |= {"near copy": _embedded(embed, copies), "noise": _embedded(embed, noise)}
    target, usual = _embedded(embed, real), _embedded(embed, normal)
    odd = np.isin(groups, np.unique(groups)[1::2])
    pooled = {**points, "oracle": target[odd]}
    variety = edi({k: v for k, v in pooled.items() if len(v)}, seed=seed)
    rows = []
    for name, found in pooled.items():
        against, own = (target[~odd], groups[~odd]) if name == "oracle" else (target, groups)
        rows.append(
            _row(name, against, found, usual=usual, events=own, seed=seed, draws=resamples)
            | {"EDI [nat]": variety.get(name)}
        )
    columns = list(rows[0])
    return Table(
        columns,
        [[row[column] for column in columns] for row in rows],
        title="How real and how varied",
        protocol=f"{len(real)} windows of {len(np.unique(groups))} real events; ARP with a 95 % "
        "bootstrap interval over events; nearest 5 for PRDC, 16 clusters for EDI. Labels of real "
        "anomalies were used: a diagnosis, nothing to choose a maker by.",
    )


def _row(
    name: str,
    real: Points,
    made: np.ndarray,
    *,
    usual: np.ndarray,
    events: np.ndarray,
    seed: int,
    draws: int,
) -> dict[str, Cell]:
    nearest = min(5, len(real) - 1, len(made) - 1)
    four = asdict(prdc(real, made, nearest=nearest)) if nearest > 0 else dict.fromkeys(_FOUR)
    told = two_sample_auc(real, made, seed=seed) if min(len(real), len(made)) >= 5 else None
    return {
        "maker": name,
        "ARP": _proximity(real, made, events=events, seed=seed, draws=draws),
        **four,
        "two-sample AUC": told,
        "distance to normal": float(np.median(cKDTree(usual).query(made)[0])),
    }


def _proximity(
    real: Points, made: np.ndarray, *, events: np.ndarray, seed: int, draws: int
) -> Measured:
    """ARP with an interval that draws whole events again."""
    near, _ = cKDTree(made).query(real)
    names, which = np.unique(events, return_inverse=True)
    sums = np.bincount(which, weights=near, minlength=len(names))
    counts = np.bincount(which, minlength=len(names))
    drawn = numpy_stream(seed, "events").integers(len(names), size=(draws, len(names)))
    means = sums[drawn].sum(1) / counts[drawn].sum(1)
    low, high = np.quantile(1 / (1 + means), (0.025, 0.975))
    return Measured(float(1 / (1 + near.mean())), float(low), float(high))


def _embedded(embed: Callable[[Any], np.ndarray], windows: np.ndarray) -> np.ndarray:
    found = np.asarray(embed(windows), dtype=np.float64)
    return found.reshape(len(windows), -1)


def _centres(pooled: np.ndarray, clusters: int, *, seed: int, starts: int) -> np.ndarray:
    """The best of several clusterings."""
    tried = []
    for start in range(starts):
        rng = np.random.default_rng(seed_for(seed, "clusters", start))
        centres, _ = kmeans2(pooled, clusters, minit="++", rng=rng, missing="warn", iter=50)
        tried.append((float(np.square(vq(pooled, centres)[1]).sum()), start, centres))
    return min(tried, key=lambda one: one[:2])[2]


def _check(real: np.ndarray, made: np.ndarray) -> None:
    """Refuse what has no distances.

    Raises:
        UsageError: No rows, or another width.
    """
    if not len(real) or not len(made) or real.shape[1] != made.shape[1]:
        raise UsageError(
            f"real and made must be rows of one width, one at least; got {real.shape} and "
            f"{made.shape}"
        )
