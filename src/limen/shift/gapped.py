"""What `mixture_gap` found: a distance, the weights that come nearest, and how odd it is."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import sqrt
from typing import Any

from limen.report.table import Cell, Table


@dataclass(frozen=True, kw_only=True)
class Gap:
    """Distance of a target to the mixtures of the sources; higher = farther outside.

    Attributes:
        squared: Squared distance, unbiased, so slightly negative at times where there is none.
        weights: Share of each source in the nearest mixture; they sum to 1.
        p_value: Share of targets drawn from that mixture that lie as far away; small = outside.
        quantile: What `squared` stays below in 95 % of them.
        certificate: No weights bring `squared` down by more than this.
        bandwidth: Of the kernel, in the units that `standardised` says.
        standardised: Whether columns were divided by their deviation over the sources.
        rows: Rows of each source.
        target_rows: Rows of the target.
        features: Random features used; 0 where the kernel was exact.
        resamples: Targets drawn for the p-value.
        seed: Of all draws.
        told: What the user should know, in sentences.

    Example:
        >>> gap = Gap(squared=0.04, weights={"a": 1.0}, p_value=0.005, quantile=0.001,
        ...           certificate=0.0, bandwidth=1.0, rows={"a": 50}, target_rows=40)
        >>> gap.distance, gap.outside()
        (0.2, True)
    """

    squared: float
    weights: Mapping[str, float]
    p_value: float
    quantile: float
    certificate: float
    bandwidth: float
    rows: Mapping[str, int]
    target_rows: int
    standardised: bool = True
    features: int = 0
    resamples: int = 200
    seed: int = 0
    told: tuple[str, ...] = ()

    @property
    def distance(self) -> float:
        """Distance of the target's mean image to the nearest mixture's; 0 to sqrt(2)."""
        return sqrt(max(self.squared, 0.0))

    def outside(self, alpha: float = 0.05) -> bool:
        """Whether the target is no mixture of the sources, wrongly said at a rate of `alpha`.

        Args:
            alpha: Between 0 and 1.

        Returns:
            True where the p-value is at most `alpha`. False is no proof of the contrary: with few
            rows a gap goes unseen.
        """
        return self.p_value <= alpha

    def table(self) -> Table:
        """The weights, source by source, and the figures beneath.

        Returns:
            One line for each source.
        """
        lines: list[list[Cell]] = [
            [name, self.rows[name], share] for name, share in self.weights.items()
        ]
        kernel = f"{self.features} random features" if self.features else "exact"
        told = "".join(f" {one[0].upper()}{one[1:]}." for one in self.told)
        return Table(
            ["source", "rows", "weight"],
            lines,
            title=f"Mixture gap {self.distance:.3f}, p = {self.p_value:.3g}",
            protocol=f"Squared distance {self.squared:.2g} of {self.target_rows} target rows, "
            f"{self.quantile:.2g} at the 95 % quantile of {self.resamples} targets drawn from the "
            f"nearest mixture; weights certified to {self.certificate:.1g}. Gaussian kernel, "
            f"bandwidth {self.bandwidth:.3g}, {kernel}; seed {self.seed}.{told}",
        )

    def to_dict(self) -> dict[str, Any]:
        """Everything, for `limen.save`."""
        return asdict(self) | {"told": list(self.told)}

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> "Gap":
        """Rebuild what `to_dict` gave."""
        return cls(**{**state, "told": tuple(state["told"])})
