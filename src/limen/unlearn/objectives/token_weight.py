"""The family that most unlearning objectives belong to: a weight for each token's log p.

`L = (1/N) sum_ik sg[w_ik] log p_ik`, where sg stops the gradient. Through a softmax the gradient
with respect to the logit of token ik is `w_ik (1 - p_ik) / N`, so w alone tells the members apart:

    GA                 1
    WGA, SimSat        p^a
    SimImp             (1 - p)^b
    SatImp             p^a (1 - p)^b
    TNPO               2 p^b / (p^b + q^b)
    WTNPO              2 p^(b + a) / (p^b + q^b)
    TokenWeight        any function of p and q

NPO and SimNPO are cousins: their weight is one for all tokens of a row. Weights are computed from
log-probabilities, so that neither p = 0 nor p = 1 makes them anything but numbers.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from numbers import Real
from types import CodeType
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from limen._core.errors import UsageError


@dataclass(frozen=True)
class TokenWeight:
    """Gradient ascent with a weight of one's own for each token; lower is forgotten.

    `L = (1/N) sum_ik sg[w(log p_ik, log q_ik)] log p_ik`. A weight above 0 forgets the token, 0
    leaves it alone, below 0 learns it. It carries no gradient, whatever the function does.

    Args:
        weight: Function of log p and log q, (rows, tokens) each, that gives a weight for each
            token; log q is None without `needs_reference`. Run folders know it by its name.
        needs_reference: Whether it wants log q, the log-probabilities under the model before.

    Raises:
        UsageError: `weight` cannot be called or has another shape than log p, or the reference is
            missing.

    Example:
        >>> import torch
        >>> unsure = TokenWeight(lambda log_p, log_q: 4 * log_p.exp() * (1 - log_p.exp()))
        >>> half = torch.tensor([[0.5, 0.5]]).log()
        >>> round(unsure(half, torch.ones(1, 2, dtype=torch.bool)).item(), 4)
        -0.6931
    """

    weight: Callable[[Tensor, Tensor | None], Tensor]
    needs_reference: bool = field(default=False, kw_only=True)
    mean_over: ClassVar[str] = "tokens"

    def __post_init__(self) -> None:
        if not callable(self.weight):
            raise UsageError(f"weight={self.weight!r} must be a function of log p and log q")

    def __call__(
        self,
        log_p: Float[Tensor, "rows tokens"],
        mask: Bool[Tensor, "rows tokens"],
        log_q: Float[Tensor, "rows tokens"] | None = None,
    ) -> Float[Tensor, ""]:
        """The loss.

        Args:
            log_p: Log-probability of each answer token.
            mask: True at answer tokens.
            log_q: The same under the model before unlearning.

        Returns:
            The scalar loss.

        Raises:
            UsageError: `log_q` is needed and missing, or the weights have another shape.
        """
        log_q = known(log_q, "TokenWeight") if self.needs_reference else None
        weight = self.weight(log_p.detach(), log_q)
        if not isinstance(weight, Tensor) or weight.shape != log_p.shape:
            shape = tuple(getattr(weight, "shape", ())) or weight
            raise UsageError(
                f"weight must give one number for each token, a tensor {tuple(log_p.shape)}; "
                f"got {shape}"
            )
        return weighted_log_p(log_p, mask, weight)

    def __repr__(self) -> str:
        return f"TokenWeight(weight={_told(self.weight)}, needs_reference={self.needs_reference})"


def _told(function: Callable[..., object]) -> str:
    """A function's name; of one made inside another, also a digest of what it computes."""
    if isinstance(function, partial):
        return f"{_told(function.func)} of {_plain((function.args, function.keywords))}"
    name = getattr(function, "__qualname__", None) or repr(function)
    if "<" not in name or not hasattr(function, "__code__"):
        return name
    return f"{name} {hashlib.sha256(repr(_plain(function)).encode()).hexdigest()[:8]}"


