"""What a trick must know of the objective that it changes."""

from typing import Any

from jaxtyping import Int64
from torch import Tensor

from limen._core.errors import UsageError


def require_loss(name: str, loss: Any) -> None:
    """Refuse what is no objective: its name, its class, or anything else.

    Raises:
        UsageError: So it is.
    """
    if isinstance(loss, type):
        raise UsageError(f"{name}={loss.__name__} must be an object; write {loss.__name__}()")
    if not callable(loss) or not hasattr(loss, "needs_reference"):
        raise UsageError(f"{name}={loss!r} must be an objective, as GA() is")


def changeable(trick: str, objective: Any, sights: tuple[str, ...] = ("answers",)) -> None:
    """Refuse an objective that is not shown log-probabilities.

    Raises:
        UsageError: So it is, or it is no objective.
    """
    sees = getattr(objective, "sees", None)
    if sees is None:
        require_loss("objective", objective)
    elif sees not in sights:
        raise UsageError(
            f"{trick} needs an objective that sees {' or '.join(sights)}, as GA() does; "
            f"got {objective!r}"
        )


def counted(objective: Any, lengths: Int64[Tensor, " rows"]) -> float:
    """Tokens or rows that the objective's mean runs over, in rows of so many answer tokens."""
    if hasattr(objective, "counted"):
        return float(objective.counted(lengths))
    return float(len(lengths) if objective.mean_over == "rows" else lengths.sum())
