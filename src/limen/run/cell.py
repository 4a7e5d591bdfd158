"""One experiment of a recipe, known by the content of its settings."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Cell:
    """A point of a recipe's grid; its key is a hash of its settings, whatever their order.

    Args:
        name: What people call it, such as "WGA rectified seed 3"; `--only` matches it.
        settings: JSON values that decide the outcome.

    Example:
        >>> a, b = Cell("a", {"seed": 0, "lr": 0.1}), Cell("b", {"lr": 0.1, "seed": 0})
        >>> a.key == b.key, a.key == Cell("a", {"seed": 1, "lr": 0.1}).key
        (True, False)
    """

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Sixteen hex digits."""
        text = json.dumps(dict(self.settings), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]
