"""Inner products of tensors that stay right at fifty million entries and across shards.

A float32 sum over many entries drifts (a plain dot of 5e7 terms is off by some 0.3 %), so every
product is summed in chunks of 2**16 and the chunks are summed in float64. Sharded tensors are
multiplied shard by shard; all scalars then travel in one all-reduce for each mesh.
"""

from collections.abc import Iterable

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.tensor import DTensor

CHUNK = 1 << 16


def local_inner(a: Tensor, b: Tensor) -> Tensor:
    """The real inner product of two plain tensors, as a float64 scalar (float32 on MPS)."""
    a, b = a.detach().reshape(-1), b.detach().reshape(-1)
    if a.is_complex() or b.is_complex():
        return torch.vdot(a.to(torch.complex128), b.to(torch.complex128)).real
    wide = torch.float32 if a.device.type == "mps" else torch.float64
    if wide in (a.dtype, b.dtype):
        return torch.dot(a.to(wide), b.to(wide))
    if a.device.type != "cpu":  # accelerators reduce in a tree, which does not drift
        return torch.dot(a.float(), b.float()).to(wide)
    chunks = zip(a.split(CHUNK), b.split(CHUNK), strict=True)
    return torch.stack([torch.dot(x.float(), y.float()) for x, y in chunks]).to(wide).sum()


def inner_products(products: Iterable[tuple[int, Tensor, Tensor]], count: int) -> list[float]:
    """Sums of inner products, gathered in `count` totals; shards are summed over their mesh.

    Replicated tensors count once, sharded ones are summed over the mesh dimensions that split
    them. Costs one all-reduce for each distinct set of mesh dimensions, whatever the number of
    tensors and totals. The products are consumed one by one, so they may be made on the fly.

    Args:
        products: Triples (which total, tensor, tensor).
        count: Number of totals.

    Returns:
        The totals.

    Raises:
        TypeError: Two tensors are not sharded alike, or hold partial sums.
    """
    totals: dict[tuple[dist.ProcessGroup, ...], Tensor] = {}
    for row, a, b in products:
        key = _groups(a, b)
        value = local_inner(_local(a), _local(b))
        if key not in totals:
            totals[key] = torch.zeros(count, dtype=value.dtype, device=value.device)
        totals[key][row] += value.to(totals[key].device)
    for groups, total in totals.items():
        for group in groups:
            dist.all_reduce(total, group=group)
    sums = [0.0] * count
    for total in totals.values():
        sums = [x + y for x, y in zip(sums, total.tolist(), strict=True)]
    return sums


def _local(tensor: Tensor) -> Tensor:
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def _groups(a: Tensor, b: Tensor) -> tuple[dist.ProcessGroup, ...]:
    """The process groups over which these tensors' shards must be summed.

    Raises:
        TypeError: They are not sharded alike, or hold partial sums, which no gradient does.
    """
    places, others = getattr(a, "placements", ()), getattr(b, "placements", ())
    if places != others:
        raise TypeError(f"both tensors must be sharded alike, got {places} and {others}")
    if not isinstance(a, DTensor):
        return ()
    if any(place.is_partial() for place in places):
        raise TypeError(f"only sharded and replicated tensors are summed, got {places}")
    return tuple(
        a.device_mesh.get_group(axis)
        for axis, place in enumerate(places)
        if not place.is_replicate()
    )
