"""Models side by side: what each still knows, and what it is worth at equal retention."""

from collections.abc import Mapping

from torch import nn

from limen._core.errors import UsageError
from limen.measure.tradeoff import Tradeoff
from limen.report.measured import Measured
from limen.report.table import Cell, Table
from limen.unlearn.calibrate import calibrate
from limen.unlearn.evidence import PROTOCOL, SCORE_COLUMNS, scores_row
from limen.unlearn.mixing import Before
from limen.unlearn.scores.one_pass import recall
from limen.unlearn.task import Task


def judge(
    models: Mapping[str, nn.Module],
    task: Task,
    *,
    before: Before = None,
    keep: float = 0.95,
    batch: int = 16,
    seed: int = 0,
) -> Table:
    """Scores of several models on the forget and retain rows; forget lower, retain higher.

    With the model before, each model is also calibrated to the same retention, and its gain there
    is what ranks it; without it, models that keep unequally much are not comparable.

    Args:
        models: Name -> causal language model.
        task: Forget and retain rows.
        before: The model before unlearning.
        keep: Share of the retained extraction strength at which models are compared.
        batch: Rows in a forward pass.
        seed: Seed of the bootstrap intervals.

    Returns:
        One row for each model; `.tradeoffs` holds the calibrated ones' curves.

    Raises:
        UsageError: No model, or as `calibrate`.

    Example:
        >>> from limen.unlearn.toy import toy_model, toy_tokenizer
        >>> tokenizer = toy_tokenizer(["a b c"], vocabulary=260)
        >>> task = Task(tokenizer, forget=[{"prompt": "a", "response": " b"}],
        ...             retain=[{"prompt": "b", "response": " c"}])
        >>> table = judge({"toy": toy_model(tokenizer, width=32, layers=1)}, task)
        >>> table.columns[:2], len(table.rows)
        (['model', 'forget: extraction strength'], 1)
    """
    if not models:
        raise UsageError("judge needs at least one model; got none")
    if not task.retain:
        raise UsageError("judge needs retain rows, to know what was kept; the task has none")
    columns = ["model", *SCORE_COLUMNS]
    rows: list[list[Cell]] = []
    curves: list[Tradeoff] = []
    for name, model in models.items():
        scores = tuple(
            recall(model, None, part, batch=batch) for part in (task.forget, task.retain)
        )
        rows.append([name, *scores_row(scores)])
        if before is not None:
            curves.append(
                calibrate(before, model, task, keep=keep, batch=batch, seed=seed, name=name)
            )
    if curves:
        columns += [f"forgotten at {keep:.0%} kept", "price paid", "mixing weight"]
        rows = [row + _at(curve, keep) for row, curve in zip(rows, curves, strict=True)]
    return Table(columns, rows, title="Models", protocol=PROTOCOL, tradeoffs=curves)


def _at(curve: Tradeoff, keep: float) -> list[Cell]:
    point = curve.at(price=1 - keep)
    low, high = point.gain_interval or (point.gain, point.gain)
    return [Measured(point.gain, low, high), point.price, point.knob]
