"""How far a picture moved."""

import numpy as np
from jaxtyping import Float

_SOFT = 1.5  # pixels by which a peak of phases is widened, so that it can be placed between pixels
_NOISE = 10.0  # medians of power, below which a frequency is taken for noise


def displacement(
    before: Float[np.ndarray, "y x *planes"],
    after: Float[np.ndarray, "y x *planes"],
    *,
    phase: bool = False,
) -> tuple[float, float, float]:
    """Rows and columns by which content moved, and how alike both pictures are there, 0 to 1.

    The peak of the cross-correlation by FFT, summed over planes and refined by a parabola. With
    `phase` all frequencies above the noise weigh nearly the same, so that edges count and
    brightness does not.

    Args:
        before: A picture, or planes of one.
        after: The same at a later time.
        phase: Correlate phases alone; the borders are then faded out, where content comes and goes.

    Returns:
        Down, right, and the peak's height.

    Reference:
        Kuglin, Hines, The Phase Correlation Image Alignment Method, IEEE Conference on Cybernetics
        and Society, 1975, for phases. Here frequencies of little power are
        held down, as they are noise, and the peak is widened by a Gaussian.

    Example:
        >>> picture = np.random.default_rng(0).random((16, 16))
        >>> down, right, alike = displacement(picture, np.roll(picture, (2, -3), (0, 1)))
        >>> round(down), round(right), round(alike, 6)
        (2, -3, 1.0)
    """
    a, b = (np.atleast_3d(np.asarray(part, dtype=np.float64)) for part in (before, after))
    a, b = a - a.mean(axis=(0, 1)), b - b.mean(axis=(0, 1))
    sides = a.shape[:2]
    if phase:
        fade = np.outer(*(np.hanning(side + 2)[1:-1] for side in sides))[..., None]
        a, b = a * fade, b * fade
    one, other = (np.fft.rfft2(part, axes=(0, 1)) for part in (a, b))
    cross = other * np.conj(one)
    if phase:
        power = np.abs(cross)
        floor = _NOISE * np.median(power, axis=(0, 1))
        cross = cross / np.maximum(power + floor, max(1e-12 * float(power.max()), 1e-300))
        rows, columns = np.fft.fftfreq(sides[0]), np.fft.rfftfreq(sides[1])
        cross *= np.exp(-2 * (np.pi * _SOFT) ** 2 * (rows[:, None] ** 2 + columns**2))[..., None]
    product = np.fft.irfft2(cross.sum(axis=2), s=sides, axes=(0, 1))
    top = float(product.max())
    if phase:  # what pictures that are equal up to a shift would reach
        norm = float(np.fft.irfft2(np.abs(cross).sum(axis=2), s=sides, axes=(0, 1))[0, 0])
    else:
        norm = float(np.linalg.norm(a) * np.linalg.norm(b))
    row, column = (int(i) for i in np.unravel_index(product.argmax(), sides))
    down = _refined(product[:, column], row)
    right = _refined(product[row], column)
    return down, right, float(np.clip(top / max(norm, 1e-12), 0, 1))


def _refined(line: np.ndarray, at: int) -> float:
    """The summit of the parabola through a peak and its neighbours, as a signed shift."""
    size = len(line)
    low, here, high = line[at - 1], line[at], line[(at + 1) % size]
    bend = low - 2 * here + high
    sub = 0.5 * (low - high) / bend if bend < 0 else 0.0
    return float((at + sub + size / 2) % size - size / 2)
