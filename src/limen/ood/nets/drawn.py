"""Initial weights from a seed, whatever the global generator says."""

from torch import nn

from limen._core.errors import UsageError
from limen._core.streams import torch_stream


def draw(net: nn.Module, seed: int) -> None:
    """Set the weights of every layer in place; biases become 0, norms the identity.

    Convolutions are normal with variance 2 / (outputs x kernel), linear layers uniform with
    variance 2 / inputs.

    Args:
        net: The network.
        seed: Decides the weights.
    """
    stream = torch_stream(seed, "nets")
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", generator=stream)
        elif isinstance(module, nn.Linear):
            nn.init.kaiming_uniform_(module.weight, nonlinearity="relu", generator=stream)
        bias = getattr(module, "bias", None)
        if isinstance(module, nn.Conv2d | nn.Linear) and bias is not None:
            nn.init.zeros_(bias)


def require_classes(classes: int) -> None:
    """Refuse a network that tells nothing apart.

    Args:
        classes: Outputs.

    Raises:
        UsageError: Below 2.
    """
    if classes < 2:
        raise UsageError(f"classes={classes} must be at least 2")
