"""What a real camera must be told: its dark and flat frames, its bad pixels, its response."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from limen._core.errors import UsageError


@dataclass(frozen=True, eq=False)
class Calibration:
    """(DN - dark) / (flat - dark) for each pixel, and bad pixels from their good neighbours.

    Args:
        dark: Mean frame with the lid on.
        flat: Mean frame of a white target.
        bad: True where a pixel is not to be trusted; added to it are pixels whose flat is not
            above their dark.

    Raises:
        UsageError: Frames of different shapes or not finite, or no good pixel.

    Example:
        >>> calibration = Calibration(np.full((1, 2), 10.0), np.array([[20.0, 10.0]]))
        >>> calibration(np.array([[15.0, 99.0]])).tolist()  # the second pixel is dead
        [[0.5, 0.5]]
    """

    dark: Float[np.ndarray, "y x"]
    flat: Float[np.ndarray, "y x"]
    bad: Bool[np.ndarray, "y x"] | None = None

    def __post_init__(self) -> None:
        shapes = {frame.shape for frame in (self.dark, self.flat, self.bad) if frame is not None}
        if len(shapes) != 1 or not np.isfinite(self.dark + self.flat).all():
            raise UsageError(
                f"dark, flat and bad must be finite and of one shape, got {sorted(shapes)}; "
                "take them with one camera"
            )
        dead = self.flat <= self.dark
        bad = dead if self.bad is None else self.bad | dead
        if bad.all():
            raise UsageError("flat must exceed dark somewhere, got no good pixel; take them again")
        object.__setattr__(self, "bad", bad)

    def __call__(self, frame: Any) -> Float[np.ndarray, "*lead y x"]:
        """Light relative to white.

        Args:
            frame: Digital numbers (..., y, x).

        Returns:
            Float64, 0 for dark and 1 for white.

        Raises:
            UsageError: A frame of another size.
        """
        assert self.bad is not None
        if np.shape(frame)[-2:] != self.dark.shape:
            raise UsageError(
                f"frame must be {self.dark.shape} as the dark and flat ones, got {np.shape(frame)}"
            )
        span = np.where(self.bad, 1.0, self.flat - self.dark)
        relative = (np.asarray(frame, dtype=np.float64) - self.dark) / span
        if not self.bad.any():
            return relative
        from scipy.ndimage import distance_transform_edt

        nearest = distance_transform_edt(self.bad, return_distances=False, return_indices=True)
        return relative[..., nearest[0], nearest[1]]

    def to_dict(self) -> dict[str, Any]:
        """All frames."""
        return {"dark": self.dark, "flat": self.flat, "bad": self.bad}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Calibration":
        """The inverse of `to_dict`."""
        return cls(data["dark"], data["flat"], data["bad"])


def recover_response(
    spectra: Float[np.ndarray, "samples bands"],
    signals: Float[np.ndarray, "samples channels"],
    *,
    smooth: float = 1e-6,
) -> Float[np.ndarray, "channels bands"]:
    """The encoding matrix of a real camera from targets of known spectra.

    min ||S - X A^T||^2 + alpha ||D A^T||^2 with A >= 0 and D the second difference over bands;
    alpha = smooth times the mean of diag X^T X. There are always fewer targets than would fix
    every band, and smoothness decides what they leave open.

    Args:
        spectra: What was shown, one row a target.
        signals: What came out, in units of light.
        smooth: Weight of smoothness, above 0.

    Returns:
        The matrix, none of it negative.

    Raises:
        UsageError: Different numbers of targets, fewer than 3 bands, numbers that are not finite,
            or a smooth that is not positive.

    Example:
        >>> shown = np.eye(4)
        >>> recover_response(shown, shown @ np.array([[1.0], [2.0], [3.0], [4.0]])).round(3)
        array([[1., 2., 3., 4.]])
    """
    from scipy.optimize import nnls

    if len(spectra) != len(signals) or spectra.shape[1] < 3 or not smooth > 0:
        raise UsageError(
            f"spectra and signals must have a row for each target, 3 bands or more, and smooth be "
            f"above 0; got {spectra.shape}, {signals.shape} and {smooth}; mend them"
        )
    if not (np.isfinite(spectra).all() and np.isfinite(signals).all()):
        raise UsageError("spectra and signals must be finite, got NaN or infinity; mask those rows")
    bands = spectra.shape[1]
    second = np.diff(np.eye(bands), n=2, axis=0)
    alpha = smooth * np.square(spectra).sum() / bands
    system = np.concatenate([spectra, np.sqrt(alpha) * second])
    zeros = np.zeros(len(second))
    rows = [nnls(system, np.concatenate([signal, zeros]))[0] for signal in signals.T]
    return np.stack(rows)
