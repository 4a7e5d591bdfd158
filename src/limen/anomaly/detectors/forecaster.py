"""What comes next, by a causal network: what it does not foresee is abnormal."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from limen._core.errors import UsageError
from limen.anomaly.batches import Draws
from limen.anomaly.detectors.learned import Learned, Rows
from limen.anomaly.detectors.nets import Dilated
from limen.anomaly.detectors.protocol import Align
from limen.anomaly.series import Series
from limen.anomaly.windows import Windows, ending


@dataclass(eq=False, kw_only=True)
class Forecaster(Learned):
    """Score of a point: squared error of its forecast from the window before it, in scaled units.

    A causal temporal convolutional network learns every next point of a window from those before.
    A score belongs to one point, so `align` makes no difference; before the first point the series
    is taken to have stood still.

    Args:
        width: Channels inside.

    Reference:
        Munir, Siddiqui, Dengel, Ahmed, DeepAnT: a deep learning approach for unsupervised anomaly
        detection in time series, IEEE Access 2019; the network is of the kind of Bai, Kolter,
        Koltun, 2018.

    Example:
        >>> wave = np.sin(np.arange(300) / 5)
        >>> Forecaster(window=20, steps=5).fit(wave).decision_function(wave).shape
        (300,)
    """

    width: int = 16

    def _build(self, channels: int) -> nn.Module:
        return Dilated(channels, channels, window=self.size - 1, width=self.width)

    def _train(self, windows: Windows) -> None:
        if self.size < 2:
            raise UsageError(
                f"window must be 2 or more to forecast its last point; got {self.size}"
            )
        rows = self._rows(windows)
        draws = Draws(len(rows), self.batch, "forecaster", seed=self.seed)
        known = self.size // 2  # earlier points have too little before them

        def step(model: nn.Module, chosen: Tensor) -> dict[str, Tensor]:
            batch = rows[chosen]
            errors = (model(batch[:, :, :-1]) - batch[:, :, 1:]).square()
            return {"error": errors[:, :, known - 1 :].mean()}

        self._run(step, draws, steps=self.steps, label="learning what comes next")

    def _scored(self, series: Series, align: Align | None = None) -> Float[np.ndarray, " time"]:
        del align
        return self._by_chunks(ending(series, self.size))

    def _judged(self, rows: Rows) -> Float[Tensor, " rows"]:
        return self._errors(rows).mean(1)

    def _errors(self, rows: Rows) -> Float[Tensor, "rows channels"]:
        assert self.net is not None
        errors: Tensor = (self.net(rows[:, :, :-1])[:, :, -1] - rows[:, :, -1]).square()
        return errors

    def attribution(self, X: Any) -> Float[np.ndarray, "time channels"]:  # noqa: N803
        """Each channel's squared error.

        Args:
            X: A series with the channels of training.

        Returns:
            (time, channels), whose mean over channels is the score.
        """
        series = self._checked(X)
        windows = ending(series, self.size)
        with torch.no_grad(), self._resting():
            parts = [
                self._errors(self._rows(windows[i : i + 1024])).cpu()
                for i in range(0, len(windows), 1024)
            ]
        found: np.ndarray = torch.cat(parts).double().numpy()
        return found
