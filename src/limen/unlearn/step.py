"""One forget loss and, where asked for, losses that hold the retain rows."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from limen._core.errors import UsageError
from limen.algebra.modes import in_mode
from limen.train.losses import Loss
from limen.unlearn.objectives.ga import GA
from limen.unlearn.objectives.within import require_loss
from limen.unlearn.pairing import Pair
from limen.unlearn.reference import Reference
from limen.unlearn.retain.nll import NLL
from limen.unlearn.sights import Scene, block_number, count, logits_of, look
from limen.unlearn.tokens import Answers, Tokens, answer_log_probs


@runtime_checkable
class Objective(Protocol):
    """A loss; lower is better, whatever better means here.

    Its `sees` says what `__call__` is given; without one that is `(log_p, mask, log_q)`, log q
    being None unless `needs_reference`:

    - "answers": log-probabilities (rows, tokens) of the answers, their mask, and log q;
    - "refusals": the same of refusals to the same prompts;
    - "preferences": the answers' three, and as `wanted` the refusals';
    - "logits": logits (positions, vocabulary) that predict answer tokens, those tokens, and the
      logits of the model before;
    - "hidden": hidden states (positions, width) after block `layer`, and those before;
    - "distributions": logits at the positions of its `mask`, and those before.
    """

    @property
    def needs_reference(self) -> bool:
        """Whether it asks for the model before."""

    @property
    def mean_over(self) -> str:
        """What its mean runs over: "tokens", "rows" or "positions"."""

    def __call__(self, *seen: Any, **named: Any) -> Tensor:
        """The scalar loss."""


class Step:
    """The step of unlearning for `limen.fit`: losses "forget", "retain", and one for each guard.

    The reference, the model before unlearning, is taken when training starts and travels in the
    checkpoints: log-probabilities of the rows, or a copy of the trainable parameters (with LoRA
    that is the adapter alone), never a second model.

    Args:
        forget: The objective on the forget rows.
        retain: NLL(), KL() or RR() on the retain rows; None trains on the forget rows only. The
            task's further sets to keep, its guards, each give their NLL as a loss of that name.
        weight: Factor of the retain loss.
        row_weight: Weight of each row to forget, not negative; None weighs all alike. For
            objectives that see answers and nothing else.

    Raises:
        UsageError: `forget` or `retain` is no objective, `weight` or a row's weight is out of
            range, or the objective cannot be weighed by rows.

    Example:
        >>> from limen import unlearn
        >>> Step(forget=unlearn.NPO(beta=0.1), retain=unlearn.NLL())
        Step(forget=NPO(beta=0.1), retain=NLL(), weight=1.0)
    """

    def __init__(
        self,
        forget: Objective,
        retain: Objective | None = None,
        *,
        weight: float = 1.0,
        row_weight: Sequence[float] | None = None,
    ):
        if not 0 <= weight < float("inf"):
            raise UsageError(f"weight={weight} must be finite and not negative")
        require_loss("forget", forget)
        if retain is not None:
            require_loss("retain", retain)
        if retain is not None and retain.needs_reference and sight_of(retain) in _SAID:
            raise UsageError(
                f"retain={retain} compares answers with the model before, which is known of the "
                "forget rows only; take NLL(), KL() or RR()"
            )
        self.forget, self.retain, self.weight = forget, retain, weight
        self.row_weight = None if row_weight is None else _weights(row_weight, forget)
        # A mean over what is left of a batch does not add up over micro-batches.
        self.additive = getattr(forget, "mean", "all") == "all"
        self.reference = Reference([loss for loss in (forget, retain) if loss is not None])

    def __call__(self, model: nn.Module, batch: Pair) -> dict[str, Loss]:
        """Losses by name, each computed only when it is paid.

        Args:
            model: The model that trains.
            batch: A micro-batch of `task.batches`.

        Returns:
            "forget", with `retain` "retain" times `weight`, and the guards'.

        Raises:
            UsageError: There is a retain loss and no retain rows.
        """
        losses: dict[str, Loss] = {"forget": lambda: self._forget_loss(model, batch)}
        if self.retain is not None:
            scene = Scene(model, self._kept(batch), self.reference)
            losses["retain"] = lambda: self.weight * look(self.retain, scene)
        for name, tokens in batch.guards.items():
            guard = Scene(model, tokens, self.reference)
            losses[name] = lambda guard=guard: look(NLL(), guard)  # type: ignore[misc]
        return losses

    def weigh(self, batch: Pair) -> dict[str, float]:
        """Answer tokens, rows or positions behind each mean."""
        refusing = sight_of(self.forget) == "refusals"
        answered = batch.refusals() if refusing and batch.refusals else batch.forget
        counts = {"forget": count(self.forget, answered)}
        if self.retain is not None and batch.retain is not None:
            counts["retain"] = count(self.retain, batch.retain)
        return counts | {name: count(NLL(), tokens) for name, tokens in batch.guards.items()}

    def prepare(self, model: nn.Module, batches: Any) -> None:
        """Take the reference, before the first step.

        Args:
            model: The model before unlearning.
            batches: What trains it; must list its rows for a reference of them.

        Raises:
            UsageError: As `check`, or the objective needs a reference and `batches` cannot list
                the rows.
        """
        self.check(model)
        rows = getattr(getattr(batches, "task", None), "forget", None)
        if self.row_weight is not None and rows is not None and len(rows) != len(self.row_weight):
            raise UsageError(
                f"row_weight must be one number for each of the {len(rows)} rows to forget, got "
                f"{len(self.row_weight)}"
            )
        self.reference.take(model, batches)

    def check(self, model: nn.Module) -> None:
        """Refuse losses that this model cannot have.

        Raises:
            UsageError: A layer that it has not.
        """
        for loss in (self.forget, self.retain):
            if hasattr(loss, "layer"):
                block_number(model, loss.layer)  # type: ignore[union-attr]

    def blame(self, model: nn.Module, batch: Pair) -> str:
        """Which rows of a batch have a log-probability that is infinite or not a number."""
        sides = {"forget": batch.forget, "retain": batch.retain, **batch.guards}
        if sight_of(self.forget) in REFUSING and batch.refusals is not None:
            sides["refusal to forget"] = batch.refusals().to(batch.forget.ids.device)
        found = []
        for side, tokens in sides.items():
            if tokens is not None:
                with torch.no_grad(), in_mode(model, training=False):
                    log_p, _ = answer_log_probs(logits_of(model, tokens), tokens)
                bad = tokens.row[~log_p.isfinite().all(1)].tolist()
                found += [f"{side} row {row + 1}" for row in bad]
        return ", ".join(found)

    def state_dict(self) -> dict[str, Any]:
        """The reference."""
        return self.reference.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up a saved reference."""
        self.reference.load_state_dict(state)

    def __repr__(self) -> str:
        rows = "" if self.row_weight is None else f", row_weight={self.row_weight.tolist()}"
        return f"Step(forget={self.forget}, retain={self.retain}, weight={self.weight}{rows})"

    def _forget_loss(self, model: nn.Module, batch: Pair) -> Tensor:
        scene = Scene(model, batch.forget, self.reference, batch.refusals)
        if self.row_weight is None:
            return look(self.forget, scene)
        return self._by_rows(scene.answers(self.forget, batch.forget), batch.forget)

    def _by_rows(self, seen: Answers, tokens: Tokens) -> Tensor:
        """The mean of the rows' own losses, weighed; with equal weights that of the batch."""
        weights = self.row_weight[tokens.row.cpu()].to(seen.log_p)  # type: ignore[index]
        counts = torch.tensor([count(self.forget, tokens.only(i)) for i in range(len(tokens))])
        counts = counts.to(weights)
        parts = [
            self.forget(*(None if part is None else part[i : i + 1] for part in seen))
            for i in range(len(tokens))
        ]
        return (torch.stack(parts) * weights * counts).sum() / counts.sum().clamp(min=1)

    def _kept(self, batch: Pair) -> Tokens:
        if batch.retain is None:
            raise UsageError(f"retain={self.retain} needs retain rows; the task has none")
        return batch.retain


