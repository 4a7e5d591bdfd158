"""CARLA, corrected: windows beside made anomalies, then classes by true neighbours."""

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import normalize

from limen._core.errors import UsageError
from limen.anomaly.batches import Draws, Kept
from limen.anomaly.detectors.contrastive_losses import (
    agreement,
    hardest_triplet,
    next_margin,
    spread_entropy,
)
from limen.anomaly.detectors.learned import Rows, drawn
from limen.anomaly.detectors.neighbours import Neighbours, neighbours
from limen.anomaly.detectors.nets import ResNetTime
from limen.anomaly.detectors.taught import Taught
from limen.anomaly.windows import Windows

_PAST = 10  # windows before an anchor that may be its positive
_NOISE = 0.01


class ContrastiveNet(nn.Module):
    """Encoder with two heads: unit vectors for triplets, and class logits.

    Args:
        channels: Of the series.
        width: Of the encoder.
        code: Numbers in a unit vector.
        classes: How many.

    Example:
        >>> code, logits = ContrastiveNet(2, width=4, code=4, classes=10)(torch.zeros(3, 2, 16))
        >>> tuple(code.shape), tuple(logits.shape)
        ((3, 4), (3, 10))
    """

    def __init__(self, channels: int, *, width: int, code: int, classes: int):
        super().__init__()
        self.encoder = ResNetTime(channels, width=width)
        inside = self.encoder.features
        self.head = nn.Sequential(nn.Linear(inside, inside), nn.ReLU(), nn.Linear(inside, code))
        self.classes = nn.Linear(inside, classes)

    def forward(self, rows: Rows) -> tuple[Tensor, Tensor]:
        """Unit vectors, and class logits."""
        features = self.encoder(rows)
        return normalize(self.head(features), dim=1), self.classes(features)


@dataclass(eq=False)
class Contrastive(Taught):
    """CARLA with its released code's faults put right, and any maker of anomalies.

    First the network learns that a window is nearer to one of the ten just before it in its series,
    `stride` points apart whether trained on or not, than to the nearest made anomaly
    (`hardest_triplet`, with a margin that falls); the first eleven windows of a series are paired
    with themselves and a little noise. Then all windows and their
    anomalies are looked up among each other, and a head learns classes in which true nearest
    neighbours agree and furthest ones do not, spread over all classes. A window's score is
    1 - p(c*), with c* the class of most training windows: from 0 to 1.

    What differs from the released code, each by name where it is a choice: neighbours are the true
    ones (there they are by rank of the distance to one random vector); windows are transposed, not
    reinterpreted; anomalies are made anew in each epoch (`refresh=False`: once); furthest
    neighbours count (`inconsistency=0.0`: they do not, as its settings have it); the neighbour is
    drawn anew for each batch; c* is counted over normal windows, not over the bank; no label
    chooses an epoch or a threshold; both stages follow a cosine, with AdamW, gradients clipped at 1
    and no weight decay (there stage two has 1e-3); batches are of 64 (there 50); anomalies are made
    in the data's unit by a maker, z-scoring comes after.

    Args:
        maker: Makes the anomalies, e.g. `GenIAS(window=100)`; of one that is not fitted a copy is
            fitted on the same series, anew at each `fit`. None is `CARLA`, its authors' rules.
        epochs: Of the first stage, of `windows // batch` batches each; `steps` counts all batches
            of the second.
        classes: How many.
        nearest: Neighbours, of which one is drawn.
        negatives: Made anomalies for each window.
        refresh: Make anomalies anew for each epoch of the first stage.
        inconsistency: Weight of the furthest neighbours.
        entropy: Weight of the spread over classes.
        width: Of the encoder.
        code: Numbers in a unit vector.
        temperature: Of the triplets.

    Reference:
        Zamanzadeh Darban, Webb, Pan, Aggarwal, Salehi, CARLA: Self-supervised contrastive
        representation learning for time series anomaly detection, Pattern Recognition 157, 2025,
        arXiv 2308.09296.

    Example:
        >>> import numpy as np
        >>> from limen.anomaly.synth.spike import Spike
        >>> wave = np.sin(np.arange(400) / 5)
        >>> found = Contrastive(Spike(window=20), epochs=1, steps=5).fit(wave)
        >>> found.decision_function(wave).shape
        (400,)
    """

    maker: Any = None
    _: KW_ONLY
    epochs: int = 10
    classes: int = 10
    nearest: int = 5
    negatives: int = 1
    refresh: bool = True
    inconsistency: float = 1.0
    entropy: float = 2.0
    width: int = 4
    code: int = 4
    temperature: float = 0.4
    usual: int = field(default=0, init=False, repr=False)

    def _build(self, channels: int) -> nn.Module:
        return ContrastiveNet(channels, width=self.width, code=self.code, classes=self.classes)

    def _training_windows(self, series: list[np.ndarray]) -> Windows:
        self._places = self._kept(series)
        return self._places.windows()

    def _train(self, windows: Windows) -> None:
        if self.epochs < 1 or self.negatives < 1 or self.classes < 2:
            raise UsageError("epochs and negatives must be 1 or more, classes 2 or more")
        pairs = _Pairs(self, windows, self._places)
        del self._places  # it holds the whole series
        self._run(
            _Triplets(self.temperature), pairs,
            steps=self.epochs * pairs.draws.epoch, label="telling apart",
        )  # fmt: skip
        bank = torch.cat([pairs.anchors, *pairs.negatives(0)])
        found = neighbours(self._features(bank), min(self.nearest, len(bank) - 1))
        self._run(
            _Classes(self.inconsistency, self.entropy), _Groups(self, bank, found),
            steps=self.steps, label="finding classes", rate=10 * self.rate,
        )  # fmt: skip
        self.usual = int(self._classes(pairs.anchors).mode().values)

    def _features(self, rows: Rows) -> Tensor:
        assert isinstance(self.net, ContrastiveNet)
        with torch.no_grad(), self._resting():
            return torch.cat([self.net.encoder(part) for part in rows.split(1024)])

    def _classes(self, rows: Rows) -> Int[Tensor, " rows"]:
        assert self.net is not None
        with torch.no_grad(), self._resting():
            return torch.cat([self.net(part)[1].argmax(1) for part in rows.split(1024)])

    def _judged(self, rows: Rows) -> Float[Tensor, " rows"]:
        assert self.net is not None
        scores: Tensor = 1 - self.net(rows)[1].softmax(1)[:, self.usual]
        return scores

    def _state(self) -> dict[str, Any]:
        return {**super()._state(), "usual": self.usual}

    def _restore(self, state: Mapping[str, Any]) -> None:
        super()._restore(state)
        self.usual = state["usual"]


