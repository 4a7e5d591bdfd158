"""A name on the command line becomes the object that a package's `__all__` lists."""

import ast
from inspect import signature
from pathlib import Path
from typing import Any

from limen._core.errors import UsageError, nearest
from limen._core.lazy import catalogue, exports


def named(text: str, package: str, *, option: str) -> Any:
    """`NPO`, or `NPO(beta=0.2)`: looked up in `package`, called with literal values only.

    Raises:
        UsageError: An unknown name (answered with the nearest three), or settings that it lacks.
    """
    from importlib import import_module

    init = str(Path(__file__).parents[2] / package.replace(".", "/") / "__init__.py")
    name, settings = _parsed(text, option)
    folded = {known.casefold(): known for known in catalogue(init)}
    if name.casefold() not in folded:
        raise UsageError(
            f"{option} {name!r} is not known; nearest: {nearest(name, catalogue(init))}"
        )
    module, attribute = exports(init)[folded[name.casefold()]]
    make = getattr(import_module(module), str(attribute))
    takes = list(signature(make).parameters)
    unknown = [setting for setting in settings if setting not in takes]
    if unknown:
        raise UsageError(
            f"{option} {text!r}: {attribute} has no setting {unknown[0]!r}; "
            f"it takes {', '.join(takes) or 'none'}"
        )
    try:
        return make(**settings)
    except TypeError as wrong:
        why = str(wrong).splitlines()[0]
        raise UsageError(f"{option} {text!r} has a setting of the wrong type: {why}") from None


def _parsed(text: str, option: str) -> tuple[str, dict[str, Any]]:
    try:
        node = ast.parse(text.strip(), mode="eval").body
        if isinstance(node, ast.Name):
            return node.id, {}
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.args:
            settings = {str(k.arg): ast.literal_eval(k.value) for k in node.keywords}
            return node.func.id, settings
    except (SyntaxError, ValueError):
        pass
    raise UsageError(f"{option} {text!r} must be a name, or a name with settings: 'NPO(beta=0.1)'")
