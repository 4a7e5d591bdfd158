"""Where a number came from: command, versions, machine, content hashes."""

import hashlib
import os
import platform
import shlex
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from torch import nn

_PACKAGES = (
    "limen", "torch", "numpy", "scipy", "safetensors", "accelerate", "transformers", "tokenizers",
    "peft", "datasets",
)  # fmt: skip


def environment() -> dict[str, Any]:
    """What a reader needs to repeat a run: the command, the versions, the machine.

    Returns:
        JSON values; the machine is named by its system and processor, never by its host name.

    Example:
        >>> sorted(environment())
        ['command', 'cores', 'packages', 'platform', 'python', 'threads']
    """
    torch = sys.modules.get("torch")
    return {
        "command": command(),
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads() if torch else None,
        "packages": {name: found for name in _PACKAGES if (found := _version(name))},
    }


def origin() -> dict[str, Any]:
    """The same as facts for a page: the packages' versions in one line.

    Example:
        >>> sorted(origin())
        ['command', 'cores', 'platform', 'python', 'threads', 'versions']
    """
    known = environment()
    packages = known.pop("packages")
    versions = ", ".join(f"{name} {version}" for name, version in packages.items())
    return {**known, "versions": versions}


def command() -> str:
    """The command line that started this process, as one would type it again."""
    program = Path(sys.argv[0]).name
    if program == "__main__.py":
        program = f"python -m {Path(sys.argv[0]).parent.name}"
    return " ".join([program, *map(shlex.quote, sys.argv[1:])])


def fingerprint(model: "nn.Module") -> str:
    """A content hash of a model's weights and buffers: 16 hex digits.

    Args:
        model: Any module; tied weights are read once.

    Returns:
        The same text for the same names, types and bytes, whatever the device.

    Example:
        >>> import torch
        >>> layer = torch.nn.Linear(2, 1)
        >>> fingerprint(layer) == fingerprint(layer)
        True
    """
    import torch

    digest = hashlib.sha256()
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        flat = tensor.detach().cpu().contiguous().reshape(-1)
        digest.update(flat.view(torch.uint8).numpy().data if flat.numel() else b"")
    return digest.hexdigest()[:16]


def hash_files(paths: list[Path]) -> str:
    """A content hash of files in the order given: 16 hex digits."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.name.encode())
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:16]


def hash_array(values: "np.ndarray") -> str:
    """A hash of an array's numbers, shape and type.

    Args:
        values: Any array of numbers.

    Returns:
        16 hexadecimal digits.

    Example:
        >>> import numpy as np
        >>> hash_array(np.zeros(2)) == hash_array(np.zeros((2, 1)))
        False
    """
    digest = hashlib.sha256(f"{values.dtype} {values.shape}".encode())
    digest.update(values.tobytes())
    return digest.hexdigest()[:16]


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
