"""Drops found with one model and measured on another: whose benchmark is it?"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from limen._core.errors import UsageError
from limen.report.grid import Grid
from limen.shift.discover import FEWEST, eligible
from limen.shift.halves import Halves, answers


def transfer(
    correct_by_model: Mapping[str, Any],
    label: Any,
    attribute: Any,
    *,
    min_n: int = 30,
    min_gap: float = 0.05,
    folds: int = 2,
    seed: int = 0,
) -> Grid:
    """Drop in accuracy between attributes that one model chose, of every model; higher = worse.

    A benchmark of hard pictures is defined by the model that found them hard. Row i of the matrix
    takes, for each label, the pair of attributes that model i does best and worst with on one half
    of the rows, keeps those with a gap of `min_gap` on that half, and column j tells model j's drop
    between them on the other half, averaged over labels, then over folds:

        drop[i, j] = mean over labels of acc_j(best_i) - acc_j(worst_i).

    The diagonal, too, is measured on rows that had no say, so what is larger there is that model's
    own reliance, and no regression to the mean.

    Args:
        correct_by_model: For each model whether each row is answered rightly; the same rows in the
            same order.
        label: What is to be named.
        attribute: What should not matter.
        min_n: Rows that a label and attribute must have together, 4 or more.
        min_gap: On the choosing half, 0 to 1.
        folds: 2: both halves choose in turn; 1: one does.
        seed: Of the halves, which are the same for all models.

    Returns:
        A heat map: `values[i][j]` for the i-th model as chooser and the j-th as measured; NaN in
        the row of a model that has no pair to choose.

    Raises:
        UsageError: No models, answers that are not 0 or 1 or not one for each row, an option out
            of range, or no label with two attributes of `min_n` rows.

    Reference:
        Limen's own. The question is that of CounterAnimal-I in Q. Wang, Y. Lin, Y. Chen,
        L. Schmidt, B. Han and T. Zhang, "A sober look at the robustness of CLIPs to spurious
        features", NeurIPS 2024: there the chooser is exchanged.

    Example:
        >>> leans, stands = [1] * 40 + [0] * 40, [1] * 80
        >>> place = ["rock"] * 40 + ["snow"] * 40
        >>> found = transfer({"leans": leans, "stands": stands}, ["bear"] * 80, place)
        >>> found.values    # the second model finds nothing hard
        [[1.0, 0.0], [nan, nan]]
    """
    if not correct_by_model:
        raise UsageError("correct_by_model must hold one model or more, got none")
    if min_n < FEWEST or not 0 <= min_gap <= 1 or folds not in (1, 2):
        raise UsageError(
            f"min_n={min_n} must be {FEWEST} or more, min_gap={min_gap} 0 to 1 and "
            f"folds={folds} 1 or 2"
        )
    names = list(correct_by_model)
    right = [answers(f"correct_by_model[{name!r}]", correct_by_model[name]) for name in names]
    lengths = {len(one) for one in right}
    if len(lengths) > 1:
        raise UsageError(f"all models must answer the same rows, got {sorted(lengths)} rows")
    halves = Halves.of(np.stack(right), label, attribute, seed=seed)
    able = eligible(halves, min_n)
    found = [_by(halves, able, one, min_gap=min_gap, folds=folds) for one in range(len(names))]
    return Grid(
        np.stack([drops for drops, _ in found]),
        x=[str(name) for name in names],
        y=[f"{name} ({kept:g} labels)" for name, (_, kept) in zip(names, found, strict=True)],
        x_name="measured on",
        y_name="chosen by",
        title="Drops, by who chose them and who is measured",
        caption=_told(np.array([drops for drops, _ in found])),
        diverging=True,
    )


def _by(
    halves: Halves, able: np.ndarray, model: int, *, min_gap: float, folds: int
) -> tuple[Float[np.ndarray, " models"], float]:
    """Drops of all models on what one chose, and over how many labels, averaged over folds."""
    models = halves.right.shape[1]
    drops: list[np.ndarray] = []
    kept = 0
    for half in range(folds):
        lines = []
        for one in np.flatnonzero(able.sum(1) >= 2).tolist():
            mine = [halves.pick(one, able[one], half=half, by=model, of=j) for j in range(models)]
            if mine[0].chosen >= max(min_gap, 1e-12):
                lines.append([pick.gap for pick in mine])
        kept += len(lines)
        if lines:
            drops.append(np.mean(lines, axis=0))
    mean = np.mean(drops, axis=0) if drops else np.full(models, np.nan)
    return mean, kept / folds


def _told(drops: Float[np.ndarray, "models models"]) -> str:
    own = np.eye(len(drops), dtype=bool)
    said = "Each row: pairs chosen by one model on one half, drops of all on the other half."
    mine, others = drops[own], drops[~own]
    if np.isfinite(mine).any() and np.isfinite(others).any():
        said += (
            f" On average models drop by {np.nanmean(mine):.3f} on pairs of their own choice "
            f"and by {np.nanmean(others):.3f} on others'."
        )
    return said
