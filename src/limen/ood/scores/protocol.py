"""What every score agrees on, so that a judge can fit and apply any of them."""

import copy
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import partial
from typing import Any

from limen._core.errors import UsageError

_OPTIONAL = ("bias", "layers")


def sees(score: Any) -> tuple[str, ...]:
    """The arrays that `score(...)` takes, in order; plain functions take logits.

    Example:
        >>> from limen.ood.scores.msp import msp
        >>> sees(msp)
        ('logits',)
    """
    return tuple(getattr(score, "sees", ("logits",)))


def fits(score: Any) -> tuple[str, ...]:
    """The arrays that `score.fit(...)` takes, in order; empty where nothing is fitted.

    Example:
        >>> from limen.ood.scores.msp import msp
        >>> fits(msp)
        ()
    """
    return tuple(getattr(score, "fits", ()))


def learns(score: Any) -> bool:
    """Whether a score is fitted on training rows; False where it needs the classifier layer only.

    Args:
        score: Any score.

    Example:
        >>> from limen.ood.scores.ash import ASH
        >>> from limen.ood.scores.knn import KNN
        >>> learns(ASH()), learns(KNN())
        (False, True)
    """
    return not set(fits(score)) <= {"weight", "bias", "layers"}


def name_of(score: Any) -> str:
    """The name for a table: the score's own, with the options that are not defaults.

    Example:
        >>> from functools import partial
        >>> from limen.ood.scores.msp import msp
        >>> name_of(msp), name_of(partial(msp, temperature=2.0))
        ('msp', 'msp(temperature=2.0)')
    """
    if isinstance(score, partial):
        return _called(name_of(score.func), score.keywords)
    if is_dataclass(score) and not isinstance(score, type):
        chosen = {f.name: getattr(score, f.name) for f in fields(score) if f.init}
        defaults = {f.name: _default(f) for f in fields(score)}
        changed = {name: value for name, value in chosen.items() if value != defaults[name]}
        return _called(type(score).__name__, changed)
    return str(getattr(score, "__name__", type(score).__name__))


def fitted(
    score: Any, outputs: Any, *, weight: Any = None, bias: Any = None, layers: Any = None
) -> Any:
    """A copy of `score` fitted on the training set's outputs; itself where nothing is fitted.

    Args:
        score: Any score.
        outputs: Of the training set: an object with logits, features, labels and grams, each an
            array or None; None itself where the score needs no training rows (see `learns`).
        weight: Of the classifier layer, (classes, width).
        bias: Of the classifier layer; None where it has none.
        layers: How many columns of the grams belong to each layer; None: all to one.

    Returns:
        The fitted copy; `score` is not changed.

    Raises:
        UsageError: An array that the fit takes is missing.

    Example:
        >>> from types import SimpleNamespace
        >>> from limen.ood.scores.msp import msp
        >>> fitted(msp, SimpleNamespace(logits=None)) is msp
        True
    """
    if not fits(score):
        return score
    given = {"weight": weight, "bias": bias, "layers": layers}
    taken = [given[name] if name in given else getattr(outputs, name, None) for name in fits(score)]
    absent = [
        n for n, v in zip(fits(score), taken, strict=True) if v is None and n not in _OPTIONAL
    ]
    _refuse_absent(score, absent, "fitted on the training set")
    return copy.copy(score).fit(*taken)


def scored(score: Any, outputs: Any) -> Any:
    """One score for each row of `outputs`; higher = more outlying.

    Raises:
        UsageError: An array that the score takes is missing.

    Example:
        >>> import numpy as np
        >>> from types import SimpleNamespace
        >>> from limen.ood.scores.msp import msp
        >>> scored(msp, SimpleNamespace(logits=np.zeros((1, 4))))
        array([-0.25])
    """
    taken = [getattr(outputs, name, None) for name in sees(score)]
    _refuse_absent(
        score, [n for n, v in zip(sees(score), taken, strict=True) if v is None], "computed"
    )
    return score(*taken)


def _refuse_absent(score: Any, absent: list[str], doing: str) -> None:
    if absent:
        raise UsageError(
            f"{name_of(score)} is {doing} with {', '.join(absent)}, which this bank does not hold; "
            "extract them or leave the score out"
        )


def _called(name: str, options: Mapping[str, Any]) -> str:
    inside = ", ".join(f"{key}={value!r}" for key, value in options.items())
    return f"{name}({inside})" if inside else name


def _default(found: Any) -> Any:
    return found.default_factory() if found.default_factory is not MISSING else found.default
