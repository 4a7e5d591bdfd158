from types import SimpleNamespace

import pytest
import torch
from torch import nn

from limen._core.errors import UsageError, WorkError
from limen.unlearn.encode import Encoded
from limen.unlearn.scores.forward import forward_once

ROWS = [Encoded([1] * length, 1, row) for row, length in enumerate((5, 2, 9, 2, 7))]


class Watched(nn.Module):
    """Says nothing, and keeps what it was shown."""

    def __init__(self):
        super().__init__()
        self.shapes, self.modes = [], []

    def forward(self, input_ids, attention_mask, use_cache):
        assert not use_cache
        assert not torch.is_grad_enabled()
        self.shapes.append(tuple(input_ids.shape))
        self.modes.append(self.training)
        return SimpleNamespace(logits=torch.zeros(*input_ids.shape, 3))


def lengths(_, tokens):
    return tokens.attention.sum(1).tolist()


@pytest.mark.parametrize("batch", [1, 2, 5, 9])
def test_results_come_in_the_order_of_the_rows(batch):
    assert forward_once(Watched(), ROWS, read=lengths, batch=batch) == [5, 2, 9, 2, 7]


def test_rows_of_like_length_share_a_batch():
    model = Watched()
    forward_once(model, ROWS, read=lengths, batch=2)
    assert model.shapes == [(2, 2), (2, 7), (1, 9)]


def test_every_batch_is_told_of_once():
    told = []
    forward_once(Watched(), ROWS, read=lengths, batch=2, advance=told.append)
    assert told == [2, 2, 1]


def test_the_model_is_in_eval_mode_meanwhile_and_in_its_own_afterwards():
    model = Watched().train()
    forward_once(model, ROWS, read=lengths)
    assert model.modes == [False]
    assert model.training


def test_the_mode_comes_back_where_reading_fails():
    model = Watched().train()

    def fail(*_):
        raise MemoryError

    with pytest.raises(MemoryError):
        forward_once(model, ROWS, read=fail)
    assert model.training


@pytest.mark.parametrize("batch", [0, -3])
def test_a_batch_of_nothing_is_refused_before_anything_goes_forward(batch):
    model = Watched()
    with pytest.raises(UsageError, match=f"batch={batch} must be at least 1"):
        forward_once(model, ROWS, read=lengths, batch=batch)
    assert model.shapes == []


def test_a_reader_that_loses_a_row_is_noticed():
    with pytest.raises(ValueError, match="shorter"):
        forward_once(Watched(), ROWS, read=lambda _, tokens: lengths(_, tokens)[1:])


class Broken(Watched):
    """What it says to the longest row is not a number; padding never is."""

    def __init__(self, said):
        super().__init__()
        self.said = said

    def forward(self, input_ids, attention_mask, use_cache):
        logits = super().forward(input_ids, attention_mask, use_cache).logits
        logits[attention_mask == 0] = torch.nan
        logits[attention_mask.sum(1) == 9, 1, 1] = self.said
        return SimpleNamespace(logits=logits)


@pytest.mark.parametrize("said", [float("nan"), float("inf")])
@pytest.mark.parametrize("batch", [1, 5])
def test_what_is_not_a_number_is_never_read(said, batch):
    with pytest.raises(WorkError, match="row 3: the model's output is not a number"):
        forward_once(Broken(said), ROWS, read=lengths, batch=batch)


def test_an_impossible_token_and_padding_do_not_count():
    assert forward_once(Broken(-float("inf")), ROWS, read=lengths, batch=5)[2] == 9
