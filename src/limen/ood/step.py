"""Cross-entropy on inliers beside whatever an objective makes of outliers."""

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol, cast, runtime_checkable

import torch
from jaxtyping import Int
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from limen._core.errors import UsageError
from limen.bank.network import Seen, head_of
from limen.ood.seen import RULES, Inputs, View, has_bn, passed
from limen.train.feed import moved
from limen.train.losses import Loss


class PairedRows(NamedTuple):
    """A batch: inliers with their classes, and outliers.

    Attributes:
        inputs: Inlier rows: a tensor, or a dict of tensors.
        labels: Their classes.
        outliers: Outlier rows of the same kind; None where the objective makes its own.

    Example:
        >>> PairedRows(torch.eye(2), torch.tensor([0, 1])).outliers is None
        True
    """

    inputs: Inputs
    labels: Int[Tensor, " rows"]
    outliers: Inputs | None = None


@runtime_checkable
class Objective(Protocol):
    """Learns from outliers: `objective(view)` returns named losses, "outlier" among them.

    A frozen dataclass. It may also have:

    - `forwards: ClassVar[str]`: "both" (as when absent), the step's first pass sees inliers and
      outliers; "inliers", the objective passes what it needs through `view.forward`; or "joint",
      both only where they share batch-norm statistics;
    - `make(labels, step=, seed=, state=) -> rows | None`: outliers of its own making, which pass in
      the place of the batch's;
    - `counts: ClassVar[str]`: which rows its mean runs over, "outliers" (as when absent) or
      "inliers"; and `additive: ClassVar[bool]`, False when it is no mean over rows;
    - `extra_classes: ClassVar[int]`: how many logits stand behind the known classes'; 0 if absent;
    - `begin(model) -> dict`: a state of tensors and numbers, changed in place as `view.state`;
      under "epoch" the step puts the number of batches in an epoch, where it is known;
    - `weight: ClassVar[float]`: what `Training` weighs its loss by, where nothing else is asked.

    A loss called "inlier" replaces the step's cross-entropy.

    Example:
        >>> from limen.ood.objectives.dal import DAL
        >>> isinstance(DAL(), Objective)
        True
    """

    def __call__(self, view: View) -> dict[str, Loss]:
        """Named losses of one batch."""