def GradDiff(weight: float = 1.0) -> Step:  # noqa: N802  the method's name
    """Gradient difference: ascend on the forget rows, descend on the retain rows.

    `L = (1/N) sum log p_forget + weight * NLL(retain)`.

    Args:
        weight: Lambda, not negative.

    Returns:
        `Step(GA(), NLL(), weight=weight)`.

    Reference:
        Liu et al., Continual Learning and Private Unlearning, CoLLAs 2022; named so in TOFU.

    Example:
        >>> GradDiff(2.0)
        Step(forget=GA(), retain=NLL(), weight=2.0)
    """
    return Step(GA(), NLL(), weight=weight)


_SAID = ("answers", "refusals", "preferences")
REFUSING = _SAID[1:]
"""Kinds of sight that need refusals."""


def sight_of(loss: object) -> str:
    """What a loss is shown; see `Objective`."""
    return getattr(loss, "sees", _SAID[0])


def _weights(given: Sequence[float], objective: Objective) -> Tensor:
    weights = torch.as_tensor(given, dtype=torch.float64)
    if weights.ndim != 1 or not (weights.isfinite() & (weights >= 0)).all() or not weights.any():
        raise UsageError("row_weight must be one number for each row, none negative, not all zero")
    if sight_of(objective) != "answers":
        raise UsageError(f"row_weight goes with objectives that see answers; {objective} does not")
    return weights
