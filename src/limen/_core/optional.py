"""Optional dependencies: imported when needed, and one sentence when absent."""

import importlib
from types import ModuleType

from limen._core.errors import MissingExtraError


def require(module: str, *, extra: str) -> ModuleType:
    """Import `module`, or say how to install the extra that brings it.

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
