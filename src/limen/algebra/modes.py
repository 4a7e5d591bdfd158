"""Train and eval mode for a while."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def in_mode(model: nn.Module, *, training: bool) -> Iterator[None]:
    """Every module in train or eval mode for the block; then each gets its own mode back.

    Args:
        model: The model.
        training: True for train mode, False for eval mode.

    Yields:
        Nothing.

    Example:
        >>> layer = nn.Dropout()
        >>> with in_mode(layer, training=False):
        ...     inside = layer.training
        >>> inside, layer.training
        (False, True)
    """
    modes = [(module, module.training) for module in model.modules()]
    model.train(training)
    try:
        yield
    finally:
        for module, was_training in modes:
            module.training = was_training
