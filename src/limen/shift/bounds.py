"""What the errors on the sources promise for a target, and where no promise can be made."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from limen._core.errors import UsageError
from limen.measure._numbers import Numbers, finite, numbers, row

_WHOLE = 1e-6  # how far shares may miss a sum of 1


class HullDistance(NamedTuple):
    """Distance of a distribution to the mixtures of others, and the mixture that is nearest.

    Example:
        >>> HullDistance(0.25, np.array([1.0])).distance
        0.25
    """

    distance: float
    """0 inside; in total variation at most 1."""
    weights: Float[np.ndarray, " sources"]
    """Share of each source; they sum to 1."""


def mixture_risk(risks: Numbers, weights: Numbers) -> float:
    """Risk on a target that is a mixture of the sources: the mixture of their risks, exactly.

    `R_T(h) = sum_i pi_i R_i(h)`, whatever the model and the loss, for expectation is linear in the
    distribution (of inputs and labels together). So it never exceeds the worst source's.

    Args:
        risks: Of one model on each source.
        weights: pi, at least 0, sum 1.

    Returns:
        The risk.

    Raises:
        UsageError: Weights that are no shares, or another number of them.

    Reference:
        Hull-aware reformulation; the identity is linearity of expectation.

    Example:
        >>> round(mixture_risk([0.1, 0.3], [0.75, 0.25]), 3)
        0.15
    """
    found, shares = _risks(risks), _shares("weights", weights)
    if len(found) != len(shares):
        raise UsageError(
            f"risks and weights must be one for each source, got {len(found)} and {len(shares)}"
        )
    return float(found @ shares)


def total_variation_to_hull(sources: Numbers, target: Numbers) -> HullDistance:
    """Total variation from a finite distribution to the mixtures of others; 0 = is one of them.

    `min over shares pi of 1/2 sum_a |T(a) - sum_i pi_i P_i(a)|`, by a linear program, so exactly.

    Args:
        sources: One row for each source, one column for each outcome; rows sum to 1.
        target: The target's probability of each outcome.

    Returns:
        The distance, 0 to 1, and the nearest mixture's weights.

    Raises:
        UsageError: Rows that are no distributions, or other outcomes.

    Reference:
        Hull-aware reformulation.

    Example:
        >>> total_variation_to_hull([[1, 0, 0], [0, 1, 0]], [0.25, 0.25, 0.5]).distance
        0.5
    """
    from scipy.optimize import linprog

    goal, given = _shares("target", target), finite("sources", numbers("sources", sources))
    if given.ndim != 2 or given.shape[1] != len(goal):
        raise UsageError(
            f"sources must be rows of {len(goal)} probabilities as the target's, got shape "
            f"{given.shape}"
        )
    known = np.stack([_shares(f"source {place}", one) for place, one in enumerate(given)])
    count, outcomes = known.shape
    apart = np.eye(outcomes)
    found = linprog(
        np.concatenate([np.zeros(count), np.full(outcomes, 0.5)]),
        A_ub=np.block([[known.T, -apart], [-known.T, -apart]]),
        b_ub=np.concatenate([goal, -goal]),
        A_eq=np.concatenate([np.ones(count), np.zeros(outcomes)])[None],
        b_eq=[1.0],
    )
    shares = np.maximum(found.x[:count], 0)
    shares /= shares.sum()
    return HullDistance(float(np.abs(goal - shares @ known).sum() / 2), shares)


def risk_bound(
    risks: Numbers,
    distance: float,
    *,
    weights: Numbers | None = None,
    radius: float = 1.0,
) -> float:
    """The most that the risk on a target can be, given its distance to the sources' hull.

    For losses from a class F and `D_F(P, Q)` the largest difference of an expectation over F,

        R_T(h) <= sum_i pi_i R_i(h) + D_F(T, P_pi) <= max_i R_i(h) + D_F(T, P_pi)

    for every pi, so also for the nearest one. F and the distance must belong together: total
    variation for any loss in [0, 1] (`radius` its range), the mixture gap for losses in a ball of
    the kernel's space (`radius` B of the ball), Wasserstein-1 for Lipschitz losses (`radius` the
    constant). Inside the hull the second term is 0, and the bound is `mixture_risk`.

    Args:
        risks: Of one model on each source.
        distance: To the mixture of `weights`, at least 0: `total_variation_to_hull(...).distance`
            or `mixture_gap(...).distance`.
        weights: pi of that mixture; without it the worst source counts.
        radius: Of the class of losses, at least 0.

    Returns:
        The bound; above 1 it says nothing of a loss in [0, 1].

    Raises:
        UsageError: A negative distance or radius; risks or weights out of range.

    Reference:
        Hull-aware reformulation, not the theorem of "Data mixture", arXiv 2312.16243, whose text
        was not at hand. I. Albuquerque, J. Monteiro, M. Darvishi, T. Falk and I. Mitliagkas,
        "Generalizing to unseen domains via distribution matching", arXiv 1911.00804, add the
        largest divergence between sources; with the nearest mixture's weights it is not needed.

    Example:
        >>> round(risk_bound([0.1, 0.3], 0.05, weights=[0.5, 0.5]), 3), risk_bound([0.1, 0.3], 0.0)
        (0.25, 0.3)
    """
    if not 0 <= distance < np.inf or not 0 <= radius < np.inf:
        raise UsageError(
            f"distance and radius must be at least 0 and finite, got {distance} and {radius}"
        )
    base = float(_risks(risks).max()) if weights is None else mixture_risk(risks, weights)
    return base + radius * float(distance)


def sample_margin(
    sizes: Numbers, *, delta: float = 0.05, complexity: Numbers = 0.0
) -> Float[np.ndarray, " sources"]:
    """How much a risk measured on each source must be raised to hold for all at once.

    With probability 1 - delta, for every model of the class and every one of k sources,

        R_i(h) <= measured_i(h) + 2 Rad_i + sqrt(log(k / delta) / (2 n_i)),

    for losses in [0, 1]. Of a model fixed before the rows were seen, Rad is 0. The terms go to
    `risk_bound` with the measured risks.

    Args:
        sizes: n_i, rows of each source, at least 1.
        delta: Between 0 and 1.
        complexity: Rademacher complexity of the losses at n_i rows, at least 0.

    Returns:
        One margin for each source.

    Raises:
        UsageError: A size below 1, a negative complexity, or delta out of range.

    Reference:
        P. Bartlett and S. Mendelson, "Rademacher and Gaussian complexities", JMLR 2002, theorem 8,
        in the form of two Rademacher terms; Hoeffding's inequality over k sources.

    Example:
        >>> sample_margin([100, 400], delta=0.1).round(4)    # sqrt(log 20 / 200), and half of it
        array([0.1224, 0.0612])
    """
    n, rad = row("sizes", sizes), finite("complexity", numbers("complexity", complexity))
    if (n < 1).any() or (rad < 0).any() or not 0 < delta < 1:
        raise UsageError(
            f"sizes must be 1 or more, complexity 0 or more and delta between 0 and 1, got sizes "
            f"from {n.min():g}, complexity from {rad.min():g}, delta={delta}"
        )
    return np.asarray(2 * rad + np.sqrt(np.log(len(n) / delta) / (2 * n)))


def unseen_mass(sources: Numbers, target: Numbers) -> float:
    """Share of the target where no source has any mass; nothing can be promised there.

    With this tau: for each model there are labels equal to the sources' wherever they have mass
    under which its error on the target is tau at least: the wrong label elsewhere. More rows of the
    same sources change nothing about it.

    Args:
        sources: One row for each source, one column for each outcome; rows sum to 1.
        target: The target's probability of each outcome.

    Returns:
        tau, 0 to 1.

    Raises:
        UsageError: Rows that are no distributions, or other outcomes.

    Reference:
        Hull-aware reformulation.

    Example:
        >>> unseen_mass([[0.5, 0.5, 0], [1, 0, 0]], [0.25, 0.25, 0.5])
        0.5
    """
    goal, known = _shares("target", target), finite("sources", numbers("sources", sources))
    if known.ndim != 2 or known.shape[1] != len(goal):
        raise UsageError(
            f"sources must be rows of {len(goal)} probabilities as the target's, got shape "
            f"{known.shape}"
        )
    for place, one in enumerate(known):
        _shares(f"source {place}", one)
    return float(goal[(known <= 0).all(0)].sum())


def _risks(risks: Numbers) -> np.ndarray:
    found = row("risks", risks)
    if (found < 0).any():
        raise UsageError(f"risks must be at least 0, got {found.min():g}")
    return found


def _shares(name: str, values: Numbers) -> np.ndarray:
    found = row(name, values)
    if (found < 0).any() or abs(found.sum() - 1) > _WHOLE:
        raise UsageError(
            f"{name} must be at least 0 and sum to 1, got a sum of {found.sum():g} and "
            f"{found.min():g} at the least"
        )
    return found
