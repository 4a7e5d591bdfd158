"""A policy over which rows to keep, learned by REINFORCE."""

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from limen._core.streams import torch_stream
from limen.shift.rules.pool import Pool
from limen.shift.rules.space import space

_DECAY = 0.9  # of the moving-average baseline
_ENTROPY = 0.01


class Sampler:
    """Probabilities of rows, learned from rewards of subsets.

    Args:
        pool: The rows.
        budget: The probabilities start near budget / rows.
        hidden: Units.
        start: The share kept at the start; None takes budget / rows.

    Example:
        >>> sampler = Sampler(Pool.of(np.eye(4)), 2)
        >>> sampler.keep().round(2).tolist()
        [0.5, 0.5, 0.5, 0.5]
    """

    def __init__(
        self, pool: Pool, budget: int, *, hidden: int = 32, start: float | None = None
    ) -> None:
        self.seed = pool.seed
        self.seen = torch.from_numpy(_seen(pool)).float()
        stream = torch_stream(pool.seed, "policy", "weights")
        share = budget / len(pool) if start is None else start
        share = min(max(share, 1e-3), 1 - 1e-3)
        self.first = nn.Parameter(
            torch.randn(self.seen.shape[1], hidden, generator=stream) / self.seen.shape[1] ** 0.5
        )
        self.last = nn.Parameter(torch.zeros(hidden))
        self.bias = nn.Parameter(torch.tensor(float(np.log(share / (1 - share)))))

    def logits(self) -> Tensor:
        """Of keeping each row."""
        return torch.tanh(self.seen @ self.first) @ self.last + self.bias

    def keep(self) -> Float[np.ndarray, " rows"]:
        """The probability of each row to be kept."""
        return self.logits().sigmoid().detach().double().numpy()

    def surrogate(self, kept: Tensor, advantage: float) -> Tensor:
        """What is minimised: its gradient is an unbiased estimate of minus the reward's.

        Args:
            kept: Whether each row was kept in the draw, as 0. and 1.
            advantage: The draw's reward less the baseline.

        Returns:
            A scalar.
        """
        logits = self.logits()
        taken = -nn.functional.binary_cross_entropy_with_logits(logits, kept, reduction="sum")
        return -advantage * taken

    def train(
        self,
        reward: Callable[[np.ndarray, int], float],
        steps: int,
        *,
        lr: float = 1e-3,
        entropy: float = _ENTROPY,
    ) -> Float[np.ndarray, " rows"]:
        """Learn.

        Args:
            reward: Of a subset (whether each row is kept) and the step's number.
            steps: Draws.
            lr: Of Adam.
            entropy: Weight of the entropy bonus, of the mean over rows.

        Returns:
            The probabilities.
        """
        parameters = [self.first, self.last, self.bias]
        optimizer = torch.optim.Adam(parameters, lr=lr)
        stream = torch_stream(self.seed, "policy", "draws")
        average: float | None = None
        with torch.enable_grad():
            for step in range(steps):
                kept = torch.bernoulli(self.logits().sigmoid().detach(), generator=stream)
                worth = reward(kept.bool().numpy(), step)
                average = worth if average is None else average
                aim = self.surrogate(kept, worth - average) - entropy * _entropy(self.logits())
                optimizer.zero_grad()
                aim.backward()
                optimizer.step()
                average = _DECAY * average + (1 - _DECAY) * worth
        return self.keep()


def _entropy(logits: Tensor) -> Tensor:
    """Mean over rows, in nats; largest at one half."""
    keep = logits.sigmoid()
    return nn.functional.binary_cross_entropy_with_logits(logits, keep)


def _seen(pool: Pool) -> Float[np.ndarray, "rows inputs"]:
    """What the network sees of each row."""
    parts = [space(pool.features, whiten=True).points]
    codes = [code for code in (pool.labels, pool.environments) if code is not None]
    parts += [np.eye(int(code.max()) + 1)[code] for code in codes]
    return np.concatenate(parts, 1)
