"""Normal windows against made anomalies, as a plain classification."""

from dataclasses import KW_ONLY, dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from limen.anomaly.batches import Draws
from limen.anomaly.detectors.learned import Rows, drawn
from limen.anomaly.detectors.nets import ResNetTime
from limen.anomaly.detectors.taught import Taught
from limen.anomaly.windows import Windows


@dataclass(eq=False)
class Classifier(Taught):
    """Score: log-odds that a window was made abnormal; the simplest use of a maker.

    Half of each batch are training windows, half are the same ones made abnormal anew.

    Args:
        maker: Makes the anomalies; of one that is not fitted a copy is fitted on the same series,
            anew at each `fit`. None is `CARLA`, rules.
        width: Of the encoder.

    Example:
        >>> import numpy as np
        >>> from limen.anomaly.synth.spike import Spike
        >>> wave = np.sin(np.arange(400) / 5)
        >>> found = Classifier(Spike(window=20), steps=5).fit(wave)
        >>> found.decision_function(wave).shape
        (400,)
    """

    maker: Any = None
    _: KW_ONLY
    width: int = 8

    def _build(self, channels: int) -> nn.Module:
        encoder = ResNetTime(channels, width=self.width)
        return nn.Sequential(encoder, nn.Linear(encoder.features, 1), nn.Flatten(0))

    def _train(self, windows: Windows) -> None:
        draws = Draws(len(windows), self.batch // 2, "classifier", seed=self.seed)

        class Both:
            def __getitem__(_, i: int) -> tuple[Rows, Rows]:  # noqa: N805
                normal = windows[draws[i].numpy()]
                made = self.made.disturb(normal, stream=drawn(self.seed, "classifier", i)).windows
                return self._rows(normal), self._rows(made)

        def step(model: nn.Module, batch: tuple[Rows, Rows]) -> dict[str, Tensor]:
            told = model(torch.cat(batch))
            truth = torch.cat([told.new_zeros(len(batch[0])), told.new_ones(len(batch[1]))])
            return {"classes": binary_cross_entropy_with_logits(told, truth)}

        self._run(step, Both(), steps=self.steps, label="learning what was made")

    def _judged(self, rows: Rows) -> Float[Tensor, " rows"]:
        assert self.net is not None
        odds: Tensor = self.net(rows)
        return odds
