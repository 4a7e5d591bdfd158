"""Files for the tests of the commands, and what lies in a folder."""

import json
from pathlib import Path


def written(path: Path, rows: list[dict]) -> Path:
    """Rows as JSON lines."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def listing(folder: Path) -> set[Path]:
    """Everything below a folder."""
    return set(folder.rglob("*"))
