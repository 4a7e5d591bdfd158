"""The data back out of a page."""

import json
from pathlib import Path

from limen._core.errors import UsageError

OPENING = '<script type="application/json" id="limen-data">'


def read(path: str | Path) -> dict[str, object]:
    """Everything a page was made from, as `Page.from_dict` takes it.

    Args:
        path: an HTML file that `Page.write` made.

    Returns:
        title, answer, subtitle, lead, and records as their `to_dict` wrote them.

    Raises:
        UsageError: no such file, or a file that carries no limen data.

    Example:
        >>> from pathlib import Path
        >>> from tempfile import TemporaryDirectory
        >>> from limen.report import Facts, Page
        >>> with TemporaryDirectory() as folder:
        ...     page = Page("Toy", "One is one.", [Facts({"one": 1})])
        ...     read(page.write(Path(folder) / "page.html"))["answer"]
        'One is one.'
    """
    try:
        page = Path(path).read_text(encoding="utf-8")
    except OSError as absent:
        raise UsageError(f"path must be a page that limen wrote: {absent}") from absent
    _, found, rest = page.partition(OPENING)
    if not found:
        raise UsageError(f"path must be a page that limen wrote, and {path} carries no data of it")
    data: dict[str, object] = json.loads(rest.partition("</script>")[0])
    return data
