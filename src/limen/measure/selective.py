"""Classifying only what looks familiar: the risk that remains, at every coverage."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from limen._core.errors import UsageError
from limen.measure._numbers import Numbers, flat
from limen.measure.tradeoff import Tradeoff


class Risks(NamedTuple):
    """Coverage and selective risk at every distinct score, the most familiar rows first.

    Example:
        >>> Risks(np.array([0.5, 1.0]), np.array([0.0, 0.5]), np.array([1.0, 2.0])).risk
        array([0. , 0.5])
    """

    coverage: Float[np.ndarray, " levels"]
    risk: Float[np.ndarray, " levels"]
    level: Float[np.ndarray, " levels"]


def risks(scores: Numbers, wrong: Numbers) -> Risks:
    """Risk of the rows accepted, at every coverage; lower risk is better.

    At level t the rows with score <= t are accepted: coverage is their share, risk the share of
    errors among them. Tied rows are accepted together.

    Args:
        scores: One for each row; higher = less sure.
        wrong: 1 where the classifier errs, 0 where it is right (or any loss, at least 0).

    Returns:
        Coverage, risk and level, by rising coverage; the last coverage is 1.

    Raises:
        UsageError: Unequal lengths, empty, not numbers, NaN, or a negative loss.

    Reference:
        R. El-Yaniv and Y. Wiener, "On the foundations of noise-free selective classification",
        JMLR, 2010.

    Example:
        >>> risks([1.0, 2.0, 2.0, 3.0], [0, 0, 1, 1]).risk.round(3)
        array([0.   , 0.333, 0.5  ])
    """
    found, losses = _rows(scores, wrong)
    order = np.argsort(found, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(found[order])), len(found) - 1)
    accepted = ends + 1
    return Risks(
        accepted / len(found), np.cumsum(losses[order])[ends] / accepted, found[order][ends]
    )


def aurc(scores: Numbers, wrong: Numbers) -> float:
    """Area under the risk-coverage curve; lower is better, 0 for a classifier without errors.

    The mean over k = 1..n of the risk of the k most familiar rows. Inside a group of ties the
    order is unknown, and the risk is its mean over all orders: the errors come in evenly.

    Args:
        scores: One for each row; higher = less sure.
        wrong: 1 where the classifier errs, 0 where it is right.

    Returns:
        The area, 0 to 1.

    Raises:
        UsageError: As `risks`.

    Reference:
        Y. Geifman, G. Uziel and R. El-Yaniv, "Bias-reduced uncertainty estimation for deep neural
        classifiers", ICLR 2019. Ties, on which the paper is silent, are averaged over.

    Example:
        >>> aurc([1.0, 2.0, 3.0, 4.0], [0, 0, 0, 1])    # (0 + 0 + 0 + 1/4) / 4
        0.0625
    """
    found, losses = _rows(scores, wrong)
    _, group, counts = np.unique(found, return_inverse=True, return_counts=True)
    shared = (np.bincount(group, weights=losses) / counts)[np.sort(group)]
    return float(np.mean(np.cumsum(shared) / np.arange(1, len(found) + 1)))


def risk_coverage(scores: Numbers, wrong: Numbers) -> Tradeoff:
    """The risk-coverage curve as a Tradeoff: coverage (gain, up) against risk (price, down).

    Args:
        scores: One for each row; higher = less sure.
        wrong: 1 where the classifier errs, 0 where it is right.

    Returns:
        One setting for each distinct score; knob = the highest score that is accepted.

    Raises:
        UsageError: As `risks`.

    Reference:
        R. El-Yaniv and Y. Wiener, "On the foundations of noise-free selective classification",
        JMLR, 2010.

    Example:
        >>> risk_coverage([1.0, 2.0, 3.0, 4.0], [0, 0, 0, 1]).at(price=0.0).gain
        0.75
    """
    found = risks(scores, wrong)
    return Tradeoff(
        price=found.risk,
        gain=found.coverage,
        knob=found.level,
        price_name="errors among the accepted",
        gain_name="rows accepted",
        knob_name="threshold",
    )


def _rows(scores: Numbers, wrong: Numbers) -> tuple[np.ndarray, np.ndarray]:
    found, losses = flat("scores", scores), flat("wrong", wrong)
    if len(found) != len(losses):
        raise UsageError(
            f"scores and wrong must have one entry for each row, got {len(found)} and {len(losses)}"
        )
    if losses.min() < 0:
        raise UsageError(f"wrong must be at least 0, got {losses.min()}")
    return found, losses
