"""JSON that any parser reads: no NaN tokens, no numpy, nothing that could end a script element."""

import json
import math
from collections.abc import Mapping, Sequence

import numpy as np

_CLOSERS = {
    "<": "\\u003c",
    ">": "\\u003e",
    "&": "\\u0026",
    "\u2028": "\\u2028",
    "\u2029": "\\u2029",
}


def plain(value: object) -> object:
    """`value` as JSON can say it: NaN is None, an infinity is {"float": "inf"}, arrays are lists.

    Raises:
        TypeError: something that is neither text, number, sequence nor mapping.

    Example:
        >>> plain({"loss": [1.5, float("nan"), float("-inf")]})
        {'loss': [1.5, None, {'float': '-inf'}]}
    """
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, float):
        return _float(value)
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return [plain(item) for item in value]
    raise TypeError(
        f"cannot be written as JSON: {type(value).__name__}; pass text, numbers or lists"
    )


def number(value: object) -> float:
    """The float that `plain` turned into `value`: None is NaN, {"float": "inf"} is infinite.

    Example:
        >>> number(None), number({"float": "inf"}), number(2)
        (nan, inf, 2.0)
    """
    if value is None:
        return math.nan
    if isinstance(value, Mapping):
        value = value["float"]
    return float(value)  # type: ignore[arg-type]


def dumps(value: object) -> str:
    r"""Strict JSON that may stand inside a `<script>` element.

    Example:
        >>> dumps(["</script>"])
        '["\\u003c/script\\u003e"]'
    """
    text = json.dumps(plain(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return "".join(_CLOSERS.get(letter, letter) for letter in text)


def _float(value: float) -> object:
    if math.isnan(value):
        return None
    return value if math.isfinite(value) else {"float": str(value)}
