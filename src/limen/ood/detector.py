"""A score with a threshold that keeps a promise: fit on inliers, flag, save, export."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from torch import Tensor, nn

from limen._core.errors import UsageError
from limen.bank.bank import FeatureBank
from limen.bank.content import Watch, model_hash
from limen.bank.forwarding import Source
from limen.bank.looking import TorchLooking
from limen.bank.network import head_of
from limen.bank.outputs import Outputs
from limen.measure._numbers import flat
from limen.ood.adapt import AdaptiveThreshold
from limen.ood.exported import export
from limen.ood.levels import Levels
from limen.ood.scores.energy import energy
from limen.ood.scores.extra_class import extra_class
from limen.ood.scores.protocol import fits, fitted, learns, name_of, scored
from limen.ood.stored import pack, unpack


class Detection(NamedTuple):
    """What a detector says of each row: its score (higher = more outlying), and whether flagged.

    Example:
        >>> Detection(np.array([0.5]), np.array([False])).flags
        array([False])
    """

    scores: Float[np.ndarray, " rows"]
    flags: Bool[np.ndarray, " rows"]


class Detector:
    """Flags outliers, and at most `alpha` of new inliers; works with any score of a bank.

    A score of Gram statistics takes its rows as `Outputs` that hold them.

    The threshold is the split-conformal one of `limen.Threshold`: for calibration rows and a new
    inlier that are exchangeable, P(flagged) <= floor((n + 1) alpha) / (n + 1), whatever the score
    and the network. With `per_class` each predicted class has a threshold of its own, and the
    promise holds for the inliers predicted to be of each class.

    Args:
        network: The classifier; None: rows are given as `Outputs`.
        score: A function or object of `limen.ood.scores`.
        head: Name of the classifier layer, where `head_of` finds another one.

    Attributes:
        model: Content hash of the network, None without one.
        threshold: The fitted thresholds.
        calibration: Scores of the calibration rows, None before the fit.

    Reference:
        V. Vovk, "Conditional validity of inductive conformal predictors", ACML 2012, for
        `per_class` (Mondrian taxonomy by the predicted class).

    Example:
        >>> rows = Outputs(logits=[[4.0, 0.0], [3.0, 0.0], [2.0, 0.0]])
        >>> detector = Detector().fit(rows, alpha=0.25)
        >>> detector(Outputs(logits=[[3.0, 0.0], [0.0, 0.0]])).flags
        array([False,  True])
    """

    def __init__(
        self, network: nn.Module | None = None, *, score: Any = energy, head: str | None = None
    ):
        self.network, self.score, self.head = network, score, head
        self.model: str | None = None
        self._watch: Watch | None = None
        self._look()
        self.threshold: Levels | None = None
        self.calibration: np.ndarray | None = None

    def fit(
        self,
        calibration: Any,
        alpha: float = 0.05,
        *,
        train: Any = None,
        per_class: bool = False,
        fallback: bool = False,
    ) -> "Detector":
        """Fit the score on the training rows, where it is fitted, and the threshold on others.

        Args:
            calibration: Inliers that neither network nor score was trained on: a loader or
                arrays for the network, else `Outputs`.
            alpha: The share of inliers that may be flagged, between 0 and 1.
            train: Training rows, for scores that are fitted: a loader or arrays, or a
                `FeatureBank` whose set "train" and classifier layer are taken.
            per_class: One threshold for each predicted class.
            fallback: Classes with too few calibration rows, or none, take the threshold of all,
                whose promise holds for all rows together and not for theirs.

        Returns:
            This detector, fitted.

        Raises:
            UsageError: Too few calibration rows for `alpha` (says how many are needed), of a class
                that the network can name too; a fitted score without `train`; scores that are NaN.
        """
        self._look()
        if fits(self.score):
            self.score = self._fitted(train)
        outputs = self._outputs(calibration)
        found = self._scored(outputs)
        classes = self._predicted(outputs) if per_class else None
        of = 0 if outputs.logits is None else outputs.logits.shape[1] - self._extra
        self.threshold = Levels.fit(found, alpha, classes=classes, of=of, fallback=fallback)
        self.calibration = found
        return self

    def __call__(self, inputs: Any) -> Detection:
        """Scores and flags of new rows.

        Args:
            inputs: A loader or arrays for the network, or `Outputs`.

        Returns:
            Scores and flags, one for each row.

        Raises:
            UsageError: Not fitted; inputs for a network without one; another network.
        """
        threshold = self._ready()
        outputs = self._outputs(inputs)
        found = self._scored(outputs)
        classes = self._predicted(outputs) if threshold.by_class else None
        return Detection(found, threshold.flag(found, classes))

    def live(self, gamma: float = 0.005) -> AdaptiveThreshold:
        """A threshold for a drifting stream, started from this detector's calibration scores.

        Args:
            gamma: Its step, above 0.

        Raises:
            UsageError: Not fitted.
        """
        alpha = self._ready().overall.alpha
        return AdaptiveThreshold(alpha=alpha, gamma=gamma).fit(self._calibrated())

    def attach(self, network: nn.Module) -> "Detector":
        """Give a loaded detector its network again, by content the one that it was fitted on.

        Args:
            network: The classifier.

        Returns:
            This detector.

        Raises:
            UsageError: It is another network, by its content hash.
        """
        found = model_hash(network)
        if self.model is not None and found != self.model:
            raise UsageError(
                f"network must be the one that the detector was fitted on, {self.model}, "
                f"got {found}; fit a detector anew for another network"
            )
        self.network = network
        self._look(found)
        return self

    def export_onnx(self, path: str | Path, example: Tensor) -> Path:
        """Write network, score and threshold as one ONNX file: inputs in, scores and flags out.

        Args:
            path: The file.
            example: A batch of inputs, two rows or more; the number of rows stays free.

        Returns:
            The path.

        Raises:
            UsageError: No network, not fitted, thresholds by class, a score of anything else than
                logits and features; or ONNX Runtime's answer is off by more than 1e-5.
        """
        threshold = self._ready()
        if self.network is None or threshold.by_class:
            raise UsageError("export_onnx needs a network (attach) and one threshold for all rows")
        wanted = self(example)
        return export(
            self.network, self.score, head=self.head, level=threshold.overall.level,
            path=Path(path), example=example, wanted=wanted.scores,
        )  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """Score, threshold and the network's hash, never the network, for `limen.save`.

        Raises:
            UsageError: Not fitted, or a score that cannot be stored.
        """
        return {
            "score": pack(self.score),
            "threshold": self._ready().to_dict(),
            "calibration": self._calibrated(),
            "head": self.head,
            "model": self.model,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Detector":
        """The inverse of `to_dict`; give it its network with `attach`."""
        found = cls(score=unpack(data["score"]), head=data["head"])
        found.model, found.threshold = data["model"], Levels.from_dict(data["threshold"])
        found.calibration = np.asarray(data["calibration"])
        return found

    def __repr__(self) -> str:
        return f"Detector({name_of(self.score)}, {self.threshold or 'not fitted'})"

    def _fitted(self, train: Any) -> Any:
        if not learns(self.score) and not isinstance(train, FeatureBank):
            if self.network is None:
                raise UsageError(
                    f"{name_of(self.score)} needs the classifier's last layer: give the network, "
                    "or a bank by train="
                )
            layer = head_of(self.network, self.head)
            return fitted(self.score, None, weight=layer.weight, bias=layer.bias)
        if train is None:
            raise UsageError(f"{name_of(self.score)} is fitted: give its training rows by train=")
        if isinstance(train, FeatureBank):
            self._refuse_other(train.hashes.get("model"))
            bank = train
        elif isinstance(train, Outputs):
            bank = FeatureBank.of({"train": train})
        else:
            bank = FeatureBank.extract(self._network(train), {"train": train}, head=self.head)
        rows = bank["train"] if learns(self.score) else None
        return fitted(self.score, rows, weight=bank.weight, bias=bank.bias, layers=bank.layers)

    def _outputs(self, inputs: Any) -> Outputs:
        return inputs if isinstance(inputs, Outputs) else self._forwarded(inputs)

    def _forwarded(self, inputs: Any) -> Outputs:
        network = self._network(inputs)
        if self._watch is None or not self._watch.same(network):
            self._refuse_other(model_hash(network))
            self._watch = Watch(network)
        source = Source("rows", inputs, batch_size=256, transform=None)
        return source.forwarded(TorchLooking(network, head=self.head))[0]

    def _network(self, inputs: Any) -> nn.Module:
        if self.network is None:
            raise UsageError(
                f"inputs must be Outputs where the detector has no network, got "
                f"{type(inputs).__name__}; give the network by attach(network)"
            )
        return self.network

    def _look(self, found: str | None = None) -> None:
        """Take the network for the one that the detector is of."""
        if self.network is not None:
            self.model = found or model_hash(self.network)
            self._watch = Watch(self.network)

    def _refuse_other(self, found: str | None) -> None:
        if self.model is not None and found is not None and found != self.model:
            raise UsageError(
                f"the rows are of another network: {found}, and the detector is of {self.model}"
            )

    def _scored(self, outputs: Outputs) -> np.ndarray:
        return flat("scores", scored(self.score, outputs))

    def _ready(self) -> Levels:
        if self.threshold is None:
            raise UsageError("the detector must be fitted first: detector.fit(calibration, alpha)")
        return self.threshold

    def _calibrated(self) -> np.ndarray:
        self._ready()
        return np.asarray(self.calibration)

    @property
    def _extra(self) -> int:
        """Logits that stand for no class."""
        return int(self.score is extra_class)

    def _predicted(self, outputs: Outputs) -> np.ndarray:
        if outputs.logits is None:
            raise UsageError(
                "per_class needs logits, to know the predicted class; the rows have none"
            )
        known = outputs.logits[:, : outputs.logits.shape[1] - self._extra]
        return np.asarray(known.argmax(axis=1))
