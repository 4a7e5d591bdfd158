"""Channels by name: a table's columns are matched to those of training, in whatever order."""

from collections.abc import Sequence
from typing import Any

from limen._core.errors import UsageError


def names_of(values: Any) -> tuple[str, ...] | None:
    """The channels' names of a data frame whose columns are all different strings, else None.

    Args:
        values: Anything.

    Example:
        >>> import pandas
        >>> names_of(pandas.DataFrame({"load": [1.0], "heat": [2.0]})), names_of([[1.0, 2.0]])
        (('load', 'heat'), None)
    """
    columns = getattr(values, "columns", None)
    if columns is None:
        return None
    names = tuple(columns)
    proper = all(isinstance(one, str) for one in names) and len(set(names)) == len(names)
    return names if proper else None


def order_of(
    names: Sequence[str] | None, wanted: Sequence[str] | None, *, what: str = "X"
) -> list[int] | None:
    """Which of a series' channels are those of training, in their order.

    Args:
        names: Of the series' channels, None where they have none.
        wanted: Of training's.
        what: What an error calls the series.

    Returns:
        Places in `names`; None where one of the two has no names, and places are all there is.

    Raises:
        UsageError: A channel is missing, or one is there that training did not have.

    Example:
        >>> order_of(["heat", "load"], ["load", "heat"])
        [1, 0]
    """
    if names is None or wanted is None:
        return None
    missing = [one for one in wanted if one not in names]
    extra = [one for one in names if one not in wanted]
    if missing or extra:
        told = [f"{', '.join(missing)} missing"] if missing else []
        told += [f"{', '.join(extra)} not among them"] if extra else []
        raise UsageError(
            f"{what} must have the channels of training, {', '.join(wanted)}; "
            f"{' and '.join(told)}; take those columns alone, or train anew"
        )
    return [list(names).index(one) for one in wanted]
