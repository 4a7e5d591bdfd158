"""What there is to test: packages, public names, files, pages."""

import ast
import importlib
import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import limen
from limen._core.lazy import catalogue, exports

SRC = Path(limen.__file__).parent
REPOSITORY = SRC.parents[1]


def _generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", REPOSITORY / "docs" / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


generate = _generator()
PACKAGES: dict[str, Path] = generate.packages()
NAMES = [(package, name) for package, init in PACKAGES.items() for name in catalogue(str(init))]


def _documented() -> dict[str, str]:
    """Functions and classes, each once, with their docstrings; read without importing them."""
    found: dict[tuple[str, str | None], str] = {}
    for package, init in PACKAGES.items():
        for name, home in exports(str(init)).items():
            found.setdefault(home, f"{package}.{name}")
    nodes = {dotted: generate.definition(*home) for home, dotted in found.items() if home[1]}
    return {dotted: ast.get_docstring(node) or "" for dotted, node in nodes.items() if node}


DOCSTRINGS = _documented()


def resolve(dotted: str) -> object:
    """The object behind `package.name`."""
    package, _, name = dotted.rpartition(".")
    return getattr(importlib.import_module(package), name)


def python(program: str, *, path: Path | None = None) -> str:
    """Run a program in a fresh interpreter and return what it printed."""
    before = f"import sys; sys.path.insert(0, {str(path)!r})\n" if path else ""
    run = subprocess.run(
        [sys.executable, "-c", before + program], capture_output=True, text=True, timeout=60
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


def tracked_files() -> list[Path]:
    """Every file that git tracks or would add; empty outside a checkout."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
    )
    names = [name for name in listed.stdout.split("\0") if name]
    return [REPOSITORY / name for name in names if (REPOSITORY / name).is_file()]
