"""Named tensors as one vector: the currency of surgery, blends and effects."""

import re
from collections.abc import Callable, ItemsView, Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn

from limen._core.errors import UsageError
from limen.algebra.inner import inner_products
from limen.algebra.shards import reshard

_BLOCK = re.compile(r"(?:^|\.)(layers|layer|h|blocks|block)\.(\d+)(?:\.|$)")


class ParamVector(Mapping[str, Tensor]):
    """Named tensors that add, scale and multiply like one long vector.

    Holds its tensors by reference: `ParamVector.of(model)` costs no memory and sees later updates;
    `copy()` takes a snapshot. Sums and differences are new vectors. Inner products accumulate in
    float64 on the CPU; an accelerator multiplies each tensor in float32 (float64 if it is), and
    the tensors' products are added up. Sharded tensors need local sums and one all-reduce.

    Args:
        tensors: Name -> tensor.

    Example:
        >>> v = ParamVector({"w": torch.tensor([3.0, 4.0])})
        >>> v.norm(), (2 * v).dot(v), (v - v).norm()
        (5.0, 50.0, 0.0)
    """

    def __init__(self, tensors: Mapping[str, Tensor]):
        self._tensors = dict(tensors)

    @classmethod
    def of(cls, model: nn.Module) -> "ParamVector":
        """The trainable parameters of `model`, by reference; tied weights appear once.

        Of a sharded model these are the shards, also after a forward that gathered them.
        """
        reshard(model)
        return cls({n: p.detach() for n, p in model.named_parameters() if p.requires_grad})

    @classmethod
    def grads(cls, params: Mapping[str, nn.Parameter]) -> "ParamVector":
        """The gradients of named parameters, by reference; a missing gradient is left out."""
        return cls({name: p.grad for name, p in params.items() if p.grad is not None})

    def __getitem__(self, name: str) -> Tensor:
        return self._tensors[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)

    def items(self) -> ItemsView[str, Tensor]:
        """Pairs of name and tensor, in the order they were given."""
        return self._tensors.items()

    def __add__(self, other: "ParamVector") -> "ParamVector":
        return self._with(other, torch.add)

    def __sub__(self, other: "ParamVector") -> "ParamVector":
        return self._with(other, torch.sub)

    def __mul__(self, factor: float) -> "ParamVector":
        return self.map(lambda tensor: tensor * factor)

    __rmul__ = __mul__

    def __truediv__(self, divisor: float) -> "ParamVector":
        return self.map(lambda tensor: tensor / divisor)

    def __neg__(self) -> "ParamVector":
        return self.map(torch.neg)

    def map(self, function: Callable[[Tensor], Tensor]) -> "ParamVector":
        """`function` of every tensor, as a new vector."""
        return ParamVector({name: function(tensor) for name, tensor in self.items()})

    def copy(self) -> "ParamVector":
        """A snapshot that shares no storage."""
        return self.map(lambda tensor: tensor.detach().clone())

    def dot(self, other: "ParamVector") -> float:
        """The inner product with `other`, real also for complex tensors.

        Raises:
            UsageError: The two vectors do not carry the same names and shapes.
        """
        return inners([(self, other)])[0]

    def norm(self) -> float:
        """The Euclidean length."""
        return self.dot(self) ** 0.5

    def grouped(self, by: str | Callable[[str], str] = "layer") -> dict[str, "ParamVector"]:
        """Split into sub-vectors: by "layer" (transformer blocks), "tensor", or your function.

        Args:
            by: "layer" names blocks "layers.3" and everything else by its first component below
                the wrapper ("embed_tokens", "norm", "lm_head"); "tensor" leaves names alone;
                a function maps a parameter's name to its group's.

        Returns:
            Group name -> vector, in order of first appearance.

        Raises:
            UsageError: `by` is neither of these.

        Example:
            >>> one = torch.ones(1)
            >>> v = ParamVector({"model.layers.0.w": one, "lm_head.weight": one})
            >>> list(v.grouped("layer"))
            ['layers.0', 'lm_head']
        """
        known: dict[str, Callable[[str], str]] = {"layer": _layer, "tensor": str}
        if not callable(by) and by not in known:
            raise UsageError(f"by={by!r} must be 'layer', 'tensor' or a function of the name")
        name_of = by if callable(by) else known[by]
        groups: dict[str, dict[str, Tensor]] = {}
        for name, tensor in self.items():
            groups.setdefault(name_of(name), {})[name] = tensor
        return {group: ParamVector(tensors) for group, tensors in groups.items()}

    def __repr__(self) -> str:
        count = sum(tensor.numel() for tensor in self.values())
        return f"ParamVector({len(self)} tensors, {count:,} numbers)"

    def _with(
        self, other: "ParamVector", operate: Callable[[Tensor, Tensor], Tensor]
    ) -> "ParamVector":
        pairs = zip(self, matched(self, other), strict=True)
        return ParamVector({name: operate(a, b) for name, (a, b) in pairs})


def inners(pairs: Sequence[tuple[ParamVector, ParamVector]]) -> list[float]:
    """Several inner products at the price of one round of communication.

    Args:
        pairs: Vectors to multiply two by two; both of a pair carry the same names and shapes.

    Returns:
        One float for each pair.

    Raises:
        UsageError: The two vectors of a pair do not carry the same names and shapes.

    Example:
        >>> v = ParamVector({"w": torch.tensor([3.0, 4.0])})
        >>> inners([(v, v), (v, -v)])
        [25.0, -25.0]
    """
    products = ((row, x, y) for row, (a, b) in enumerate(pairs) for x, y in matched(a, b))
    return inner_products(products, len(pairs))


def matched(a: ParamVector, b: ParamVector) -> list[tuple[Tensor, Tensor]]:
    """The tensors of two vectors pair by pair.

    Raises:
        UsageError: They do not carry the same names and shapes.
    """
    if a.keys() != b.keys():
        odd = sorted(a.keys() ^ b.keys())[:3]
        raise UsageError(f"vectors must carry the same names; only one of them has {odd}")
    for name in a:
        if a[name].shape != b[name].shape:
            raise UsageError(
                f"{name} must have one shape in both vectors, got {tuple(a[name].shape)} "
                f"and {tuple(b[name].shape)}"
            )
    return [(a[name], b[name]) for name in a]


def _layer(name: str) -> str:
    block = _BLOCK.search(name)
    if block:
        return f"{block[1]}.{block[2]}"
    parts = name.split(".")
    return (
        parts[1] if parts[0] in ("model", "transformer", "module") and len(parts) > 2 else parts[0]
    )
