"""What `limen unlearn` works on: rows, a task, a model, and the place where it stands."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np  # noqa: F401  before torch, whose C code imports it and swallows Ctrl-C
import torch
from torch import nn

from limen import unlearn
from limen._core.errors import UsageError, WorkError
from limen.unlearn.benchmarks import TOFU
from limen.unlearn.data import Row
from limen.unlearn.encode import require_fit
from limen.unlearn.lora import with_lora
from limen.unlearn.refusals import REFUSALS

DEVICES = ("cpu", "cuda", "mps", "xpu")
DTYPES = ("float32", "bfloat16", "float64")
TOFU_FORGET = ("forget01", "forget05", "forget10")


@dataclass(frozen=True)
class Rows:
    """What to forget and what to keep, read before any model is."""

    forget: list[Row]
    retain: list[Row] | None
    guards: dict[str, list[Row]] = field(default_factory=dict)
    refusals: Sequence[str] = REFUSALS


@dataclass(frozen=True)
class Adapter:
    """The LoRA adapter of a model whose weights will move; rank 0 is none."""

    rank: int
    targets: str = "all-linear"
    seed: int = 0

    def on(self, model: nn.Module) -> nn.Module:
        """The model with the adapter."""
        if not self.rank:
            return model
        names = [name.strip() for name in self.targets.split(",") if name.strip()]
        targets = self.targets if self.targets == "all-linear" else names
        adapted: nn.Module = with_lora(model, self.rank, seed=self.seed, targets=targets)
        return adapted


@dataclass(frozen=True)
class Place:
    """Where models shall stand, and the type of their weights."""

    device: torch.device
    dtype: torch.dtype


def rows(
    forget: str,
    retain: str | None,
    *,
    guards: list[str] | None = None,
    refusals: Path | None = None,
) -> Rows:
    """All sets, read before the model is.

    Raises:
        UsageError: A guard without a name, refusals that cannot be read, or bad rows.
    """
    named: dict[str, list[Row]] = {}
    for guard in guards or []:
        name, _, source = guard.partition("=")
        if not source or not name.isidentifier():
            raise UsageError(f"--guard {guard!r} must read NAME=ROWS, with a plain word for a name")
        if name in {*named, "forget", "retain"}:
            raise UsageError(f"--guard {guard!r} must have a name of its own; {name!r} is taken")
        named[name] = _read(source)
    return Rows(
        _read(forget),
        None if retain is None else _read(retain),
        named,
        REFUSALS if refusals is None else _lines(refusals),
    )


def _lines(path: Path) -> list[str]:
    try:
        found = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except OSError as wrong:
        why = (wrong.strerror or str(wrong)).lower()
        raise UsageError(f"--refusals {path} must be a text file here: {why}") from None
    except UnicodeDecodeError:
        raise UsageError(f"--refusals {path} must be a text file in UTF-8; it is not") from None
    if not any(found):
        raise UsageError(f"--refusals {path} must hold at least one line; it is empty")
    return [line for line in found if line]


def check_models(models: Sequence[str]) -> None:
    """Refuse a model that is named twice: it would stand once in every table.

    Raises:
        UsageError: So one is.
    """
    places = [str(Path(model).resolve()) if Path(model).exists() else model for model in models]
    twice = next((m for i, m in enumerate(models) if places[i] in places[:i]), None)
    if twice is not None:
        raise UsageError(f"--model must name each model once; {twice} is named again")


def place(device: str | None, *, dtype: str, threads: int | None) -> Place:
    """Where the work shall be done; sets the number of threads.

    Raises:
        UsageError: A device that is not here, or an unknown type.
    """
    if dtype not in DTYPES:
        raise UsageError(f"--dtype {dtype!r} must be one of {', '.join(DTYPES)}")
    if threads:
        torch.set_num_threads(threads)
    return Place(_device(device), getattr(torch, dtype))


def task(where: str, rows: Rows, *, template: str, eos: bool, allow_overlap: bool) -> unlearn.Task:
    """Both sets, checked and tokenised with the tokenizer of a model that is not loaded yet."""
    return unlearn.Task(
        unlearn.load_tokenizer(where),
        forget=rows.forget,
        retain=rows.retain,
        guards=rows.guards,
        refusals=rows.refusals,
        template=template,
        eos=eos,
        allow_overlap=allow_overlap,
    )


def subject(
    where: str, task: unlearn.Task, place: Place, *, adapter: Adapter | None = None
) -> nn.Module:
    """Load a model and see that the rows fit it; with `adapter` its weights will move.

    Such a model, to be trained or attacked, has the adapter it came with merged, all its weights
    are trainable, and for a rank above 0 it gets a fresh adapter.
    """
    model: Any = unlearn.load_model(where, dtype=place.dtype, device=place.device)
    if adapter is not None and hasattr(model, "merge_and_unload"):
        model = model.merge_and_unload().requires_grad_(True)  # PEFT leaves its base frozen
    guards = ((f"--guard {name}", encoded) for name, encoded in task.guards.items())
    for option, encoded in (("--forget", task.forget), ("--retain", task.retain), *guards):
        try:
            require_fit(model, encoded)
        except UsageError as wrong:
            raise UsageError(f"{option}: {wrong}") from None
    return model if adapter is None else adapter.on(model)


def _read(source: str) -> list[Row]:
    """A file or folder as it is; a hub id may carry `:config` and `:split`."""
    if Path(source).exists():
        return unlearn.read_rows(source)
    name, _, rest = source.partition(":")
    config, _, split = rest.partition(":")
    if name == TOFU.hub and config.startswith("forget") and config not in TOFU_FORGET:
        raise UsageError(f"{source}: TOFU's rows to forget are {', '.join(TOFU_FORGET)}")
    try:
        return unlearn.read_rows(name, config=config or None, split=split or None)
    except WorkError as failed:
        raise WorkError(f"{failed}; a file or folder here needs no network") from None


def _device(wanted: str | None) -> torch.device:
    """The device asked for, or the one that Accelerate finds."""
    if wanted is None:
        from accelerate import PartialState

        return PartialState().device
    if wanted.partition(":")[0] not in DEVICES:
        raise UsageError(f"--device {wanted!r} must be one of {', '.join(DEVICES)}, or cuda:1")
    try:
        device = torch.device(wanted)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as absent:
        why = str(absent).split(". ")[0].splitlines()[0]
        raise UsageError(f"--device {wanted!r} must be a device that is here: {why}") from None
    return device
