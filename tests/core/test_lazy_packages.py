"""Packages load on first use, and say what they hold without loading."""

import importlib
import sys

import pytest

from limen._core.lazy import catalogue, exports

INIT = """
from typing import TYPE_CHECKING
from limen._core.lazy import lazy
if TYPE_CHECKING:
    from {name}.forget import forget
    from {name}.numbers import ONE, TWO as two
__all__ = ["ONE", "forget", "two"]
__getattr__, __dir__ = lazy(__name__, __file__)
"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    name = "lazy_toy"
    folder = tmp_path / name
    folder.mkdir()
    (folder / "__init__.py").write_text(INIT.format(name=name))
    (folder / "forget.py").write_text("def forget():\n    return 'forgotten'\n")
    (folder / "numbers.py").write_text("ONE, TWO = 1, 2\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield name
    for loaded in [module for module in sys.modules if module.split(".")[0] == name]:
        del sys.modules[loaded]


def test_importing_the_package_imports_none_of_its_parts(package):
    importlib.import_module(package)
    assert f"{package}.forget" not in sys.modules


def test_a_name_is_imported_when_it_is_asked_for(package):
    module = importlib.import_module(package)
    assert (module.ONE, module.two) == (1, 2)
    assert f"{package}.numbers" in sys.modules
    assert f"{package}.forget" not in sys.modules


def test_a_function_named_like_its_module_wins(package):
    module = importlib.import_module(package)
    assert module.forget() == "forgotten"


def test_it_wins_also_when_the_module_was_imported_first(package):
    importlib.import_module(f"{package}.forget")
    assert importlib.import_module(package).forget() == "forgotten"


def test_it_wins_also_when_the_module_is_imported_afterwards(package):
    module = importlib.import_module(package)
    assert module.forget() == "forgotten"
    importlib.import_module(f"{package}.forget")
    assert module.forget() == "forgotten"


def test_a_module_without_a_namesake_stays_a_module(package):
    importlib.import_module(f"{package}.numbers")
    assert importlib.import_module(package).numbers.ONE == 1


def test_an_unknown_name_is_an_attribute_error(package):
    module = importlib.import_module(package)
    with pytest.raises(AttributeError, match="'lazy_toy' has no attribute 'remember'"):
        module.remember  # noqa: B018
    assert not hasattr(module, "remember")


def test_dir_lists_what_is_not_loaded_yet(package):
    assert {"ONE", "forget", "two"} <= set(dir(importlib.import_module(package)))


def test_the_catalogue_is_read_without_importing(package, tmp_path):
    init = str(tmp_path / package / "__init__.py")
    assert catalogue(init) == ["ONE", "forget", "two"]
    assert exports(init)["two"] == (f"{package}.numbers", "TWO")
    assert package not in sys.modules


def test_a_whole_package_is_exported_as_a_module():
    import limen

    assert exports(limen.__file__)["algebra"] == ("limen", None)
    assert limen.algebra.__name__ == "limen.algebra"
