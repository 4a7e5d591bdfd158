"""`FeatureBank`: every set forwarded once; every score is then a function of arrays."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, Int64
from torch import nn

from limen._core.errors import UsageError, nearest
from limen.bank import folder
from limen.bank.columns import columns, refuse_misfits
from limen.bank.forwarding import Source
from limen.bank.grams import Grams
from limen.bank.looking import Looking, TorchLooking
from limen.bank.onnx import Onnx
from limen.bank.outputs import Outputs, array_of, refuse_non_finite


class FeatureBank:
    """Logits, features, labels and statistics of named sets, with the classifier's last layer.

    Make one with `extract`, which forwards every set exactly once; with `of`, from arrays; or with
    `open`, from a folder that `extract(into=)` wrote.

    Attributes:
        weight: Of the last layer, (classes, width); None where the logits are not linear in the
            features.
        bias: Of the last layer, (classes,), or None.
        layers: How many columns of `grams` belong to each layer, in order; empty without grams.
        passes: Rows sent through the network, for each set; 0 for arrays that were given.
        hashes: Content hashes of the "model" and, by set name, of the data; empty for arrays.

    Example:
        >>> model = nn.Linear(2, 3).requires_grad_(False)
        >>> loaders = {"id": (torch.eye(2), torch.tensor([0, 2])), "far": 9 * torch.ones(4, 2)}
        >>> bank = FeatureBank.extract(model, loaders)
        >>> bank["far"].features[0].tolist(), bank["id"].labels.tolist(), bank.passes
        ([9.0, 9.0], [0, 2], {'id': 2, 'far': 4})
        >>> bank
        FeatureBank(id: 2, far: 4 rows; 3 classes, 2 features, linear head)
    """

    def __init__(
        self,
        sets: Mapping[str, Outputs],
        *,
        weight: np.ndarray | None = None,
        bias: np.ndarray | None = None,
        layers: Sequence[int] = (),
        records: Mapping[str, Mapping[str, Any]] | None = None,
        model: str | None = None,
    ):
        self._sets = dict(sets)
        self._records = {name: dict(record) for name, record in (records or {}).items()}
        self._model = model
        self.weight: Float32[np.ndarray, "classes width"] | None = _float(weight)
        self.bias: Float32[np.ndarray, " classes"] | None = _float(bias)
        self.layers = tuple(layers)
        refuse_misfits(self._sets, weight=self.weight, bias=self.bias, layers=self.layers)

    @classmethod
    def extract(
        cls,
        model: Any,
        loaders: Mapping[str, Any],
        *,
        head: str | None = None,
        into: str | Path | None = None,
        grams: Grams | None = None,
        batch_size: int = 256,
        transform: str | None = None,
        dtype: torch.dtype | None = None,
    ) -> "FeatureBank":
        """Forward every set exactly once.

        The model is in eval mode without gradients and gets its modes back; inputs follow it to
        its device. With `into`, arrays go to the disk batch by batch and are memory-mapped; the
        same call again keeps the finished sets and forwards the others, and another set may be
        added later. A folder of another model or of other data is refused. What is compared
        without forwarding: the model's layers and weights in full, sets given as arrays in full,
        and of a finished loader its transform, its length where it is known, and its first row. A
        change behind a loader's first row is not seen; the hash of all rows is in `hashes`.

        Args:
            model: A torch classifier, an encoder that ends in `nn.Identity`, an `Onnx`, or an
                ONNX Runtime session.
            loaders: For each set's name a DataLoader, an iterable of `x`, `(x, y)` or dicts (with
                "labels"), a Dataset, or arrays: `x`, a tuple `(x, y)` or a dict.
            head: Name of the classifier layer, where `head_of` finds another one.
            into: A folder for the bank; None: in memory.
            grams: The feature-map statistics to keep; None: none.
            batch_size: Rows a batch, for sets that are no loaders.
            transform: What was done to the inputs, in words; None: what each dataset's
                `transform` prints.
            dtype: Autocast to it, as `torch.bfloat16`; arrays are float32 all the same.

        Returns:
            The bank; with `into`, of all sets that the folder holds.

        Raises:
            UsageError: No set, a set without rows, values that are not finite, labels that are no
                whole numbers; or `into` holds another bank, or another thing.
            WorkError: The disk refused.
        """
        if not loaders:
            raise UsageError("loaders must name a set at least, got none")
        sources = [
            Source(name, given, batch_size=batch_size, transform=transform)
            for name, given in loaders.items()
        ]
        network = _looking(model, head=head, grams=grams, dtype=dtype)
        if into is not None:
            folder.extend(Path(into), network, sources)
            return cls.open(into)
        sets, records = {}, {}
        for source in sources:
            sets[source.name], records[source.name] = source.forwarded(network)
        return cls(
            sets,
            weight=network.weight,
            bias=network.bias,
            layers=network.layers,
            records=records,
            model=network.settings()["model"],
        )

    @classmethod
    def of(
        cls,
        sets: Mapping[str, Outputs],
        *,
        weight: Any = None,
        bias: Any = None,
        layers: Sequence[int] = (),
    ) -> "FeatureBank":
        """A bank of arrays that you already have.

        Args:
            sets: For each name its `Outputs`.
            weight: Of the classifier's last layer, (classes, width), where it is linear.
            bias: Of the same layer, (classes,).
            layers: How many columns of `grams` belong to each layer.

        Returns:
            The bank.

        Raises:
            UsageError: No set, a set without rows, values that are not finite, or shapes that do
                not fit one another.

        Example:
            >>> bank = FeatureBank.of({"id": Outputs(logits=[[1.0, 0.0]])})
            >>> bank["id"].logits.tolist(), bank.weight
            ([[1.0, 0.0]], None)
        """
        for name, outputs in sets.items():
            for kind in ("logits", "features", "grams"):
                array = getattr(outputs, kind)
                if array is not None:
                    refuse_non_finite(array, what=f"{kind} of set {name!r}")
        return cls(sets, weight=weight, bias=bias, layers=layers)

    def first_classes(self, classes: int) -> "FeatureBank":
        """The bank of the first classes alone, its arrays shared; for heads with an extra class.

        Args:
            classes: How many logits, and rows of the last layer, to keep.

        Returns:
            A bank of the same sets, passes and hashes.

        Raises:
            UsageError: `classes` is below 1 or above the number of logits.

        Example:
            >>> bank = FeatureBank.of({"id": Outputs(logits=[[1.0, 0.0, 5.0]])})
            >>> bank.first_classes(2)["id"].logits.tolist()
            [[1.0, 0.0]]
        """
        widths = [one.logits.shape[1] for one in self._sets.values() if one.logits is not None]
        if not 1 <= classes <= min(widths, default=classes):
            raise UsageError(
                f"classes={classes} must be from 1 to {min(widths)}, the number of logits"
            )
        sets = {
            name: Outputs(
                logits=None if one.logits is None else one.logits[:, :classes],
                features=one.features, labels=one.labels, grams=one.grams,
            )
            for name, one in self._sets.items()
        }  # fmt: skip
        return FeatureBank(
            sets,
            weight=None if self.weight is None else self.weight[:classes],
            bias=None if self.bias is None else self.bias[:classes],
            layers=self.layers,
            records=self._records,
            model=self._model,
        )

    @classmethod
    def open(cls, path: str | Path, *, model: Any = None) -> "FeatureBank":
        """Open a folder that `extract(into=)` wrote; arrays stay on the disk until they are read.

        Args:
            path: The folder.
            model: The network that the bank must be of; None: any.

        Returns:
            The bank, its sets in the order in which they were forwarded.

        Raises:
            UsageError: No bank is there, it is not whole, or it is of another model.
        """
        expected = None if model is None else _looking(model).settings()["model"]
        return cls(**folder.read(Path(path), model=expected))

    @property
    def names(self) -> list[str]:
        """The sets' names."""
        return list(self._sets)

    @property
    def passes(self) -> dict[str, int]:
        """Rows sent through the network, for each set."""
        return {name: self._records.get(name, {}).get("passes", 0) for name in self._sets}

    @property
    def hashes(self) -> dict[str, str]:
        """Content hashes: of the model, and of each set's inputs and labels."""
        data = {name: record["data"] for name, record in self._records.items()}
        return data if self._model is None else {"model": self._model, **data}

    @property
    def transforms(self) -> dict[str, str | None]:
        """What was done to each set's inputs, in words; None where nobody said."""
        return {name: self._records.get(name, {}).get("transform") for name in self._sets}

    @property
    def classes(self) -> int | None:
        """Number of classes; None for an encoder."""
        return columns(self._sets, "logits")

    def require_labels(self, name: str) -> Int64[np.ndarray, " rows"]:
        """The labels of a set of inliers.

        Args:
            name: The set.

        Returns:
            One class for each row, 0 to classes - 1.

        Raises:
            UsageError: The set has no labels, or one is outside 0 to classes - 1.

        Example:
            >>> outputs = Outputs(logits=[[1.0, 0.0]], labels=[1])
            >>> FeatureBank.of({"id": outputs}).require_labels("id").tolist()
            [1]
        """
        labels = self[name].labels
        if labels is None:
            raise UsageError(f"set {name!r} must have labels to be a set of inliers, it has none")
        top = np.inf if self.classes is None else self.classes - 1
        bad = np.flatnonzero((labels < 0) | (labels > top))
        if len(bad):
            raise UsageError(
                f"labels of set {name!r} must be 0 to {top}; row {bad[0]} has {labels[bad[0]]}"
            )
        return labels

    def to_dict(self) -> dict[str, Any]:
        """The whole bank for `limen.save`; for a bank larger than memory use `into=`."""
        return {
            "sets": {name: outputs.arrays() for name, outputs in self._sets.items()},
            "weight": self.weight,
            "bias": self.bias,
            "layers": list(self.layers),
            "records": self._records,
            "model": self._model,
        }

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> "FeatureBank":
        """A bank from what `to_dict` gave."""
        sets = {name: Outputs(**arrays) for name, arrays in state["sets"].items()}
        return cls(sets, **{key: value for key, value in state.items() if key != "sets"})

    def __getitem__(self, name: str) -> Outputs:
        if name not in self._sets:
            close = nearest(name, self._sets)
            raise UsageError(f"the bank has no set {name!r}; the nearest: {close}")
        return self._sets[name]

    def __contains__(self, name: object) -> bool:
        return name in self._sets

    def __iter__(self) -> Any:
        return iter(self._sets)

    def __len__(self) -> int:
        return len(self._sets)

    def __repr__(self) -> str:
        rows = ", ".join(f"{name}: {len(outputs)}" for name, outputs in self._sets.items())
        width, kept = columns(self._sets, "features"), columns(self._sets, "grams")
        head = "no linear head" if self.weight is None else "linear head"
        facts = [f"{self.classes or 'no'} classes", f"{width or 'no'} features", head]
        facts += [f"{kept} statistics"] if kept else []
        return f"FeatureBank({rows} rows; {', '.join(facts)})"


def _looking(
    model: Any,
    *,
    head: str | None = None,
    grams: Grams | None = None,
    dtype: torch.dtype | None = None,
) -> Looking:
    if isinstance(model, nn.Module):
        return TorchLooking(model, head=head, grams=grams, dtype=dtype)
    looking = model if isinstance(model, Onnx) else Onnx(model)
    if (head, grams, dtype) != (None, None, None):
        raise UsageError("head, grams and dtype are for torch models; an Onnx names its outputs")
    return looking


def _float(values: Any) -> np.ndarray | None:
    return None if values is None else array_of(values).astype(np.float32, copy=False)
