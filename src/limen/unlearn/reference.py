"""The model before unlearning: as little of it as the losses need, never a second model."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from limen._core.errors import UsageError
from limen.algebra.modes import in_mode
from limen.algebra.shifted import placed
from limen.algebra.vector import ParamVector
from limen.train import ranks
from limen.unlearn.retain.top import Top, top
from limen.unlearn.tokens import Tokens, answer_log_probs, predicting

_SIDES = {"answers": ("forget",), "refusals": ("refusals",), "preferences": ("forget", "refusals")}


class Reference:
    """What is kept of the model before, taken once and carried in the checkpoints.

    - log q of every answer token, one number each, for losses on log-probabilities;
    - the most likely tokens at each position of the retain rows, for `KL(top_k=...)`;
    - else a copy of the trainable parameters, put in place for one forward at a time. With LoRA
      that copy is the adapter alone, so the reference is the base model without what was learnt.

    Args:
        losses: The losses of a step, forget and retain.

    Example:
        >>> from limen.unlearn import GA, NPO
        >>> Reference([GA()]).sides, Reference([NPO()]).sides
        (set(), {'forget'})
    """

    def __init__(self, losses: Sequence[Any]):
        known = [loss for loss in losses if loss.needs_reference]
        self.asked = " and ".join(map(repr, known))
        self.sides = {
            side for loss in known for side in _SIDES.get(getattr(loss, "sees", "answers"), ())
        }
        tempers = [getattr(loss, "temperature", 1.0) for loss in known]
        self.temperature = tempers[0] if self.sides else 1.0
        counts = [loss.top_k for loss in known if getattr(loss, "top_k", None)]
        self.top_k: int | None = counts[0] if counts else None
        whole = [x for x in known if getattr(x, "sees", "answers") not in _SIDES]
        self.whole = len(whole) > len(counts)
        self.before: ParamVector | None = None
        self.log_q: dict[str, Tensor] = {}
        self.tops: dict[str, Tensor] = {}

    def take(self, model: nn.Module, batches: Any) -> None:
        """Look at the model before the first step.

        Args:
            model: The model before unlearning.
            batches: What trains it; must list its rows where a reference of them is needed.

        Raises:
            UsageError: It cannot.
        """
        if (self.sides or self.top_k) and not hasattr(batches, "every"):
            raise UsageError(f"{self.asked} needs a reference: train on task.batches(...)")
        for side in self.sides:
            rows: dict[int, Tensor] = {}
            for tokens, logits in _passes(model, batches.every(side)):
                log_p, _ = answer_log_probs(logits, tokens, temperature=self.temperature)
                rows.update(zip(tokens.row.tolist(), log_p.cpu(), strict=True))
            self.log_q[side] = pad_sequence(
                [rows[row] for row in range(len(rows))], batch_first=True
            )
        if self.top_k:
            self.tops = _tops(model, batches.every("retain"), self.top_k)
        if self.whole:
            self.before = ParamVector.of(model).copy()

    def answers(self, side: str, tokens: Tokens, like: Tensor) -> Tensor:
        """Log q of a batch's answers, in the shape of `like`.

        Raises:
            UsageError: It was never taken.
        """
        if side not in self.log_q:
            raise UsageError(_UNPREPARED)
        return self.log_q[side][tokens.row.cpu(), : like.shape[1]].to(like)

    def top(self, tokens: Tokens) -> Top:
        """The most likely tokens at each position of a batch of retain rows.

        Raises:
            UsageError: They were never taken.
        """
        if not self.tops:
            raise UsageError(_UNPREPARED)
        start, stop = self.tops["start"][:-1], self.tops["start"][1:]
        rows = tokens.row.cpu()
        at = torch.cat([torch.arange(int(start[row]), int(stop[row])) for row in rows])
        device = tokens.ids.device
        return Top(self.tops["log_p"][at].to(device), self.tops["token"][at].to(device))

    @contextmanager
    def standing(self, model: nn.Module) -> Iterator[None]:
        """Inside the block the model is the one before, in eval mode and without gradients.

        Raises:
            UsageError: It was never taken.
        """
        if self.before is None:
            raise UsageError(_UNPREPARED)
        params = dict(model.named_parameters())
        before = {name: ranks.like(value, params[name]) for name, value in self.before.items()}
        with torch.no_grad(), in_mode(model, training=False), placed(model, before):
            yield

    def state_dict(self) -> dict[str, Any]:
        """Everything taken."""
        before = None if self.before is None else dict(self.before.items())
        return {"log_q": self.log_q, "tops": self.tops, "before": before}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up what was saved."""
        self.log_q, self.tops = dict(state["log_q"]), dict(state["tops"])
        self.before = None if state["before"] is None else ParamVector(state["before"])


_UNPREPARED = "the loss needs the model before; call prepare(model, batches) first"


def _passes(model: nn.Module, batches: Iterator[Tokens]) -> Iterator[tuple[Tokens, Tensor]]:
    device = next(model.parameters()).device
    with torch.no_grad(), in_mode(model, training=False):
        for tokens in batches:
            here = tokens.to(device)
            yield (
                here,
                model(input_ids=here.ids, attention_mask=here.attention, use_cache=False).logits,
            )


def _tops(model: nn.Module, batches: Iterator[Tokens], k: int) -> dict[str, Tensor]:
    log_p, token, counts = [], [], [torch.zeros(1, dtype=torch.int64)]
    for tokens, logits in _passes(model, batches):
        chosen = predicting(tokens)
        found = top(logits[chosen], k)
        log_p.append(found.log_p.cpu())
        token.append(found.token.cpu())
        counts.append(chosen.sum(1).cpu())
    return {
        "log_p": torch.cat(log_p),
        "token": torch.cat(token),
        "start": torch.cat(counts).cumsum(0),
    }
