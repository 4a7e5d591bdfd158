"""Is it gone, or only hidden? Models under attack, and metrics that see through it."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import floor, log10
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float64
from torch import nn

from limen._core.errors import UsageError
from limen.measure.interval import bootstrap
from limen.report.measured import Measured
from limen.report.table import Cell, Table
from limen.unlearn.attacks.attacked import Attack
from limen.unlearn.attacks.suite import ATTACKS, Values, suite, table
from limen.unlearn.data import Source
from limen.unlearn.task import Task

if TYPE_CHECKING:
    import transformers

_LEAST = 3  # two points always lie on a line


def attack(
    model: nn.Module,
    tokenizer: "transformers.PreTrainedTokenizerBase",
    *,
    forget: Source,
    retain: Source,
    attacks: Sequence[Attack] = ATTACKS,
    template: str = "auto",
    eos: bool = False,
    batch: int = 16,
) -> Table:
    """Memory scores of an unlearned model under attack; forget rows that rise were only hidden.

    The scores are those of `recall`, which need an answer alone. Truth ratios are not among them:
    they need perturbed answers, which a task's rows do not carry; `evaluate` gives them for a
    model that stands still.

    Args:
        model: A causal language model; it ends exactly as it began.
        tokenizer: Its tokenizer.
        forget: Rows that were to be forgotten: anything `read_rows` takes.
        retain: Rows that were to be kept, likewise.
        attacks: Jailbreak, Probing, TokenNoise, Quantisation and Relearning, or objects like them.
        template: "auto", "chat" or "plain", see `encode`.
        eos: Whether the end of the response counts as a token of it.
        batch: Rows in a forward pass.

    Returns:
        One row for each attack after one for none, with 95 % intervals over rows.

    Raises:
        UsageError: No attack, two of one name, rows or settings that do not fit the model.

    Example:
        >>> from limen import unlearn
        >>> from limen.unlearn.toy import toy_model, toy_tokenizer
        >>> tokenizer = toy_tokenizer(["one two three four"] * 8, vocabulary=280)
        >>> model = toy_model(tokenizer, width=32, layers=1)
        >>> rows = [{"prompt": "one", "response": " two"}, {"prompt": "three", "response": " four"}]
        >>> _ = unlearn.learn(model, tokenizer, rows, steps=60, lr=1e-2)
        >>> table = attack(model, tokenizer, forget=rows[:1], retain=rows[1:],
        ...                attacks=[unlearn.Quantisation(bits=8)])
        >>> [row[0] for row in table.rows], table.rows[1][1].value
        (['none', 'quantisation, 8 bits'], 1.0)
    """
    task = Task(tokenizer, forget=forget, retain=retain, template=template, eos=eos)
    return table(suite(model, task, attacks, batch=batch))


def robustness(
    before: Values, after: Mapping[str, Values], *, level: float = 0.95, seed: int = 0
) -> Table:
    """How well a metric withstands attacks, over many models; correlation and slope near 1 are.

    With m the metric of each unlearned model and m' the same under attack, the Pearson correlation
    of m and m' and the least-squares slope of m' on m. A metric that reads what the weights hold
    ranks models alike before and under attack; one that reads the surface does not. Any metric can
    be judged so; `gathered` brings those of `recall`, and no truth ratio, which needs perturbed
    answers: `evaluate` the models before and under attack to add it.

    Args:
        before: Side ("forget", "retain") -> metric -> one value for each model, in one order. The
            models are methods, checkpoints and settings: as unlike as possible.
        after: Attack -> the same. `gathered`, of limen.unlearn.attacks.suite, makes both.
        level: Coverage of the intervals.
        seed: Seed of the bootstrap over models; a draw in which the metric is constant counts as
            correlation and slope 0.

    Returns:
        One row for each attack and metric, to three digits. A dash stands where the metric is
        constant, or infinite for one of the models.

    Raises:
        UsageError: Fewer than 3 models, or sides, metrics and models that do not pair.

    Reference:
        Wang et al., Towards Effective Evaluations and Comparisons for LLM Unlearning Methods,
        ICLR 2025: the test. Departures: slopes and intervals.

    Example:
        >>> before = {"forget": {"strength": [0.1, 0.2, 0.3]}}
        >>> after = {"noise": {"forget": {"strength": [0.05, 0.10, 0.15]}}}
        >>> row = robustness(before, after).rows[0]
        >>> round(row[2].value, 3), round(row[3].value, 3)
        (1.0, 0.5)
    """
    sides = list(before)
    rows: list[list[Cell]] = []
    for name, held in after.items():
        _require_same(f"after[{name!r}] and before", held, before)
        for metric in next(iter(before.values())):
            row: list[Cell] = [name, metric]
            for side in sides:
                pair = _paired(before[side][metric], held[side][metric])
                row += _line(*pair, level=level, seed=seed)
            rows.append(row)
    columns = [f"{side}: {what}" for side in sides for what in ("correlation", "slope")]
    return Table(
        ["attack", "metric", *columns],
        rows,
        title="Metrics under attack",
        caption="Near 1: the metric says under attack what it said before.",
        protocol=f"Pearson correlation and least-squares slope over models, with {level:.0%} "
        "percentile bootstrap intervals.",
    )


def _require_same(what: str, found: Values, wanted: Values) -> None:
    names = {side: set(metrics) for side, metrics in wanted.items()}
    alike = all(one == next(iter(names.values())) for one in names.values())
    if not names or not alike or names != {side: set(held) for side, held in found.items()}:
        raise UsageError(f"{what} must have the same sides, and the same metrics in each")


def _paired(
    before: object, after: object
) -> tuple[Float64[np.ndarray, " models"], Float64[np.ndarray, " models"]]:
    x, y = (np.asarray(values, dtype=np.float64) for values in (before, after))
    if x.shape != y.shape or x.ndim != 1 or len(x) < _LEAST:
        raise UsageError(
            f"a metric must have one value for each of at least {_LEAST} models, before and under "
            f"attack; got shapes {x.shape} and {y.shape}"
        )
    return x, y


def _line(
    x: Float64[np.ndarray, " models"],
    y: Float64[np.ndarray, " models"],
    *,
    level: float,
    seed: int,
) -> list[Cell]:
    """Correlation and slope, each with its interval."""
    cells: list[Cell] = []
    finite = np.isfinite(x).all() and np.isfinite(y).all()
    for statistic in (correlation, slope):
        value = statistic(x[np.newaxis], y[np.newaxis])[0] if finite else np.nan
        if np.isnan(value):
            cells.append(None)
            continue
        redrawn = partial(_redrawn, of=statistic, x=x, y=y)
        interval = bootstrap(np.arange(len(x)), redrawn, level=level, seed=seed)
        cells.append(_three_digits(float(value), interval.low, interval.high))
    return cells


def _three_digits(value: float, low: float, high: float) -> Measured:
    """No more digits than a handful of models can tell: three of the largest."""
    largest = max(abs(value), abs(low), abs(high))
    places = 2 - floor(log10(largest)) if largest else 0
    return Measured(*(round(number, places) for number in (value, low, high)))


def _redrawn(
    models: np.ndarray,
    axis: int,
    *,
    of: Callable[[np.ndarray, np.ndarray], np.ndarray],
    x: np.ndarray,
    y: np.ndarray,
) -> np.ndarray:
    """The statistic of the models drawn, along the last axis."""
    chosen = models.astype(int)
    return np.nan_to_num(of(x[chosen], y[chosen]))


def correlation(
    x: Float64[np.ndarray, "draws models"], y: Float64[np.ndarray, "draws models"]
) -> Float64[np.ndarray, " draws"]:
    """Pearson's correlation along the last axis; nan where x or y is constant.

    Example:
        >>> correlation(np.array([[1.0, 2.0, 3.0]]), np.array([[3.0, 2.0, 1.0]])).round(3)
        array([-1.])
    """
    xy, xx, yy = _moments(x, y)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.clip(xy / np.sqrt(xx * yy), -1.0, 1.0)


def slope(
    x: Float64[np.ndarray, "draws models"], y: Float64[np.ndarray, "draws models"]
) -> Float64[np.ndarray, " draws"]:
    """Least-squares slope of y on x along the last axis; nan where x is constant.

    Example:
        >>> slope(np.array([[1.0, 2.0, 3.0]]), np.array([[0.0, 2.0, 4.0]]))
        array([2.])
    """
    xy, xx, _ = _moments(x, y)
    with np.errstate(divide="ignore", invalid="ignore"):
        return xy / xx


def _moments(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sums of products about the means; exactly zero where one of the two is constant."""
    dx, dy = (
        np.where(np.ptp(v, -1, keepdims=True) == 0, 0.0, v - v.mean(-1, keepdims=True))
        for v in (x, y)
    )
    return (dx * dy).sum(-1), (dx * dx).sum(-1), (dy * dy).sum(-1)
