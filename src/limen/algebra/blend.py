"""Weights between two checkpoints."""

from collections.abc import Mapping

import torch
from torch import Tensor

from limen._core.errors import UsageError
from limen.algebra.vector import ParamVector


def blend(before: Mapping[str, Tensor], after: Mapping[str, Tensor], weight: float) -> ParamVector:
    """`(1 - weight) * before + weight * after`, exact at both ends.

    Mixed in float32 (float64 stays float64) and cast once: mixed in bfloat16 a small difference
    would round away. Two equal checkpoints blend to themselves.

    Args:
        before: Named tensors at weight 0.
        after: Named tensors at weight 1; same names and shapes.
        weight: Share of `after`, in [0, 1].

    Returns:
        A new vector in the dtype of `before`.

    Raises:
        UsageError: `weight` lies outside [0, 1], or the names differ.

    Reference:
        Model mixing: Wang et al., Towards Effective Evaluations and Comparisons for LLM Unlearning
        Methods, ICLR 2025; also Wortsman et al., Robust fine-tuning of zero-shot models, CVPR 2022.

    Example:
        >>> blend({"w": torch.tensor([0.0])}, {"w": torch.tensor([4.0])}, 0.25)["w"].item()
        1.0
    """
    if not 0 <= weight <= 1:
        raise UsageError(f"weight={weight} must lie in [0, 1]")
    if before.keys() != after.keys():
        odd = sorted(before.keys() ^ after.keys())[:3]
        raise UsageError(f"both checkpoints must name the same tensors; only one has {odd}")
    return ParamVector({name: _mixed(before[name], after[name], weight) for name in before})


def _mixed(a: Tensor, b: Tensor, weight: float) -> Tensor:
    if not a.is_floating_point() and not a.is_complex():
        return a.clone()
    wide = torch.promote_types(a.dtype, torch.float32)
    return torch.lerp(a.detach().to(wide), b.detach().to(wide), weight).to(a.dtype)
