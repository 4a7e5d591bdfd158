"""Checkpoints of a training run: whole or absent, one file for each process, nothing pickled.

`checkpoint/step-000120/rank0.safetensors` holds parameters, buffers, optimiser, schedule, combine,
step and random states; `checkpoint/latest` names the last complete one. Sharded tensors are
written shard by shard, so a run resumes on the number of processes that it started with.
"""

import re
import shutil
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from limen._core.errors import UsageError
from limen.run.store import clear_leftovers, write_text
from limen.run.tree import read_tree, write_tree
from limen.train import ranks
from limen.train.randomness import random_state, set_random_state
from limen.train.state import State

_STEP, _RANK = re.compile(r"step-\d{6,}"), re.compile(r"rank\d+\.safetensors")


@runtime_checkable
class Stateful(Protocol):
    """Anything with a state to keep."""

    def state_dict(self) -> Any:
        """The state."""

    def load_state_dict(self, state: Any) -> Any:
        """Take it up again."""


def stateful(parts: dict[str, object]) -> dict[str, Stateful]:
    """Those of the named parts that have a state."""
    return {name: part for name, part in parts.items() if isinstance(part, Stateful)}


def check_ours(into: Path) -> None:
    """Refuse a log or a checkpoint of something else, before either is written; touches nothing.

    Raises:
        UsageError: The folder has no specification of ours and holds one of the two.
    """
    folder = into / "checkpoint"
    if (into / "spec.json").is_file():
        return
    if (into / "log.jsonl").exists() and not folder.is_dir():
        raise UsageError(f"into={into} holds a log.jsonl of something else; name another")
    strange = [p.name for p in folder.glob("[!.]*") if p.name != "latest" and not _is_step(p)][:3]
    if strange or folder.is_file():
        why = f"{strange} in it" if strange else "it is a file"
        raise UsageError(f"into={into} holds a checkpoint of something else, {why}; name another")


def save_checkpoint(
    folder: Path, state: State, *, parts: dict[str, Stateful], identity: dict[str, Any]
) -> None:
    """Write the run as it stands, then name it the latest, then drop the older ones."""
    name = f"step-{state.step:06d}"
    tree = {
        "identity": {**identity, "parts": sorted(parts)},
        "step": state.step,
        "world": ranks.world(),
        "params": dict(state.params),
        "buffers": dict(_kept_buffers(state.model)),
        "parts": {part: item.state_dict() for part, item in parts.items()},
        "random": random_state(state.params.values()),
    }
    write_tree(folder / name / f"rank{ranks.rank()}.safetensors", tree)
    ranks.barrier()
    if ranks.rank() == 0:
        write_text(folder / "latest", name + "\n")
        for old in folder.glob("step-*"):
            if old.name != name:
                shutil.rmtree(old, ignore_errors=True)
        for place in (folder, folder / name):
            clear_leftovers(place)
    ranks.barrier()


def load_checkpoint(
    folder: Path, state: State, *, parts: dict[str, Stateful], identity: dict[str, Any]
) -> bool:
    """Put everything back as the latest checkpoint found it; False when there is none.

    Raises:
        UsageError: The checkpoint belongs to another configuration or number of processes.
    """
    latest = folder / "latest"
    if not latest.is_file():
        return False
    name = latest.read_text(encoding="utf-8").strip()
    tree = read_tree(folder / name / f"rank{ranks.rank()}.safetensors")
    for key, mine in {**identity, "parts": sorted(parts)}.items():
        theirs = tree["identity"].get(key)
        if theirs != mine:
            raise UsageError(
                f"{folder} belongs to another configuration: {key} was {theirs} there and is "
                f"{mine} now; name another folder"
            )
    if tree["world"] != ranks.world():
        raise UsageError(
            f"{folder} was written by {tree['world']} processes, this run has {ranks.world()}; "
            "resume on as many"
        )
    if tree["step"] > state.steps:
        raise UsageError(f"{folder} already holds step {tree['step']}, past steps={state.steps}")
    _restore(state, tree, parts)
    return True


@torch.no_grad()
def _restore(state: State, tree: dict[str, Any], parts: dict[str, Stateful]) -> None:
    state.step = tree["step"]
    for name, value in tree["params"].items():
        _local(state.params[name]).copy_(value)
    for name, buffer in _kept_buffers(state.model).items():
        _local(buffer).copy_(tree["buffers"][name])
    for name, part in parts.items():
        saved = tree["parts"][name]
        part.load_state_dict(_resharded(saved, state) if name == "optimizer" else saved)
    set_random_state(tree["random"])


def _resharded(saved: dict[str, Any], state: State) -> dict[str, Any]:
    """The optimiser's state with its tensors sharded as the parameters that they belong to."""
    params = [p for group in state.optimizer.param_groups for p in group["params"]]
    shaped = {
        index: {
            key: ranks.like(value, params[index])
            if isinstance(value, Tensor) and value.shape == _local(params[index]).shape
            else value
            for key, value in slots.items()
        }
        for index, slots in saved["state"].items()
    }
    return {**saved, "state": shaped}


def _is_step(path: Path) -> bool:
    """Whether a folder is a step's, with nothing in it but the processes' files."""
    files = path.glob("[!.]*")
    return bool(_STEP.fullmatch(path.name)) and all(_RANK.fullmatch(p.name) for p in files)


def _kept_buffers(model: nn.Module) -> dict[str, Tensor]:
    return dict(model.named_buffers())


def _local(tensor: Tensor) -> Tensor:
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor
