"""Several makers, one drawn for each window."""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from limen._core.errors import UsageError
from limen.anomaly.synth.protocol import Disturbed, Maker, Spans
from limen.anomaly.windows import Windows
from limen.run.files import packed, unpacked


@dataclass(eq=False)
class Mixture(Maker):
    """Draws one of several makers for every window.

    Args:
        makers: Of one window. They stay as they are: `fit` copies them into `made`, and fits
            anew, at each `fit`, the copies of those that were handed in unfitted.
        weights: How often each is drawn, at least 0; equally often by default.

    Raises:
        UsageError: No makers, other windows, or other weights.

    Example:
        >>> from limen.anomaly.synth.spike import Spike
        >>> from limen.anomaly.synth.trend import Trend
        >>> wave = np.sin(np.arange(99) / 5)
        >>> made = Mixture([Spike(window=20), Trend(window=20)]).fit(wave).sample(30, wave)
        >>> sorted(set(made.kinds))
        ['spike', 'trend']
    """

    makers: Sequence[Maker] = ()
    weights: Sequence[float] | None = None
    window: int = field(default=0, init=False)
    made: Sequence[Maker] = field(default=(), init=False, repr=False)

    def __post_init__(self) -> None:
        sizes = {maker.window for maker in self.makers}
        if len(sizes) != 1:
            raise UsageError(
                f"makers must be one or more, all of one window; got windows {sorted(sizes)}"
            )
        shares = self.weights
        if shares is not None and (
            len(shares) != len(self.makers) or min(shares) < 0 or not sum(shares) > 0
        ):
            raise UsageError(
                f"weights must be {len(self.makers)} numbers of at least 0, not all 0; got {shares}"
            )
        self.window = sizes.pop()

    def disturb(
        self, windows: Windows, *, stream: np.random.Generator, spans: Spans | None = None
    ) -> Disturbed:
        """Disturb every window by a maker that is drawn for it; see `Maker.disturb`.

        Raises:
            UsageError: Not fitted.
        """
        if self.scaler is None:
            raise UsageError("Mixture must be fitted first: .fit(X)")
        shares = None if self.weights is None else np.array(self.weights) / sum(self.weights)
        which = stream.choice(len(self.made), size=len(windows), p=shares)
        out, mask = windows.copy(), np.zeros(windows.shape, dtype=bool)
        kinds = [""] * len(windows)
        for number, maker in enumerate(self.made):
            rows = np.flatnonzero(which == number)
            if not len(rows):
                continue
            part = None if spans is None else spans[rows]
            made = maker.disturb(windows[rows], stream=stream, spans=part)
            out[rows], mask[rows] = made.windows, made.mask
            for row, kind in zip(rows, made.kinds, strict=True):
                kinds[row] = kind
        return Disturbed(out, mask, tuple(kinds), windows)

    def _learn(self, series: list[np.ndarray]) -> None:
        for maker in self.makers:
            if maker.scaler is not None and len(maker.scaler.low) != series[0].shape[1]:
                raise UsageError(
                    f"X must have the {len(maker.scaler.low)} channels that {type(maker).__name__} "
                    f"of makers was fitted on; it has {series[0].shape[1]}"
                )
        copies = [deepcopy(maker) for maker in self.makers]
        self.made = [one if one.scaler is not None else one.fit(series) for one in copies]

    def to_dict(self) -> dict[str, Any]:
        """The makers and what was fitted, for `limen.save`."""
        weights = None if self.weights is None else list(self.weights)
        scaler = None if self.scaler is None else packed(self.scaler)
        return {
            "makers": [packed(m) for m in self.makers], "weights": weights, "scaler": scaler,
            "made": [packed(m) for m in self.made],
        }  # fmt: skip

    @classmethod
    def from_dict(cls, state: Any) -> "Mixture":
        """Rebuild what `to_dict` gave."""
        maker = cls([unpacked(record) for record in state["makers"]], state["weights"])
        maker.scaler = None if state["scaler"] is None else unpacked(state["scaler"])
        maker.made = [unpacked(record) for record in state["made"]]
        return maker
