"""`limen demo`: every answer on one page, from data that installs with the package."""

from importlib import import_module
from pathlib import Path
from time import monotonic
from typing import Annotated

import typer

from limen._core.errors import UsageError, nearest
from limen.run.progress import say

DOMAINS = ("unlearn", "ood", "anomaly", "shift", "spectral")


def demo(
    domains: Annotated[
        list[str] | None, typer.Argument(help=f"Some of: {', '.join(DOMAINS)} [all].")
    ] = None,
    *,
    into: Annotated[Path, typer.Option(help="Folder for the page.")] = Path("limen-demo"),
    quick: Annotated[bool, typer.Option(help="A shorter run, for checking the house.")] = False,
    seed: Annotated[int, typer.Option(help="Decides every random number.")] = 0,
) -> None:
    """Show what limen does on real data, on one page."""
    chosen = domains or list(DOMAINS)
    for domain in chosen:
        if domain not in DOMAINS:
            raise UsageError(f"there is no demo {domain!r}; nearest: {nearest(domain, DOMAINS)}")
    if into.exists() and not into.is_dir():
        raise UsageError(f"--into {into} must be a folder; a file stands there")
    import torch

    from limen.report import Page

    torch.set_num_threads(1)  # models this small gain nothing from two, and stall on a busy machine

    started = monotonic()
    sections = [import_module(f"limen.{d}.demo").section(quick=quick, seed=seed) for d in chosen]
    page = Page(
        "limen: what was gained, and what did it cost?",
        sections[0].answer,
        sections if len(sections) > 1 else sections[0].records,
        subtitle=", ".join(section.title for section in sections),
        lead=sections[0].text if len(sections) == 1 else "",
    )
    path = page.write(into / "report.html")
    say(f"done in {monotonic() - started:.0f} s; the page, for any browser, also offline:")
    print(path.resolve())
