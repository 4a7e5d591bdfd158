"""Why a contrastive pair leans on a spurious cue: a linear model solved exactly."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.special import ndtr

from limen._core.errors import UsageError
from limen._core.streams import numpy_stream

_TESTS = 1_000_000  # test images a simulation draws, two numbers each


@dataclass(frozen=True)
class ShiftErrors:
    """Zero-shot errors of the linear pair on two groups; lower is better.

    Attributes:
        aligned: Where the spurious cue agrees with the class, a = y (common).
        opposed: Where it contradicts it, a = -y (counter).

    Example:
        >>> ShiftErrors(aligned=0.1, opposed=0.4).opposed
        0.4
    """

    aligned: float
    opposed: float


@dataclass(frozen=True)
class SpuriousLatents:
    """Two latents shared by image and text, one tied to the class y, one to a spurious cue a.

    y is -1 or 1 with equal chance, P(a = y) = p, z_inv ~ N(mu_inv y, s_inv^2) and
    z_spu ~ N(mu_spu a, s_spu^2); image and text are D z + noise, D with orthonormal columns. The
    cross-covariance of image and text is D_I A D_T' with A = E[z z'], the linearised contrastive
    loss is least at A up to scale (`linear_clip_minimiser`), and the prompt of class y is D_T q y
    with q = (mu_inv, (2p - 1) mu_spu). So the answer is sign(z' v), v = A q, and

        error = Phi(-(mu_inv v_1 +- mu_spu v_2) / sqrt(s_inv^2 v_1^2 + s_spu^2 v_2^2)),

    plus for a = y, minus for a = -y; noise on the images adds noise^2 to both variances.

    Args:
        mu_spu: Strength of the spurious cue, 0 or more.
        p: Chance that the cue agrees with the class, in [0, 1]; at 1/2 it tells nothing.
        mu_inv: Strength of the class itself, above 0.
        s_inv: Deviation of the class latent, above 0.
        s_spu: Deviation of the spurious latent, above 0.
        noise: Deviation of each coordinate of image and text beside the latents, 0 or more.

    Raises:
        UsageError: A number out of range.

    Reference:
        Q. Wang, Y. Lin, Y. Chen, L. Schmidt, B. Han and T. Zhang, "A Sober Look at the Robustness
        of CLIPs to Spurious Features", NeurIPS 2024, section 6 and appendix D. Departure: A is the
        exact covariance; the printed one is `printed_covariance`.

    Example:
        >>> errors = SpuriousLatents(1.0, 0.9).errors()
        >>> round(errors.opposed, 4), round(errors.aligned, 4)
        (0.3593, 0.0543)
    """

    mu_spu: float
    p: float
    mu_inv: float = 1.0
    s_inv: float = 1.0
    s_spu: float = 0.3
    noise: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.p <= 1:
            raise UsageError(f"p must be in [0, 1], got {self.p}")
        for name in ("mu_spu", "noise"):
            if not 0 <= getattr(self, name) < np.inf:
                raise UsageError(f"{name} must be 0 or more, got {getattr(self, name)}")
        for name in ("mu_inv", "s_inv", "s_spu"):
            if not 0 < getattr(self, name) < np.inf:
                raise UsageError(f"{name} must be above 0, got {getattr(self, name)}")

    @property
    def covariance(self) -> Float[np.ndarray, "2 2"]:
        """The exact A: mu^2 + s^2 on the diagonal, mu_inv mu_spu (2p - 1) off it."""
        off = self.mu_inv * self.mu_spu * (2 * self.p - 1)
        return np.array([[self.mu_inv**2 + self.s_inv**2, off],
                         [off, self.mu_spu**2 + self.s_spu**2]])  # fmt: skip

    @property
    def printed_covariance(self) -> Float[np.ndarray, "2 2"]:
        """A as the paper prints it, for mu_inv = 1; equal to the exact one where mu_spu = 1 too."""
        off = 2 * self.mu_spu * self.p - 1
        return np.array([[1 + self.s_inv**2, off], [off, 1 + self.s_spu**2]])

    @property
    def prompt(self) -> Float[np.ndarray, " 2"]:
        """Latents of the prompt of class 1, q = (mu_inv, (2p - 1) mu_spu)."""
        return np.array([self.mu_inv, (2 * self.p - 1) * self.mu_spu])

    def errors(self, covariance: Float[np.ndarray, "2 2"] | None = None) -> ShiftErrors:
        """Errors by the formula, exact for an endless training set.

        Args:
            covariance: A; the exact one if left out, `printed_covariance` for the paper's.

        Returns:
            Errors for a = y and for a = -y, in [0, 1].

        Raises:
            UsageError: The covariance gives the prompt no weight.
        """
        weight = (self.covariance if covariance is None else covariance) @ self.prompt
        spread = np.sqrt([self.s_inv**2 + self.noise**2, self.s_spu**2 + self.noise**2])
        deviation = float(np.linalg.norm(spread * weight))
        if deviation == 0:
            raise UsageError("covariance must give the prompt a weight, and all are 0")
        own, cue = self.mu_inv * weight[0], self.mu_spu * weight[1]
        return ShiftErrors(aligned=float(ndtr(-(own + cue) / deviation)),
                           opposed=float(ndtr(-(own - cue) / deviation)))  # fmt: skip

    def pairs(
        self, count: int, *, width: int = 40, seed: int = 0
    ) -> tuple[Float[np.ndarray, "pairs width"], Float[np.ndarray, "pairs width"]]:
        """Images and texts drawn from the model, with random orthonormal D.

        Args:
            count: Pairs, 2 or more.
            width: Numbers an image and a text each have, 2 or more.
            seed: Of the draws and of D.

        Returns:
            Images and texts, pair by pair.

        Raises:
            UsageError: Fewer than 2 pairs or a width below 2.
        """
        _refuse_sizes(count, width)
        stream = numpy_stream(seed, "spurious latents")
        return self._drawn(count, stream, frames=_frames(width, seed))

    def simulated(self, count: int = 20_000, *, width: int = 40, seed: int = 0) -> ShiftErrors:
        """Errors by drawing pairs, minimising the loss on them and asking fresh images.

        Args:
            count: Training pairs, 2 or more.
            width: Numbers an image and a text each have, 2 or more.
            seed: Of all draws.

        Returns:
            Errors on a million test images for a = y and for a = -y.

        Raises:
            UsageError: Fewer than 2 pairs or a width below 2.
        """
        image, text = self.pairs(count, width=width, seed=seed)
        left, right = _frames(width, seed)
        answer = linear_clip_minimiser(image, text) @ (right @ self.prompt)
        stream = numpy_stream(seed, "spurious tests")
        # An image left @ z + noise gives the answer z' (left' answer) and normal noise
        weight, shake = left.T @ answer, self.noise * float(np.linalg.norm(answer))
        z = stream.standard_normal((_TESTS, 2)) * [self.s_inv, self.s_spu]
        rest = z @ weight + shake * stream.standard_normal(_TESTS)
        own, cue = self.mu_inv * weight[0], self.mu_spu * weight[1]
        return ShiftErrors(aligned=float((rest + own + cue < 0).mean()),
                           opposed=float((rest + own - cue < 0).mean()))  # fmt: skip

    def _drawn(
        self,
        count: int,
        stream: np.random.Generator,
        *,
        frames: tuple[np.ndarray, np.ndarray],
    ) -> tuple[np.ndarray, np.ndarray]:
        y = stream.choice([-1.0, 1.0], count)
        a = np.where(stream.random(count) < self.p, y, -y)
        z = np.stack([self.mu_inv * y, self.mu_spu * a], 1)
        z += stream.standard_normal((count, 2)) * [self.s_inv, self.s_spu]
        found = [
            z @ frame.T + self.noise * stream.standard_normal((count, len(frame)))
            for frame in frames
        ]
        return found[0], found[1]


def linear_clip_loss(
    product: Float[np.ndarray, "image text"],
    image: Float[np.ndarray, "pairs image"],
    text: Float[np.ndarray, "pairs text"],
    *,
    rho: float = 1.0,
) -> float:
    """The linearised contrastive loss of two linear encoders; lower is better.

    With s_ij = x_i' M t_j and M = W_I' W_T, the mean of s_ij - s_ii over pairs i != j, both ways
    round, plus rho/2 times the squared Frobenius norm of M.

    Args:
        product: M.
        image: A row x_i a pair.
        text: A row t_i a pair.
        rho: Weight of the norm, above 0.

    Returns:
        The loss; below 0 where pairs match better than strangers.

    Raises:
        UsageError: Fewer than 2 pairs, rows that differ in number, or rho not above 0.

    Reference:
        Q. Wang et al., "A Sober Look at the Robustness of CLIPs to Spurious Features", NeurIPS
        2024, appendix D.

    Example:
        >>> pairs = np.array([[1.0], [-1.0]])
        >>> linear_clip_loss(np.array([[2.0]]), pairs, pairs)    # -2 - 2 + 4/2
        -2.0
    """
    _refuse_pairs(image, text, rho)
    count = len(image)
    seen = image @ product
    matched = float((seen * text).sum())
    total = float(seen.sum(0) @ text.sum(0))
    strangers = (total - matched) / (count * (count - 1))
    return strangers - matched / count + rho / 2 * float((product**2).sum())


def linear_clip_minimiser(
    image: Float[np.ndarray, "pairs image"],
    text: Float[np.ndarray, "pairs text"],
    *,
    rho: float = 1.0,
) -> Float[np.ndarray, "image text"]:
    """The M of least `linear_clip_loss`: the unbiased cross-covariance over rho.

    The loss is linear in M but for its norm: its gradient is rho M - C, with C the mean of x_i t_i'
    less the mean of x_i t_j' over i != j. Whatever varies together in image and text is kept, be
    it the object or its background.

    Args:
        image: A row a pair.
        text: A row a pair.
        rho: Weight of the norm, above 0.

    Returns:
        M, encoders as wide as need be.

    Raises:
        UsageError: Fewer than 2 pairs, rows that differ in number, or rho not above 0.

    Reference:
        Q. Wang et al., "A Sober Look at the Robustness of CLIPs to Spurious Features", NeurIPS
        2024, appendix D. Departure: C is written as the exact cross-covariance.

    Example:
        >>> pairs = np.array([[1.0], [-1.0]])
        >>> linear_clip_minimiser(pairs, pairs)
        array([[2.]])
    """
    _refuse_pairs(image, text, rho)
    centred = image - image.mean(0)
    return np.asarray(centred.T @ (text - text.mean(0)) / ((len(image) - 1) * rho))


def _frames(width: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Two random matrices with two orthonormal columns."""
    stream = numpy_stream(seed, "spurious frames")
    first, second = (np.linalg.qr(stream.standard_normal((width, 2)))[0] for _ in range(2))
    return first, second


def _refuse_sizes(count: int, width: int) -> None:
    if count < 2 or width < 2:
        raise UsageError(f"count and width must be 2 or more, got {count} and {width}")


def _refuse_pairs(image: np.ndarray, text: np.ndarray, rho: float) -> None:
    if len(image) < 2 or len(image) != len(text):
        raise UsageError(
            f"image and text must hold 2 pairs or more, got {len(image)} and {len(text)} rows"
        )
    if not rho > 0:
        raise UsageError(f"rho must be above 0, got {rho}")
