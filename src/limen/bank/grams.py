"""Feature-map statistics for the Gram score, taken while a set is forwarded."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from limen._core.errors import UsageError, nearest
from limen.bank.network import hooked

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


@dataclass(frozen=True)
class Grams:
    """Which Gram statistics a bank keeps: row sums of the Gram matrices of chosen layers.

    For the map F (channels, places) of a layer and a power p: `G = F^p (F^p)^T`, and the statistic
    of channel c is the signed root `(sum_c' G_cc')^(1/p)`. It is taken without the matrix, since
    `sum_c' G_cc' = <F_c^p, sum_c' F_c'^p>`, and of F over its largest entry, so that no power
    overflows. A bank stores them flat: by layer in the order of the pass, by power, by channel.

    Args:
        powers: Orders p, whole and above 0.
        layers: Names of the modules whose output (rows, channels, ...) is looked at; all
            convolutions where it is None.

    Raises:
        UsageError: A power is not a whole number above 0, or there is none.

    Reference:
        Sastry and Oore, Detecting Out-of-Distribution Examples with Gram Matrices, ICML 2020,
        with powers 1 to 10. Departures: convolutions alone by default, where the paper looks at
        activations too; the root is taken of the sum.

    Example:
        >>> found = Grams(powers=(1, 2)).of(torch.tensor([[[1.0, 2.0], [3.0, 0.0]]]))
        >>> [round(value, 4) for value in (found**torch.tensor([1, 1, 2, 2]))[0].tolist()]
        [8.0, 12.0, 26.0, 90.0]
    """

    powers: Sequence[int] = tuple(range(1, 11))
    layers: Sequence[str] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "powers", tuple(self.powers))
        if not self.powers or any(int(p) != p or p < 1 for p in self.powers):
            raise UsageError(f"powers={self.powers} must be whole numbers above 0, one at least")

    def of(self, maps: Float[Tensor, "rows channels ..."]) -> Float[Tensor, "rows statistics"]:
        """The statistics of one layer's maps.

        Args:
            maps: Rows first, channels second.

        Returns:
            For each row the channels' statistics of the first power, of the second, ...
        """
        flat = maps.detach().float().flatten(2)
        largest = flat.abs().amax((1, 2), keepdim=True).clamp_min(torch.finfo(flat.dtype).tiny)
        scaled = flat / largest
        sums = [_row_sums(scaled ** int(p)) for p in self.powers]
        roots = [s.sign() * s.abs() ** (1 / p) for s, p in zip(sums, self.powers, strict=True)]
        return torch.cat(roots, dim=1) * largest[:, 0] ** 2  # G is of degree 2p, its root of 2

    @contextmanager
    def caught(self, model: nn.Module) -> Iterator[list[Tensor]]:
        """For the block, the statistics of every layer called, in the order of the calls.

        Args:
            model: The network.

        Yields:
            A list that fills during a pass; empty it before the next.

        Raises:
            UsageError: A layer is unknown, there is no convolution, or an output is no map.
        """
        found: list[Tensor] = []

        def keep(_: Tensor, left: Tensor) -> None:
            if not isinstance(left, Tensor) or left.dim() < 3:
                raise UsageError("grams need layers whose output is (rows, channels, ...)")
            found.append(self.of(left))

        with ExitStack() as hooks:
            for layer in self._chosen(model):
                hooks.enter_context(hooked(layer, keep))
            yield found

    def _chosen(self, model: nn.Module) -> list[nn.Module]:
        modules = dict(model.named_modules())
        if self.layers is None:
            chosen: list[nn.Module] = [
                layer for layer in modules.values() if isinstance(layer, _CONVOLUTIONS)
            ]
            if not chosen:
                raise UsageError("the model has no convolution: name layers for grams by layers=")
            return chosen
        for name in self.layers:
            if name not in modules:
                close = nearest(name, modules)
                raise UsageError(f"layers has {name!r}, which is no submodule; nearest: {close}")
        return [modules[name] for name in self.layers]


def _row_sums(powered: Float[Tensor, "rows channels places"]) -> Float[Tensor, "rows channels"]:
    return torch.einsum("ncp,np->nc", powered, powered.sum(1))
