"""A convolutional network for small pictures."""

from jaxtyping import Float
from torch import Tensor, nn

from limen.ood.nets.drawn import draw, require_classes
from limen.train.randomness import undisturbed


class LeNet(nn.Module):
    """LeNet-5 in size: two convolutions, three linear layers; 61,706 parameters for 10 classes.

    With ReLU and max pooling in place of the original's; an average pool to 5 x 5 lets it take
    pictures of any size from 8 x 8.

    Args:
        classes: Outputs, 2 or more.
        channels: Of the pictures.
        seed: Of the initial weights.

    Raises:
        UsageError: Fewer than two classes.

    Reference:
        LeCun, Bottou, Bengio, Haffner, Gradient-Based Learning Applied to Document Recognition,
        Proceedings of the IEEE 1998.

    Example:
        >>> sum(p.numel() for p in LeNet(10).parameters())
        61706
    """

    def __init__(self, classes: int, *, channels: int = 1, seed: int = 0):
        require_classes(classes)
        super().__init__()
        with undisturbed():
            self.body = nn.Sequential(
                nn.Conv2d(channels, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
                nn.Conv2d(6, 16, 5, padding=2), nn.ReLU(), nn.AdaptiveAvgPool2d(5), nn.Flatten(),
                nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(),
            )  # fmt: skip
            self.fc = nn.Linear(84, classes)
        draw(self, seed)

    def forward(
        self, images: Float[Tensor, "rows channels height width"]
    ) -> Float[Tensor, "rows classes"]:
        """Logits."""
        logits: Tensor = self.fc(self.body(images))
        return logits
