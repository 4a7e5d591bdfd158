"""What a sharded model must be told when its shards move behind its back."""

from torch import nn
from torch.distributed.fsdp import FSDPModule


def reshard(model: nn.Module) -> None:
    """Drop gathered copies of sharded weights, so that the next forward reads the shards.

    A forward without a backward may leave such copies behind (the root module's, by default); a
    shard that is then changed in place would not be seen. Does nothing to other models.

    Args:
        model: Any module, sharded by `fully_shard` or not.
    """
    for module in model.modules():
        if isinstance(module, FSDPModule):
            module.reshard()
