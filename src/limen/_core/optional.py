"""Optional dependencies: imported when needed, and one sentence when absent."""

import importlib
from typing import Any

from limen._core.errors import MissingExtraError


def require(module: str, *, extra: str) -> Any:
    """Import `module`, or say how to install the extra that brings it.

    What comes is the module, or what it put in its own place, as colour-science does.

    Raises:
        MissingExtraError: `module` is not installed.
        ModuleNotFoundError: `module` is there, but something that it imports is not.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as missing:
        if missing.name and missing.name.split(".")[0] != module.split(".")[0]:
            raise
        raise MissingExtraError(
            f"{module} is needed for this and is not installed: pip install '.[{extra}]'"
        ) from missing
