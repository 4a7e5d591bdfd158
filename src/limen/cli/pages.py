"""The folder of a page: it belongs to one command with its settings, and to no other."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from limen._core.errors import UsageError
from limen.report import Page
from limen.run.folder import RunFolder
from limen.run.progress import say
from limen.run.store import read_json, strict

IDLE = {"into", "page", "bank", "batch", "threads", "as_json"}
"""Options that decide no number of a page."""
VERBS = (
    "unlearn judge", "unlearn effects", "unlearn attack", "ood judge", "ood threshold",
    "anomaly make", "anomaly score", "anomaly judge",
    "shift counter", "shift line", "shift hull", "shift select", "shift discover",
)  # fmt: skip


@dataclass(frozen=True)
class PageFolder:
    """Where a page is written, over an earlier one of the same command."""

    path: Path
    spec: Mapping[str, Any]
    option: str = "--into"

    def check(self) -> None:
        """Refuse a folder that holds something else; touches nothing.

        Raises:
            UsageError: A run, another command's page or the same one's with other settings.
        """
        file = self.path / "spec.json"
        noted = read_json(file) if file.is_file() else self.spec
        if not isinstance(noted, dict) or noted.get("kind") not in VERBS:
            raise UsageError(
                f"{self.option} {self.path} must not be a run's folder, whose page would be "
                "replaced"
            )
        try:
            RunFolder(self.path).check(self.spec)
        except UsageError as wrong:
            raise UsageError(str(wrong).replace("into=", f"{self.option} ", 1)) from None

    @contextmanager
    def held(self) -> Iterator[Path]:
        """The folder as this command's while something is written to it.

        Yields:
            Its path.
        """
        with RunFolder(self.path).opened(self.spec):
            yield self.path

    def write(self, page: Page) -> None:
        """Write the page, and say where it lies."""
        with self.held() as path:
            say(f"the page: {page.write(path / 'report.html')}")


def folder(
    command: str, options: Mapping[str, Any], *, option: str = "--into"
) -> PageFolder | None:
    """The folder of a command's page, checked before anything is loaded; None without one.

    Args:
        command: One of `VERBS`.
        options: Its options by name; "into" is the folder, or None.
        option: What the command calls that folder.
    """
    if options["into"] is None:
        return None
    kept = {name: value for name, value in options.items() if name not in IDLE}
    spec: Any = strict({"kind": command, **kept})  # as the file holds it, so that both compare
    found = PageFolder(options["into"], spec, option)
    found.check()
    return found
