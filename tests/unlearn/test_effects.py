"""The G-effect is an inner product of two gradients, however it is cut and computed."""

import numpy as np
import pytest
import torch

from limen import ParamVector
from limen._core.errors import UsageError
from limen.algebra import shifted
from limen.unlearn import effects, objectives, pg_effects, with_lora
from limen.unlearn.linearisation import linearisation
from limen.unlearn.objectives import GA, NPO, WGA
from limen.unlearn.retain import KL, NLL
from limen.unlearn.risk import gradient, risk_gradient, risks_now, row_risks, token_risks
from limen.unlearn.step import Step
from limen.unlearn.task import Task
from limen.unlearn.tokens import collate

# Norms of Llama and Qwen2 are computed in float32 whatever the weights are.
EXACT, THROUGH_NORMS = 1e-9, 1e-6


@pytest.fixture(scope="module")
def task(tokenizer, rows):
    return Task(tokenizer, forget=rows[:3], retain=rows[3:7])


@pytest.fixture(scope="module")
def model(toy):
    """Tied embeddings, positions, biases; float64 throughout."""
    return toy("gpt2").double()


@pytest.fixture(scope="module")
def found(model, task):
    return effects(model, None, objective=WGA(), forget=task)


@pytest.fixture(scope="module")
def tokens(task):
    return {"forget": collate(task.forget), "retain": collate(task.retain)}


def params_of(model):
    return {name: p for name, p in model.named_parameters() if p.requires_grad}


def direction(model, task, objective):
    step = Step(objective)
    step.prepare(model, task.batches(8))
    return gradient(model, step, task, batch=8)


def by_backward(model, risks, v):
    """The slow obvious version: a backward for each number; nan stays."""
    params = list(params_of(model).values())
    found = np.full(risks.shape, np.nan)
    for at in (~risks.isnan()).nonzero().tolist():
        grads = torch.autograd.grad(risks[tuple(at)], params, retain_graph=True)
        found[tuple(at)] = sum((g * x).sum().item() for g, x in zip(grads, v.values(), strict=True))
    return found


def with_nan(risks, tokens):
    """nan beyond each row's answer."""
    counts = tokens.answer.sum(1)[:, None]
    return risks.masked_fill(torch.arange(risks.shape[1]) >= counts, torch.nan)


def near(found, expected, tolerance):
    """Whether two arrays agree as vectors, and are nan in the same places."""
    assert np.array_equal(np.isnan(found), np.isnan(expected))
    gap = np.linalg.norm(np.nan_to_num(found - expected))
    return gap <= tolerance * np.linalg.norm(np.nan_to_num(expected))


# One number, however it is computed.


@pytest.mark.parametrize("kind", ["qwen2", "gpt2", "llama"])
def test_effects_by_row_and_token_are_those_of_a_loop_of_backward_passes(kind, toy, task, tokens):
    model = toy(kind).double()
    v = direction(model, task, WGA())
    risks = with_nan(token_risks(model, tokens["forget"]), tokens["forget"])
    expected = by_backward(model, risks, v)
    rounding = EXACT if kind == "gpt2" else THROUGH_NORMS

    def close(by, method, values, tolerance):
        found = effects(model, None, objective=v, forget=task, by=by, method=method)
        assert near(found.forget, values, tolerance)

    close("row", "ghost", np.nanmean(expected, 1), rounding)
    close("row", "jvp", np.nanmean(expected, 1), rounding)
    close("token", "jvp", expected, rounding)


def test_an_effect_is_the_limit_of_finite_differences(model, task, tokens):
    v, step = direction(model, task, WGA()), 1e-6
    found = effects(model, None, objective=v, forget=task, by="row")
    ends = []
    for size in (step, -step):
        with shifted(model, v * size):
            ends.append(risks_now(model, tokens["retain"], batch=8))
    # Central differences err by the square of the step and by rounding over it.
    np.testing.assert_allclose((ends[0] - ends[1]) / (2 * step), found.retain, rtol=1e-4)


