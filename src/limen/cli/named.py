"""A name on the command line becomes the object that a package's `__all__` lists."""

import ast
import re
from collections.abc import Mapping, Sequence
from inspect import Parameter, signature
from pathlib import Path
from types import NoneType
from typing import Any, get_args

from limen._core.errors import UsageError, nearest
from limen._core.lazy import catalogue, exports


def named(text: str, package: str, *, option: str) -> Any:
    """`NPO`, `NPO(beta=0.2)` or `Temperature(NPO(beta=0.2), 2)`, looked up in `package`.

    Settings are literal values or names of the same package, called in the same way; those without
    a name are taken in the order of the docs, as Python does.

    Raises:
        UsageError: An unknown name (answered with the nearest three), or settings that it lacks.
    """
    try:
        node = ast.parse(text.strip(), mode="eval").body
    except SyntaxError:
        node = None
    if isinstance(node, ast.Name | ast.Call):
        return _built(node, package, option)
    raise UsageError(_shape(text, package, option))


def _shape(text: str, package: str, option: str) -> str:
    """What a value must look like, by an example of its own kind."""
    room = next((room for room in _EXAMPLES if package.startswith(room)), "")
    return f"{option} {text!r} must be a name, or a name with settings: {_EXAMPLES[room]}"


_EXAMPLES = {
    "limen.unlearn": "'NPO(beta=0.1)', 'Temperature(NPO(beta=0.1), temperature=2)'",
    "limen.ood": "'KNN(k=50)', 'DAL(radius=0.1)'",
    "limen.anomaly.synth": "'Spike(size=4)'",
    "": "'KNN(window=100)'",
}
_MEANT = {
    "graddiff": "it is --objective GA with --retain-loss NLL and --no-rectify",
    "gru": "it is --rectify, which goes with any",
}
"""What a name stands for that is no single object, and how to ask for it."""


def _built(node: ast.expr, package: str, option: str) -> Any:
    if isinstance(node, ast.Name):
        return _made(node.id, {}, package, option=option)
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
        raise UsageError(_shape(ast.unparse(node), package, option))
    make = looked_up(node.func.id, package, option=option)
    takes = [n for n, p in signature(make).parameters.items() if p.kind is not p.KEYWORD_ONLY]
    if len(node.args) > len(takes):
        raise UsageError(
            f"{option} {ast.unparse(node)!r}: {make.__name__} has no more settings than "
            f"{', '.join(takes) or 'none'}"
        )
    given = [*zip(takes, node.args, strict=False), *((str(k.arg), k.value) for k in node.keywords)]
    twice = next((n for i, (n, _) in enumerate(given) if n in dict(given[:i])), None)
    if twice is not None:
        raise UsageError(f"{option} {ast.unparse(node)!r} gives {twice} twice; give it once")
    settings = {name: _value(value, package, option) for name, value in given}
    return _made(node.func.id, settings, package, option=option)


def _value(node: ast.expr, package: str, option: str) -> Any:
    if isinstance(node, ast.Name | ast.Call):
        return _built(node, package, option)
    try:
        return ast.literal_eval(node)
    except ValueError:
        raise UsageError(_shape(ast.unparse(node), package, option)) from None


def looked_up(name: str, package: str, *, option: str) -> Any:
    """What a package lists under a name, whatever its case.

    Raises:
        UsageError: An unknown name, answered with the nearest three.
    """
    from importlib import import_module

    init = str(Path(__file__).parents[2] / package.replace(".", "/") / "__init__.py")
    folded = {known.casefold(): known for known in catalogue(init)}
    if name.casefold() in _MEANT and name.casefold() not in folded:
        raise UsageError(f"{option} {name!r} is no name here; {_MEANT[name.casefold()]}")
    if name.casefold() not in folded:
        raise UsageError(
            f"{option} {name!r} is not known; nearest: {nearest(name, catalogue(init))}"
        )
    module, attribute = exports(init)[folded[name.casefold()]]
    return getattr(import_module(module), str(attribute))


def _made(name: str, settings: dict[str, Any], package: str, *, option: str) -> Any:
    make = looked_up(name, package, option=option)
    takes = signature(make).parameters
    unknown = [setting for setting in settings if setting not in takes]
    if unknown:
        raise UsageError(
            f"{option} {name!r}: {make.__name__} has no setting {unknown[0]!r}; "
            f"it takes {', '.join(takes) or 'none'}"
        )
    missing = [n for n in takes if takes[n].default is Parameter.empty and n not in settings]
    if missing:
        raise UsageError(f"{option} {name!r}: {make.__name__} needs a setting {missing[0]!r}")
    _require_kinds(settings, takes, text=f"{option} {name!r}")
    try:
        return make(**settings)
    except UsageError as wrong:
        raise UsageError(f"{option} {name!r}: {wrong}") from None
    except TypeError as wrong:
        why = str(wrong).splitlines()[0]
        raise UsageError(f"{option} {name!r} has a setting of the wrong type: {why}") from None


def _require_kinds(
    settings: Mapping[str, Any], takes: Mapping[str, Parameter], *, text: str
) -> None:
    """Refuse a setting that its annotation says must be a number, and is none.

    Raises:
        UsageError: So it is: 2.5 or a text where a whole number must stand, say.
    """
    for setting, value in settings.items():
        kinds = get_args(takes[setting].annotation) or (takes[setting].annotation,)
        if not {*kinds} <= {int, float, NoneType} or kinds == (NoneType,):
            continue
        if not isinstance(value, (*kinds, int) if float in kinds else kinds) or value is True:
            what = "a number" if float in kinds else "a whole number"
            more = " or None" if NoneType in kinds else ""
            raise UsageError(f"{text}: {setting} must be {what}{more}, got {value!r}")


_SETTING = re.compile(r"(?<![\w.=/-])([A-Za-z_]\w*)=(True\b|False\b|None\b|(?=\S))")


def in_options(
    sentence: str, options: Mapping[str, tuple[str, str]], *, typed: Sequence[str] = ()
) -> str:
    """A sentence about a function's arguments, in the words of the command that called it.

    `lr=0.0` becomes `--lr 0.0`, `rectify=False` its `--no-rectify`, `retain=None` `no
    --retain-loss`. What stands inside a call, `NPO(beta=0.1)`, is left as it is, and so is a
    sentence that begins with an option: it was written for the command.

    Args:
        sentence: An error's.
        options: What turns each argument on, and what off (empty where nothing does), by name.
        typed: Words of the command line, which are left as they are: names of files, say.
    """
    hidden = {f"\0{i}\0": word for i, word in enumerate(typed) if "=" in word}
    for mark, word in hidden.items():
        sentence = sentence.replace(word, mark)
    sentence = _told(sentence, options)
    for mark, word in hidden.items():
        sentence = sentence.replace(mark, word)
    return sentence


def _told(sentence: str, options: Mapping[str, tuple[str, str]]) -> str:
    """Settings outside brackets as options; what begins with one was written for the command."""
    if sentence.startswith("--"):
        return sentence

    def told(found: re.Match[str]) -> str:
        name, value = found.groups()
        before = sentence[: found.start()]
        if name not in options or before.count("(") > before.count(")"):
            return found[0]
        on, off = options[name]
        if value == "True":
            return on
        if value in ("False", "None"):
            return off or f"no {on}"
        return f"{on} {value}"

    return _SETTING.sub(told, sentence)
