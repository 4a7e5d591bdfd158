"""Attributes on which a model leans although it should not, found on the user's own data."""

from collections.abc import Sequence
from math import hypot
from typing import Any

import numpy as np
from jaxtyping import Bool
from scipy.stats import hypergeom

from limen._core.errors import UsageError
from limen.measure.benjamini_hochberg import benjamini_hochberg
from limen.measure.delong import holm
from limen.measure.wilson import newcombe
from limen.shift.discovered import AttributeGroup, Discovery, SpuriousPair
from limen.shift.halves import Halves, Pick, answers

CORRECTIONS = {"holm": holm, "bh": benjamini_hochberg}
FEWEST = 4  # rows of a group: two in each half


def discover(
    correct: Any,
    label: Any,
    attribute: Any,
    *,
    min_n: int = 30,
    min_gap: float = 0.05,
    alpha: float = 0.05,
    correction: str = "holm",
    folds: int = 2,
    level: float = 0.95,
    seed: int = 0,
) -> Discovery:
    """Pairs of attributes between which accuracy falls; a larger gap = the model leans on them.

    For each label the attributes of the highest and lowest accuracy are sought, for instance the
    backgrounds with which a bear is recognised best and worst. Whoever takes the extremes of many
    noisy accuracies and believes them, finds gaps in pure noise: the winner's curse. Here the rows
    are dealt into halves; one chooses the pair, and the gap is measured on the other,

        gap = right(best) / rows(best) - right(worst) / rows(worst).

    With two folds the halves then change places and the two gaps are averaged. Both the gap held
    out and the gap where it was chosen are told. The test is Fisher's exact one, one-sided since
    the direction is chosen too; of two folds it takes twice the smaller p-value. On noise, Holm's
    correction finds any pair at all with probability at most `alpha`.

    Where the halves choose different pairs, the one with the smaller p-value is named, `agree` is
    1 and the gap is the mean of what the halves chose: surer than the name.

    Args:
        correct: Whether each row is answered rightly: booleans, or ones and zeros.
        label: What is to be named, integers or strings.
        attribute: What should not matter, such as the background; integers or strings.
        min_n: Rows that a label and attribute must have together to be chosen, 4 or more. What
            has fewer is told, in `small` and in the tables.
        min_gap: Held-out gap below which a pair is not worth telling, 0 to 1.
        alpha: Of the corrected tests, between 0 and 1.
        correction: Over labels: "holm" (hardly any false pair) or "bh" (few among those found).
        folds: 2, or 1 to choose on one half only.
        level: Nominal coverage of the intervals.
        seed: Of the halves. Neither the order of the rows nor names move them.

    Returns:
        A pair for each label, those that were found, and the accuracy of every group.

    Raises:
        UsageError: Answers that are not 0 or 1, other lengths, a missing label, an option out of
            range, or no label with two attributes of `min_n` rows.

    Reference:
        Limen's own, after the curation of Q. Wang, Y. Lin, Y. Chen, L. Schmidt, B. Han and
        T. Zhang, "A sober look at the robustness of CLIPs to spurious features", NeurIPS 2024,
        who take the extremes by one model on all rows.

    Example:
        >>> right = [1] * 40 + [0] * 30 + [1] * 10
        >>> found = discover(right, ["bear"] * 80, ["rock"] * 40 + ["snow"] * 40)
        >>> found.pairs[0].best, found.pairs[0].worst, found.pairs[0].gap    # 1 less 10 of 40
        ('rock', 'snow', 0.75)
    """
    right = answers("correct", correct)
    _refuse(min_n=min_n, min_gap=min_gap, alpha=alpha, folds=folds, level=level)
    if correction not in CORRECTIONS:
        raise UsageError(f"correction={correction!r} must be one of {', '.join(CORRECTIONS)}")
    halves = Halves.of(right[None], label, attribute, seed=seed)
    able = eligible(halves, min_n)
    codes = np.flatnonzero(able.sum(1) >= 2).tolist()
    picks = [[halves.pick(one, able[one], half=half) for half in range(folds)] for one in codes]
    p_values = [[_fisher(one) for one in mine] for mine in picks]
    corrected = CORRECTIONS[correction]([min(1.0, folds * min(mine)) for mine in p_values])
    rows = tuple(
        _row(
            halves, code, mine, p_values=p, corrected=float(q), level=level, asked=(min_gap, alpha)
        )
        for code, mine, p, q in zip(codes, picks, p_values, corrected, strict=True)
    )
    return Discovery(
        rows=rows,
        groups=_groups(halves, able),
        untested=tuple(halves.labels.names[i] for i in np.flatnonzero(able.sum(1) < 2).tolist()),
        min_n=min_n, min_gap=min_gap, alpha=alpha, correction=correction, level=level, seed=seed,
    )  # fmt: skip