class Step:
    """The step of training with outliers for `limen.fit`: losses "inlier", and the objective's.

    "inlier" is the cross-entropy, a mean over inliers; "outlier" a mean over outliers, never over
    the union, so that `Weighted(outlier=0.5)` weighs what it says. Inliers and outliers share one
    pass where the objective asks for both.

    `bn` says whose statistics batch norm uses and keeps:

    - "joint": those of all rows of a pass together, as published;
    - "id_stats": inliers and other rows pass apart, each normalised by its own batch; the running
      statistics, which the trained network will use, see inliers only;
    - "frozen": the running statistics, which stay; scale and shift train.

    Dropout is left alone: on in all these passes.

    Args:
        outlier: The objective; None trains on the inliers alone.
        bn: The batch-norm rule.
        head: The classifier's dotted name, where `limen.bank.head_of` finds another layer.
        seed: Of the objective's random numbers.

    Raises:
        UsageError: `bn` is none of the three, or `outlier` is no objective.

    Example:
        >>> import limen
        >>> from limen.ood.objectives.outlier_exposure import OutlierExposure
        >>> net = nn.Sequential(nn.Linear(2, 3))
        >>> rows = PairedRows(torch.eye(2), torch.tensor([0, 1]), torch.zeros(4, 2))
        >>> sgd = torch.optim.SGD(net.parameters(), lr=0.1)
        >>> state = limen.fit(net, Step(outlier=OutlierExposure()), [rows], steps=1, optimizer=sgd,
        ...                   combine=limen.Weighted(outlier=0.5))
        >>> sorted(state.values)
        ['inlier', 'outlier']
    """

    def __init__(
        self,
        outlier: Objective | None = None,
        *,
        bn: str = "joint",
        head: str | None = None,
        seed: int = 0,
    ):
        if bn not in RULES:
            raise UsageError(f"bn={bn!r} must be one of {', '.join(RULES)}")
        if outlier is not None and (isinstance(outlier, type) or not callable(outlier)):
            raise UsageError(f"outlier={outlier!r} must be an objective, such as OutlierExposure()")
        self.outlier, self.bn, self.head, self.seed = outlier, bn, head, seed
        self.additive = bool(getattr(outlier, "additive", True))
        self._count, self._labels_known = 0, False
        self._epoch: int | None = None  # batches to look at for a second class; None: no need
        self._lows: set[int] = set()
        self._state: dict[str, Any] | None = None
        self._arrived = True  # False until a loaded state has been moved to the model's device

    def prepare(self, model: nn.Module, batches: Any) -> None:
        """Check all labels where `batches` lists them, and let the objective begin.

        Args:
            model: The network before training.
            batches: What trains it; `pairs` lists its labels where they are in memory.

        Raises:
            UsageError: The network has no linear head, or labels are not 0 to C - 1 or all one.
        """
        layer = head_of(model, self.head)
        labels = getattr(batches, "labels", None)
        self._labels_known = labels is not None
        self._epoch, self._lows = (
            (None if labels is not None else getattr(batches, "epoch", None)),
            set(),
        )
        if labels is not None:
            self._check_labels(labels, layer)
            require_classes(labels)
        self._count, self._state = 0, self._begun(model)
        if "epoch" in self._state:
            self._state["epoch"] = getattr(batches, "epoch", None) or self._state["epoch"]

    def __call__(self, model: nn.Module, batch: PairedRows) -> dict[str, Loss]:
        """Named losses of one batch.

        Args:
            model: The network that trains.
            batch: Inliers, labels, outliers.

        Returns:
            "inlier" and the objective's losses.

        Raises:
            UsageError: An empty batch, labels that are not 0 to C - 1 or, over a whole epoch, of
                one class; rows that the network does not take.
        """
        layer = head_of(model, self.head)
        _check_rows(*batch)
        batch = _as_weights(batch, layer.weight.dtype)
        if not self._labels_known:
            self._check_labels(batch.labels, layer)
        state = self._here(model, batch.labels.device)
        inputs, labels, outliers = batch = self._made(batch, state)
        inlier, outlier = self._first(model, batch, layer)
        losses: dict[str, Loss] = {"inlier": cross_entropy(inlier.logits, labels)}
        if self.outlier is not None:
            view = View(
                model, layer, inputs,
                labels=labels, outliers=outliers, inlier=inlier, outlier=outlier,
                bn=self.bn, state=state,
                step=self._count, seed=self.seed,
            )  # fmt: skip
            losses |= self.outlier(view)
        self._count += 1
        return losses

    def weigh(self, batch: PairedRows) -> dict[str, float]:
        """Rows behind each mean.

        Args:
            batch: A micro-batch.

        Returns:
            Inliers behind "inlier", and the rows behind "outlier".
        """
        rows = float(len(batch.labels))
        if self.outlier is None:
            return {"inlier": rows}
        own = batch.outliers is None or getattr(self.outlier, "counts", "outliers") == "inliers"
        return {"inlier": rows, "outlier": rows if own else float(count(batch.outliers))}

    def state_dict(self) -> dict[str, Any]:
        """The number of batches seen, and the objective's state."""
        return {"count": self._count, "state": self._state}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take it up again.

        Args:
            state: What `state_dict` gave.
        """
        self._count, self._state, self._arrived = state["count"], state["state"], False

    def __repr__(self) -> str:
        return f"Step({self.outlier!r}, bn={self.bn!r}, head={self.head!r}, seed={self.seed})"

    def _begun(self, model: nn.Module) -> dict[str, Any]:
        begin = getattr(self.outlier, "begin", None)
        return begin(model) if begin is not None else {}

    def _here(self, model: nn.Module, device: torch.device) -> dict[str, Any]:
        """The objective's state, on the device where it is needed."""
        if self._state is None:
            self._state = self._begun(model)
        elif not self._arrived:
            self._state = moved(self._state, device)
        self._arrived = True
        return self._state

    def _made(self, batch: PairedRows, state: dict[str, Any]) -> PairedRows:
        """The batch with the outliers that the objective makes itself, if it does."""
        make = getattr(self.outlier, "make", None)
        if make is None:
            return batch
        return batch._replace(
            outliers=make(batch.labels, step=self._count, seed=self.seed, state=state)
        )

    def _first(
        self, model: nn.Module, batch: PairedRows, layer: nn.Linear
    ) -> tuple[Seen, Seen | None]:
        """`_seen`, which in the first batch says what the network does not take.

        Raises:
            UsageError: The network fails on rows of such shapes.
            OutOfMemoryError: They are too many.
            RuntimeError: It fails later.
        """
        try:
            return self._seen(model, batch, layer)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as failed:
            if self._count:
                raise
            outliers = "" if batch.outliers is None else f" and outliers {_shape(batch.outliers)}"
            raise UsageError(
                f"the network must take every row; of inliers {_shape(batch.inputs)}{outliers} it "
                f"says: {str(failed).splitlines()[0]}"
            ) from failed

    def _seen(
        self, model: nn.Module, batch: PairedRows, layer: nn.Linear
    ) -> tuple[Seen, Seen | None]:
        """What the network makes of the inliers and, where asked for, of the outliers.

        Raises:
            UsageError: One batch norm for rows of two shapes.
        """
        how = "inliers" if self.outlier is None else getattr(self.outlier, "forwards", "both")
        both = how == "both" or (how == "joint" and self.bn == "joint" and has_bn(model))
        if not both or batch.outliers is None:
            return passed(model, batch.inputs, layer=layer, bn=self.bn), None
        fit = _shape(batch.inputs) == _shape(batch.outliers)
        if not fit and self.bn == "joint" and has_bn(model):
            raise UsageError(
                f"bn='joint' needs inliers and outliers of one shape; got {_shape(batch.inputs)} "
                f"and {_shape(batch.outliers)}; bring them to one, or take bn='id_stats'"
            )
        if not fit or self.bn == "id_stats":
            apart = passed(model, batch.outliers, layer=layer, bn=self.bn, inliers=False)
            return passed(model, batch.inputs, layer=layer, bn=self.bn), apart
        seen = passed(model, joined(batch.inputs, batch.outliers), layer=layer, bn=self.bn)
        rows = len(batch.labels)
        return Seen(*(x[:rows] for x in seen)), Seen(*(x[rows:] for x in seen))

    def _check_labels(self, labels: Tensor, layer: nn.Linear) -> None:
        classes = layer.out_features - getattr(self.outlier, "extra_classes", 0)
        if classes < 2:
            raise UsageError(f"the network must tell two classes or more; its head has {classes}")
        low, high = (int(x) for x in labels.aminmax())
        if low < 0 or high >= classes:
            raise UsageError(
                f"labels must be whole numbers from 0 to {classes - 1}, one for each class of the "
                f"head; they go from {low} to {high}"
            )
        if self._epoch is not None:
            self._lows |= {low, high}
            if len(self._lows) > 1:
                self._epoch = None
            elif self._count + 1 == self._epoch:
                raise UsageError(
                    f"inliers must be of two classes or more; all of a first epoch of "
                    f"{self._epoch} batches are {low}"
                )