def test_layers_sum_to_the_inner_product_of_both_gradients(model, task, tokens, found):
    v = direction(model, task, WGA())
    for side, total in found.total.items():
        expected = risk_gradient(model, tokens[side], batch=8).dot(v)
        assert total == pytest.approx(expected, rel=EXACT)
        assert getattr(found, side).sum() == pytest.approx(total, rel=1e-12)


def test_each_layer_has_its_own_share(model, task, tokens, found):
    v, risk = direction(model, task, WGA()), risk_gradient(model, tokens["retain"], batch=8)
    parts = zip(v.grouped().items(), risk.grouped().values(), strict=True)
    expected = {name: one.dot(other) for (name, one), other in parts}
    assert found.names == tuple(expected)  # tied embeddings stand once
    np.testing.assert_allclose(found.retain, list(expected.values()), rtol=EXACT)


def test_tokens_average_to_rows_and_rows_weighed_by_tokens_to_the_set(model, task, found):
    row = effects(model, None, objective=WGA(), forget=task, by="row")
    token = effects(model, None, objective=WGA(), forget=task, by="token")
    for side in ("forget", "retain"):
        np.testing.assert_allclose(
            np.nanmean(getattr(token, side), 1), getattr(row, side), rtol=EXACT
        )
        counts = found.sides[side].tokens
        assert np.average(getattr(row, side), weights=counts) == pytest.approx(found.total[side])


def test_neither_micro_batches_nor_padding_matter(model, task, found):
    other = effects(model, None, objective=WGA(), forget=task, batch=1)
    np.testing.assert_allclose(other.forget, found.forget, rtol=1e-6)
    np.testing.assert_allclose(other.retain, found.retain, rtol=1e-6)


def test_rows_need_no_task(model, tokenizer, rows, found):
    other = effects(model, tokenizer, objective=WGA(), forget=rows[:3], retain=rows[3:7])
    assert np.array_equal(other.forget, found.forget)


# What the number means.


def test_ascent_runs_against_the_risks_own_gradient(model, task, tokens):
    found = effects(model, None, objective=GA(), forget=task, cosine=True)
    squared = risk_gradient(model, tokens["forget"], batch=8).norm() ** 2
    assert found.total["forget"] == pytest.approx(-squared, rel=EXACT)
    assert found.cosine["forget"] == pytest.approx(-1.0, abs=EXACT)
    assert found.norm**2 == pytest.approx(squared)


def test_descent_on_the_retain_rows_runs_with_it(model, tokenizer, rows):
    found = effects(model, tokenizer, objective=NLL(), forget=rows[3:7], cosine=True)
    assert found.total["forget"] == pytest.approx(found.norm**2, rel=EXACT)
    assert found.cosine["forget"] == pytest.approx(1.0, abs=EXACT)


def test_a_step_counts_all_its_terms(model, task, tokenizer, rows):
    both = effects(model, None, objective=Step(GA(), NLL(), weight=2.0), forget=task)
    first = effects(model, None, objective=GA(), forget=task)
    turned = effects(model, tokenizer, objective=NLL(), forget=rows[3:7], retain=rows[:3])
    np.testing.assert_allclose(both.forget, first.forget + 2 * turned.retain, rtol=1e-6)
    np.testing.assert_allclose(both.retain, first.retain + 2 * turned.forget, rtol=1e-6)


def test_a_small_step_does_what_the_effect_predicts(model, task, tokens):
    found = effects(model, None, objective=WGA(), forget=task)
    v = direction(model, task, WGA())
    for side, rows in tokens.items():
        step = linearisation(model, rows, v, lr=1e-4)
        assert step.predicted == pytest.approx(found.predicted(1e-4)[side], rel=EXACT)
        assert step.actual == pytest.approx(step.predicted, rel=1e-2)


def test_what_the_first_order_leaves_out_shrinks_as_the_square(model, task, tokens):
    v = direction(model, task, WGA())
    one, half = (linearisation(model, tokens["retain"], v, lr=lr).residual for lr in (2e-3, 1e-3))
    assert one / half == pytest.approx(4.0, rel=0.05)  # and a third order


def test_the_reference_is_the_model_itself_unless_another_is_given(model, toy, task):
    other = toy("gpt2", seed=5).double()
    mild, sharp = (effects(model, None, objective=NPO(b), forget=task) for b in (0.1, 2.0))
    np.testing.assert_allclose(
        mild.forget, sharp.forget, rtol=EXACT
    )  # at the start no beta matters
    anew = effects(model, None, objective=NPO(), forget=task, before=other)
    assert not np.allclose(anew.forget, mild.forget, rtol=0.1)


def test_a_regulariser_counts_once_the_model_has_moved(model, toy, task):
    step = Step(GA(), KL())
    alone = effects(model, None, objective=GA(), forget=task)
    still = effects(model, None, objective=step, forget=task)
    moved = effects(model, None, objective=step, forget=task, before=toy("gpt2", seed=5).double())
    np.testing.assert_allclose(still.retain, alone.retain, rtol=1e-5)
    assert not np.allclose(moved.retain, alone.retain, rtol=0.1)


@pytest.mark.parametrize("name", objectives.__all__)
def test_every_objective_has_effects(name, model, task):
    settings = {"TokenWeight": {"weight": lambda log_p, _: log_p.exp()}, "RMU": {"layer": 1}}.get(
        name, {}
    )
    objective = getattr(objectives, name)(**settings)
    found = effects(model, None, objective=objective, forget=task)
    assert np.isfinite(found.forget).all()
    assert np.isfinite(found.retain).all()


def test_a_direction_of_ones_own_takes_the_objectives_place(model, task, found):
    v = direction(model, task, WGA())
    other = effects(model, None, objective=2 * v, forget=task)
    np.testing.assert_allclose(other.forget, 2 * found.forget, rtol=EXACT)
    assert other.norm == pytest.approx(2 * found.norm)


def test_an_adapter_has_the_effects_of_its_own_parameters(toy, task, tokens):
    model = with_lora(toy("llama", seed=2), rank=2)
    for name, p in params_of(model).items():
        if "lora_B" in name:
            torch.nn.init.normal_(p, std=0.1, generator=torch.Generator().manual_seed(len(name)))
    found = effects(model, None, objective=GA(), forget=task, by="row")
    forward = effects(model, None, objective=GA(), forget=task, by="row", method="jvp")
    assert found.total["forget"] == pytest.approx(-(found.norm**2), rel=1e-5)  # float32
    assert near(found.retain, forward.retain, 1e-5)
    layers = effects(model, None, objective=GA(), forget=task)
    assert layers.names == ("layers.0", "layers.1")


# What comes along.


def test_values_carry_names(model, task, rows):
    by_row = effects(model, None, objective=GA(), forget=task, by="row")
    assert by_row.names == (
        *(f"forget {i}" for i in (1, 2, 3)),
        *(f"retain {i}" for i in (1, 2, 3, 4)),
    )
    by_token = effects(model, None, objective=GA(), forget=task, by="token")
    assert "".join(by_token.tokens[0]) == rows[0].response
    for line, texts in zip((*by_token.forget, *by_token.retain), by_token.tokens, strict=True):
        assert np.isfinite(line).sum() == len(texts)


def test_without_rows_to_keep_there_is_one_side(model, tokenizer, rows):
    found = effects(model, tokenizer, objective=GA(), forget=rows[:2])
    assert found.retain is None
    assert list(found.total) == ["forget"]


def test_the_interval_holds_the_estimate_and_narrows_with_more_rows(model, task, found):
    side = found.sides["retain"]
    for layer, value in [(None, side.total), (0, side.layers[0])]:
        interval = side.interval(layer)
        assert interval.low < value < interval.high
    many = type(side)(np.tile(side.table, 9), np.tile(side.tokens, 9), np.tile(side.risk, 9))
    wide, narrow = side.interval(), many.interval()
    assert narrow.high - narrow.low < 0.5 * (wide.high - wide.low)


def test_risks_are_those_of_the_model(model, task, tokens, found):
    expected = risks_now(model, tokens["forget"], batch=8)
    np.testing.assert_allclose(found.sides["forget"].risk, expected, rtol=1e-6)


