"""How near decoded spectra come to the true ones."""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from jaxtyping import Float

from limen._core.errors import UsageError
from limen.report.table import Cell, Table

_SIDE, _WIDTH = 11, 1.5  # of the window of SSIM, as published


@dataclass(frozen=True)
class SpectralScores:
    """Errors of decoded spectra, with the split and the constants that they depend on.

    Attributes:
        rmse: Root of the mean squared error over all values; lower = better.
        psnr: 10 log10(peak^2 / MSE) in dB; higher = better, infinite without error.
        mrae: Mean of abs(decoded - true) / max(true, floor); lower = better.
        angle: Mean angle between decoded and true spectra (SAM) in degrees; lower = better. NaN
            where no pixel has light in both.
        ssim: Structural similarity, a mean over bands and pixels; higher = better, at most 1. NaN
            for frames smaller than its window of 11.
        peak: What PSNR and SSIM take as the largest value.
        floor: Where `mrae` stops dividing by smaller truths.
        split: What the pixels were.

    Example:
        >>> told = spectral_scores(np.full((1, 1, 2), 0.4), np.full((1, 1, 2), 0.5), split="test")
        >>> round(told.rmse, 6), round(told.mrae, 6), round(told.psnr, 2)   # 20 log10(0.5 / 0.1)
        (0.1, 0.2, 13.98)
    """

    rmse: float
    psnr: float
    mrae: float
    angle: float
    ssim: float
    peak: float
    floor: float
    split: str

    def table(self) -> Table:
        """The five scores; the protocol names the split, the peak and the floor."""
        rows: list[list[Cell]] = [
            ["RMSE", self.rmse, "lower"], ["PSNR [dB]", self.psnr, "higher"],
            ["MRAE", self.mrae, "lower"], ["angle [degrees]", self.angle, "lower"],
            ["SSIM", self.ssim, "higher"],
        ]  # fmt: skip
        return Table(
            ["score", "mean", "better"], rows, title="Spectra decoded",
            protocol=f"Split: {self.split}. Peak {self.peak:g}; MRAE divides by no less than "
            f"{self.floor:g}.",
        )  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """Everything, JSON-safe where finite."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def spectral_scores(
    decoded: Any,
    truth: Any,
    *,
    split: str,
    peak: float | None = None,
    floor: float = 1e-3,
) -> SpectralScores:
    """Compare decoded cubes with true ones: RMSE, PSNR, MRAE, spectral angle and SSIM.

    Args:
        decoded: (..., y, x, band), as it was decoded: nothing is clipped.
        truth: The same shape, not negative.
        split: What these pixels are, such as "lower half": training pixels flatter.
        peak: Largest value for PSNR and SSIM, such as 1.0 for reflectance; None takes the largest
            of `truth`, so that figures of different scenes do not compare.
        floor: MRAE divides by no smaller truth, above 0: without one, dark values are all of it.

    Returns:
        The scores.

    Raises:
        UsageError: Other shapes, values not finite, a negative truth, no split, or a peak or floor
            not above 0.

    Reference:
        Wang, Bovik, Sheikh, Simoncelli, "Image Quality Assessment: From Error Visibility to
        Structural Similarity", IEEE Transactions on Image Processing, 2004, for SSIM: a Gaussian
        window of 11 with a width of 1.5, K1 = 0.01, K2 = 0.03, where the window lies inside.

    Example:
        >>> cube = np.random.default_rng(0).random((16, 16, 4))
        >>> told = spectral_scores(1.1 * cube, cube, split="test")
        >>> round(told.angle, 5), round(told.mrae, 3)    # blind to brightness, and not
        (0.0, 0.1)
    """
    found, true = (np.asarray(part, dtype=np.float64) for part in (decoded, truth))
    if found.shape != true.shape or found.ndim < 3 or not found.size:
        raise UsageError(
            f"decoded and truth must be (..., y, x, band) of one shape, got {found.shape} and "
            f"{true.shape}"
        )
    if not (np.isfinite(found).all() and np.isfinite(true).all()) or true.min() < 0:
        raise UsageError("decoded and truth must be finite, and truth not negative; mask the rest")
    if not split:
        raise UsageError('split must say what the pixels are, such as "lower half"')
    top = float(true.max()) if peak is None else float(peak)
    if not 0 < top < np.inf or not 0 < floor < np.inf:
        raise UsageError(f"peak and floor must be above 0 and finite, got {top} and {floor}")
    away = found - true
    squared = float(np.mean(away**2))
    return SpectralScores(
        rmse=squared**0.5,
        psnr=float(10 * np.log10(top**2 / squared)) if squared else float("inf"),
        mrae=float(np.mean(np.abs(away) / np.maximum(true, floor))),
        angle=_angle(found, true),
        ssim=_ssim(found, true, top),
        peak=top, floor=float(floor), split=split,
    )  # fmt: skip


def _angle(found: np.ndarray, true: np.ndarray) -> float:
    """By the half chord between unit spectra: exact where angles are small, as arccos is not."""
    a, b = (part.reshape(-1, part.shape[-1]) for part in (found, true))
    lengths = [np.linalg.norm(part, axis=1, keepdims=True) for part in (a, b)]
    lit = (lengths[0][:, 0] > 0) & (lengths[1][:, 0] > 0)
    if not lit.any():
        return float("nan")
    a, b = a[lit] / lengths[0][lit], b[lit] / lengths[1][lit]
    chord = np.linalg.norm(a - b, axis=1), np.linalg.norm(a + b, axis=1)
    return float(np.degrees(2 * np.arctan2(*chord)).mean())


def _ssim(
    found: Float[np.ndarray, "... y x bands"], true: Float[np.ndarray, "... y x bands"], peak: float
) -> float:
    if min(true.shape[-3:-1]) < _SIDE:
        return float("nan")
    from scipy.ndimage import correlate1d

    line = np.exp(-0.5 * ((np.arange(_SIDE) - _SIDE // 2) / _WIDTH) ** 2)
    line /= line.sum()
    inside = slice(_SIDE // 2, -(_SIDE // 2))

    def local(plane: np.ndarray) -> np.ndarray:
        return np.asarray(correlate1d(correlate1d(plane, line, axis=0), line, axis=1))[
            inside, inside
        ]

    first, second = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    total, planes = 0.0, 0
    frames = (part.reshape(-1, *part.shape[-3:]) for part in (found, true))
    for one, other in zip(*frames, strict=True):
        for band in range(one.shape[-1]):  # a plane at a time: memory stays bounded
            x, y = one[..., band], other[..., band]
            a, b = local(x), local(y)
            spread = local(x * x) - a * a + local(y * y) - b * b
            shared = local(x * y) - a * b
            alike = (2 * a * b + first) * (2 * shared + second)
            total += float((alike / ((a * a + b * b + first) * (spread + second))).mean())
            planes += 1
    return total / planes
