"""The pages that are written from the code at each build: reference and commands."""

import ast
import json
from functools import cache
from pathlib import Path
from typing import Any

from limen._core.lazy import catalogue, exports

ROOT = Path(__file__).parents[1] / "src" / "limen"
COLUMNS = 80


def setup(app: Any) -> dict[str, bool]:
    """Write the pages before Sphinx looks for pages."""
    app.connect("builder-inited", lambda app: write(Path(app.srcdir) / "reference"))
    return {"parallel_read_safe": True}


def write(into: Path) -> None:
    """Write everything that is generated."""
    into.mkdir(parents=True, exist_ok=True)
    reference(into)
    commands(into)
    results(into)


@cache
def packages() -> dict[str, Path]:
    """Public packages: dotted name -> the `__init__.py` that lists its names."""
    found = {}
    for init in sorted(ROOT.rglob("__init__.py")):
        parts = init.parent.relative_to(ROOT.parent).parts
        if not any(part.startswith("_") for part in parts) and catalogue(str(init)):
            found[".".join(parts)] = init
    return found


def reference(into: Path) -> None:
    """Write one page for each public package, from its literal `__all__`, and their index."""
    for stale in into.glob("*.rst"):
        stale.unlink()
    for package, init in packages().items():
        (into / f"{package}.rst").write_text(_page(package, init), encoding="utf-8")
    entries = "\n".join(f"   {package}" for package in packages())
    index = f"Reference\n=========\n\n.. toctree::\n   :maxdepth: 1\n\n{entries}\n"
    (into / "index.rst").write_text(index, encoding="utf-8")


def commands(into: Path) -> None:
    """Write what `--help` says, for every command."""
    import typer
    from typer.testing import CliRunner

    from limen.cli import app

    roof = next(value for value in vars(app).values() if isinstance(value, typer.Typer))
    runner = CliRunner(env={"COLUMNS": str(COLUMNS), "NO_COLOR": "1", "TERM": "dumb"})
    pages = []
    for path in _paths(typer.main.get_command(roof), ()):
        lines = runner.invoke(roof, [*path, "--help"], prog_name="limen").output.splitlines()
        said = "\n".join(line.rstrip() for line in lines).strip()
        title = " ".join(("limen", *path))
        pages.append(f"## `{title}`\n\n```text\n{said}\n```\n")
    (into / "commands.md").write_text("\n".join(pages), encoding="utf-8")


def results(into: Path) -> None:
    """Write what recipes and benchmarks measured, from the JSON that they left."""
    from limen.report import Page, Table

    house = ROOT.parents[1]
    pages = []
    for file in sorted(house.glob("recipes/results/*.json")):
        found = json.loads(file.read_text(encoding="utf-8"))
        page = Page.from_dict(found["summary"])
        tables = [r.to_markdown() for r in page.records if isinstance(r, Table)]
        notes = [f"*{r.protocol}*" for r in page.records if isinstance(r, Table) and r.protocol]
        pages.append(_result(page.title, found, [page.answer, *tables, *notes]))
    for file in sorted(house.glob("benchmarks/results/*.json")):
        found = json.loads(file.read_text(encoding="utf-8"))
        wanted = found["figures"].get("wanted", {})
        rows = [
            [name, f"{value:.3g}", _bound(wanted[name]) if name in wanted else ""]
            for name, value in found["figures"].items()
            if name != "wanted"
        ]
        table = Table(["figure", "measured", "wanted"], rows).to_markdown()
        pages.append(_result(file.stem.replace("_", " "), found, [table]))
    (into / "results.md").write_text("\n".join(pages), encoding="utf-8")


def _bound(wanted: float | str) -> str:
    """A bound in words: "at most 2", "0 to 0.02"; infinity is no JSON, so pairs are text."""
    if isinstance(wanted, str) and wanted.startswith("("):
        return " to ".join(wanted.strip("()").split(", "))
    return f"at most {float(wanted):.3g}"


def _result(title: str, found: dict[str, Any], parts: list[str]) -> str:
    known = found["environment"]
    command = found.get("command", known["command"])
    origin = f"`{command}`, {known['platform']}, Python {known['python']}, torch "
    return "\n\n".join([f"## {title}", origin + known["packages"]["torch"], *parts]) + "\n"


def _paths(command: object, path: tuple[str, ...]) -> list[tuple[str, ...]]:
    below = getattr(command, "commands", {})
    return [path, *(p for name, child in below.items() for p in _paths(child, (*path, name)))]


def _page(package: str, init: Path) -> str:
    said = ast.get_docstring(ast.parse(init.read_text(encoding="utf-8"))) or ""
    homes = exports(str(init))
    entries = [_entry(package, name, homes[name]) for name in catalogue(str(init))]
    title = f"{package}\n{'=' * len(package)}"
    return "\n\n".join([title, said, f".. py:module:: {package}", *entries]) + "\n"


def _entry(package: str, name: str, home: tuple[str, str | None]) -> str:
    module, attribute = home
    if attribute is None:
        return f"- :doc:`{module}.{name}`"
    owner = _owners()[home]
    if owner != package:
        return f"- :py:obj:`~{owner}.{name}`"
    is_a = kind(module, attribute)
    return f".. auto{is_a}:: {name}" + ("\n   :members:" if is_a == "class" else "")


@cache
def _owners() -> dict[tuple[str, str | None], str]:
    """Where each object is described: the outermost package that exports it."""
    owners: dict[tuple[str, str | None], str] = {}
    for package, init in packages().items():
        for home in exports(str(init)).values():
            owners.setdefault(home, package)
    return owners


def kind(module: str, attribute: str) -> str:
    """What a module's attribute is, read without importing it: class, function or data."""
    found = definition(module, attribute)
    if found is None:
        return "data"
    return "class" if isinstance(found, ast.ClassDef) else "function"


def definition(module: str, attribute: str) -> ast.ClassDef | ast.FunctionDef | None:
    """The class or function of that name in a module's source; None for anything else."""
    file = ROOT.parent / (module.replace(".", "/") + ".py")
    body = ast.parse(file.read_text(encoding="utf-8")).body if file.is_file() else []
    for node in body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == attribute:
            return node
    return None
