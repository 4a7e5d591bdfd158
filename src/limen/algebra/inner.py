"""Inner products of tensors that stay right at fifty million entries and across shards.

A sum over many float32 entries drifts (a plain dot of 5e7 terms is off by some 0.3 %), and one
over bfloat16 entries drifts at 65,536 already. On the CPU every product is therefore taken in
float64, chunk by chunk, so that the wide copies stay in the cache. Sharded tensors are multiplied
shard by shard; all scalars then travel in one all-reduce for each mesh.
"""

from collections.abc import Callable, Iterable, Iterator

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.tensor import DTensor

CHUNK = 1 << 15

Groups = tuple[dist.ProcessGroup, ...]
Local = Callable[[Tensor, Tensor], Tensor]


def local_inner(a: Tensor, b: Tensor) -> Tensor:
    """The real inner product `<a, b>` of two plain tensors: float64, of one entry."""
    return _accumulated(a, b, lambda x, y: [torch.dot(x, y)])


def local_gram(a: Tensor, b: Tensor) -> Tensor:
    """`<a, b>, <a, a>, <b, b>` of two plain tensors, each read once: float64, of three entries."""
    return _accumulated(a, b, lambda x, y: [torch.dot(x, y), torch.dot(x, x), torch.dot(y, y)])


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
    return _gathered(
        ((slice(row, row + 1), *_local(a, b, local_inner)) for row, a, b in products), count
    )


def gram(pairs: Iterable[tuple[Tensor, Tensor]]) -> tuple[float, float, float]:
    """`<a, b>, <a, a>, <b, b>` of two vectors given as pairs of tensors, each read once.

    Args:
        pairs: The two vectors' tensors, pair by pair; consumed one by one.

    Returns:
        The three sums, over all shards.

    Raises:
        TypeError: Two tensors are not sharded alike, or hold partial sums.
    """
    dot, first, second = _gathered(((slice(0, 3), *_local(a, b, local_gram)) for a, b in pairs), 3)
    return dot, first, second


def _accumulated(a: Tensor, b: Tensor, dots: Callable[[Tensor, Tensor], list[Tensor]]) -> Tensor:
    a, b = a.detach().reshape(-1), b.detach().reshape(-1)
    if a.is_complex() or b.is_complex():
        a, b = _as_real(a), _as_real(b)
    if a.device.type != "cpu":  # accelerators reduce in a tree, which does not drift
        wide = torch.float32 if a.device.type == "mps" else torch.float64
        narrow = torch.float64 if torch.float64 in (a.dtype, b.dtype) else torch.float32
        return torch.stack(dots(a.to(narrow), b.to(narrow))).to(wide)
    wide = torch.float64
    parts = [
        torch.stack(dots(x.to(wide), y.to(wide)))
        for x, y in zip(a.split(CHUNK), b.split(CHUNK), strict=True)
    ]
    return parts[0] if len(parts) == 1 else torch.stack(parts).sum(0)


def _as_real(a: Tensor) -> Tensor:
    """Real and imaginary parts side by side: Re<a, b> is the inner product of these."""
    a = a if a.is_complex() else a.to(torch.promote_types(a.dtype, torch.complex64))
    return torch.view_as_real(a.resolve_conj()).reshape(-1)


def _local(a: Tensor, b: Tensor, product: Local) -> tuple[Groups, Tensor]:
    """The product of what this process holds, and the groups over which it must be summed.

    Raises:
        TypeError: The tensors are not sharded alike, or hold partial sums, which no gradient does.
    """
    places, others = getattr(a, "placements", ()), getattr(b, "placements", ())
    if places != others:
        raise TypeError(f"both tensors must be sharded alike, got {places} and {others}")
    if not isinstance(a, DTensor) or not isinstance(b, DTensor):
        return (), product(a, b)
    if any(place.is_partial() for place in places):
        raise TypeError(f"only sharded and replicated tensors are summed, got {places}")
    groups = tuple(
        a.device_mesh.get_group(axis)
        for axis, place in enumerate(places)
        if not place.is_replicate()
    )
    return groups, product(a.to_local(), b.to_local())


def _gathered(values: Iterator[tuple[slice, Groups, Tensor]], count: int) -> list[float]:
    totals: dict[Groups, Tensor] = {}
    for rows, groups, value in values:
        if groups not in totals:
            totals[groups] = torch.zeros(count, dtype=value.dtype, device=value.device)
        totals[groups][rows] += value.to(totals[groups].device)
    for groups, total in totals.items():
        for group in groups:
            dist.all_reduce(total, group=group)
    sums = [0.0] * count
    for total in totals.values():
        sums = [x + y for x, y in zip(sums, total.tolist(), strict=True)]
    return sums
