"""Small classifiers to learn and to test with; any `nn.Module` with a linear head will do."""

from typing import TYPE_CHECKING

from limen._core.lazy import lazy

if TYPE_CHECKING:
    from limen.ood.nets.lenet import LeNet
    from limen.ood.nets.mlp import MLP
    from limen.ood.nets.resnet import ResNet
    from limen.ood.nets.wrn import WRN

__all__ = [  # noqa: RUF022  in plain order
    "LeNet",
    "MLP",
    "ResNet",
    "WRN",
]
__getattr__, __dir__ = lazy(__name__, __file__)
