"""Wide residual networks for 32 x 32 pictures."""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import dropout, relu

from limen._core.errors import UsageError
from limen.ood.nets.drawn import draw, require_classes
from limen.train.randomness import undisturbed


class WRN(nn.Module):
    """A wide residual network of `depth` layers, three stages 16, 32, 64 channels x `widen`.

    Norm and ReLU stand before each convolution; where a block changes the number of channels,
    they feed its shortcut too. Features are the last ReLU's output, averaged over the picture.

    Args:
        depth: 6 n + 4: 10, 16, 22, 28, 34, 40.
        widen: Factor of the channels.
        classes: Outputs, 2 or more.
        channels: Of the pictures.
        dropout: Share of units dropped inside each block in training, 0 to below 1; 0.3 is usual.
        seed: Of the initial weights.

    Raises:
        UsageError: A value out of range.

    Reference:
        Zagoruyko, Komodakis, Wide Residual Networks, BMVC 2016.

    Example:
        >>> sum(p.numel() for p in WRN(40, 2).parameters())
        2243546
    """

    def __init__(
        self,
        depth: int,
        widen: int,
        classes: int = 10,
        *,
        channels: int = 3,
        dropout: float = 0.0,
        seed: int = 0,
    ):
        require_classes(classes)
        blocks, rest = divmod(depth - 4, 6)
        if blocks < 1 or rest or widen < 1 or not 0 <= dropout < 1:
            raise UsageError(
                f"depth={depth} must be 6 n + 4 (10, 16, ..., 40), widen={widen} at least 1, "
                f"dropout={dropout} in 0 to below 1"
            )
        super().__init__()
        with undisturbed():
            self.stem = nn.Conv2d(channels, 16, 3, padding=1, bias=False)
            stages: list[nn.Module] = []
            narrow = 16
            for stage, stride in enumerate((1, 2, 2)):
                wide = 16 * 2**stage * widen
                for block in range(blocks):
                    step = 1 if block else stride
                    stages.append(_Block(narrow, wide, stride=step, dropped=dropout))
                    narrow = wide
            self.stages = nn.Sequential(*stages)
            self.norm = nn.BatchNorm2d(narrow)
            self.fc = nn.Linear(narrow, classes)
        draw(self, seed)

    def forward(
        self, images: Float[Tensor, "rows channels height width"]
    ) -> Float[Tensor, "rows classes"]:
        """Logits."""
        maps = relu(self.norm(self.stages(self.stem(images))))
        logits: Tensor = self.fc(maps.mean((2, 3)))
        return logits


class _Block(nn.Module):
    def __init__(self, narrow: int, wide: int, *, stride: int, dropped: float):
        super().__init__()
        self.dropped = dropped
        self.norm1 = nn.BatchNorm2d(narrow)
        self.conv1 = nn.Conv2d(narrow, wide, 3, stride, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(wide)
        self.conv2 = nn.Conv2d(wide, wide, 3, 1, 1, bias=False)
        same = narrow == wide and stride == 1
        self.shortcut = None if same else nn.Conv2d(narrow, wide, 1, stride, bias=False)

    def forward(self, maps: Tensor) -> Tensor:
        ready = relu(self.norm1(maps))
        kept = maps if self.shortcut is None else self.shortcut(ready)
        inner = dropout(relu(self.norm2(self.conv1(ready))), self.dropped, self.training)
        added: Tensor = kept + self.conv2(inner)
        return added
