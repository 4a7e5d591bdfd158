"""Residual networks for 32 x 32 pictures."""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import relu

from limen._core.errors import UsageError
from limen.ood.nets.drawn import draw, require_classes
from limen.train.randomness import undisturbed

_WIDE = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}


class ResNet(nn.Module):
    """A residual network with a 3 x 3 stem and no pooling before the last.

    18 and 34 layers have four stages of 64 to 512 channels; 8, 14, 20, ... (6 n + 2) layers have
    three stages of 16, 32 and 64.

    Args:
        depth: 18, 34, or 6 n + 2.
        classes: Outputs, 2 or more.
        channels: Of the pictures.
        seed: Of the initial weights.

    Raises:
        UsageError: A value out of range.

    Reference:
        He, Zhang, Ren, Sun, Deep Residual Learning for Image Recognition, CVPR 2016: section 4.2
        for 6 n + 2 layers (there with shortcuts by padding, here by 1 x 1 convolutions); the
        others with a stem for small pictures.

    Example:
        >>> sum(p.numel() for p in ResNet(8).parameters())
        78042
    """

    def __init__(self, depth: int, classes: int = 10, *, channels: int = 3, seed: int = 0):
        require_classes(classes)
        blocks, rest = divmod(depth - 2, 6)
        if depth not in _WIDE and (blocks < 1 or rest):
            raise UsageError(f"depth={depth} must be 18, 34, or 6 n + 2 (8, 14, 20, ...)")
        super().__init__()
        first, counts = (64, _WIDE[depth]) if depth in _WIDE else (16, (blocks,) * 3)
        with undisturbed():
            self.stem = nn.Conv2d(channels, first, 3, padding=1, bias=False)
            self.norm = nn.BatchNorm2d(first)
            stages: list[nn.Module] = []
            narrow = first
            for stage, count in enumerate(counts):
                wide = first * 2**stage
                for block in range(count):
                    stages.append(_Block(narrow, wide, 2 if stage and not block else 1))
                    narrow = wide
            self.stages = nn.Sequential(*stages)
            self.fc = nn.Linear(narrow, classes)
        draw(self, seed)

    def forward(
        self, images: Float[Tensor, "rows channels height width"]
    ) -> Float[Tensor, "rows classes"]:
        """Logits."""
        maps = self.stages(relu(self.norm(self.stem(images))))
        logits: Tensor = self.fc(maps.mean((2, 3)))
        return logits


class _Block(nn.Module):
    def __init__(self, narrow: int, wide: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(narrow, wide, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(wide)
        self.conv2 = nn.Conv2d(wide, wide, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(wide)
        self.shortcut: nn.Module | None = None
        if stride != 1 or narrow != wide:
            shrink = nn.Conv2d(narrow, wide, 1, stride, bias=False)
            self.shortcut = nn.Sequential(shrink, nn.BatchNorm2d(wide))

    def forward(self, maps: Tensor) -> Tensor:
        kept = maps if self.shortcut is None else self.shortcut(maps)
        inner = self.norm2(self.conv2(relu(self.norm1(self.conv1(maps)))))
        return relu(kept + inner)
