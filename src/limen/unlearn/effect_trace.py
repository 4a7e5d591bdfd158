"""Effects while the model trains: watch what each step does to what is forgotten and kept."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64

from limen._core.errors import UsageError
from limen.algebra.shifted import placed
from limen.algebra.vector import ParamVector
from limen.train.state import State
from limen.unlearn.effects import Side
from limen.unlearn.risk import answer_counts, moved_by_layers, risks_now
from limen.unlearn.tokens import Tokens

QUANTILES = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Where the spread over rows is read: smallest, quartiles, largest."""


class EffectTrace:
    """A callback for `limen.fit`: effects on probe rows, by layer, every few steps.

    With `on="gradient"` the direction is the final gradient, combined and clipped, and `-lr` times
    an effect is the change of risk that plain descent would make. With `on="update"` it is the
    step that the optimiser really took (before - now), at the weights before it: minus the effect
    is the predicted change of risk, in nats, beside which `actual` stands.

    Weights, gradients, random numbers, modes and optimiser are left bit for bit as found. Each
    probe costs about one training step on the probe rows; with "update" one forward more. Probe
    rows that the same step trains on make effects look larger than on unseen rows: take others
    to see the population's. Cosines are left out, because the gradient of each risk would cost
    another backward of each set; `effects(..., cosine=True)` gives them at one model.

    Attributes:
        steps: Number of updates that had been taken at each probe.
        names: The layers.
        forget: Effects on the rows to forget, (steps, layers); negative forgets.
        retain: Effects on the rows to keep; None without such rows.
        risk: The sets' risk before each of these updates, in nats, by "forget" and "retain".
        total: Effects of all layers together, (steps), by side.
        interval: Where the total on the population of such rows lies, (steps, 2), by side: 95 %,
            by bootstrap over rows.
        rows: Quantiles over rows of the effects on their own risk, (steps, 5), by side.
        actual: With "update" the measured change of risk in each of these steps, by side.

    Args:
        probes: Rows to forget and rows to keep or None, as `task.probes(64)` gives them.
        every: Probe at steps 0, every, 2 every, ...; at least 1.
        on: "gradient" or "update".
        by: Groups of parameters, see `ParamVector.grouped`.
        batch: Rows in one pass, at least 1.

    Raises:
        UsageError: A value out of range.

    Reference:
        Wang et al., Rethinking LLM Unlearning Objectives: A Gradient Perspective and Go Beyond,
        ICLR 2025. Departures: during training instead of afterwards from checkpoints; fixed probe
        rows; the update as direction.

    Example:
        >>> from limen.unlearn.encode import Encoded
        >>> from limen.unlearn.tokens import collate
        >>> EffectTrace((collate([Encoded([1, 2], 1)]), None), every=10).steps
        []
    """

    def __init__(
        self,
        probes: tuple[Tokens, Tokens | None],
        *,
        every: int = 5,
        on: str = "gradient",
        by: str | Callable[[str], str] = "layer",
        batch: int = 16,
    ):
        if every < 1 or batch < 1:
            raise UsageError(f"every={every} and batch={batch} must be at least 1")
        if on not in ("gradient", "update"):
            raise UsageError(f"on={on!r} must be 'gradient' or 'update'")
        forget, retain = probes
        self.probes = {"forget": forget} | ({} if retain is None else {"retain": retain})
        self.every, self.on, self.by, self.batch = every, on, by, batch
        self.needs_before = False  # asked for only at the steps that are probed
        self.steps: list[int] = []
        self.names: tuple[str, ...] = ()
        self._seen: dict[str, list[list[float]]] = {}

    @property
    def forget(self) -> Float64[np.ndarray, "steps layers"]:
        """Effects on the rows to forget."""
        return self._array("forget effect")

    @property
    def retain(self) -> Float64[np.ndarray, "steps layers"] | None:
        """Effects on the rows to keep."""
        return self._array("retain effect") if "retain" in self.probes else None

    @property
    def total(self) -> dict[str, Float64[np.ndarray, " steps"]]:
        """Effects of all layers together."""
        return {side: self._array(f"{side} effect").sum(-1) for side in self.probes}

    @property
    def interval(self) -> dict[str, Float64[np.ndarray, "steps 2"]]:
        """Intervals of the totals: low and high."""
        return {side: self._array(f"{side} interval") for side in self.probes}

    @property
    def rows(self) -> dict[str, Float64[np.ndarray, "steps quantiles"]]:
        """Quantiles over rows of the effects on their own risk."""
        return {side: self._array(f"{side} rows") for side in self.probes}

    @property
    def risk(self) -> dict[str, Float64[np.ndarray, " steps"]]:
        """Risk of each set before the update."""
        return {side: self._array(f"{side} risk").reshape(-1) for side in self.probes}

    @property
    def actual(self) -> dict[str, Float64[np.ndarray, " steps"]]:
        """Measured change of risk.

        Raises:
            UsageError: The direction is the gradient, whose step nobody takes.
        """
        self._require_update("actual")
        return {side: self._array(f"{side} change").reshape(-1) for side in self.probes}

    @property
    def residual(self) -> dict[str, Float64[np.ndarray, " steps"]]:
        """What the first order leaves out of each change: actual less predicted.

        Raises:
            UsageError: The direction is the gradient.
        """
        self._require_update("residual")
        return {side: change + self.total[side] for side, change in self.actual.items()}

    def before_update(self, state: State) -> None:
        """Probe along the gradient, or ask for the parameters before the update."""
        due = state.step % self.every == 0
        self.needs_before = due and self.on == "update"
        if due and self.on == "gradient":
            self._probe(state, state.grads, step=state.step)

    def after_update(self, state: State) -> None:
        """Probe along the update, from where it started."""
        if not self.needs_before or state.before is None:
            return
        along = state.update
        after = {side: self._risks(state, tokens) for side, tokens in self.probes.items()}
        with placed(state.model, state.before):
            self._probe(state, along, step=state.step - 1)
        for side, level in after.items():
            change = level - self._seen[f"{side} risk"][-1][0]
            self._seen.setdefault(f"{side} change", []).append([change])

    def state_dict(self) -> dict[str, Any]:
        """The whole trace."""
        seen = {name: torch.tensor(rows, dtype=torch.float64) for name, rows in self._seen.items()}
        return {"steps": self.steps, "names": self.names, "seen": seen}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up a saved trace."""
        self.steps, self.names = list(state["steps"]), tuple(state["names"])
        self._seen = {name: rows.tolist() for name, rows in state["seen"].items()}

    def _probe(self, state: State, along: ParamVector, *, step: int) -> None:
        self.steps.append(step)
        for side, tokens in self.probes.items():
            found = moved_by_layers(state.model, tokens, along, batch=self.batch, by=self.by)
            self.names = found.names
            weights = answer_counts(tokens)
            interval = Side(found.table, weights, found.risk).interval()
            seen = {
                "effect": np.average(found.table, axis=1, weights=weights),
                "interval": np.array([interval.low, interval.high]),
                "risk": np.average(found.risk, weights=weights).reshape(1),
                "rows": np.quantile(found.table.sum(0), QUANTILES),
            }
            for what, values in seen.items():
                self._seen.setdefault(f"{side} {what}", []).append(values.tolist())

    def _risks(self, state: State, tokens: Tokens) -> float:
        rows = risks_now(state.model, tokens, batch=self.batch)
        return float(np.average(rows, weights=answer_counts(tokens)))

    def _array(self, name: str) -> np.ndarray:
        found = np.array(self._seen.get(name, []), dtype=np.float64)
        return found if found.ndim == 2 else found.reshape(0, 0)

    def _require_update(self, name: str) -> None:
        if self.on != "update":
            raise UsageError(f"{name} is known only with on='update'")
