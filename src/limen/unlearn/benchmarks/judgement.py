"""What a benchmark says of a model: numbers, and the rows behind them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64

from limen._core.errors import UsageError
from limen.report.table import Cell, Table
from limen.run.store import read_json, write_json
from limen.unlearn.evidence import measured

Rows = Float64[np.ndarray, " _rows"]  # each set has a number of its own


@dataclass(frozen=True)
class Judgement:
    """Scores of one model on one benchmark, with the values of each row where there are rows.

    Args:
        benchmark: Its name, for titles and to tell one judgement from another's.
        values: Score -> number, in the order of the table.
        rows: Score -> its value for each row; also what later comparisons need.
        protocol: How the numbers were made, in a sentence or two.
        settings: What a comparison needs to be alike in both: options, rows by number and by hash.

    Example:
        >>> found = Judgement("TOFU", {"forget: probability": 0.5})
        >>> print(found.table.to_text())
        TOFU
        score                value
        forget: probability    0.5
    """

    benchmark: str
    values: Mapping[str, float]
    rows: Mapping[str, Rows] = field(default_factory=dict)
    protocol: str = ""
    settings: Mapping[str, str | int | bool] = field(default_factory=dict)

    @property
    def table(self) -> Table:
        """One row for each score; means over rows stand with their 95 % bootstrap intervals."""
        lines: list[list[Cell]] = [
            [name, measured(self.rows[name]) if name in self.rows else value]
            for name, value in self.values.items()
        ]
        return Table(["score", "value"], lines, title=self.benchmark, protocol=self.protocol)

    def save(self, path: str | Path) -> Path:
        """Write everything as JSON, whole or not at all; `read` brings it back.

        Raises:
            WorkError: The disk refused.
        """
        write_json(Path(path), self.to_dict())
        return Path(path)

    def to_dict(self) -> dict[str, Any]:
        """Everything, JSON-safe."""
        return {
            "benchmark": self.benchmark,
            "values": dict(self.values),
            "rows": {name: values.tolist() for name, values in self.rows.items()},
            "protocol": self.protocol,
            "settings": dict(self.settings),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Judgement":
        """The inverse of `to_dict`; numbers that JSON cannot hold come back as nan."""

        def number(value: float | None) -> float:
            return np.nan if value is None else float(value)

        return cls(
            benchmark=data["benchmark"],
            values={name: number(value) for name, value in data["values"].items()},
            rows={
                name: np.array([number(value) for value in values], dtype=np.float64)
                for name, values in data["rows"].items()
            },
            protocol=data["protocol"],
            settings=dict(data["settings"]),
        )

    @classmethod
    def read(cls, path: str | Path) -> "Judgement":
        """A judgement that `save` wrote.

        Raises:
            UsageError: No such file, or another kind of file.
        """
        found = read_json(Path(path))
        if isinstance(found, dict) and "benchmark" in found and "settings" not in found:
            raise UsageError(
                f"{path} was saved by an earlier version, which did not note how it was made; "
                "judge the model again"
            )
        try:
            return cls.from_dict(found)
        except (KeyError, TypeError, AttributeError, ValueError) as wrong:
            raise UsageError(f"{path} must be a saved judgement; it is another file") from wrong


def mean_known(values: Rows) -> float:
    """Mean over rows that have a value; nan where none has.

    Example:
        >>> float(mean_known(np.array([1.0, np.nan, 3.0])))
        2.0
    """
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")
