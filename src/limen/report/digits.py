"""How many decimals a number deserves: a column lines up, and claims no more than it knows."""

import math
from collections.abc import Iterable

ABSENT = "\N{EN DASH}"  # a hyphen would read as a minus


def decimals(values: Iterable[float]) -> int:
    """Decimals that show three digits of the largest of `values`, or fewer where fewer say it all.

    Example:
        >>> decimals([0.5, 0.2345]), decimals([0.5, 0.25]), decimals([12.57]), decimals([2000.4])
        (3, 2, 1, 0)
    """
    known = [value for value in values if math.isfinite(value)]
    largest = max(map(abs, known), default=0.0)
    most = min(max(2 - math.floor(math.log10(largest)), 0), 5) if largest else 0
    enough = (p for p in range(most) if all(round(v, p) == round(v, most) for v in known))
    return next(enough, most)


def decimals_for(width: float, size: float) -> int:
    """Decimals that show the first digit of an interval's `width`, and at least two below ten.

    Example:
        >>> decimals_for(0.052, 0.93), decimals_for(71.0, 1523.0)
        (2, 0)
    """
    least = 2 if size < 10 else 0
    if not math.isfinite(width) or width <= 0:
        return max(least, decimals([size]))
    return min(max(math.ceil(-math.log10(width)), least), 5)


def written(value: float, places: int) -> str:
    """`value` with `places` decimals; short scientific notation where that would hide it.

    Example:
        >>> written(0.5, 3), written(3e-9, 3), written(float("inf"), 3)
        ('0.500', '3e-09', '∞')
    """
    if math.isnan(value):
        return ABSENT
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if value and (abs(value) < 10.0**-places or abs(value) >= 1e9):
        return f"{value:.2g}"
    return f"{value + 0.0:.{places}f}"  # + 0.0 takes the sign off a zero


def short(value: str | float) -> str:
    """A label: three digits of a float, every whole digit of a large one, anything else as it is.

    Example:
        >>> short(0.050000000000000044), short(1234.5), short(8), short("all")
        ('0.05', '1234', '8', 'all')
    """
    if not isinstance(value, float):
        return str(value)
    return f"{value:.0f}" if 1000 <= abs(value) < 1e6 else f"{value:.3g}"
