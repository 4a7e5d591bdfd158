"""The work behind `limen shift discover`; imported only when there is some."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from limen._core.errors import UsageError
from limen.cli import arrays
from limen.cli.pages import PageFolder
from limen.report import Facts, Page
from limen.run.provenance import origin
from limen.shift.discover import discover as discovered


@dataclass(frozen=True, eq=False)
class Predictions:
    """Which predictions were right, of which class and attribute."""

    source: str
    correct: np.ndarray
    label: np.ndarray
    attribute: np.ndarray


def predictions(path: Path, *, correct: str, label: str, attribute: str) -> Predictions:
    """A table of predictions.

    Raises:
        UsageError: It cannot be read, or the first column is not 0 and 1.
    """
    held = arrays.table(path, option="--table")
    right = held.numbers(correct, option="--correct")
    if not np.isin(right, (0, 1)).all():
        raise UsageError(f"--correct {correct!r} must be 0 or 1 in every row")
    return Predictions(
        str(path), right.astype(bool), np.array(held.text(label, option="--label")),
        np.array(held.text(attribute, option="--attribute")),
    )  # fmt: skip


def discover(
    found: Predictions,
    *,
    least: int,
    gap: float,
    alpha: float,
    correction: str,
    seed: int,
    into: PageFolder | None,
    as_json: bool,
) -> None:
    """Find the attributes that a model leans on, print them, write the page."""
    told: Any = discovered(
        found.correct, found.label, found.attribute, min_n=least, min_gap=gap, alpha=alpha,
        correction=correction, seed=seed,
    )  # fmt: skip
    if as_json:
        print(json.dumps(told.table.to_dict(), indent=2))
    else:
        print(told.table.to_text())
    if into is not None:
        count = len(told.pairs)
        into.write(Page(
            "What the model leans on",
            f"{count} of {len(np.unique(found.label))} classes lose accuracy with an attribute, "
            "beyond chance, on rows that did not choose it.",
            [told.table, Facts({"table": found.source, "rows": len(found.correct), **origin()},
                               title="How to do it again")],
        ))  # fmt: skip
