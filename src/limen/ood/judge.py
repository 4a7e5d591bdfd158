"""Scores judged on one bank: how well each separates inliers from every set of outliers."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from limen._core.errors import UsageError, nearest
from limen.bank.bank import FeatureBank
from limen.measure._numbers import flat
from limen.ood.judged import Judged
from limen.ood.scores.extra_class import extra_class
from limen.ood.scores.msp import msp
from limen.ood.scores.protocol import fits, fitted, learns, name_of, scored
from limen.ood.scores.sharing import sharing


def judge(
    bank: FeatureBank,
    *,
    outliers: Sequence[str],
    scores: Sequence[Any] = (msp,),
    inliers: str = "id",
    train: str = "train",
    groups: Mapping[str, Sequence[str]] | None = None,
    level: float = 0.95,
    tpr: float = 0.95,
    seed: int = 0,
    extra_classes: int | None = None,
) -> Judged:
    """How well scores separate inliers from outliers, from arrays alone; higher AUROC is better.

    Every score is fitted once, on the training set only, and applied once to every set. AUROC has
    DeLong's interval, AUPR the jackknife's, FPR at TPR a stratified bootstrap's; both conventions
    of the latter are given, each by its name.

    Args:
        bank: Logits, features and labels of every set.
        outliers: Names of the outlier sets.
        scores: Functions and objects of `limen.ood.scores`.
        inliers: Name of the labelled inlier test set.
        train: Name of the training set; needed by fitted scores only.
        groups: Sets to be pooled, for instance {"near": [...], "far": [...]}; all sets together
            are pooled as "all" in any case where there are two or more.
        level: Nominal coverage of the intervals, between 0 and 1.
        tpr: Share of the positive side to keep, above 0 and at most 1.
        seed: Of the bootstrap.
        extra_classes: Logits behind those of the known classes, as `NTOM` trains one; only the
            score `extra_class` looks at them. None means 1 where that score is asked for, else 0.

    Returns:
        The table, with `tradeoffs`, and two more beside it: see `Judged`.

    Raises:
        UsageError: A set that is not in the bank, that is inlier and outlier at once, or with
            fewer than two rows; inliers of one class or with labels outside 0..C-1; two scores of
            one name; scores that are NaN; an array that a score needs is missing; as many extra
            classes as logits.

    Example:
        >>> from limen.bank import Outputs
        >>> bank = FeatureBank.of({
        ...     "id": Outputs(logits=[[4.0, 0.0], [0.0, 3.0], [2.0, 0.0]], labels=[0, 1, 0]),
        ...     "far": Outputs(logits=[[0.1, 0.0], [2.5, 0.0]])})
        >>> judge(bank, outliers=["far"]).rows[0][2].value    # 5 of 6 pairs
        0.8333333333333334
    """
    names = _names(scores)
    groups = dict(groups or {})
    _refuse_sets(bank, inliers=inliers, outliers=outliers, groups=groups)
    whole, bank = bank, _known(bank, scores, extra_classes)
    labels = _labels(bank, inliers)
    logits = _logits(bank, inliers)
    found_in: dict[str, np.ndarray] = {}
    found_out: dict[str, dict[str, np.ndarray]] = {}
    with sharing():  # moments of the training set are counted once
        fit = [_ready(score, bank, train) for score in scores]
    for name, ready in zip(names, fit, strict=True):
        seen = whole if ready is extra_class else bank
        found_in[name] = flat(f"{name} of set {inliers!r}", scored(ready, seen[inliers]))
        sets = {one: flat(f"{name} of set {one!r}", scored(ready, seen[one])) for one in outliers}
        pooled = groups | ({"all": list(outliers)} if len(outliers) > 1 else {})
        found_out[name] = sets | {
            group: np.concatenate([sets[one] for one in members])
            for group, members in pooled.items()
        }
    return Judged.of(
        found_in,
        found_out,
        predicted={one: _logits(bank, one).argmax(axis=1) for one in outliers},
        labels=labels,
        correct=logits.argmax(axis=1) == labels,
        level=level,
        tpr=tpr,
        protocol=_protocol(
            bank,
            inliers=inliers,
            outliers=outliers,
            level=level,
            groups=groups,
            fitted_on=train if any(map(learns, scores)) else None,
        ),
        seed=seed,
    )


def _known(bank: FeatureBank, scores: Sequence[Any], extra: int | None) -> FeatureBank:
    """The bank without the logits that stand for no class.

    Raises:
        UsageError: Fewer than two known classes are left.
    """
    asked = any(score is extra_class for score in scores)
    extra = int(asked) if extra is None else extra
    if not extra:
        return bank
    columns = next(one.logits.shape[1] for one in map(bank.__getitem__, bank.names)
                   if one.logits is not None)  # fmt: skip
    if not 0 <= extra <= columns - 2:
        raise UsageError(
            f"extra_classes={extra} must leave two known classes or more of {columns} logits"
        )
    return bank.first_classes(columns - extra)


def _ready(score: Any, bank: FeatureBank, train: str) -> Any:
    if not fits(score):
        return score
    if train not in bank and learns(score):
        raise UsageError(
            f"{name_of(score)} is fitted on the training set, and the bank has no set {train!r}; "
            f"nearest: {nearest(train, bank.names)}; name it by train="
        )
    rows = bank[train] if learns(score) else None
    return fitted(score, rows, weight=bank.weight, bias=bank.bias, layers=bank.layers)


def _names(scores: Sequence[Any]) -> list[str]:
    listed = isinstance(scores, list | tuple)
    wrong = [one for one in scores if isinstance(one, type) or not callable(one)] if listed else []
    if not listed or wrong:
        raise UsageError(
            "scores must be a list of scores, such as [ood.msp, ood.KNN(k=50)]; got "
            f"{wrong[0] if wrong else scores!r}"
        )
    names = [name_of(score) for score in scores]
    twice = sorted({name for name in names if names.count(name) > 1})
    if not names or twice:
        raise UsageError(f"scores must be one or more of different names, got twice: {twice}")
    return names


def _refuse_sets(
    bank: FeatureBank,
    *,
    inliers: str,
    outliers: Sequence[str],
    groups: Mapping[str, Sequence[str]],
) -> None:
    if isinstance(outliers, str) or not outliers:
        raise UsageError(f"outliers must be a list of set names, got {outliers!r}")
    for name in (inliers, *outliers):
        if len(bank[name]) < 2:
            raise UsageError(f"set {name!r} must have two rows at least, got {len(bank[name])}")
    if inliers in outliers or len(set(outliers)) < len(outliers):
        raise UsageError(f"each set must be named once, got {inliers!r} and {list(outliers)}")
    for group, members in groups.items():
        odd = [name for name in members if name not in outliers]
        if odd or not members or group in outliers or group == "all":
            raise UsageError(
                f"group {group!r} must have a name of its own and members among "
                f"{list(outliers)}, got {list(members)}"
            )


def _labels(bank: FeatureBank, inliers: str) -> np.ndarray:
    labels = bank.require_labels(inliers)
    if len(np.unique(labels)) < 2:
        raise UsageError(
            f"set {inliers!r} must hold two classes or more, got only class {labels[0]}"
        )
    return labels


def _logits(bank: FeatureBank, name: str) -> np.ndarray:
    logits = bank[name].logits
    if logits is None:
        raise UsageError(f"set {name!r} must have logits, to know what is classified rightly")
    return logits


def _protocol(
    bank: FeatureBank,
    *,
    inliers: str,
    outliers: Sequence[str],
    level: float,
    groups: Mapping[str, Sequence[str]],
    fitted_on: str | None,
) -> str:
    rows = ", ".join(f"{one} ({len(bank[one])})" for one in outliers)
    fit = f"fitted once on {fitted_on} ({len(bank[fitted_on])})" if fitted_on else "none fitted"
    pooled = "".join(f"; {group} = {' + '.join(members)}" for group, members in groups.items())
    passes = sum(bank.passes.get(name, 0) for name in (inliers, *outliers))
    return (
        f"Inliers: {inliers} ({len(bank[inliers])} rows). Outliers: {rows}{pooled}; pooled row by "
        f"row. Scores: higher = more outlying; {fit}. Intervals at {level:.0%}: AUROC DeLong, AUPR "
        "jackknife, FPR bootstrap of each side. Ties count half in areas and pass together at "
        f"thresholds. Network passes over these rows: {passes}."
    )
