"""CARLA's two losses: triplets in which the hardest negative counts, and classes by neighbours."""

from jaxtyping import Float
from torch import Tensor

_TINY = 1e-12


def hardest_triplet(
    anchors: Float[Tensor, "rows width"],
    positives: Float[Tensor, "rows width"],
    negatives: Float[Tensor, "others width"],
    *,
    margin: float,
    temperature: float = 0.4,
) -> Float[Tensor, ""]:
    """`mean_i relu(margin + d(a_i, p_i) - min_j d(a_i, n_j))` with `d = ||.||^2 / temperature`.

    The minimum runs over all negatives of the batch.

    Args:
        anchors: Unit vectors of normal windows.
        positives: Unit vectors of windows near them.
        negatives: Unit vectors of abnormal windows.
        margin: By how much the nearest negative must be farther than the positive.
        temperature: Divides squared distances, so that opposite vectors are 4 / T apart.

    Returns:
        The loss; lower = better.

    Reference:
        CARLA (see `Contrastive`), as in its released code.

    Example:
        >>> import torch
        >>> a, n = torch.tensor([[1.0, 0.0]]), torch.tensor([[-1.0, 0.0]])
        >>> hardest_triplet(a, a, n, margin=1.0).item(), hardest_triplet(a, n, a, margin=1.0).item()
        (0.0, 11.0)
    """
    near = (anchors - positives).square().sum(1) / temperature
    far = (anchors[:, None] - negatives[None]).square().sum(2).amin(1) / temperature
    return (margin + near - far).relu().mean()


def next_margin(margin: float, loss: float, *, least: float = 0.01, share: float = 0.1) -> float:
    """CARLA's schedule: the margin falls by a tenth of each loss, and never rises.

    Args:
        margin: Of the step before.
        loss: Of the step before.
        least: Where it stops.
        share: Of the loss, taken from it.

    Returns:
        The next margin.

    Reference:
        CARLA (see `Contrastive`), as in its released code.

    Example:
        >>> round(next_margin(1.0, 1.0), 3), next_margin(0.02, 5.0)
        (0.9, 0.01)
    """
    return max(least, margin - share * loss)


def agreement(
    first: Float[Tensor, "rows classes"], second: Float[Tensor, "rows classes"], *, same: bool
) -> Float[Tensor, ""]:
    """Binary cross-entropy of how probable it is that two windows are of one class.

    `mean -ln(p . q)` where they should be of the same class, `mean -ln(1 - p . q)` where not.

    Args:
        first: Class probabilities p.
        second: Class probabilities q.
        same: Whether they should be of one class.

    Returns:
        The loss, at least 0.

    Reference:
        CARLA (see `Contrastive`), after Van Gansbeke et al., SCAN, ECCV 2020.

    Example:
        >>> import torch
        >>> p = torch.tensor([[1.0, 0.0]])
        >>> agreement(p, p, same=True).item()
        0.0
        >>> q = torch.tensor([[0.1, 0.9]])
        >>> round(agreement(p, q, same=True).item(), 6)
        2.302585
    """
    similar = (first * second).sum(1)
    told = similar if same else 1 - similar
    return -told.clamp(_TINY, 1.0).log().mean() + 0.0


def spread_entropy(probabilities: Float[Tensor, "rows classes"]) -> Float[Tensor, ""]:
    """Entropy of the mean class probabilities, in nats: high where all classes are used.

    Args:
        probabilities: Of a batch.

    Returns:
        From 0 to ln(classes).

    Reference:
        CARLA (see `Contrastive`), after Van Gansbeke et al., SCAN, ECCV 2020.

    Example:
        >>> import torch
        >>> round(spread_entropy(torch.full((2, 10), 0.1)).item(), 6)
        2.302585
    """
    mean = probabilities.mean(0).clamp_min(_TINY)
    return -(mean * mean.log()).sum()
