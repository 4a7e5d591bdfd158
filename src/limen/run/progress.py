"""Progress bars with the time left, and short talk; both on stderr, never on stdout."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

Advance = Callable[..., None]
_talking = False
_live: "list[Progress]" = []


def talk(*, on: bool) -> None:
    """Let `say` and finished bars print lines even where stderr is not a terminal."""
    global _talking
    _talking = on


def say(text: str) -> None:
    """A line of talk on stderr, above any running bar; silent unless a command is running.

    Args:
        text: One line.

    Example:
        >>> say("to the user of a command, and to nobody who imports limen")
    """
    if _talking:
        console().print(text, highlight=False, markup=False, soft_wrap=True)


@contextmanager
def progress(what: str, *, total: int) -> Iterator[Advance]:
    """A bar with count, elapsed and remaining time; bars may nest.

    On a terminal the bar is drawn; elsewhere one line is printed when the work ends, which says how
    far it came where it ended early, and only while a limen command runs. `LIMEN_PROGRESS=0` turns
    bars off.

    Args:
        what: A few words: what is being done.
        total: Number of steps.

    Yields:
        `advance(count=1, note="")`: call it as the work goes on.

    Example:
        >>> with progress("counting", total=3) as advance:
        ...     for _ in range(3):
        ...         advance(note="steady")
    """
    start = monotonic()
    if not drawn():
        done = 0

        def count_up(count: int = 1, *, note: str = "") -> None:
            nonlocal done
            done += count

        yield count_up
        reached = f"{done} of {total}" if 0 < done < total else f"{total}"
        say(f"{what}: {reached} in {monotonic() - start:.0f} s")
        return
    with _bars() as bars:
        task = bars.add_task(what, total=total, note="")

        def advance(count: int = 1, *, note: str = "") -> None:
            bars.update(task, advance=count, note=note)

        yield advance


@cache
def console() -> "Console":
    """The console of stderr; NO_COLOR and non-terminals are respected by rich."""
    from rich.console import Console

    return Console(stderr=True)


def drawn() -> bool:
    """Whether bars are drawn: on a terminal, unless `LIMEN_PROGRESS=0`."""
    return os.environ.get("LIMEN_PROGRESS") != "0" and sys.stderr.isatty()


@contextmanager
def _bars() -> "Iterator[Progress]":
    """The one live display; nested bars join it."""
    if _live:
        yield _live[-1]
        return
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}", style="bold"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", style="dim"),
    )
    with Progress(*columns, console=console(), refresh_per_second=4) as bars:
        _live.append(bars)
        try:
            yield bars
        finally:
            _live.pop()
