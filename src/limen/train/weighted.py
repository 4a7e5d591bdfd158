"""The ordinary combine: a weighted sum of losses."""

from collections.abc import Callable, Mapping

from torch import Tensor, nn

from limen._core.errors import UsageError, nearest
from limen.algebra.vector import ParamVector
from limen.train import ranks
from limen.train.losses import Back, Loss, in_order, is_logged
from limen.train.protocols import Share


def whole(_name: str) -> float:
    """The share of a batch that is the whole window."""
    return 1.0


class Weighted:
    """The gradient of `sum_k weight_k * loss_k`; a loss that is not named has weight 1.

    Losses given as tensors may share one graph, so their sum is back-propagated, once. Losses given
    as functions are evaluated, back-propagated and freed one by one, which needs the memory of the
    largest of them and not of their sum.

    Args:
        weights: Weight of each named loss. Weight 0 only logs it.

    Example:
        >>> import torch
        >>> x = nn.Parameter(torch.tensor(1.0))
        >>> weighted = Weighted(outlier=0.5)
        >>> weighted.begin({"x": x})
        >>> _ = weighted.backward({"inlier": 3 * x, "outlier": 4 * x})
        >>> x.grad.item()
        5.0
    """

    needs_before = False

    def __init__(self, **weights: float):
        self.weights = weights

    def begin(self, params: Mapping[str, nn.Parameter]) -> None:
        """Start of a window; nothing to prepare."""

    def backward(
        self,
        losses: dict[str, Loss],
        share: Share = whole,
        back: Callable[..., Tensor] | None = None,
    ) -> dict[str, Tensor]:
        """Add this micro-batch's gradient to `.grad`.

        Args:
            losses: Named losses; emptied, so that each graph is freed as soon as it is paid.
            share: Share of each name in the window.
            back: What turns a loss into gradient; `fit` gives its own.

        Returns:
            Value of each loss, detached.

        Raises:
            UsageError: A weight names a loss that is missing or detached.
        """
        back = back or Back()
        for name, weight in self.weights.items():
            if name not in losses or (weight and is_logged(losses[name])):
                raise UsageError(
                    f"Weighted({name}={weight}) needs a trainable loss {name!r}; the step gives "
                    f"{sorted(losses)}; nearest: {nearest(name, losses)}"
                )
        order = in_order(losses)
        graphs = [name for name in order if isinstance(losses[name], Tensor)]
        scales = {name: self.weights.get(name, 1.0) * share(name) for name in order}
        values = {}
        if len(graphs) > 1:
            values = _together({name: losses.pop(name) for name in graphs}, scales, back)
        for name in order:
            if name in losses:
                values[name] = back(losses.pop(name), scales[name])
        values.update({n: x.detach() for n, x in losses.items() if isinstance(x, Tensor)})
        return values

    def finish(self) -> dict[str, float]:
        """The sum is already in `.grad`."""
        return {}

    def updated(self, before: ParamVector | None) -> dict[str, float]:
        """Nothing to correct."""
        return {}

    def __repr__(self) -> str:
        inside = ", ".join(f"{name}={weight}" for name, weight in self.weights.items())
        return f"Weighted({inside})"


def _together(
    losses: Mapping[str, Loss], scales: Mapping[str, float], back: Callable[..., Tensor]
) -> dict[str, Tensor]:
    """Pay several graphs by one pass through what they share.

    Raises:
        UsageError: A loss is no scalar.
    """
    tensors = {name: loss for name, loss in losses.items() if isinstance(loss, Tensor)}
    for name, loss in tensors.items():
        if loss.numel() != 1:
            raise UsageError(f"loss {name!r} must be a scalar; got shape {tuple(loss.shape)}")
    everybody = ranks.world() > 1  # every process takes part in a sharded backward
    paid = [loss * scales[name] for name, loss in tensors.items() if scales[name] or everybody]
    if paid:
        back(sum(paid[1:], paid[0]), 1.0)
    return {name: loss.detach() for name, loss in tensors.items()}
