"""A U-Net that reads encoded channels: classes of pixels without a decoded cube."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from limen._core.errors import UsageError
from limen._core.streams import seed_for, torch_stream
from limen.spectral.codec.unet import UNet
from limen.spectral.understand.channels import channels_of, paired
from limen.train.fit import fit
from limen.train.loop import Loop
from limen.train.losses import Loss
from limen.train.randomness import seeded

_IGNORED = -1
_TILE = 512  # side of what is read at once: memory stays bounded however large a frame is


class Segmenter:
    """Class of each pixel from its channels and its surroundings; called on `Counts`.

    A U-Net on standardised channels, trained by cross-entropy on crops with flips. Pixels marked -1
    teach nothing. Give it training recordings only, or training halves with a guard (`halves`): a
    test pixel's surroundings reach `reach` super-pixels.

    Args:
        classes: How many, 2 or more.
        width: Features of the U-Net's first level.
        levels: Its halvings.
        steps: Steps of Adam; the rate falls from `lr` to 0 along a cosine.
        batch: Crops a step.
        patch: Side of a crop in super-pixels.
        lr: Rate at the start.
        balanced: Weigh classes by the inverse root of their share of pixels.

    Raises:
        UsageError: A number out of range.

    Reference:
        Ronneberger, Fischer, Brox, U-Net: Convolutional Networks for Biomedical Image Segmentation,
        MICCAI 2015. That a published platform's own network is this one is not known.

    Example:
        >>> frame = np.zeros((8, 8, 2), dtype=np.float32)
        >>> frame[:, 4:, 0] = 1.0
        >>> found = Segmenter(2, width=4, levels=1, steps=30, patch=8, lr=0.01)
        >>> mask = (frame[..., 0] > 0).astype(int)
        >>> bool((found.fit([frame], [mask])(frame) == mask).mean() > 0.9)
        True
    """

    def __init__(
        self,
        classes: int,
        *,
        width: int = 16,
        levels: int = 2,
        steps: int = 400,
        batch: int = 8,
        patch: int = 32,
        lr: float = 3e-3,
        balanced: bool = True,
    ):
        if classes < 2 or min(width, levels, steps, batch, patch) < 1 or not lr > 0:
            raise UsageError(
                f"classes={classes} must be 2 or more, width={width}, levels={levels}, "
                f"steps={steps}, batch={batch}, patch={patch} 1 or more and lr={lr} above 0"
            )
        self.classes, self.balanced = classes, balanced
        self.width, self.levels, self.steps = width, levels, steps
        self.batch, self.patch, self.lr = batch, patch, lr
        self.net: UNet | None = None
        self.mean: Tensor | None = None
        self.spread: Tensor | None = None

    @property
    def reach(self) -> int:
        """How far a pixel's answer looks in each direction, in super-pixels."""
        return sum(4 * 2**level for level in range(self.levels)) + 4 * 2**self.levels

    def fit(self, frames: Any, masks: Any, *, seed: int = 0, label: str = "") -> "Segmenter":
        """Learn from frames of the training split.

        Args:
            frames: `Counts` or (y, x, channel), a list of either, or (time, y, x, channel).
            masks: Classes 0 to C - 1 on the same grid; -1 teaches nothing.
            seed: Of weights and crops.
            label: Of the progress bar; "" draws none.

        Returns:
            self.

        Raises:
            UsageError: Other grids, classes out of range, or crops with a single number left in
                the deepest level, of which nothing can be learnt.
        """
        planes, names = self._pairs(frames, masks)
        pixels = torch.cat([plane.flatten(1) for plane in planes], dim=1)
        self.mean, self.spread = pixels.mean(1), pixels.std(1, correction=0).clamp_min(1e-6)
        channels = len(self.mean)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed_for(seed, "segmenter"))
            self.net = UNet(channels, self.classes, width=self.width, levels=self.levels)
        crops = _Crops(
            [self._standard(plane) for plane in planes], names,
            batch=self.batch, patch=self.patch, seed=seed,
        )  # fmt: skip
        if self.batch == 1 and max(crops.sides) <= 2**self.levels:
            raise UsageError(
                f"crops of {crops.sides} must be larger than {2**self.levels} or batch above 1; "
                "give larger frames, or fewer levels"
            )
        weight = self._weights(names)

        def step(model: nn.Module, batch: Any) -> dict[str, Loss]:
            image, truth = batch
            taught = (truth != _IGNORED).any()
            loss = cross_entropy(model(image), truth, weight=weight, ignore_index=_IGNORED)
            return {"pixels": loss if taught else 0.0 * model(image).sum()}

        adam = torch.optim.Adam(self.net.parameters(), lr=self.lr)

        def schedule(optimizer: Any) -> Any:
            return torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, self.steps)

        with seeded(self.net, seed_for(seed, "segmenter training")):
            fit(self.net, step, crops, steps=self.steps, optimizer=adam,
                loop=Loop(schedule=schedule, label=label))  # fmt: skip
        self.net.eval()
        return self

    def logits(self, frame: Any) -> Float[np.ndarray, "y x classes"]:
        """Log-odds of the classes at each pixel; higher = likelier.

        Args:
            frame: `Counts` or (y, x, channel), of any size: large ones are read in tiles that
                overlap by `reach`, which gives what the whole would.

        Returns:
            (y, x, class).

        Raises:
            UsageError: Not fitted, or another number of channels.
        """
        plane = self._plane(frame)
        found = np.empty((*plane.shape[1:], self.classes), dtype=np.float32)
        for place, part in self._tiles(plane):
            found[place] = part.movedim(0, -1).numpy()
        return found

    def __call__(self, frame: Any) -> Int64[np.ndarray, "y x"]:
        """The likeliest class of each pixel.

        Args:
            frame: `Counts` or (y, x, channel).

        Returns:
            (y, x).
        """
        plane = self._plane(frame)
        found = np.empty(tuple(plane.shape[1:]), dtype=np.int64)
        for place, part in self._tiles(plane):
            found[place] = part.argmax(0).numpy()
        return found

    def to_dict(self) -> dict[str, Any]:
        """Settings and weights.

        Raises:
            UsageError: Not fitted.
        """
        if self.net is None:
            raise UsageError("Segmenter must be fitted before it is saved")
        names = ("width", "levels", "steps", "batch", "patch", "lr", "balanced")
        return {
            "classes": self.classes,
            "settings": {name: getattr(self, name) for name in names},
            "net": self.net.to_dict(), "mean": self.mean, "spread": self.spread,
        }  # fmt: skip

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Segmenter":
        """The inverse of `to_dict`."""
        found = cls(int(data["classes"]), **data["settings"])
        found.net = UNet.from_dict(data["net"]).eval()
        found.mean, found.spread = data["mean"], data["spread"]
        return found

    def _plane(self, frame: Any) -> Tensor:
        if self.net is None or self.mean is None:
            raise UsageError("Segmenter must be fitted first: fit(frames, masks)")
        values = channels_of(frame, count=len(self.mean))
        if values.ndim != 3 or not values.size:
            raise UsageError(f"a frame must be (y, x, channel), got {values.shape}")
        return torch.from_numpy(np.array(values, dtype=np.float32)).movedim(-1, 0)

    def _tiles(self, plane: Tensor) -> Iterator[tuple[tuple[slice, slice], Tensor]]:
        """Logits of each tile of a frame with what its answer looks at around it."""
        assert self.net is not None
        self.net.eval()
        step = 2**self.levels  # tiles begin where the whole frame's halvings do
        around = -(-self.reach // step) * step
        side = max(step, _TILE // step * step)
        height, width = plane.shape[1:]
        for y in range(0, height, side):
            for x in range(0, width, side):
                top, left = max(0, y - around), max(0, x - around)
                part = plane[:, top : y + side + around, left : x + side + around]
                with torch.no_grad():
                    out = self.net(self._standard(part)[None])[0]
                place = slice(y, min(y + side, height)), slice(x, min(x + side, width))
                yield place, out[:, y - top : place[0].stop - top, x - left : place[1].stop - left]

    def _standard(self, plane: Tensor) -> Tensor:
        assert self.mean is not None
        assert self.spread is not None
        return (plane - self.mean[:, None, None]) / self.spread[:, None, None]

    def _pairs(self, frames: Any, masks: Any) -> tuple[list[Tensor], list[Tensor]]:
        planes: list[Tensor] = []
        names: list[Tensor] = []
        for x, y in paired(frames, masks):
            if x.ndim not in (3, 4) or not x.size:
                raise UsageError(f"a frame must be (y, x, channel), got {x.shape}")
            for one, truth in zip(x, y, strict=True) if x.ndim == 4 else [(x, y)]:
                plane = torch.from_numpy(np.array(one, dtype=np.float32)).movedim(-1, 0)
                planes.append(plane.contiguous())
                names.append(torch.from_numpy(np.asarray(truth, dtype=np.int64)))
        top = max((int(y.max()) for y in names), default=-1)
        if not 0 <= top < self.classes:
            raise UsageError(
                f"masks must name classes 0 to {self.classes - 1}, or -1; the largest is {top}"
            )
        return planes, names

    def _weights(self, names: list[Tensor]) -> Tensor | None:
        if not self.balanced:
            return None
        all_ = torch.cat([y.flatten() for y in names])
        counts = torch.bincount(all_[all_ >= 0], minlength=self.classes).clamp_min(1).float()
        weight = counts.rsqrt()
        return weight / weight.mean()


class _Crops:
    """Crops at random places with random flips; batch i is a function of the seed and i."""

    def __init__(
        self, planes: list[Tensor], names: list[Tensor], *, batch: int, patch: int, seed: int
    ):
        self._planes, self._names = planes, names
        self._batch, self._seed = batch, seed
        self.sides = [min([patch, *(p.shape[axis] for p in planes)]) for axis in (1, 2)]

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor]:
        draw = torch_stream(self._seed, "segmenter crops", i)

        def below(high: int) -> int:
            return int(torch.randint(high, (1,), generator=draw))

        height, width = self.sides
        images, truths = [], []
        for _ in range(self._batch):
            n = below(len(self._planes))
            plane, name = self._planes[n], self._names[n]
            y, x = below(plane.shape[1] - height + 1), below(plane.shape[2] - width + 1)
            flips = [axis for axis in (-2, -1) if below(2)]
            images.append(plane[:, y : y + height, x : x + width].flip(flips))
            truths.append(name[y : y + height, x : x + width].flip(flips))
        return torch.stack(images), torch.stack(truths)
