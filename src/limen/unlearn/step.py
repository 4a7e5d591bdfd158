"""One forget loss and, where asked for, one loss that holds the retain rows."""

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from limen._core.errors import UsageError
from limen.algebra.shifted import placed
from limen.algebra.vector import ParamVector
from limen.train import ranks
from limen.train.losses import Loss
from limen.train.modes import in_mode
from limen.unlearn.objectives.ga import GA
from limen.unlearn.retain.kl import KL
from limen.unlearn.retain.nll import NLL
from limen.unlearn.task import Pair
from limen.unlearn.tokens import Tokens, answer_log_probs


@runtime_checkable
class Objective(Protocol):
    """A loss on token log-probabilities; lower is better, whatever better means here."""

    @property
    def needs_reference(self) -> bool:
        """Whether it asks for log q, the log-probabilities of the model before."""

    @property
    def mean_over(self) -> str:
        """What its mean runs over: "tokens" or "rows"."""

    def __call__(self, log_p: Tensor, mask: Tensor, log_q: Tensor | None = None) -> Tensor:
        """The scalar loss."""


class Step:
    """The step of unlearning for `limen.fit`: losses "forget" and, with `retain`, "retain".

    The reference, the model before unlearning, is taken when training starts and travels in the
    checkpoints: for NPO the forget rows' log-probabilities, for KL a copy of the trainable
    parameters (with LoRA that is the adapter alone), never a second model.

    Args:
        forget: The objective on the forget rows.
        retain: NLL() or KL() on the retain rows; None trains on the forget rows only.
        weight: Factor of the retain loss.

    Raises:
        UsageError: `weight` is negative.

    Example:
        >>> from limen import unlearn
        >>> Step(forget=unlearn.NPO(beta=0.1), retain=unlearn.NLL())
        Step(forget=NPO(beta=0.1), retain=NLL(), weight=1.0)
    """

    def __init__(
        self, forget: Objective, retain: Objective | KL | None = None, *, weight: float = 1.0
    ):
        if not 0 <= weight < float("inf"):
            raise UsageError(f"weight={weight} must be finite and not negative")
        self.forget, self.retain, self.weight = forget, retain, weight
        self._log_q: Tensor | None = None
        self._before: ParamVector | None = None

    def __call__(self, model: nn.Module, batch: Pair) -> dict[str, Loss]:
        """Losses by name, each computed only when it is paid.

        Args:
            model: The model that trains.
            batch: A micro-batch of `task.batches`.

        Returns:
            "forget" and, with `retain`, "retain" times `weight`.

        Raises:
            UsageError: There is a retain loss and no retain rows.
        """
        losses: dict[str, Loss] = {"forget": lambda: self._forget_loss(model, batch.forget)}
        if self.retain is not None:
            rows = batch.retain
            if rows is None:
                raise UsageError(f"retain={self.retain} needs retain rows; the task has none")
            losses["retain"] = lambda: self.weight * self._retain_loss(model, rows)
        return losses

    def weigh(self, batch: Pair) -> dict[str, float]:
        """Answer tokens, rows or positions behind each mean."""
        counts = {"forget": _count(self.forget, batch.forget)}
        if self.retain is not None and batch.retain is not None:
            counts["retain"] = _count(self.retain, batch.retain)
        return counts

    def prepare(self, model: nn.Module, batches: Any) -> None:
        """Take the reference, before the first step.

        Args:
            model: The model before unlearning.
            batches: What trains it; must list its forget rows for a reference of them.

        Raises:
            UsageError: The objective needs a reference and `batches` cannot list the rows.
        """
        if self.forget.needs_reference:
            if not hasattr(batches, "forget_batches"):
                raise UsageError(f"{self.forget} needs a reference: train on task.batches(...)")
            self._log_q = _reference(model, batches)
        if isinstance(self.retain, KL):
            self._before = ParamVector.of(model).copy()

    def blame(self, model: nn.Module, batch: Pair) -> str:
        """Which rows of a batch have a log-probability that is infinite or not a number."""
        sides = {"forget": batch.forget, "retain": batch.retain}
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
        before = None if self._before is None else dict(self._before.items())
        return {"log_q": self._log_q, "before": before}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up a saved reference."""
        self._log_q = state["log_q"]
        self._before = None if state["before"] is None else ParamVector(state["before"])

    def __repr__(self) -> str:
        return f"Step(forget={self.forget}, retain={self.retain}, weight={self.weight})"

    def _forget_loss(self, model: nn.Module, tokens: Tokens) -> Tensor:
        log_p, mask = answer_log_probs(logits_of(model, tokens), tokens)
        return self.forget(log_p, mask, self._rows_of_reference(tokens, log_p))

    def _retain_loss(self, model: nn.Module, tokens: Tokens) -> Tensor:
        if not isinstance(self.retain, KL):
            log_p, mask = answer_log_probs(logits_of(model, tokens), tokens)
            return self.retain(log_p, mask)  # type: ignore[misc]
        if self._before is None:
            raise UsageError("KL needs the model before; call prepare(model, batches) first")
        chosen = _positions(tokens, self.retain.mask)
        params = dict(model.named_parameters())
        before = {name: ranks.like(value, params[name]) for name, value in self._before.items()}
        with torch.no_grad(), in_mode(model, training=False), placed(model, before):
            reference = logits_of(model, tokens)[chosen]
        return self.retain(logits_of(model, tokens)[chosen], reference)

    def _rows_of_reference(self, tokens: Tokens, log_p: Tensor) -> Tensor | None:
        if not self.forget.needs_reference:
            return None
        if self._log_q is None:
            raise UsageError(f"{self.forget} needs a reference: call prepare(model, batches) first")
        return self._log_q[tokens.row.cpu(), : log_p.shape[1]].to(log_p)


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


def logits_of(model: nn.Module, tokens: Tokens) -> Tensor:
    """The model's logits for a batch."""
    out = model(input_ids=tokens.ids, attention_mask=tokens.attention, use_cache=False)
    logits: Tensor = out.logits
    return logits


def _reference(model: nn.Module, batches: Any) -> Tensor:
    """Log q of every forget row, as a table (rows, longest answer) on the CPU."""
    rows: dict[int, Tensor] = {}
    with torch.no_grad(), in_mode(model, training=False):
        device = next(model.parameters()).device
        for tokens in batches.forget_batches():
            log_p, _ = answer_log_probs(logits_of(model, tokens.to(device)), tokens.to(device))
            rows.update(zip(tokens.row.tolist(), log_p.cpu(), strict=True))
    ordered = [rows[row] for row in range(len(rows))]
    return nn.utils.rnn.pad_sequence(ordered, batch_first=True)


def _positions(tokens: Tokens, mask: str) -> Tensor:
    """The positions over which KL averages."""
    if mask == "all":
        return torch.ones_like(tokens.answer)
    if mask == "attended":
        return tokens.attention.bool()
    return torch.cat([tokens.answer[:, 1:], torch.zeros_like(tokens.answer[:, :1])], 1)


def _count(loss: Objective | KL, tokens: Tokens) -> float:
    if isinstance(loss, KL):
        return float(_positions(tokens, loss.mask).sum())
    return float(len(tokens) if loss.mean_over == "rows" else tokens.answer[:, 1:].sum())
