"""Outliers from a generator, beside inliers from the same generator that cannot meet them."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from limen._core.errors import UsageError
from limen._core.streams import torch_stream
from limen.algebra.modes import in_mode
from limen.bank.network import Seen
from limen.ood.objectives.losses import oe, supcon
from limen.ood.seen import View
from limen.ood.synth.latents import Latents
from limen.train import ranks
from limen.train.losses import Loss

Mode = Literal["aligned", "official"]
LabelMode = Literal["shared", "official", "off"]


@dataclass(frozen=True)
class ATOL:
    """Learns outliers that a generator makes, aligned to the inliers by generated inliers.

    No outliers are needed. From two disjoint regions of latent space (`Latents`) a generator G
    makes auxiliary inliers with the batch's own labels, and `ratio` times as many auxiliary
    outliers:

    "inlier" = mean cross-entropy over real and auxiliary inliers together;
    "outlier" = `mean_i oe(z_i)` over auxiliary outliers;
    "align" = `supcon` over real and auxiliary inliers, which pulls a class's real and auxiliary
    features together, so that what is learnt of auxiliary outliers carries over to real ones.

    The means are unweighted; weigh them by the combine, `limen.Weighted(align=5.0)` for what the
    paper calls alpha. G works in eval mode without gradient. Each row passes once, generated rows
    along with the real ones where batch norm is joint, and the features for "align" come from the
    same pass.

    The released code, `mode="official"`, takes auxiliary labels less by C in "align", so that they
    never equal a real one and real and auxiliary rows of one class are pushed apart, smooths by
    0.5, and draws outliers once an epoch; each can be had alone. It also passes all rows once more
    for "align" and leaves G in train mode, which is not offered. Published weight 1, on CIFAR-100 5
    for the alignment; score with MaxLogit.
    Logged: "kept", the share of latent draws outside the classes' regions.

    Args:
        generator: G, latents to rows of the network's inputs; on the batch's device. Where it says
            `space = "features"` it makes features, which the head takes.
        latents: The two regions.
        ratio: Auxiliary outliers for each inlier, above 0.
        mode: "aligned", or "official" for the three settings of the released code where they are
            not given: labels, smoothing and redraws.
        label_mode: "shared"; "official"; or "off", without "align". None takes that of the mode.
        inliers: Whether to make auxiliary inliers.
        smoothing: Share of the uniform distribution in the inliers' target, from 0 to below 1.
            None means 0, in "official" mode 0.5.
        resample: Batches that share one draw of outliers. None draws anew for each; in "official"
            mode for each epoch, where the batches say how long one is (`pairs` does, unless it
            reads a stream).

    Raises:
        UsageError: A value out of range.

    Reference:
        Zheng et al., Out-of-distribution Detection Learning with Unreliable Out-of-distribution
        Sources, NeurIPS 2023; "official" after its released code (tmlr-group/ATOL).

    Example:
        >>> from limen.ood.synth.pca import PCAGenerator
        >>> rows, labels = torch.eye(4).repeat(2, 1), torch.tensor([0, 0, 1, 1] * 2)
        >>> generator = PCAGenerator.fit(rows, width=2)
        >>> latents = Latents.anchored(generator.encode(rows), labels)
        >>> ATOL(generator, latents).labelling, ATOL(generator, latents, mode="official").labelling
        ('shared', 'official')
    """

    generator: Callable[[Tensor], Tensor]
    latents: Latents
    ratio: float = 4.0
    mode: Mode = "aligned"
    label_mode: LabelMode | None = None
    inliers: bool = True
    smoothing: float | None = None
    resample: int | None = None
    weight: ClassVar[float] = 1.0
    counts: ClassVar[str] = "inliers"
    additive: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.mode not in get_args(Mode) or self.labelling not in get_args(LabelMode):
            raise UsageError(
                f"mode={self.mode!r} must be one of {', '.join(get_args(Mode))}, and "
                f"label_mode={self.label_mode!r} one of {', '.join(get_args(LabelMode))}"
            )
        if not 0 < self.ratio < float("inf") or (self.resample is not None and self.resample < 1):
            raise UsageError(f"ratio={self.ratio} must be positive, resample={self.resample} >= 1")
        if not 0 <= self._smoothed < 1:
            raise UsageError(f"smoothing={self.smoothing} must lie from 0 to below 1")

    @property
    def labelling(self) -> LabelMode:
        """The labels of "align" that the mode and `label_mode` come to."""
        return self.label_mode or ("official" if self.mode == "official" else "shared")

    def begin(self, _model: object) -> dict[str, Any]:
        """Draws depend on the batch's number alone; the share of them kept is remembered.

        "epoch" takes up the batches of one, from the step, where they are known.
        """
        self.latents.outliers(1, stream=torch_stream(0, "ATOL begins"))  # fails here, if at all
        return {"kept": 1.0, "epoch": 1}

    def make(
        self, labels: Int[Tensor, " rows"], *, step: int, seed: int, state: dict[str, Any]
    ) -> Tensor | None:
        """Auxiliary inliers and outliers, to pass along with the batch.

        Args:
            labels: Of the batch's inliers.
            step: The batch's number.
            seed: Of all random numbers.
            state: Takes up "kept", the share of the outliers' draws that were kept.

        Returns:
            The rows; None where the generator makes features, which need no pass.
        """
        if self._features:
            return None
        made, state["kept"] = self.generated(
            labels, step=step, seed=seed, epoch=int(state.get("epoch", 1))
        )
        return made

    def __call__(self, view: View) -> dict[str, Loss]:
        """The losses of the batch's inliers and of what is generated beside them.

        Args:
            view: What the step has seen.

        Returns:
            "inlier", "outlier", "align" unless it is off, and "kept".

        Raises:
            UsageError: The latents have fewer classes than the head.
        """
        if len(self.latents.means) < view.head.out_features:
            raise UsageError(
                f"latents must have a mean for each of {view.head.out_features} classes; they have "
                f"{len(self.latents.means)}"
            )
        rows = len(view.labels) if self.inliers else 0
        seen, kept = self._seen(view)
        logits = torch.cat([view.inlier.logits, seen.logits[:rows]])
        labels = torch.cat([view.labels, view.labels[:rows]])
        losses: dict[str, Loss] = {
            "inlier": cross_entropy(logits, labels, label_smoothing=self._smoothed),
            "outlier": oe(seen.logits[rows:]),
            "kept": torch.tensor(kept),
        }
        if self.labelling != "off":
            away = view.head.out_features if self.labelling == "official" else 0
            groups = torch.cat([view.labels, view.labels[:rows] - away])
            features = torch.cat([view.inlier.features, seen.features[:rows]])
            losses["align"] = supcon(features.float(), groups)
        return losses

    @torch.no_grad()
    def generated(
        self, labels: Int[Tensor, " rows"], *, step: int, seed: int, epoch: int = 1
    ) -> tuple[Float[Tensor, "made ..."], float]:
        """Auxiliary inliers, if any, and outliers after them.

        Args:
            labels: Of the batch's inliers; auxiliary ones have the same.
            step: The batch's number.
            seed: Of all random numbers.
            epoch: Batches of an epoch, for which "official" mode draws once.

        Returns:
            The rows, and the share of outliers' draws that were kept.
        """
        lasts = self.resample or (epoch if self.mode == "official" else 1)
        stream = torch_stream(seed, "ATOL outliers", step // lasts, ranks.rank())
        count = max(1, round(self.ratio * len(labels)))
        outside, kept = self.latents.outliers(count, stream=stream)
        parts = [outside]
        if self.inliers:
            stream = torch_stream(seed, "ATOL inliers", step, ranks.rank())
            parts.insert(0, self.latents.inliers(labels, stream=stream))
        module = self.generator if isinstance(self.generator, nn.Module) else None
        with in_mode(module, training=False) if module is not None else nullcontext():
            return self.generator(torch.cat(parts).to(labels.device)), kept

    @property
    def _smoothed(self) -> float:
        """The smoothing that mode and `smoothing` come to."""
        return (0.5 if self.mode == "official" else 0.0) if self.smoothing is None \
            else self.smoothing  # fmt: skip

    @property
    def _features(self) -> bool:
        """Whether the generator makes features, not inputs."""
        return getattr(self.generator, "space", "inputs") == "features"

    def _seen(self, view: View) -> tuple[Seen, float]:
        """What the network made of generated rows, or its head makes of generated features."""
        if view.outlier is not None:
            return view.outlier, float(view.state.get("kept", 1.0))
        epoch = int(view.state.get("epoch", 1))
        made, kept = self.generated(view.labels, step=view.step, seed=view.seed, epoch=epoch)
        return (Seen(view.head(made), made) if self._features else view.forward(made)), kept
