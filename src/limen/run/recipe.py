"""Recipes: one file for each published table; run, interrupted, and run again."""

import hashlib
import importlib.util
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property, partial
from multiprocessing import active_children, get_context
from pathlib import Path
from typing import Any

from limen._core.errors import UsageError, WorkError, nearest
from limen._core.optional import require
from limen.run.cell import Cell
from limen.run.folder import RunFolder
from limen.run.progress import progress, say
from limen.run.provenance import environment
from limen.run.reached import reached
from limen.run.store import clear_leftovers, read_json, write_json

Done = list[tuple[Cell, dict[str, Any]]]
_TEXT = "recipe text"  # notes in each cell which edition of `cells` and `run` made it


@dataclass(frozen=True)
class Recipe:
    """A recipe file: `cells(data)`, `run(settings, data)` and `page(done)`.

    Args:
        path: The Python file. Its docstring gives command, cost, published and measured numbers.

    Raises:
        UsageError: The file is missing or lacks one of the three functions.

    Example:
        >>> from tempfile import mkdtemp
        >>> path = Path(mkdtemp()) / "table.py"
        >>> _ = path.write_text("cells = run = page = lambda *given: []")
        >>> Recipe(path).results.name
        'table.json'
    """

    path: Path

    def __post_init__(self) -> None:
        if not self.path.is_file():
            here = [p.name for p in self.path.parent.glob("*.py")]
            hint = f"; nearest: {nearest(self.path.name, here)}" if here else ""
            raise UsageError(f"{self.path} must be a recipe file; there is no such file{hint}")
        missing = [n for n in ("cells", "run", "page") if not hasattr(self.module, n)]
        if missing:
            raise UsageError(f"{self.path} must define cells, run and page; {missing} are missing")

    @property
    def module(self) -> Any:
        """The recipe's module, imported once.

        Raises:
            UsageError: The file is not Python.
        """
        where = str(self.path.resolve())
        name = f"limen_recipe_{hashlib.sha256(where.encode()).hexdigest()[:8]}_{self.path.stem}"
        if name not in sys.modules:
            spec = importlib.util.spec_from_file_location(name, where)
            if spec is None or spec.loader is None:
                raise UsageError(f"{self.path} must be a Python file")
            sys.modules[name] = importlib.util.module_from_spec(spec)
            try:
                spec.loader.exec_module(sys.modules[name])
            except BaseException as failure:
                del sys.modules[name]
                if isinstance(failure, SyntaxError):
                    why = f"{self.path}:{failure.lineno} must be Python: {failure.msg}"
                    raise UsageError(why) from failure
                raise
        return sys.modules[name]

    @cached_property
    def editions(self) -> tuple[str, str]:
        """Hashes of the file as it was when first asked for: what can move a number, and all."""
        source = self.path.read_bytes()
        code = reached(source, ("cells", "run")).encode()
        moving, whole = (hashlib.sha256(text).hexdigest()[:16] for text in (code, source))
        return moving, whole

    @property
    def results(self) -> Path:
        """The JSON that is committed beside the recipe."""
        return self.path.parent / "results" / f"{self.path.stem}.json"


