"""Costs as ratios: variants take turns, so that a busy machine slows all of them alike."""

import json
from collections.abc import Callable, Mapping
from math import inf
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any

from limen.run import environment

RESULTS = Path(__file__).parent / "results"


def interleaved(
    variants: Mapping[str, Callable[[], Any]], *, rounds: int
) -> dict[str, list[float]]:
    """CPU seconds of each variant in each round, after one round to warm up."""
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    for done in range(rounds + 1):
        for name, run in variants.items():
            start = process_time()
            run()
            if done:
                seconds[name].append(process_time() - start)
    return seconds


def in_turns(variants: Mapping[str, Callable[[], Any]], *, rounds: int) -> dict[str, float]:
    """Median wall seconds of each variant over the rounds, after one round to warm up."""
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    for done in range(rounds + 1):
        for name, run in variants.items():
            start = perf_counter()
            run()
            if done:
                seconds[name].append(perf_counter() - start)
    return {name: median(values) for name, values in seconds.items()}


def ratio(seconds: Mapping[str, list[float]], of: str, to: str) -> float:
    """The median over rounds of one variant's time over another's."""
    return median(a / b for a, b in zip(seconds[of], seconds[to], strict=True))


def write(name: str, figures: Mapping[str, Any]) -> None:
    """Keep the figures beside the benchmark, with where they came from."""
    command = f"python benchmarks/{name}.py"
    record = {"command": command, "environment": environment(), "figures": dict(figures)}
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps(record, indent=2, ensure_ascii=False)
    (RESULTS / f"{name}.json").write_text(text + "\n", encoding="utf-8")


Bound = float | tuple[float, float]  # at most, or from and to


def table(figures: Mapping[str, float], wanted: Mapping[str, Bound]) -> str:
    """One line for each figure, beside what is wanted of it and whether it is so."""
    lines = []
    for name, value in figures.items():
        bound = _told(value, wanted[name]) if name in wanted else ""
        lines.append(f"{name:<58} {value:10.3f}{bound}")
    return "\n".join(lines)


def _told(value: float, bound: Bound) -> str:
    low, high = bound if isinstance(bound, tuple) else (-inf, bound)
    asked = f"at most {high:g}" if low == -inf else f"{low:g} to {high:g}"
    return f"  ({asked}{'' if low <= value <= high else ': MISSED'})"
