"""Pixels of no known material."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float

from limen._core.errors import UsageError
from limen.measure.moments import Moments, squared_distances, whitening
from limen.measure.threshold import Threshold
from limen.spectral.understand.channels import channels_of, in_blocks, labelled

_RIDGE = 1e-9  # of the mean variance: a channel that is dead in training says much, not all


class Unknown:
    """Flags pixels unlike every known class, and at most `alpha` of new known ones.

    The score is the smallest Mahalanobis distance to a class's mean, squared, with the covariance
    shared by the classes; higher = more unknown. The threshold is the split-conformal
    `limen.Threshold` of pixels that the classes were not fitted on, so the promise holds for pixels
    exchangeable with those: of the same scene and light.

    Args:
        alpha: Share of known pixels that may be flagged, between 0 and 1.

    Raises:
        UsageError: `alpha` out of range.

    Reference:
        Lee, Lee, Lee, Shin, A Simple Unified Framework for Detecting Out-of-Distribution Samples
        and Adversarial Attacks, NeurIPS 2018, for the score; here on encoded channels.

    Example:
        >>> draw = np.random.default_rng(0)
        >>> known = draw.normal(size=(400, 3))
        >>> found = Unknown(alpha=0.1).fit(known, np.arange(400) % 2)
        >>> found(np.array([[0.0, 0.0, 0.0], [9.0, 9.0, 9.0]])).tolist()
        [False, True]
    """

    def __init__(self, *, alpha: float = 0.05):
        self.threshold = Threshold(alpha=alpha)
        self.means: np.ndarray | None = None
        self.white: np.ndarray | None = None

    def fit(self, frames: Any, masks: Any, *, calibration: Any = None) -> "Unknown":
        """Fit classes and threshold on known pixels.

        Args:
            frames: `Counts` or (..., channel), or a list of either.
            masks: Classes on the same grid; -1 for pixels to leave out.
            calibration: A pair (frames, masks) to calibrate on; None keeps every second pixel of
                the above, which are neighbours of those fitted on: bring other recordings.

        Returns:
            self.

        Raises:
            UsageError: Other grids, pixels that do not vary within a class, a calibration that is
                no pair, or one of too few pixels for `alpha`.
        """
        x, y = labelled(frames, masks)
        if calibration is None:
            held, x, y = x[1::2], x[::2], y[::2]
        elif isinstance(calibration, list | tuple) and len(calibration) == 2:
            held = labelled(*calibration)[0]
        else:
            raise UsageError("calibration must be a pair: (frames, masks)")
        names, row = np.unique(y, return_inverse=True)
        moments = Moments.of(x, row if len(names) > 1 else None)
        within = moments.scatter / max(1, len(x) - len(names))
        self.means = moments.mean.numpy()
        self.white = whitening(within, ridge=_RIDGE).numpy()
        self.threshold.fit(self.scores(held))
        return self

    def scores(self, frame: Any) -> Float[np.ndarray, "..."]:
        """Squared distance to the nearest class; higher = more unknown.

        Args:
            frame: `Counts` or (..., channel).

        Returns:
            (...), float64.

        Raises:
            UsageError: Not fitted.
        """
        if self.means is None or self.white is None:
            raise UsageError("Unknown must be fitted first: fit(frames, masks)")
        x = channels_of(frame, count=self.means.shape[1])
        first, white = self.means[0], self.white
        away = torch.from_numpy((self.means - first) @ white)

        def least(rows: np.ndarray) -> np.ndarray:
            part = torch.from_numpy((rows - first) @ white)
            return np.asarray(squared_distances(part, away).amin(1).numpy())

        return in_blocks(x, least)

    def __call__(self, frame: Any) -> Bool[np.ndarray, "..."]:
        """Flags of a frame.

        Args:
            frame: `Counts` or (..., channel).

        Returns:
            (...), True where no known class is near.
        """
        return np.asarray(self.scores(frame) > self.threshold.level)

    def to_dict(self) -> dict[str, Any]:
        """Classes and threshold."""
        return {"means": self.means, "white": self.white, "threshold": self.threshold.to_dict()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Unknown":
        """The inverse of `to_dict`."""
        found = cls()
        found.threshold = Threshold.from_dict(data["threshold"])
        found.means, found.white = np.asarray(data["means"]), np.asarray(data["white"])
        return found