def run_recipe(
    recipe: Recipe,
    into: Path,
    *,
    data: Path | None = None,
    only: str = "*",
    jobs: int = 1,
    engine: str = "local",
) -> Path:
    """Run the cells that have no result yet, then write the page; the same call resumes.

    Args:
        recipe: The recipe.
        into: Folder of the cells' results, of `result.json` and of `report.html`.
        data: Folder of real data that the recipe may need.
        only: Glob over cell names; the page lists the cells that were not run.
        jobs: Processes side by side.
        engine: "local" or "ray".

    Returns:
        The path of the page.

    Raises:
        UsageError: No cell matches `only`, two cells have one key, an unknown engine, or `into`
            belongs to another recipe or to other data.
        WorkError: A cell failed; those that finished are kept.

    Example:
        >>> from tempfile import mkdtemp
        >>> folder = Path(mkdtemp())
        >>> _ = (folder / "squares.py").write_text('''
        ... from limen.report import Page, Table
        ... from limen.run import Cell
        ... def cells(data):
        ...     return [Cell(f"n{n}", {"n": n}) for n in (1, 2, 3)]
        ... def run(settings, data):
        ...     return {"square": settings["n"] ** 2}
        ... def page(done):
        ...     rows = [[cell.name, result["square"]] for cell, result in done]
        ...     return Page("Squares", "Squares grow.", [Table(["cell", "square"], rows)])
        ... ''')
        >>> recipe = Recipe(folder / "squares.py")
        >>> run_recipe(recipe, folder / "out", only="n2").name
        'report.html'
        >>> [cell["square"] for cell in read_json(folder / "out" / "result.json")["cells"]]
        [4]
    """
    edition = recipe.editions[0]  # now: the file may be edited while the cells run
    cells: list[Cell] = recipe.module.cells(data)
    _check_distinct(cells)
    wanted = [cell for cell in cells if fnmatchcase(cell.name, only)]
    if not wanted:
        names = [cell.name for cell in cells]
        raise UsageError(f"only={only!r} must match a cell; nearest: {nearest(only, names)}")
    if engine not in ("local", "ray"):
        raise UsageError(f"engine={engine!r} must be 'local' or 'ray'")
    if engine == "ray":
        require("ray", extra="ray")
    with RunFolder(into).opened(_spec(recipe, into, data)):
        for folder in (into / "cells", recipe.results.parent):
            clear_leftovers(folder)
        todo = [cell for cell in wanted if not _file(into, cell).is_file()]
        say(f"{recipe.path.stem}: {len(wanted)} cells, {len(wanted) - len(todo)} done before")
        engines = {"local": _local, "ray": _ray}
        with progress(recipe.path.stem, total=len(todo)) as advance:
            for cell, result in engines[engine](recipe.path, todo, data=data, jobs=jobs):
                write_json(_file(into, cell), {"name": cell.name, **result, _TEXT: edition})
                advance(note=cell.name)
        return _conclude(recipe, into, cells, needs_data=data is not None)


def _spec(recipe: Recipe, into: Path, data: Path | None) -> dict[str, Any]:
    """What one folder's cells share; what an older folder did not note is not compared."""
    spec = {"recipe": recipe.path.stem, "data": _listing(data)}
    noted = read_json(into / "spec.json") if (into / "spec.json").is_file() else spec
    return {key: value for key, value in spec.items() if key == "recipe" or key in noted}


def _listing(data: Path | None) -> str | None:
    """A hash of the names and sizes below the data folder: other data is another run."""
    if data is None:
        return None
    files = [(p.relative_to(data), p) for p in data.rglob("*") if p.is_file()]
    seen = [(at, p) for at, p in files if not any(part[0] == "." for part in at.parts)]
    lines = sorted(f"{at.as_posix()} {p.stat().st_size}" for at, p in seen)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def _check_distinct(cells: Sequence[Cell]) -> None:
    seen: dict[str, str] = {}
    for cell in cells:
        if cell.key in seen:
            raise UsageError(
                f"cells must differ in their settings; {seen[cell.key]!r} and {cell.name!r} do not"
            )
        seen[cell.key] = cell.name


