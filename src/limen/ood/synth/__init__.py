"""Outliers that are made: generators, latents that cannot meet, and simple surrogates."""

from typing import TYPE_CHECKING

from limen._core.lazy import lazy

if TYPE_CHECKING:
    from limen.ood.synth.gan import Discriminator, Generator, Trained, train_gan
    from limen.ood.synth.latents import Latents
    from limen.ood.synth.normalised import Normalised
    from limen.ood.synth.pca import PCAGenerator
    from limen.ood.synth.surrogates import (
        mixed,
        permuted_pixels,
        rotated,
        shuffled_columns,
        shuffled_patches,
        uniform_box,
    )

__all__ = [
    "Discriminator",
    "Generator",
    "Latents",
    "Normalised",
    "PCAGenerator",
    "Trained",
    "mixed",
    "permuted_pixels",
    "rotated",
    "shuffled_columns",
    "shuffled_patches",
    "train_gan",
    "uniform_box",
]
__getattr__, __dir__ = lazy(__name__, __file__)
