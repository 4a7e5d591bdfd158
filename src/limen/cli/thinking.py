"""Where and how makers and detectors of `limen anomaly` compute: seed, device, threads."""

from typing import Any

from limen.cli import subjects


def settle(made: Any, *, seed: int, device: str | None, threads: int | None, text: str) -> None:
    """Give an object that was named on the command line the command's seed, device and threads.

    A seed that its own settings name stays.
    """
    place = subjects.place(device, dtype="float32", threads=threads)
    if hasattr(made, "seed") and "seed=" not in text.replace(" ", ""):
        made.seed = seed
    if hasattr(made, "device"):
        made.device = str(place.device)