def test_the_model_is_left_as_it_was(toy, task):
    model = toy("gpt2").double().train()
    for i, p in enumerate(model.parameters()):
        p.grad = torch.full_like(p, float(i))
        p.requires_grad_(i != 3)
    found = [(p.clone(), p.requires_grad, p.grad) for p in model.parameters()]
    drawn = torch.get_rng_state()
    for by in ("layer", "token"):
        effects(model, None, objective=NPO(), forget=task, by=by, cosine=True)
    for p, (value, asks, grad) in zip(model.parameters(), found, strict=True):
        assert torch.equal(p, value)
        assert p.requires_grad == asks
        assert p.grad is grad
    assert model.training
    assert torch.equal(torch.get_rng_state(), drawn)


# Row by row: what suppressing one does.


def test_pg_effects_are_inner_products_with_each_rows_gradient(model, task, tokens):
    found = pg_effects(model, None, forget=task)
    for values, side in zip(found, ("forget", "retain"), strict=True):
        v = risk_gradient(model, tokens[side], batch=8)
        expected = -by_backward(model, row_risks(model, tokens["forget"]), v)
        np.testing.assert_allclose(values, expected, rtol=EXACT)


def test_removals_weighed_by_tokens_are_minus_the_gradients_square(model, task, tokens):
    found = pg_effects(model, None, forget=task)
    counts = [len(item.ids) - item.answer for item in task.forget]
    squared = risk_gradient(model, tokens["forget"], batch=8).norm() ** 2
    assert np.average(found.removal, weights=counts) == pytest.approx(-squared, rel=EXACT)


# Wrong use.


def test_pg_effects_need_rows_to_keep(model, tokenizer, rows):
    with pytest.raises(UsageError, match="retain must hold rows"):
        pg_effects(model, tokenizer, forget=rows[:2])


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"by": "rows"}, "by='rows' must be one of"),
        ({"by": "layer", "method": "jvp"}, "must be one of ghost with by='layer'"),
        ({"by": "token", "method": "ghost"}, "must be one of jvp with by='token'"),
        ({"retain": [{"prompt": "a", "response": " b"}]}, "left out with a Task"),
        ({"batch": 0}, "must be at least 1"),
    ],
)
def test_wrong_use_is_one_sentence(wrong, said, model, task):
    with pytest.raises(UsageError, match=said):
        effects(model, None, **{"objective": GA(), "forget": task, **wrong})


def test_rows_without_a_tokenizer_are_refused(model, rows):
    with pytest.raises(UsageError, match="tokenizer=None needs a Task"):
        effects(model, None, objective=GA(), forget=rows)


def test_another_models_tokenizer_is_refused(model, byte_tokenizer):
    other = byte_tokenizer(["a b"])
    other.add_tokens([f"<{i}>" for i in range(400)])
    with pytest.raises(UsageError, match="tokenizer that belongs to the model"):
        effects(model, other, objective=GA(), forget=[{"prompt": "a", "response": " b<399>"}])


def test_a_cosine_must_be_asked_for(found):
    with pytest.raises(UsageError, match="cosine=True"):
        _ = found.cosine


def test_a_direction_of_another_model_is_refused(model, task):
    with pytest.raises(UsageError, match="are not"):
        effects(model, None, objective=ParamVector({"nope": torch.ones(1)}), forget=task)


@pytest.mark.parametrize(
    "answer",
    [
        " na\u00efve \u20ac\u2603!",
        " \U0001f600\U0001f601",
        " x\ufffdy",
        " \u20ac" * 20,
        "\u65e5\u672c\u8a9e" * 9,
        "a" * 31 + "\u65e5\u672c",
    ],
)
def test_tokens_join_to_the_answer_though_they_cut_its_characters(answer, toy, tokenizer):
    rows = [{"prompt": "q", "response": answer}]
    found = effects(toy("llama"), tokenizer, objective=GA(), forget=rows, by="token")
    (texts,) = found.tokens
    assert "".join(texts) == answer
    assert len(texts) == np.isfinite(found.forget[0]).sum() > len(answer)
    assert all("\ufffd" not in text for text in texts) or "\ufffd" in answer
