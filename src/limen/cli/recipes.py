"""`limen run` and `limen report`: experiments as files."""

from pathlib import Path
from typing import Annotated

import typer

from limen._core.errors import UsageError, nearest
from limen.run.progress import say


def run(
    recipe: Annotated[str, typer.Argument(help="A recipe file, or its name under recipes/.")],
    *,
    only: Annotated[str, typer.Option(help="Glob over the names of cells.")] = "*",
    jobs: Annotated[int, typer.Option(min=1, help="Processes side by side.")] = 1,
    engine: Annotated[str, typer.Option(help="local or ray.")] = "local",
    into: Annotated[Path | None, typer.Option(help="Run folder [runs/NAME].")] = None,
    data: Annotated[
        Path | None, typer.Option(envvar="LIMEN_DATA", help="Folder of real data.")
    ] = None,
) -> None:
    """Run a recipe; the same command again does only what is missing."""
    from limen.run.recipe import Recipe, run_recipe

    file = Path(recipe)
    if not file.suffix:
        file = Path("recipes") / f"{recipe}.py"
    if data is not None and not data.is_dir():
        raise UsageError(f"--data {data} must be a folder; there is none")
    found = Recipe(file)
    page = run_recipe(
        found, into or Path("runs") / file.stem, data=data, only=only, jobs=jobs, engine=engine
    )
    say("the page:")
    print(page)


def report(
    folder: Annotated[Path, typer.Argument(help="A run folder, or a page.")],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print the page's data.")] = False,
) -> None:
    """Write a run's page again from its own data, or print the data."""
    import json

    from limen.report import Page, read

    page = folder / "report.html" if folder.is_dir() else folder
    if not page.is_file():
        near = [str(p.parent) for p in Path().glob("*/*/report.html")]
        hint = f"; nearest: {nearest(str(folder), near)}" if near else ""
        raise UsageError(f"{folder} must hold a report.html; there is none{hint}")
    data = read(page)
    if as_json:
        print(json.dumps(data, indent=2))
        return
    print(Page.from_dict(data).write(page))