def _conclude(recipe: Recipe, into: Path, cells: Sequence[Cell], *, needs_data: bool) -> Path:
    done: Done = [(c, read_json(_file(into, c))) for c in cells if _file(into, c).is_file()]
    skipped = [c.name for c in cells if not _file(into, c).is_file()]
    fresh = (None, *recipe.editions)  # older cells noted the whole file, or nothing
    stale = [c.name for c, result in done if result.pop(_TEXT, None) not in fresh]
    if stale:
        say(
            f"made before cells or run of {recipe.path.name} were edited: {', '.join(stale)}; "
            f"remove their files in {into / 'cells'} to run them again"
        )
    record = {
        "recipe": recipe.path.name,
        "environment": environment(),
        "cells": [{**r, "settings": dict(c.settings)} for c, r in done],
        "not_run": skipped,
        "stale": stale,
    }
    page = recipe.module.page(done)
    write_json(into / "result.json", {**record, "summary": page.to_dict()})
    written = page.write(into / "report.html")
    if not skipped or len(done) >= _committed(recipe):
        # What is committed names no folder of the machine that ran it.
        command = f"limen run {recipe.path.parent.name}/{recipe.path.name}"
        public = {**environment(), "command": command + (" --data DIR" if needs_data else "")}
        write_json(recipe.results, {**record, "environment": public, "summary": page.to_dict()})
    return written


def _committed(recipe: Recipe) -> int:
    """How many cells the committed results rest on: fewer never replace more."""
    if not recipe.results.is_file():
        return 0
    return len(read_json(recipe.results).get("cells", ()))


def _file(into: Path, cell: Cell) -> Path:
    return into / "cells" / f"{cell.key}.json"


def _one(path: Path, cell: Cell, data: Path | None) -> dict[str, Any]:
    result: dict[str, Any] = Recipe(path).module.run(dict(cell.settings), data)
    return result


def _single_threaded() -> None:
    os.environ["OMP_NUM_THREADS"] = "1"  # for a torch that is yet to be loaded
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


@contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Processes begun here never hear Ctrl-C: it is ours to end them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


Outcomes = Iterator[tuple[Cell, dict[str, Any]]]


def _local(path: Path, cells: Iterable[Cell], *, data: Path | None, jobs: int) -> Outcomes:
    if jobs > 1:
        yield from _side_by_side(path, cells, data=data, jobs=jobs)
        return
    for cell in cells:
        yield cell, _guard(cell, partial(_one, path, cell, data))


def _side_by_side(path: Path, cells: Iterable[Cell], *, data: Path | None, jobs: int) -> Outcomes:
    """After a failure nothing new begins, but cells that run already may end and are kept."""
    with _workers(jobs) as pool:
        with _deaf_to_interrupts():
            futures = {pool.submit(_one, path, cell, data): cell for cell in cells}
        failures: list[WorkError | UsageError] = []
        for future in as_completed(futures):
            if future.cancelled():
                continue
            try:
                result = _guard(futures[future], future.result)
            except (WorkError, UsageError) as failure:
                failures.append(failure)
                for other in futures:
                    other.cancel()
            else:
                yield futures[future], result
        if failures:
            raise failures[0]


@contextmanager
def _workers(jobs: int) -> Iterator[ProcessPoolExecutor]:
    """Fresh processes; an interruption ends them at once, and what ended before it is kept."""
    strangers = set(active_children())
    spawn = get_context("spawn")
    pool = ProcessPoolExecutor(jobs, mp_context=spawn, initializer=_single_threaded)
    try:
        yield pool
    except BaseException:
        for worker in set(active_children()) - strangers:
            worker.terminate()
        raise
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _ray(path: Path, cells: Iterable[Cell], *, data: Path | None, jobs: int) -> Outcomes:
    ray = require("ray", extra="ray")
    if not ray.is_initialized():
        ray.init(num_cpus=max(jobs, 1), include_dashboard=False, log_to_driver=False)
    remote = ray.remote(num_cpus=1)(_one)
    pending = {remote.remote(path, cell, data): cell for cell in cells}
    while pending:
        (ready,), _ = ray.wait(list(pending), num_returns=1)
        cell = pending.pop(ready)
        yield cell, _guard(cell, partial(ray.get, ready))


def _guard(cell: Cell, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    # A failed cell stops the recipe with its name; the finished cells stay on disk.
    try:
        return work()
    except UsageError:
        raise
    except Exception as failure:
        raise WorkError(
            f"cell {cell.name!r} failed: {failure}; the cells before it are kept, "
            "give the same command again to go on"
        ) from failure