def joined(first: Inputs, second: Inputs) -> Inputs:
    """The rows of both, one after the other.

    Args:
        first: A tensor, or a dict of tensors.
        second: The same kind.

    Returns:
        The same kind.
    """
    if isinstance(first, Tensor):
        return torch.cat([first, cast("Tensor", second)])
    return {name: torch.cat([first[name], second[name]]) for name in first}  # type: ignore[index]


def count(inputs: Inputs | None) -> int:
    """Number of rows of a tensor or a dict of tensors; 0 of None.

    Args:
        inputs: What to count.

    Returns:
        The number.
    """
    if isinstance(inputs, Mapping):
        return len(next(iter(inputs.values())))
    return 0 if inputs is None else len(inputs)


def require_classes(labels: Int[Tensor, " rows"]) -> None:
    """Refuse labels that are all one.

    Args:
        labels: Of all inliers.

    Raises:
        UsageError: One class alone.
    """
    if len(labels.unique()) < 2:
        raise UsageError(
            f"inliers must be of two classes or more; all {len(labels)} labels are "
            f"{labels[0].item()}"
        )


def _as_weights(batch: PairedRows, dtype: torch.dtype) -> PairedRows:
    """Rows of real numbers in the weights' precision; numpy's are of another by default."""

    def cast_(inputs: Any) -> Any:
        if isinstance(inputs, Mapping):
            return {name: cast_(x) for name, x in inputs.items()}
        return inputs.to(dtype) if isinstance(inputs, Tensor) and inputs.dtype.is_floating_point \
            else inputs  # fmt: skip

    return batch._replace(inputs=cast_(batch.inputs), outliers=cast_(batch.outliers))


def _shape(inputs: Inputs) -> Any:
    """The shape of one row, by name for dicts."""
    if isinstance(inputs, Mapping):
        return {name: tuple(x.shape[1:]) for name, x in sorted(inputs.items())}
    return tuple(inputs.shape[1:])


def _check_rows(inputs: Inputs, labels: Tensor, outliers: Inputs | None) -> None:
    """Refuse what no mean can be taken of.

    Raises:
        UsageError: No rows, or another number of labels than of rows.
    """
    if count(inputs) == 0 or (outliers is not None and count(outliers) == 0):
        raise UsageError(
            f"a batch must have rows; got {count(inputs)} inliers"
            + (f" and {count(outliers)} outliers" if outliers is not None else "")
        )
    if labels.shape != (count(inputs),) or labels.is_floating_point():
        raise UsageError(
            f"a batch of {count(inputs)} inliers must have as many whole-number labels; got "
            f"{labels.dtype} of shape {tuple(labels.shape)}"
        )