def eligible(halves: Halves, min_n: int) -> Bool[np.ndarray, "labels attributes"]:
    """Which groups have enough rows to be chosen.

    Args:
        halves: The counts.
        min_n: Rows.

    Returns:
        A boolean for each label and attribute.

    Raises:
        UsageError: No label has two of them.
    """
    able = halves.enough(min_n)
    if not (able.sum(1) >= 2).any():
        second = np.sort(halves.rows.sum(0), axis=1)[:, -2:].min(1)
        most = 0 if len(halves.attributes.names) < 2 else int(second.max())
        raise UsageError(
            f"a label must have two attributes of min_n={min_n} rows or more to be compared; "
            f"the second largest group of any label has {most}: bring more rows or lower min_n"
        )
    return able


def _row(
    halves: Halves,
    code: int,
    picks: Sequence[Pick],
    *,
    p_values: Sequence[float],
    corrected: float,
    level: float,
    asked: tuple[float, float],
) -> SpuriousPair:
    surest = picks[int(np.argmin(p_values))]
    gap = float(np.mean([one.gap for one in picks]))
    down, up = _reach(picks, level)
    return SpuriousPair(
        label=halves.labels.names[code],
        best=halves.attributes.names[surest.best],
        worst=halves.attributes.names[surest.worst],
        gap=gap,
        low=gap - down,
        high=gap + up,
        chosen_gap=float(np.mean([one.chosen for one in picks])),
        p_value=min(1.0, len(picks) * min(p_values)),
        corrected=corrected,
        folds=len(picks),
        agree=sum(one[:2] == surest[:2] for one in picks),
        found=bool(gap >= asked[0] - 1e-12 and corrected <= asked[1]),
    )


def _reach(picks: Sequence[Pick], level: float) -> tuple[float, float]:
    """How far the interval of the mean gap goes down and up.

    Halves that chose one pair measured it on different rows: the squares of their reaches add.
    Halves that differ hang together by their choices, and get the bound for any dependence.
    """
    ends = [newcombe(one.best_held, one.worst_held, level=level) for one in picks]
    down = [one.gap - each.low for one, each in zip(picks, ends, strict=True)]
    up = [each.high - one.gap for one, each in zip(picks, ends, strict=True)]
    if len({one[:2] for one in picks}) > 1:
        return float(np.mean(down)), float(np.mean(up))
    return hypot(*down) / len(picks), hypot(*up) / len(picks)


def _fisher(pick: Pick) -> float:
    """P-value of Fisher's exact test that the best is no better than the worst."""
    (a, m), (b, n) = pick.best_held, pick.worst_held
    return float(min(1.0, hypergeom.sf(a - 1, m + n, a + b, m)))


def _groups(halves: Halves, able: np.ndarray) -> tuple[AttributeGroup, ...]:
    found = []
    for i, j in np.argwhere(halves.rows.sum(0) > 0).tolist():
        right, rows = halves.count(i, j)
        names = halves.labels.names[i], halves.attributes.names[j]
        found.append(AttributeGroup(*names, rows=rows, right=right, enough=bool(able[i, j])))
    return tuple(found)


def _refuse(*, min_n: int, min_gap: float, alpha: float, folds: int, level: float) -> None:
    if min_n < FEWEST:
        raise UsageError(f"min_n={min_n} must be {FEWEST} or more: two rows in each half")
    if not 0 <= min_gap <= 1:
        raise UsageError(f"min_gap={min_gap} must be 0 to 1, a difference of accuracies")
    for name, value in (("alpha", alpha), ("level", level)):
        if not 0 < value < 1:
            raise UsageError(f"{name}={value} must be between 0 and 1")
    if folds not in (1, 2):
        raise UsageError(f"folds={folds} must be 2, or 1 to choose on one half only")
