"""Experiments as files: atomic stores, locked run folders, cells, progress, provenance."""

from typing import TYPE_CHECKING

from limen._core.lazy import lazy

if TYPE_CHECKING:
    from limen.run.cell import Cell
    from limen.run.files import load, save
    from limen.run.folder import RunFolder
    from limen.run.progress import progress, say
    from limen.run.provenance import environment, fingerprint
    from limen.run.recipe import Recipe, run_recipe

__all__ = [
    "Cell",
    "Recipe",
    "RunFolder",
    "environment",
    "fingerprint",
    "load",
    "progress",
    "run_recipe",
    "save",
    "say",
]
__getattr__, __dir__ = lazy(__name__, __file__)
