"""Softmax at a high temperature, of an input moved towards its prediction."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from limen._core.errors import UsageError
from limen.bank.network import logits_of
from limen.measure.arrays import tensor
from limen.ood.objectives.losses import full
from limen.ood.scores.msp import msp


@dataclass
class ODIN:
    """Minus the softmax of an input moved towards its class; higher = more outlying.

    `x' = x + epsilon sign(grad_x log max_k softmax(z(x) / T)_k) / std`, and the score is
    `-max_k softmax(z(x') / T)_k`. The move helps inliers more than outliers. It needs the network:
    two forward passes and one backward for each input, against one forward for the other scores.
    The network's mode and parameters are left as they are; its gradients are not touched.

    Args:
        temperature: T, above 0.
        epsilon: Length of the move in each input entry, at least 0, in the units before the inputs
            were divided by `std`.
        std: What each channel was divided by, (channels,), for inputs (rows, channels, ...).

    Attributes:
        passes: Forward passes so far.

    Raises:
        UsageError: `temperature` or `epsilon` out of range, or inputs that are no real numbers.

    Reference:
        S. Liang, Y. Li and R. Srikant, "Enhancing the reliability of out-of-distribution image
        detection in neural networks", ICLR 2018, eqs. 1 and 2. Temperature and epsilon, chosen
        there on outliers of the test, are its usual values here.

    Example:
        >>> odin = ODIN(temperature=1.0, epsilon=0.5)
        >>> score = odin(lambda x: torch.cat([x, -x], 1), torch.tensor([[1.0]]))    # x' = 1.5
        >>> round(score.item(), 6), odin.passes    # -sigmoid(3)
        (-0.952574, 2)
    """

    temperature: float = 1000.0
    epsilon: float = 0.0014
    std: tuple[float, ...] | None = None
    passes: int = field(default=0, init=False)
    sees: ClassVar[tuple[str, ...]] = ("the network and its inputs",)  # which no bank holds

    def __post_init__(self) -> None:
        if not 0 < self.temperature < float("inf") or not 0 <= self.epsilon < float("inf"):
            raise UsageError(
                f"temperature={self.temperature} must be positive and epsilon={self.epsilon} "
                "0 or more"
            )

    def __call__(
        self, model: Callable[[Tensor], Any], inputs: Shaped[Tensor, "rows ..."]
    ) -> Float[Tensor, " rows"]:
        """The scores.

        Args:
            model: From inputs to logits; its batch norms should be in evaluation mode.
            inputs: One for each row.

        Returns:
            One score for each row, in the inputs' precision, float32 at least.

        Raises:
            UsageError: Inputs that are whole numbers, inputs or logits that are not finite, or
                `std` of another length.
        """
        if not inputs.is_floating_point():
            raise UsageError(
                f"inputs must be real numbers, because ODIN moves them by {self.epsilon}; got "
                f"{inputs.dtype}: give them as the network's own layers take them, normalised"
            )
        with torch.inference_mode(mode=False), torch.enable_grad():
            tensor("inputs", inputs)
            x = inputs.detach().clone().requires_grad_()
            logits = full(self._logits(model, x))
            confidence = logits.div(self.temperature).log_softmax(1).amax(1)
            (slope,) = torch.autograd.grad(confidence.sum(), x)
        moved = x.detach() + self.epsilon * slope.sign() / self._per_channel(x)
        with torch.no_grad():
            return msp(full(self._logits(model, moved)), temperature=self.temperature)

    def _logits(self, model: Callable[[Tensor], Any], x: Tensor) -> Tensor:
        self.passes += 1
        return logits_of(model(x))

    def _per_channel(self, x: Tensor) -> Tensor:
        if self.std is None:
            return x.new_ones(())
        if x.ndim < 2 or len(self.std) != x.shape[1]:
            raise UsageError(
                f"std must have one value for each channel of inputs {tuple(x.shape)}, "
                f"got {len(self.std)}"
            )
        return x.new_tensor(self.std).view(1, -1, *([1] * (x.ndim - 2)))
