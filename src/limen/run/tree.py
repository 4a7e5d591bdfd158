"""Nested Python values with tensors in them, as one safetensors file. Nothing is pickled."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.distributed.tensor import DTensor

from limen._core.errors import UsageError
from limen.run.store import replacing

_KEY = "limen"


def write_tree(path: Path, tree: object) -> None:
    """Write dicts, lists, tuples, numbers, strings, None, tensors and arrays, atomically.

    A sharded tensor is written as its local shard.

    Args:
        path: The file to write.
        tree: The value.

    Raises:
        UsageError: The tree holds something else.

    Example:
        >>> from tempfile import mkdtemp
        >>> path = Path(mkdtemp()) / "state"
        >>> write_tree(path, {"step": 3, 0: (1.5, None), "w": torch.ones(2)})
        >>> read_tree(path)
        {'step': 3, 0: (1.5, None), 'w': tensor([1., 1.])}
    """
    tensors: dict[str, Tensor] = {}
    skeleton = _pack(tree, tensors)
    with replacing(path) as temporary:
        save_file(tensors, temporary, metadata={_KEY: json.dumps(skeleton, allow_nan=False)})


def read_tree(path: Path) -> Any:
    """Read what `write_tree` wrote, tensors on the CPU.

    Raises:
        UsageError: The file is missing, or `write_tree` did not write it.
    """
    if not Path(path).is_file():
        raise UsageError(f"{path} must exist; there is no such file")
    try:
        with safe_open(path, framework="pt") as file:
            skeleton = (file.metadata() or {}).get(_KEY)
            # Cloned, because the file's bytes are not aligned: sums over unaligned memory are
            # taken in another order, and a resumed run would differ in the last bit.
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
    except Exception as broken:
        raise UsageError(f"{path} must be a safetensors file: {broken}") from broken
    if skeleton is None:
        raise UsageError(f"{path} must carry limen's metadata; it was written by something else")
    return _unpack(json.loads(skeleton), tensors)


def _pack(value: object, tensors: dict[str, Tensor]) -> object:
    if isinstance(value, Tensor | np.ndarray):
        return _pack_array(value, tensors)
    if isinstance(value, Mapping):
        items = [[_pack(key, tensors), _pack(item, tensors)] for key, item in value.items()]
        return {"map": items}
    if isinstance(value, list | tuple):
        kind = "list" if isinstance(value, list) else "tuple"
        return {kind: [_pack(item, tensors) for item in value]}
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": repr(value)}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise UsageError(f"only numbers, strings, lists, dicts and arrays can be saved, got {value!r}")


def _pack_array(value: Tensor | np.ndarray, tensors: dict[str, Tensor]) -> object:
    name = f"t{len(tensors)}"
    kind = "tensor" if isinstance(value, Tensor) else "array"
    if isinstance(value, DTensor):
        value = value.to_local()
    tensor = value.detach() if isinstance(value, Tensor) else _from_numpy(value)
    tensor = tensor.to("cpu").clone(memory_format=torch.contiguous_format)
    if tensor.dtype == torch.complex128:  # safetensors has no such type
        tensors[name] = torch.view_as_real(tensor)
        return {"complex": [kind, name]}
    tensors[name] = tensor
    return {kind: name}


def _from_numpy(value: np.ndarray) -> Tensor:
    try:
        return torch.from_numpy(value.copy())
    except (TypeError, ValueError) as unknown:
        raise UsageError(f"only arrays of numbers can be saved, got {value.dtype}") from unknown


def _unpack(node: Any, tensors: Mapping[str, Tensor]) -> Any:
    if not isinstance(node, dict):
        return node
    ((kind, inside),) = node.items()
    if kind == "map":
        return {_unpack(key, tensors): _unpack(item, tensors) for key, item in inside}
    if kind == "float":
        return float(inside)
    if kind in ("tensor", "array"):
        return tensors[inside] if kind == "tensor" else tensors[inside].numpy()
    if kind == "complex":
        value = torch.view_as_complex(tensors[inside[1]])
        return value if inside[0] == "tensor" else value.numpy()
    items = [_unpack(item, tensors) for item in inside]
    return items if kind == "list" else tuple(items)
