"""Sums over processes; on one process, nothing."""

from collections.abc import Iterable

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.tensor import DTensor


def world() -> int:
    """Number of processes."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """This process's number."""
    return dist.get_rank() if world() > 1 else 0


def summed(values: list[float], device: torch.device) -> list[float]:
    """Each value summed over all processes."""
    if world() == 1:
        return values
    total = torch.tensor(values, dtype=torch.float64, device=device)
    dist.all_reduce(total)
    return total.tolist()


def average_(tensors: Iterable[Tensor]) -> None:
    """Average replicated tensors over processes in place; shards are left to their mesh."""
    if world() == 1:
        return
    for tensor in tensors:
        if not isinstance(tensor, DTensor):
            dist.all_reduce(tensor)
            tensor.div_(world())


def average_grads_(params: Iterable[nn.Parameter]) -> None:
    """Average the gradients of replicated parameters over processes.

    A gradient that only other processes have counts as zero here.
    """
    replicated = [p for p in params if not isinstance(p, DTensor)] if world() > 1 else []
    if not replicated:
        return
    held = [float(p.grad is not None) for p in replicated]
    for p, holders in zip(replicated, summed(held, replicated[0].device), strict=True):
        if holders and p.grad is None:
            p.grad = torch.zeros_like(p)
    average_(p.grad for p in replicated if p.grad is not None)


def anyone(*, asks: bool, device: torch.device) -> bool:
    """Whether any process says yes; all of them learn it at the same step."""
    return summed([float(asks)], device)[0] > 0


def like(tensor: Tensor, param: Tensor) -> Tensor:
    """A tensor read from disk, on the device and in the sharding of a parameter."""
    tensor = tensor.to(param.device)
    if isinstance(param, DTensor) and not isinstance(tensor, DTensor):
        return DTensor.from_local(
            tensor,
            param.device_mesh,
            param.placements,
            shape=param.shape,
            stride=param.stride(),
        )
    return tensor


def barrier() -> None:
    """Wait for all processes."""
    if world() > 1:
        dist.barrier()
