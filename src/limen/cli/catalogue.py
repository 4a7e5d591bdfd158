"""`limen list`, `limen show`, `limen doctor`: what there is, read without importing it."""

import ast
import json
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from limen._core.errors import UsageError, nearest
from limen._core.lazy import catalogue, exports
from limen.run.provenance import environment

Place = tuple[str, str]  # package, name
Home = tuple[str, str | None]  # module, attribute
ROOT = Path(__file__).parents[1]
EXTRAS = {
    "llm": ("transformers", "tokenizers", "peft", "datasets", "gguf"),
    "vision": ("torchvision", "timm", "open_clip", "sklearn", "onnxruntime"),
    "timeseries": ("aeon", "pandas", "pyarrow"),
    "spectral": ("numba", "h5py", "tifffile", "imageio", "yaml", "colour"),
    "ray": ("ray",),
}


def list_names(
    domain: Annotated[str | None, typer.Argument(help="One package, such as unlearn.")] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List what limen offers: a name and its first line."""
    packages = _packages()
    if domain is not None and domain not in packages:
        raise UsageError(f"there is no package {domain!r}; nearest: {nearest(domain, packages)}")
    chosen = [domain] if domain else list(packages)
    found = {name: _described(packages[name]) for name in chosen}
    if as_json:
        print(json.dumps(found, indent=2))
        return
    for name, entries in found.items():
        print(name)
        width = max(map(len, entries), default=0)
        for entry, line in entries.items():
            print(f"  {entry:<{width}}  {line}")


def show(name: Annotated[str, typer.Argument(help="A name that `limen list` prints.")]) -> None:
    """Show one name's signature and documentation."""
    package, _, wanted = name.removeprefix("limen.").rpartition(".")
    homes = {
        (owner, entry): home
        for owner, init in _packages().items()
        for entry, home in exports(str(init)).items()
        if package in ("", owner)
    }
    found = _matching(wanted, homes)
    if not found:
        near = nearest(wanted, {entry for _, entry in homes}) or nearest(package, _packages())
        raise UsageError(f"there is no name {name!r}; nearest: {near}")
    print("\n\n".join(_documented(*found[place], place=place) for place in found))


def _matching(wanted: str, homes: Mapping[Place, Home]) -> dict[Place, Home]:
    """What goes by that name, each thing once; a difference in case is forgiven if it must be."""
    exact = [place for place in homes if place[1] == wanted]
    loose = [place for place in homes if place[1].casefold() == wanted.casefold()]
    once = {homes[place]: place for place in reversed(exact or loose)}
    return {place: homes[place] for place in reversed(once.values())}


def _documented(module: str, attribute: str | None, *, place: Place) -> str:
    package, name = place
    node = _node(module, attribute or name)
    lines = [f"limen.{name}" if package == "limen" else f"limen.{package}.{name}"]
    if isinstance(node, ast.ClassDef | ast.FunctionDef):
        lines.append(_signature(node))
    return "\n\n".join([*lines, (ast.get_docstring(node) if node else None) or "no documentation"])


def doctor(*, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Say what this machine has: versions, device, extras."""
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cpu" and torch.backends.mps.is_available():
        device = "mps"
    known = environment()
    extras = {
        extra: [module for module in modules if find_spec(module) is None]
        for extra, modules in EXTRAS.items()
    }
    if as_json:
        print(json.dumps({**known, "device": device, "missing": extras}, indent=2))
        return
    print(f"python {known['python']} on {known['platform']}, {known['cores']} cores, {device}")
    for package, version in known["packages"].items():
        print(f"  {package} {version}")
    for extra, missing in extras.items():
        state = (
            f"missing {', '.join(missing)}: pip install '.[{extra}]'" if missing else "installed"
        )
        print(f"extra {extra}: {state}")
    sys.stdout.flush()


def _packages() -> dict[str, Path]:
    """Public packages with names to list, the root first."""
    inits = [init for init in sorted(ROOT.glob("*/__init__.py")) if catalogue(str(init))]
    public = {init.parent.name: init for init in inits if not init.parent.name.startswith("_")}
    return {"limen": ROOT / "__init__.py", **public}


def _described(init: Path) -> dict[str, str]:
    homes = exports(str(init))
    return {name: _first_line(*homes[name], name=name) for name in catalogue(str(init))}


def _first_line(module: str, attribute: str | None, *, name: str) -> str:
    node = _node(module, attribute) if attribute else _tree(f"{module}.{name}")
    said = ast.get_docstring(node) if node else None
    return said.splitlines()[0] if said else ""


def _node(module: str, name: str) -> ast.ClassDef | ast.FunctionDef | ast.Module | None:
    tree = _tree(module)
    for node in tree.body if tree else []:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name:
            return node
    return _tree(f"{module}.{name}")


def _tree(module: str) -> ast.Module | None:
    base = ROOT.parent / module.replace(".", "/")
    for file in (base.with_suffix(".py"), base / "__init__.py"):
        if file.is_file():
            return ast.parse(file.read_text(encoding="utf-8"))
    return None


def _signature(node: ast.ClassDef | ast.FunctionDef) -> str:
    if isinstance(node, ast.FunctionDef):
        returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
        return f"{node.name}({ast.unparse(node.args)}){returns}"
    for item in node.body:
        if isinstance(item, ast.FunctionDef) and item.name == "__init__":
            return f"{node.name}({ast.unparse(item.args).removeprefix('self, ')})"
    fields = [ast.unparse(item) for item in node.body if isinstance(item, ast.AnnAssign)]
    return f"{node.name}({', '.join(f for f in fields if 'ClassVar' not in f)})"
