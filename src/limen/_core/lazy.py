"""Packages that load on first use, so that `limen --help` never waits for torch.

A package's `__init__.py` says what it exports once, to people and to type checkers::

    if TYPE_CHECKING:
        from limen.measure.separation import auroc
    __all__ = ["auroc"]
    __getattr__, __dir__ = lazy(__name__, __file__)

`lazy` reads those lines as text and imports a module when one of its names is first asked for.
"""

import ast
import importlib
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import ModuleType


@cache
def exports(file: str) -> dict[str, tuple[str, str | None]]:
    """Public names of a lazy package: name -> (module, attribute), read without importing it.

    The attribute is None where the name is a whole module (`from limen import unlearn`).
    """
    tree = ast.parse(Path(file).read_text(encoding="utf-8"))
    homes: dict[str, tuple[str, str | None]] = {}
    for node in tree.body:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            for line in node.body:
                if isinstance(line, ast.ImportFrom) and line.module:
                    homes.update(_aliases(line))
    return homes


def catalogue(file: str) -> list[str]:
    """The literal `__all__` of a package, read without importing it."""
    for node in ast.parse(Path(file).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            names: list[str] = ast.literal_eval(node.value)
            return names
    return []


def lazy(package: str, file: str) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """`__getattr__` and `__dir__` (PEP 562) for a package that imports its parts on first use."""
    sys.modules[package].__class__ = _Lazy

    def load(name: str) -> object:
        home = exports(file).get(name)
        if home is None:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module, attribute = home
        found = importlib.import_module(module if attribute else f"{module}.{name}")
        value = getattr(found, attribute) if attribute else found
        setattr(sys.modules[package], name, value)
        return value

    def names() -> list[str]:
        return sorted(set(exports(file)) | set(vars(sys.modules[package])))

    return load, names


class _Lazy(ModuleType):
    """A package in which `forget.py` may hold `forget`.

    Python binds a freshly imported submodule to its name in the package, which would hide the
    function of the same name; here the exported object takes that place.
    """

    def __setattr__(self, name: str, value: object) -> None:
        if isinstance(value, ModuleType) and value.__name__ == f"{self.__name__}.{name}":
            home = exports(str(self.__file__)).get(name)
            if home and home[1]:
                value = getattr(value, home[1])
        super().__setattr__(name, value)


def _aliases(line: ast.ImportFrom) -> dict[str, tuple[str, str | None]]:
    module = str(line.module)
    whole = _is_package_import(module)
    return {
        alias.asname or alias.name: (module, None if whole(alias.name) else alias.name)
        for alias in line.names
    }


def _is_package_import(module: str) -> Callable[[str], bool]:
    """Whether `from module import name` names a submodule: decided by the files beside us."""
    root = Path(__file__).parents[2] / module.replace(".", "/")

    def whole(name: str) -> bool:
        return (root / name / "__init__.py").exists() or (root / f"{name}.py").exists()

    return whole
