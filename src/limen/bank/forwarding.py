"""One set through the network, once: checked, hashed and handed on batch by batch."""

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np

from limen._core.errors import UsageError
from limen.bank.batches import Slices, batch, batches_of, length_of, rows_of
from limen.bank.content import DataHash, first_row, plain
from limen.bank.looking import Answer, Looking
from limen.bank.outputs import Outputs, refuse_non_finite, whole
from limen.run.progress import progress


@runtime_checkable
class Sink(Protocol):
    """Where a set's arrays go."""

    def add(self, arrays: dict[str, np.ndarray]) -> None:
        """Take the next rows of each array."""


class Memory:
    """A sink that keeps the arrays."""

    def __init__(self) -> None:
        self._parts: dict[str, list[np.ndarray]] = {}

    def add(self, arrays: dict[str, np.ndarray]) -> None:
        """Keep the next rows of each array."""
        for name, array in arrays.items():
            self._parts.setdefault(name, []).append(array)

    def outputs(self) -> Outputs:
        """All rows."""
        return Outputs(**{name: np.concatenate(parts) for name, parts in self._parts.items()})


class Source:
    """A set as the user gave it.

    Args:
        name: What the set is called.
        given: A loader or arrays, see `batches_of`.
        batch_size: Rows a batch where `given` does not decide.
        transform: What was done to the inputs, in words; None: what the dataset says.
    """

    def __init__(self, name: str, given: Any, *, batch_size: int, transform: str | None):
        self.name = name
        try:
            self.batches = batches_of(given, batch_size=batch_size)
        except UsageError as wrong:
            raise UsageError(f"set {name!r}: {wrong}") from wrong
        dataset = getattr(self.batches, "dataset", None)
        own = getattr(dataset, "transform", None)
        self.transform = transform if transform or own is None else plain(own)

    def forwarded(self, network: Looking) -> tuple[Outputs, dict[str, Any]]:
        """Forward every batch exactly once into memory.

        Args:
            network: What answers.

        Returns:
            The set, and its record as `forward` gives it.

        Raises:
            UsageError: As `forward`.
        """
        memory = Memory()
        with network.ready():
            record = self.forward(network, memory)
        return memory.outputs(), record

    def forward(self, network: Looking, sink: Sink) -> dict[str, Any]:
        """Forward every batch exactly once, inside `network.ready()`.

        Args:
            network: What answers.
            sink: Where the arrays go.

        Returns:
            The set's record: rows, rows forwarded, hashes, transform; JSON values.

        Raises:
            UsageError: No rows, values that are not finite, or labels that do not fit the rows.
        """
        data, rows, kinds = DataHash(), 0, set()
        with progress(f"forwarding {self.name}", total=length_of(self.batches) or 1) as advance:
            for element in self.batches:
                inputs, labels = self._read(element)
                data.update(inputs, labels)  # before the pass: a network may write on its inputs
                arrays = self._checked(network(inputs), labels, first_row=rows)
                kinds.add(tuple((name, array.shape[1:]) for name, array in arrays.items()))
                if len(kinds) > 1:
                    raise UsageError(f"set {self.name!r} must have the same arrays in every batch")
                sink.add(arrays)
                rows += len(next(iter(arrays.values())))
                advance(note=f"{rows} rows")
        if not rows:
            raise UsageError(f"set {self.name!r} must have a row at least, its loader gave none")
        record = {"name": self.name, "rows": rows, "passes": rows, "transform": self.transform}
        return {**record, "data": data.digest(), "first": data.first}

    def difference(self, record: Mapping[str, Any]) -> str | None:
        """How the set differs from the one recorded; None where no difference shows.

        Arrays are compared in full; of a loader the first batch alone is loaded, for its first
        row. The network is not asked.
        """
        if record["transform"] != self.transform:
            return f"its transform was {record['transform']} and is {self.transform}"
        rows = rows_of(self.batches)
        if rows not in (None, record["rows"]):
            return f"it had {record['rows']} rows and has {rows}"
        if isinstance(self.batches, Slices):
            same = self._hashed() == record["data"]
            return None if same else "its inputs or labels are others"
        for element in self.batches:
            if first_row(*self._read(element)) != record["first"]:
                return "its first row is another one (a loader must not shuffle)"
            break
        return None

    def _hashed(self) -> str:
        data = DataHash()
        for element in self.batches:
            data.update(*self._read(element))
        return data.digest()

    def _read(self, element: Any) -> tuple[Any, np.ndarray | None]:
        try:
            inputs, labels = batch(element)
            return inputs, whole(labels)
        except UsageError as wrong:
            raise UsageError(f"set {self.name!r}: {wrong}") from wrong

    def _checked(
        self, answer: Answer, labels: np.ndarray | None, *, first_row: int
    ) -> dict[str, np.ndarray]:
        arrays = {name: array for name, array in answer._asdict().items() if array is not None}
        for name, array in arrays.items():
            refuse_non_finite(array, what=f"{name} of set {self.name!r}", first_row=first_row)
        if labels is None:
            return arrays
        rows = len(next(iter(arrays.values())))
        if len(labels) != rows:
            raise UsageError(
                f"set {self.name!r} needs a label a row, got {len(labels)} for {rows} rows"
            )
        return {**arrays, "labels": labels}
