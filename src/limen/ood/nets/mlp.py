"""A network for rows of numbers."""

from collections.abc import Sequence
from itertools import pairwise

from jaxtyping import Float
from torch import Tensor, nn

from limen._core.errors import UsageError
from limen.ood.nets.drawn import draw, require_classes
from limen.train.randomness import undisturbed


class MLP(nn.Module):
    """Linear layers with a norm and ReLU behind each, then the head.

    Args:
        inputs: Columns of a row; pictures are flattened.
        classes: Outputs, 2 or more.
        widths: Of the hidden layers.
        norm: "batch", "layer" (no row knows of another), or "none".
        dropout: Share of hidden units dropped in training, 0 to below 1.
        seed: Of the initial weights.

    Raises:
        UsageError: A value out of range.

    Example:
        >>> sum(p.numel() for p in MLP(64, 6).parameters())  # 128 (64 + 2 x 128 + 6 + 6) + 6
        42502
    """

    def __init__(
        self,
        inputs: int,
        classes: int,
        *,
        widths: Sequence[int] = (128, 128, 128),
        norm: str = "batch",
        dropout: float = 0.0,
        seed: int = 0,
    ):
        require_classes(classes)
        norms = {"batch": nn.BatchNorm1d, "layer": nn.LayerNorm, "none": None}
        if norm not in norms:
            raise UsageError(f"norm={norm!r} must be one of {', '.join(norms)}")
        sizes = [inputs, *widths]
        if min(sizes) < 1 or not 0 <= dropout < 1:
            raise UsageError(
                f"inputs={inputs} and widths={tuple(widths)} must be at least 1, and "
                f"dropout={dropout} in 0 to below 1"
            )
        super().__init__()
        kind = norms[norm]
        layers: list[nn.Module] = [nn.Flatten()]
        with undisturbed():
            for narrow, wide in pairwise(sizes):
                layers += [nn.Linear(narrow, wide, bias=kind is None)]
                layers += [] if kind is None else [kind(wide)]
                layers += [nn.ReLU(), nn.Dropout(dropout)]
            self.body = nn.Sequential(*layers)
            self.fc = nn.Linear(sizes[-1], classes)
        draw(self, seed)

    def forward(self, rows: Float[Tensor, "rows ..."]) -> Float[Tensor, "rows classes"]:
        """Logits."""
        logits: Tensor = self.fc(self.body(rows))
        return logits