def _plain(held: Any) -> Any:
    """What something is, without where it lies in memory."""
    if isinstance(held, int | float | str | bytes | None):
        return held
    if isinstance(held, tuple | list | set | frozenset):
        return [_plain(part) for part in held]
    if isinstance(held, Mapping):
        return [[_plain(name), _plain(value)] for name, value in held.items()]
    if isinstance(held, CodeType):
        return [held.co_code, held.co_names, _plain(held.co_consts)]
    if isinstance(held, Tensor | np.ndarray):
        return [str(held.dtype), held.tolist()]
    if hasattr(held, "__code__"):
        cells = [cell.cell_contents for cell in held.__closure__ or ()]
        return _plain((held.__code__, held.__defaults__, held.__kwdefaults__, cells))
    said = repr(held)
    return type(held).__qualname__ if " at 0x" in said else said


def weighted_log_p(
    log_p: Float[Tensor, "rows tokens"],
    mask: Bool[Tensor, "rows tokens"],
    weight: Float[Tensor, "rows tokens"] | float = 1.0,
) -> Float[Tensor, ""]:
    """`(1/N) sum_ik sg[w_ik] log p_ik` over the N masked tokens; going down lowers log p.

    Args:
        log_p: Log-probability of each answer token.
        mask: True at answer tokens; what stands elsewhere never counts.
        weight: w, detached here, so that it carries no gradient. A token of weight 0 adds 0, be
            its log p minus infinity.

    Returns:
        The scalar loss.
    """
    left_out = ~mask
    if isinstance(weight, Tensor):
        weight = weight.detach().masked_fill(left_out, 0.0)
        left_out = left_out | (weight == 0)
    return (weight * log_p.masked_fill(left_out, 0.0)).sum() / mask.sum().clamp(min=1)


def power(log_p: Float[Tensor, "*shape"], exponent: float) -> Float[Tensor, "*shape"]:
    """`p^exponent`, with `0^0 = 1`; small exponents see p where it underflows."""
    return (exponent * _finite(log_p)).exp()


def complement_power(log_p: Float[Tensor, "*shape"], exponent: float) -> Float[Tensor, "*shape"]:
    """`(1 - p)^exponent`, with `0^0 = 1`; exact where p is close to 1."""
    return (-torch.expm1(log_p.clamp(max=0.0))).pow(exponent)


def relative(
    log_p: Float[Tensor, "*shape"], log_q: Float[Tensor, "*shape"], beta: float
) -> Float[Tensor, "*shape"]:
    """`2 p^beta / (p^beta + q^beta)`: 1 at p = q, 2 far above q, 0 far below."""
    return 2 * torch.sigmoid(beta * (_finite(log_p) - _finite(log_q)))


def known(log_q: Tensor | None, name: str) -> Tensor:
    """The reference, for objectives that cannot do without.

    Raises:
        UsageError: It is missing.
    """
    if log_q is None:
        raise UsageError(f"{name} needs log_q, the log-probabilities of the model before")
    return log_q.detach()


def positive(**values: float) -> None:
    """Check what is divided by.

    Raises:
        UsageError: A value is no number, not above 0, or not finite.
    """
    for name, value in values.items():
        real(name, value)
        if not 0 < value < float("inf"):
            raise UsageError(f"{name}={value} must be positive and finite")


def whole(**values: object) -> None:
    """Check counts, places and seeds.

    Raises:
        UsageError: A value is not a whole number.
    """
    for name, value in values.items():
        if not isinstance(value, int) or isinstance(value, bool):
            raise UsageError(f"{name}={value!r} must be a whole number")


def not_negative(**values: float) -> None:
    """Check exponents and temperatures.

    Raises:
        UsageError: A value is no number, negative, or not finite.
    """
    for name, value in values.items():
        real(name, value)
        if not 0 <= value < float("inf"):
            raise UsageError(f"{name}={value} must be finite and not negative")


def real(name: str, value: object) -> None:
    """Check what is compared with numbers.

    Raises:
        UsageError: It is none.
    """
    if not isinstance(value, Real) or isinstance(value, bool):
        raise UsageError(f"{name}={value!r} must be a number")


def _finite(log_p: Tensor) -> Tensor:
    """Minus infinity as the lowest number, which times 0 is 0 and less itself is 0."""
    return log_p.clamp(min=torch.finfo(log_p.dtype).min)
