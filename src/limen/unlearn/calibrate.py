"""Unlearning with control: bring a model back to a fixed retention, then ask what it forgot."""

import numpy as np
from jaxtyping import Float
from torch import nn

from limen._core.errors import UsageError
from limen._core.streams import numpy_stream
from limen.measure.tradeoff import Tradeoff
from limen.unlearn.mixing import Before, Mixing, require_knowledge, search, weights_of
from limen.unlearn.task import Task

PRICE, GAIN = "retained knowledge lost", "knowledge forgotten"


def calibrate(
    before: Before,
    after: nn.Module,
    task: Task,
    *,
    keep: float = 0.95,
    tolerance: float = 0.01,
    grid: int = 11,
    batch: int = 16,
    level: float = 0.95,
    seed: int = 0,
    name: str = "",
) -> Tradeoff:
    """The whole trade-off between the model before and the one after unlearning (UWC).

    Models `(1 - w) before + w after` are scored for w on a grid and by bisection for the largest
    w that keeps the share `keep` of the retain rows' extraction strength. With ES the mean
    extraction strength of a set,

        price(w) = 1 - ES_retain(w) / ES_retain(0)
        gain(w)  = 1 - ES_forget(w) / ES_forget(0)

    so `tradeoff.at(price=1 - keep)` is the calibrated model's: the highest gain among the settings
    that keep enough, the cheaper one where two gain the same. Unlearning methods are compared
    there, at equal retention, and nowhere else. Both models stay as they are.

    Args:
        before: The model before unlearning: module, named parameters or folder; None, or the base
            model itself, for a LoRA model whose adapter is what was unlearned (its scale is moved,
            no weights are copied).
        after: The unlearned model.
        task: Forget and retain rows.
        keep: Share of the retained extraction strength to keep, in (0, 1].
        tolerance: Width of w at which the bisection stops.
        grid: Number of evenly spaced w, ends included.
        batch: Rows in a forward pass.
        level: Coverage of the gain's bootstrap interval (forget rows resampled, before and after
            together).
        seed: Seed of the bootstrap.
        name: Name of the curve.

    Returns:
        All settings scored, with knob w and intervals.

    Raises:
        UsageError: `keep` or another number out of range, no retain rows, a model before that
            knows nothing of one of the sets, or checkpoints that do not fit each other.

    Reference:
        Wang et al., Towards Effective Evaluations and Comparisons for LLM Unlearning Methods,
        ICLR 2025, Algorithm 1. Departures: mixed in float32 and cast once; the bisection is
        checked against a grid, because retention need not fall steadily; the operating point is
        the setting that forgets most, which need not be the largest w; the price is relative, and
        the whole curve is kept.

    Example:
        >>> import copy
        >>> from limen import unlearn
        >>> from limen.unlearn.toy import toy_model, toy_tokenizer
        >>> tokenizer = toy_tokenizer(["one two three four"] * 8, vocabulary=280)
        >>> model = toy_model(tokenizer, width=32, layers=1)
        >>> rows = [{"prompt": "one", "response": " two"}, {"prompt": "three", "response": " four"}]
        >>> _ = unlearn.learn(model, tokenizer, rows, steps=60, lr=1e-2)
        >>> task = unlearn.Task(tokenizer, forget=rows[:1], retain=rows[1:])
        >>> unlearn.calibrate(copy.deepcopy(model), model, task).at(price=0.05).gain
        0.0
    """
    mixing = mixed(before, after, task, keep=keep, batch=batch)
    return trace_out(
        mixing, keep=keep, tolerance=tolerance, grid=grid, level=level, seed=seed, name=name
    )


def mixed(before: Before, after: nn.Module, task: Task, *, keep: float, batch: int = 16) -> Mixing:
    """Both models as one that can stand anywhere between them; checks what `calibrate` needs.

    Raises:
        UsageError: As `calibrate`.
    """
    if not 0 < keep <= 1:
        raise UsageError(f"keep={keep} must lie in (0, 1]: the share of knowledge to keep")
    if not task.retain:
        raise UsageError("calibration needs retain rows, to know what was kept; the task has none")
    mixing = Mixing(after, weights_of(before, after), task, batch)
    require_knowledge(mixing)
    return mixing


def trace_out(
    mixing: Mixing,
    *,
    keep: float,
    tolerance: float = 0.01,
    grid: int = 11,
    level: float = 0.95,
    seed: int = 0,
    name: str = "",
) -> Tradeoff:
    """Search, then gather what was scored as a Tradeoff.

    Raises:
        UsageError: As `calibrate`.
    """
    if not 0 < level < 1:
        raise UsageError(f"level={level} must lie between 0 and 1")
    search(mixing, keep=keep, tolerance=tolerance, grid=grid)
    weights = sorted(mixing.seen)
    forget = np.stack([mixing.score(w)[0].extraction_strength for w in weights])
    interval = gain_intervals(forget, level=level, seed=seed)
    return Tradeoff(
        price=[1 - mixing.kept(w) / mixing.kept(0.0) for w in weights],
        gain=[1 - mixing.remembered(w) / mixing.remembered(0.0) for w in weights],
        knob=weights,
        gain_interval=interval,
        name=name,
        price_name=PRICE,
        gain_name=GAIN,
        knob_name="mixing weight",
    )


def gain_intervals(
    strength: Float[np.ndarray, "settings rows"], *, level: float, seed: int, resamples: int = 2000
) -> Float[np.ndarray, "settings 2"]:
    """Percentile intervals of `1 - mean(row) / mean(first row)`, columns resampled together.

    Draws in which the model before knows nothing are left out.
    """
    rows = strength.shape[1]
    draws = numpy_stream(seed, "calibrate").multinomial(rows, np.full(rows, 1 / rows), resamples)
    means = np.nan_to_num(strength) @ draws.T / rows
    known = means[0] > 0
    gains = 1 - means[:, known] / means[0, known]
    tails = [(1 - level) / 2, (1 + level) / 2]
    return np.quantile(gains, tails, axis=1).T
