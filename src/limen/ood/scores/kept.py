"""What fitted scores share: their state is their dataclass fields, refused before `fit`."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

import torch
from torch import Tensor

from limen._core.errors import UsageError
from limen.measure.arrays import of_width, tensor

Found = TypeVar("Found", bound="Kept")


class Kept:
    """A dataclass whose fields that are not arguments are what `fit` found."""

    def to_dict(self) -> dict[str, Any]:
        """Options and fitted state, for `limen.save`.

        Raises:
            UsageError: Not fitted yet.
        """
        self._refuse_unfitted()
        return {f.name: getattr(self, f.name) for f in _fields(self)}

    @classmethod
    def from_dict(cls: type[Found], data: Mapping[str, Any]) -> Found:
        """The fitted score that `to_dict` described.

        Raises:
            UsageError: An entry is missing or unknown.
        """
        known = _fields(cls)
        if data.keys() != {f.name for f in known}:
            raise UsageError(f"data must hold {[f.name for f in known]}, got {sorted(data)}")
        score = cls(**{f.name: data[f.name] for f in known if f.init})
        for found in known:
            setattr(score, found.name, data[found.name])
        return score

    def _held(self, *names: str, to: Tensor | torch.device) -> tuple[Tensor, ...]:
        """Fitted tensors on a device, or also in the precision of a tensor."""
        self._refuse_unfitted()
        return tuple(getattr(self, name).to(to) for name in names)

    def _at_head(self, features: Any) -> tuple[Tensor, Tensor, Tensor]:
        """Features, and the last layer's weight and bias in their place and precision."""
        x = tensor("features", features)
        weight, bias = self._held("weight", "bias", to=x)
        return of_width("features", x, weight.shape[1]), weight, bias

    def _refuse_unfitted(self) -> None:
        if any(getattr(self, f.name) is None for f in _fields(self) if not f.init):
            arguments = ", ".join(getattr(self, "fits", ()))
            raise UsageError(
                f"{type(self).__name__} must be fitted first: "
                f"{type(self).__name__}(...).fit({arguments})"
            )


def _fields(score: Any) -> tuple[Any, ...]:
    return fields(score)