class _Pairs:
    """Batches of anchors, positives and negatives, scaled; batch i depends on the seed and i."""

    def __init__(self, detector: Contrastive, windows: Windows, places: Kept):
        self.detector, self.windows, self.places = detector, windows, places
        self.anchors = detector._rows(windows)
        self.draws = Draws(len(windows), detector.batch, "anchors", seed=detector.seed)
        self._made: tuple[int, list[Rows]] = (-1, [])

    def negatives(self, epoch: int) -> list[Rows]:
        """Made anomalies of every window, `negatives` times."""
        epoch = epoch if self.detector.refresh else 0
        if self._made[0] != epoch:
            made = [
                self.detector.made.disturb(
                    self.windows, stream=drawn(self.detector.seed, "negatives", epoch, number)
                ).windows
                for number in range(self.detector.negatives)
            ]
            self._made = (epoch, [self.detector._rows(one) for one in made])
        return self._made[1]

    def __getitem__(self, i: int) -> tuple[Rows, Rows, Rows]:
        rows, stream = self.draws[i], drawn(self.detector.seed, "positives", i)
        chosen, back = rows.numpy(), stream.integers(1, _PAST + 1, size=len(rows))
        early = self.places.rows[chosen] <= _PAST
        positives = self.detector._rows(self.places.earlier(chosen, np.where(early, 0, back)))
        noise = torch.from_numpy(stream.normal(0, _NOISE, size=positives[early].shape))
        positives[early] += noise.to(positives)
        negatives = torch.cat([one[rows] for one in self.negatives(i // self.draws.epoch)])
        return self.anchors[rows], positives, negatives


class _Triplets:
    """The first stage's step; its margin falls with the loss and travels in checkpoints."""

    def __init__(self, temperature: float):
        self.temperature, self.margin, self._last = temperature, 1.0, 0.0

    def __call__(self, model: nn.Module, batch: tuple[Rows, Rows, Rows]) -> dict[str, Tensor]:
        self.margin = next_margin(self.margin, self._last)
        count = len(batch[0])
        codes = model(torch.cat(batch))[0]
        loss = hardest_triplet(
            codes[:count], codes[count : 2 * count], codes[2 * count :],
            margin=self.margin, temperature=self.temperature,
        )  # fmt: skip
        self._last = loss.item()
        return {"triplet": loss}

    def state_dict(self) -> dict[str, float]:
        return {"margin": self.margin, "last": self._last}

    def load_state_dict(self, state: Mapping[str, float]) -> None:
        self.margin, self._last = state["margin"], state["last"]


class _Groups:
    """Batches of windows with one near and one far neighbour each."""

    def __init__(self, detector: Contrastive, bank: Rows, found: Neighbours):
        self.bank, self.found, self.seed = bank, found, detector.seed
        self.draws = Draws(len(bank), detector.batch, "classes", seed=detector.seed)

    def __getitem__(self, i: int) -> tuple[Rows, Rows, Rows]:
        rows, stream = self.draws[i], drawn(self.seed, "neighbours", i)
        chosen = [
            which.cpu()[rows, torch.from_numpy(stream.integers(which.shape[1], size=len(rows)))]
            for which in self.found
        ]
        return self.bank[rows], self.bank[chosen[0]], self.bank[chosen[1]]


class _Classes:
    """The second stage's step."""

    def __init__(self, inconsistency: float, entropy: float):
        self.inconsistency, self.entropy = inconsistency, entropy

    def __call__(self, model: nn.Module, batch: tuple[Rows, Rows, Rows]) -> dict[str, Tensor]:
        count = len(batch[0])
        told = model(torch.cat(batch))[1].softmax(1)
        own, near, far = told[:count], told[count : 2 * count], told[2 * count :]
        losses = {
            "consistency": agreement(own, near, same=True),
            "entropy": -self.entropy * spread_entropy(own),
        }
        if self.inconsistency:
            losses["inconsistency"] = self.inconsistency * agreement(own, far, same=False)
        return losses
