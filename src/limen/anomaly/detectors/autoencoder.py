"""Windows through a narrow code: what does not come back is abnormal."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from limen.anomaly.batches import Draws
from limen.anomaly.detectors.learned import Learned, Rows
from limen.anomaly.detectors.nets import AutoEncoderNet
from limen.anomaly.windows import Windows


@dataclass(eq=False, kw_only=True)
class AutoEncoder(Learned):
    """Score: mean squared error of a window that passed a narrow code, in scaled units.

    A temporal convolutional network reads the window, a linear map leaves `code` numbers of it,
    and another network rebuilds the window from them.

    Args:
        width: Channels inside.
        code: Numbers in the code.

    Reference:
        Sakurada and Yairi, Anomaly detection using autoencoders with nonlinear dimensionality
        reduction, MLSDA 2014; the network is of the kind of Bai, Kolter, Koltun, 2018.

    Example:
        >>> wave = np.sin(np.arange(300) / 5)
        >>> AutoEncoder(window=20, steps=5).fit(wave).decision_function(wave).shape
        (300,)
    """

    width: int = 16
    code: int = 8

    def _build(self, channels: int) -> nn.Module:
        return AutoEncoderNet(channels, window=self.size, width=self.width, code=self.code)

    def _train(self, windows: Windows) -> None:
        rows = self._rows(windows)
        draws = Draws(len(rows), self.batch, "autoencoder", seed=self.seed)

        def step(model: nn.Module, chosen: Tensor) -> dict[str, Tensor]:
            batch = rows[chosen]
            return {"error": (model(batch) - batch).square().mean()}

        self._run(step, draws, steps=self.steps, label="learning to rebuild windows")

    def _judged(self, rows: Rows) -> Float[Tensor, " rows"]:
        return self._errors(rows).mean(1)

    def _errors(self, rows: Rows) -> Float[Tensor, "rows channels"]:
        assert self.net is not None
        errors: Tensor = (self.net(rows) - rows).square().mean(2)
        return errors

    def _parts(self, rows: Any) -> Float[np.ndarray, "rows channels"]:
        with torch.no_grad(), self._resting():
            found: np.ndarray = self._errors(rows).cpu().double().numpy()
        return found
