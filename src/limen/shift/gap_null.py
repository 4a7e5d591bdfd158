"""What a mixture gap looks like when there is none: sources and target drawn again."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int64

from limen._core.streams import numpy_stream
from limen.shift.simplex import Shares, shares

_AT_ONCE = 1 << 23  # numbers of the drawn weights held at a time


@dataclass(frozen=True, eq=False)
class Forms:
    """Unbiased inner products of the means of sources and target.

    The rows of all sources come first, source by source, then those of the target. `holds` is
    either their kernel matrix, or (with `by_class`) their random features, where products of rows
    of different classes are left out.

    Attributes:
        holds: (rows, rows) or (rows, features).
        by_class: None for a kernel matrix, else the class of each row.
        sizes: Rows of each source.
        target: Rows of the target.
    """

    holds: np.ndarray
    by_class: Int64[np.ndarray, " rows"] | None
    sizes: tuple[int, ...]
    target: int

    @cached_property
    def means(self) -> Float[np.ndarray, "sources sources_rows"]:
        """Weights of the sources' means, on the sources' rows."""
        owner = self.owner
        return (owner == np.arange(len(self.sizes))[:, None]) / np.array(self.sizes)[:, None]

    @cached_property
    def owner(self) -> Int64[np.ndarray, " sources_rows"]:
        """The source of each row."""
        return np.repeat(np.arange(len(self.sizes)), self.sizes)

    @cached_property
    def biased(self) -> Float[np.ndarray, "sources sources"]:
        """Products of the sources' means, every row also with itself."""
        return self._product(self._image(self.means), self.means)

    @cached_property
    def between(self) -> Float[np.ndarray, "sources sources"]:
        """Products of the sources' means; within a source of different rows only."""
        found, n = self.biased.copy(), np.array(self.sizes, dtype=float)
        np.fill_diagonal(found, (n * np.diag(found) - 1) / (n - 1))  # k(x, x) = 1
        return found

    @cached_property
    def towards(self) -> Float[np.ndarray, " sources"]:
        """Products of the sources' means with the target's."""
        return self._with_target[:-1]

    @cached_property
    def own(self) -> float:
        """Product of the target's mean with itself, of different rows only."""
        return float((self.target * self._with_target[-1] - 1) / (self.target - 1))

    @cached_property
    def _with_target(self) -> np.ndarray:
        total = len(self.owner)
        weights = np.zeros((len(self.sizes) + 1, total + self.target))
        weights[:-1, :total] = self.means
        weights[-1, total:] = 1 / self.target
        return self._product(self._image(weights[-1:]), weights)[0]

    @cached_property
    def spread(self) -> Float[np.ndarray, " sources_rows"]:
        """Squared distance of each row's image to its source's mean."""
        inner = self._product(self._image(self.means), np.eye(len(self.owner)), rows=True)
        mine = inner[self.owner, np.arange(len(self.owner))]
        return 1 - 2 * mine + np.diag(self.biased)[self.owner]

    def squared(self) -> tuple[float, Shares]:
        """The squared gap and the shares of the sources that come nearest."""
        return gap_of(self.between, self.towards, self.own)

    def null(
        self, weights: Float[np.ndarray, " sources"], *, resamples: int, seed: int
    ) -> Float[np.ndarray, " resamples"]:
        """Squared gaps where the target is a mixture with these weights.

        How many target rows each source gives is drawn; then around each source's mean the mean of
        as many rows as it has, and around the drawn mixture's the mean of as many as the target
        has: centred rows under random signs, whose spread is that of a fresh sample. In every
        product the rows meet themselves 0 times, so no draw is nearer to the sources for having
        been taken from them; and in every draw the weights are found anew.

        Found weights below 1 / sqrt(target rows) count as 0 here: noise alone gives them to
        sources that have no share, and a mixture with a share of everything is fitted more
        closely than the target was.

        Args:
            weights: At least 0, sum 1.
            resamples: How many.
            seed: Of the signs.

        Returns:
            The squared gaps.
        """
        stream = numpy_stream(seed, "mixture gap")
        width = (len(self.sizes) + 1) * len(self.owner)
        most = max(1, _AT_ONCE // width)
        firm = np.where(weights * np.sqrt(self.target) < 1, 0.0, weights)
        firm = firm / firm.sum() if firm.any() else weights / weights.sum()
        found: list[float] = []
        while len(found) < resamples:
            count = min(most, resamples - len(found))
            signs = stream.integers(2, size=(count, 2, len(self.owner))) * 2.0 - 1
            found += self._drawn(signs, stream.multinomial(self.target, firm, size=count))
        return np.array(found)

    def _drawn(self, signs: np.ndarray, counts: np.ndarray) -> list[float]:
        """One squared gap for each pair of rows of signs and the target rows of each source."""
        parts = len(self.sizes) + 1
        share = counts / self.target
        raw = self._perturbing(signs, share)
        centred = raw - (raw @ (self.means > 0).T) @ self.means
        flat = centred.reshape(-1, centred.shape[-1])
        images = self._image(flat)
        crossed = self._product(images, self.means).reshape(-1, parts, parts - 1)
        within = self._blocks(images, flat, parts) - (raw * self.spread) @ raw.swapaxes(1, 2)
        return [
            gap_of(
                self.between + c[:-1] + c[:-1].T + w[:-1, :-1],
                self.between @ p + c[-1] + c[:-1] @ p + w[:-1, -1],
                self._own(p, float(2 * c[-1] @ p + w[-1, -1])),
            )[0]
            for c, w, p in zip(crossed, within, share, strict=True)
        ]

    def _own(self, share: np.ndarray, noise: float) -> float:
        """As `own`, of a drawn target: its rows met themselves, then that is taken out again."""
        scatter = share @ (1 - np.diag(self.between)) / self.target
        whole = share @ self.between @ share + noise + scatter
        return float((self.target * whole - 1) / (self.target - 1))

    def _perturbing(self, signs: np.ndarray, share: np.ndarray) -> np.ndarray:
        """Weights of rows, (draws, sources + 1, rows): each source's noise, then the target's."""
        n = np.array(self.sizes, dtype=float)
        fair = np.sqrt(n / (n - 1))  # as a sample's variance is
        noise = signs[:, :1] * (self.means * fair[:, None])
        mixing = (np.sqrt(share / (n * self.target)) * fair)[:, None, self.owner]
        return np.concatenate([noise, signs[:, 1:] * mixing], axis=1)

    def _image(self, weights: np.ndarray) -> list[np.ndarray]:
        """The weighted sums: of kernel columns, or of features, class by class."""
        rows = self.holds[: weights.shape[1]]
        if self.by_class is None:
            return [weights @ rows]
        names = self.by_class[: weights.shape[1]]
        return [weights[:, names == one] @ rows[names == one] for one in np.unique(self.by_class)]

    def _product(
        self, images: list[np.ndarray], weights: np.ndarray, *, rows: bool = False
    ) -> np.ndarray:
        """Products of weighted sums with others; `rows`: with every single row, so not summed."""
        if self.by_class is None:
            columns = images[0][:, : weights.shape[1]]
            return np.asarray(columns if rows else columns @ weights.T)
        if not rows:
            pairs = zip(images, self._image(weights), strict=True)
            return np.asarray(sum(a @ b.T for a, b in pairs))
        names, found = self.by_class[: weights.shape[1]], np.zeros((len(images[0]), len(weights)))
        for image, one in zip(images, np.unique(self.by_class), strict=True):
            found[:, names == one] = image @ self.holds[: len(names)][names == one].T
        return found

    def _blocks(self, images: list[np.ndarray], flat: np.ndarray, parts: int) -> np.ndarray:
        """The products within each draw, (draws, parts, parts)."""
        by_draw = [image.reshape(-1, parts, image.shape[-1]) for image in images]
        if self.by_class is None:
            columns = by_draw[0][..., : flat.shape[1]]
            return np.asarray(columns @ flat.reshape(-1, parts, flat.shape[1]).swapaxes(1, 2))
        return np.asarray(sum(one @ one.swapaxes(1, 2) for one in by_draw))


def gap_of(
    between: Float[np.ndarray, "sources sources"], towards: Float[np.ndarray, " sources"],
    own: float,
) -> tuple[float, Shares]:  # fmt: skip
    """The smallest squared distance of a target's mean to mixtures of the sources' means.

    Args:
        between: Products of the sources' means.
        towards: Their products with the target's mean.
        own: The product of the target's mean with itself.

    Returns:
        The squared distance, slightly negative at times as unbiased estimates are, and the shares.

    Example:
        >>> gap_of(np.eye(2), np.array([0.5, 0.5]), 1.0)[0]
        0.5
    """
    found = shares(between, towards)
    w = found.weights
    return float(w @ between @ w - 2 * towards @ w + own), found
