import pytest
import torch

from limen._core.errors import UsageError
from limen.unlearn.encode import Encoded
from limen.unlearn.tokens import Tokens, answer_hits, answer_log_probs, collate

ROWS = [
    Encoded([5, 6, 7, 8, 3], answer=2, row=4),
    Encoded([3, 3], answer=1, row=0),
    Encoded([9, 4, 3, 1], answer=4, row=2),
]


@pytest.fixture
def logits():
    return torch.randn(3, 5, 10, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def slow(logits, rows):
    """Log-probabilities by the definition, one token at a time."""
    return [
        [logits[i, t - 1].log_softmax(-1)[row.ids[t]] for t in range(row.answer, len(row.ids))]
        for i, row in enumerate(rows)
    ]


def test_masks_follow_lengths_also_where_padding_is_a_token_in_use():
    tokens = collate(ROWS, pad=3)
    assert tokens.attention.sum(1).tolist() == [5, 2, 4]
    assert tokens.answer.sum(1).tolist() == [3, 1, 0]
    assert tokens.ids[1].tolist() == [3, 3, 3, 3, 3]
    assert tokens.row.tolist() == [4, 0, 2]
    assert (len(tokens), tokens.count) == (3, 4)


def test_an_empty_batch_is_refused():
    with pytest.raises(UsageError, match="at least one row"):
        collate([])


def test_log_probs_equal_the_definition(logits):
    log_p, mask = answer_log_probs(logits, collate(ROWS))
    assert mask.tolist() == [[True] * 3, [True, False, False], [False] * 3]
    torch.testing.assert_close(
        log_p[mask], torch.stack([p for row in slow(logits, ROWS) for p in row])
    )
    assert log_p[~mask].abs().sum() == 0


def test_gradients_equal_those_of_the_definition(logits):
    fast, plain = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    (answer_log_probs(fast, collate(ROWS))[0] ** 2).sum().backward()
    sum(p**2 for row in slow(plain, ROWS) for p in row).backward()
    torch.testing.assert_close(fast.grad, plain.grad)


def test_prompts_and_padding_have_no_gradient(logits):
    logits = logits.requires_grad_()
    answer_log_probs(logits, collate(ROWS))[0].sum().backward()
    used = logits.grad.abs().sum(-1) > 0
    assert used.int().tolist() == [[0, 1, 1, 1, 0], [1, 0, 0, 0, 0], [0] * 5]


def test_padding_length_and_side_change_nothing(logits):
    tokens = collate(ROWS)
    zeros = torch.zeros(3, 2, dtype=torch.long)
    parts = (tokens.ids, tokens.attention, tokens.answer)
    left = Tokens(*(torch.cat([zeros.to(p.dtype), p], 1) for p in parts), tokens.row)
    right = Tokens(*(torch.cat([p, zeros.to(p.dtype)], 1) for p in parts), tokens.row)
    noise = torch.randn(3, 2, 10, dtype=torch.float64)
    for padded, longer in ((left, [noise, logits]), (right, [logits, noise])):
        for function in (answer_hits, lambda *a: answer_log_probs(*a)[0]):
            assert torch.equal(function(torch.cat(longer, 1), padded), function(logits, tokens))


def test_hits_are_where_greedy_decoding_says_the_token(logits):
    expected = torch.zeros(3, 3, dtype=torch.bool)
    for i, row in enumerate(ROWS):
        for k, t in enumerate(range(row.answer, len(row.ids))):
            expected[i, k] = logits[i, t - 1].argmax() == row.ids[t]
    logits[0, 2, 8] = 99.0  # at least one hit
    expected[0, 1] = True
    assert torch.equal(answer_hits(logits, collate(ROWS)), expected)


@pytest.mark.parametrize(
    ("given", "got"),
    [
        (torch.bfloat16, torch.float32),
        (torch.float32, torch.float32),
        (torch.float64, torch.float64),
    ],
)
def test_half_precision_is_widened_before_it_is_normalised(logits, given, got):
    log_p, _ = answer_log_probs(logits.to(given), collate(ROWS))
    assert log_p.dtype == got
    wide = answer_log_probs(logits.to(given).double(), collate(ROWS))[0].to(got)
    torch.testing.assert_close(log_p, wide)


def test_only_answer_positions_are_widened(logits):
    tokens = collate(ROWS)
    seen = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: seen.append(t) or t, lambda t: t):
        answer_log_probs(logits.bfloat16().requires_grad_(), tokens)
    wide = [t.numel() for t in seen if t.dtype == torch.float32]
    assert max(wide) == tokens.count * logits.shape[-1]
