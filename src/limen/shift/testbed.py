"""Accuracies of many models in many settings, from one csv."""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from limen._core.errors import UsageError
from limen.shift.line import RobustnessLine


@dataclass(frozen=True)
class Testbed:
    """Accuracies of many models in many settings.

    Attributes:
        models: Their names.
        settings: Names of the test sets.
        accuracies: In [0, 1]; NaN where a model was not tested.

    Example:
        >>> bed = Testbed(["a", "b"], ["val", "v2"], np.array([[0.8, 0.7], [0.6, np.nan]]))
        >>> bed.pair("val", "v2")[0]
        ['a']
    """

    models: list[str]
    settings: list[str]
    accuracies: Float[np.ndarray, "models settings"]

    __test__ = False  # not a test, whatever pytest thinks of its name

    def pair(self, common: str, counter: str) -> tuple[list[str], np.ndarray, np.ndarray]:
        """Names and accuracies of the models that were tested in both settings.

        Raises:
            UsageError: No such setting.
        """
        for name in (common, counter):
            if name not in self.settings:
                near = [s for s in self.settings if name in s][:5]
                raise UsageError(f"{name!r} is none of {len(self.settings)} settings; near: {near}")
        found = self.accuracies[:, [self.settings.index(common), self.settings.index(counter)]]
        kept = np.isfinite(found).all(1)
        return [m for m, k in zip(self.models, kept, strict=True) if k], *found[kept].T

    def line(self, common: str, counter: str, *, transform: str = "logit") -> RobustnessLine:
        """The line of one setting against another, over the models tested in both.

        Raises:
            UsageError: No such setting, or accuracies that have no line.
        """
        names, x, y = self.pair(common, counter)
        return RobustnessLine(transform).fit(x, y, names=names)


def read_testbed(path: str | Path) -> Testbed:
    r"""Read a csv of top-1 accuracies in per cent, a model a row and a setting a column.

    Args:
        path: A csv whose first column is "model"; empty cells were not tested.

    Returns:
        Models, settings and accuracies in [0, 1].

    Raises:
        UsageError: No such file, no such table, or cells that are not per cent.

    Reference:
        R. Taori et al., "Measuring robustness to natural distribution shifts in image
        classification", NeurIPS 2020, whose results are published in this form.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "bed.csv"
        >>> _ = path.write_text("model,val,v2\na,80.0,\n")
        >>> read_testbed(path).accuracies
        array([[0.8, nan]])
    """
    path = Path(path)
    if not path.is_file():
        raise UsageError(f"path must be a csv of accuracies; there is no file {path}")
    with path.open(newline="", encoding="utf-8") as file:
        head, *rows = list(csv.reader(file)) or [[]]
    rows = [row for row in rows if row]
    if head[:1] != ["model"] or not rows or any(len(row) != len(head) for row in rows):
        raise UsageError(f"{path} must have a first column 'model' and rows as long as its head")
    found = np.array([[_share(cell, path) for cell in row[1:]] for row in rows])
    return Testbed([row[0] for row in rows], head[1:], found.reshape(len(rows), -1))


def _share(cell: str, path: Path) -> float:
    if not cell.strip():
        return np.nan
    try:
        found = float(cell) / 100
    except ValueError as wrong:
        raise UsageError(f"{path} must hold accuracies in per cent, got {cell!r}") from wrong
    if not (0 <= found <= 1 or np.isnan(found)):
        raise UsageError(f"{path} must hold accuracies between 0 and 100, got {cell}")
    return found
