"""Calibration: what stands between two models, the search, and the curve that comes of it."""

import copy
import math

import numpy as np
import pytest
import torch

from limen import unlearn
from limen._core.errors import UsageError
from limen.algebra.vector import ParamVector
from limen.unlearn import calibrate
from limen.unlearn.calibrate import gain_intervals, mixed, trace_out
from limen.unlearn.encode import Encoded
from limen.unlearn.mixing import Mixing, search
from limen.unlearn.scores.one_pass import Recall
from limen.unlearn.task import Task


@pytest.fixture(scope="module")
def task(tokenizer, rows):
    """All of these are known to `learnt`."""
    return Task(tokenizer, forget=rows[:2], retain=rows[2:5])


def moved(model, by=0.05, seed=3):
    """The same model with its trainable weights a little elsewhere."""
    draw, model = torch.Generator().manual_seed(seed), copy.deepcopy(model)
    with torch.no_grad():
        for p in model.parameters():
            if p.requires_grad:
                p.add_(torch.randn(p.shape, generator=draw).to(p.dtype), alpha=by)
    return model


@pytest.fixture(scope="module")
def after(learnt):
    """Some knowledge of both sets is gone."""
    return moved(learnt)


@pytest.fixture(scope="module")
def curve(learnt, after, task):
    return calibrate(learnt, after, task)


def logits(model, task):
    with torch.no_grad():
        return [
            model(input_ids=torch.tensor([item.ids]), use_cache=False).logits
            for item in (*task.forget, *task.retain)
        ]


def same(model, other):
    named = dict(other.named_parameters())
    return all(torch.equal(p, named[name]) for name, p in model.named_parameters())


def recalled(*strengths):
    strength = np.array(strengths, dtype=float)
    return Recall(*[strength] * 5, np.full(len(strength), 9))


class Told(Mixing):
    """A mixing whose retain strength is a given function of the weight."""

    def __init__(self, kept, remembered=lambda w: 1 - w / 2):
        super().__init__(torch.nn.Identity(), {}, None)
        self.told = remembered, kept

    def score(self, weight):
        if weight not in self.seen:
            self.seen[weight] = tuple(recalled(told(weight)) for told in self.told)
        return self.seen[weight]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_both_ends_are_the_two_models_bit_for_bit(dtype, learnt, after, task):
    before, after = (copy.deepcopy(model).to(dtype) for model in (learnt, after))
    mixing = mixed(before, after, task, keep=0.9)
    for weight, model in ((0.0, before), (1.0, copy.deepcopy(after))):
        with mixing.at(weight):
            assert same(after, model)


def test_the_end_is_exact_though_the_model_before_is_of_half_precision(learnt, after, task):
    model, kept = copy.deepcopy(after), copy.deepcopy(after)
    before = copy.deepcopy(learnt).bfloat16()
    with mixed(before, model, task, keep=0.9).at(1.0):
        assert same(model, kept)


def test_between_the_ends_weights_are_mixed_linearly(learnt, after, task):
    model = copy.deepcopy(after)
    with mixed(learnt, model, task, keep=0.9).at(0.25):
        for name, p in model.named_parameters():
            a, b = learnt.get_parameter(name), after.get_parameter(name)
            torch.testing.assert_close(p, 0.75 * a + 0.25 * b, atol=1e-6, rtol=1e-6)


def test_a_small_difference_survives_mixing_in_half_precision(learnt, task):
    before = copy.deepcopy(learnt).bfloat16()
    after = copy.deepcopy(before)
    weight = after.lm_head.weight
    with torch.no_grad():
        weight.copy_(torch.nextafter(weight, torch.full_like(weight, math.inf)))
    mixing = mixed(before, after, task, keep=0.9)
    with mixing.at(0.75):  # rounds to the nearer end, which bfloat16 arithmetic can miss
        assert same(after, mixing.model)
        changed = after.lm_head.weight != before.lm_head.weight
    assert changed.all()


def adapted(model, by=0.05):
    """The model with an adapter that has been trained, so to speak."""
    return moved(unlearn.with_lora(copy.deepcopy(model), rank=2), by=by).eval()


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_scaling_an_adapter_is_mixing_the_weights(weight, learnt, task):
    lora = adapted(learnt, by=0.2)
    full = copy.deepcopy(lora).merge_and_unload()
    scaled = mixed(None, lora, task, keep=0.9)
    dense = mixed(learnt, full, task, keep=0.9)
    with scaled.at(weight), dense.at(weight):
        for one, other in zip(logits(lora, task), logits(full, task), strict=True):
            # float32 products in another order, and logits of some tens
            torch.testing.assert_close(one, other, atol=1e-3, rtol=1e-4)
    for one, other in zip(scaled.score(weight), dense.score(weight), strict=True):
        np.testing.assert_array_equal(one.extraction_strength, other.extraction_strength)


def test_an_adapter_is_calibrated_to_the_same_curve_as_its_merged_model(learnt, task):
    lora = adapted(learnt, by=0.2)
    full = copy.deepcopy(lora).merge_and_unload()
    curves = [calibrate(None, lora, task, grid=5), calibrate(learnt, full, task, grid=5)]
    assert curves[0].gain.max() > 0
    assert curves[0] == curves[1]


def test_an_adapter_is_calibrated_against_the_model_it_lies_on(learnt, task):
    lora = adapted(learnt, by=0.2)
    assert mixed(learnt, lora, task, keep=0.9).before is None
    assert calibrate(learnt, lora, task, grid=5) == calibrate(None, lora, task, grid=5)


def test_an_adapter_on_another_model_is_refused(learnt, toy, after, task):
    for before in (after, toy("qwen2")):
        with pytest.raises(UsageError, match="merge the adapter first"):
            calibrate(before, adapted(learnt), task)


def test_a_second_adapter_is_refused_until_the_first_is_merged(learnt):
    lora = adapted(learnt)
    with pytest.raises(UsageError, match="must not carry an adapter already"):
        unlearn.with_lora(lora, rank=2)
    with pytest.raises(UsageError, match="must not carry an adapter already"):
        unlearn.with_lora(lora.base_model.model, rank=2)
    unlearn.with_lora(lora.merge_and_unload(), rank=2)


def test_equal_models_cost_nothing_and_gain_nothing_anywhere(learnt, task):
    found = calibrate(learnt, copy.deepcopy(learnt), task)
    assert found.price.tolist() == found.gain.tolist() == [0.0] * len(found)
    assert found.gain_interval.tolist() == [[0.0, 0.0]] * len(found)


@pytest.mark.parametrize("edge", [0.013, 0.1, 0.4371, 0.5, 0.999])
@pytest.mark.parametrize("tolerance", [0.1, 0.01, 1e-4])
@pytest.mark.parametrize("grid", [2, 11])
def test_the_bisection_finds_the_last_weight_that_keeps_enough(edge, tolerance, grid):
    mixing = Told(lambda w: 1.0 if w <= edge else 0.0)
    search(mixing, keep=0.9, tolerance=tolerance, grid=grid)
    best = max(w for w in mixing.seen if mixing.kept(w) >= 0.9)
    assert edge - tolerance <= best <= edge


def test_the_bisection_lands_where_a_falling_curve_meets_the_bar():
    mixing = Told(lambda w: 1 - w**2)
    search(mixing, keep=0.9, tolerance=1e-3, grid=11)
    best = max(w for w in mixing.seen if mixing.kept(w) >= 0.9)
    assert math.sqrt(0.1) - 1e-3 <= best <= math.sqrt(0.1)


def test_a_model_that_keeps_enough_is_taken_whole():
    mixing = Told(lambda w: 1 - w / 20)
    search(mixing, keep=0.95, tolerance=0.01, grid=3)
    assert sorted(mixing.seen) == [0.0, 0.5, 1.0]


@pytest.mark.parametrize(
    "kept",
    [
        lambda w: 1.0 if w <= 0.2 or 0.6 <= w <= 0.8 else 0.5,
        lambda w: 0.95 + 0.05 * math.cos(40 * w),
        lambda w: 1.0 if w == 0 else 0.1,
    ],
)
def test_where_retention_comes_back_the_search_still_keeps_enough(kept):
    mixing = Told(kept)
    point = trace_out(mixing, keep=0.95).at(price=0.05)
    assert kept(point.knob) >= 0.95 - 1e-9
    grid = [w for w in np.linspace(0, 1, 11) if kept(w) >= 0.95]
    assert point.knob >= max(grid)


@pytest.mark.parametrize(
    ("kept", "lines"),
    [(lambda w: 1 - w, 0), (lambda w: 1.0 if w <= 0.2 or w > 0.55 else 0.5, 1)],
    ids=["falls", "comes back"],
)
def test_retention_that_comes_back_is_told(kept, lines, monkeypatch):
    said = []
    monkeypatch.setattr("limen.unlearn.mixing.say", said.append)
    search(Told(kept), keep=0.95, tolerance=0.01, grid=11)
    assert len(said) == lines
    assert all("weight 0.30 keeps too little, 1.00 enough" in line for line in said)


def test_price_and_gain_are_relative_to_what_the_model_before_knew():
    mixing = Told(lambda w: 0.8 * (1 - w / 2), remembered=lambda w: 0.5 * (1 - w))
    found = trace_out(mixing, keep=0.95)
    np.testing.assert_allclose(found.price, np.array(found.knob) / 2, atol=1e-12)
    np.testing.assert_allclose(found.gain, found.knob, atol=1e-12)
    assert 0.09 <= found.at(price=0.05).knob <= 0.1 + 1e-9


def test_at_the_operating_point_enough_is_kept(learnt, after, task, curve):
    model = copy.deepcopy(after)
    mixed(learnt, model, task, keep=0.95).settle(curve.at(price=0.05).knob)
    kept, whole = (
        unlearn.extraction_strength(m, None, task.retain).mean() for m in (model, learnt)
    )
    assert kept >= 0.95 * whole - 1e-9


def test_price_and_gain_are_the_shares_of_strength_lost(learnt, after, task, curve):
    for end, model in ((0, learnt), (-1, after)):
        for side, found in ((task.retain, curve.price), (task.forget, curve.gain)):
            now, was = (unlearn.extraction_strength(m, None, side).mean() for m in (model, learnt))
            assert found[end] == pytest.approx(1 - now / was)
    assert curve.price[-1] > 0.05  # else there would have been nothing to calibrate
    assert curve.gain[-1] > 0


def test_the_curve_says_what_its_numbers_are(curve):
    assert curve.knob == tuple(sorted(curve.knob))
    assert set(np.linspace(0, 1, 11)) <= set(curve.knob)
    assert (curve.price_name, curve.gain_name) == ("retained knowledge lost", "knowledge forgotten")
    assert (curve.knob_name, curve.name) == ("mixing weight", "")


def test_intervals_hold_their_points(curve):
    low, high = curve.gain_interval.T
    assert (low <= curve.gain).all()
    assert (curve.gain <= high).all()


def test_the_interval_of_one_half_forgotten_set_is_that_of_the_binomial():
    strength = np.stack([np.ones(40), np.repeat([0.0, 1.0], 20)])
    (low, high) = gain_intervals(strength, level=0.95, seed=0)[1]
    # half of 40 rows: the 2.5 % and 97.5 % quantiles of Binomial(40, 1/2) / 40
    assert low == pytest.approx(0.35, abs=0.026)
    assert high == pytest.approx(0.65, abs=0.026)


def test_before_and_after_are_resampled_together():
    strength = np.random.default_rng(0).uniform(0.1, 1, 9)
    found = gain_intervals(np.stack([strength, 0.25 * strength]), level=0.95, seed=0)
    np.testing.assert_allclose(found, [[0, 0], [0.75, 0.75]], atol=1e-12)


def test_draws_in_which_nothing_was_known_are_left_out():
    found = gain_intervals(np.array([[0.5, 0.0], [0.25, 0.0]]), level=0.95, seed=0)
    np.testing.assert_allclose(found, [[0, 0], [0.5, 0.5]])


def test_the_curve_is_the_same_each_time(learnt, after, task, curve):
    assert calibrate(learnt, after, task) == curve


@pytest.mark.parametrize("kind", ["module", "mapping", "folder", "text"])
def test_the_model_before_may_come_in_any_form(kind, learnt, after, task, tokenizer, tmp_path):
    folder = unlearn.save_model(learnt, tokenizer, tmp_path / "before")
    before = {
        "module": learnt,
        "mapping": ParamVector.of(learnt),
        "folder": folder,
        "text": str(folder),
    }[kind]
    found = calibrate(before, after, task, grid=3, tolerance=0.5)
    assert found == calibrate(learnt, after, task, grid=3, tolerance=0.5)


@pytest.mark.parametrize("lora", [False, True], ids=["full", "adapter"])
def test_calibration_leaves_both_models_as_they_were(lora, learnt, after, task):
    model = adapted(learnt) if lora else copy.deepcopy(after)
    kept, before = copy.deepcopy(model), copy.deepcopy(learnt)
    said = logits(model, task)
    model.train()
    calibrate(None if lora else before, model, task, grid=3, tolerance=0.5)
    assert all(module.training for module in model.modules())
    assert same(model, kept)
    assert same(before, learnt)
    again = logits(model.eval(), task)
    assert all(torch.equal(a, b) for a, b in zip(said, again, strict=True))


@pytest.mark.parametrize("lora", [False, True], ids=["full", "adapter"])
def test_settling_leaves_the_model_at_the_weight(lora, learnt, after, task):
    model = adapted(learnt) if lora else copy.deepcopy(after)
    mixing = mixed(None if lora else learnt, model, task, keep=0.9)
    with mixing.at(0.3):
        there = logits(model, task)
    mixing.settle(0.3)
    for one, other in zip(there, logits(model, task), strict=True):
        torch.testing.assert_close(one, other, atol=1e-5 if lora else 0, rtol=1e-5 if lora else 0)
    assert mixing.seen == {}


def test_each_weight_is_scored_once(learnt, after, task):
    model, forwards = copy.deepcopy(after), []
    model.register_forward_hook(lambda *_: forwards.append(1))
    mixing = mixed(learnt, model, task, keep=0.9)
    search(mixing, keep=0.9, tolerance=0.01, grid=11)
    search(mixing, keep=0.9, tolerance=0.01, grid=11)
    assert len(forwards) == 2 * len(mixing.seen)


@pytest.mark.parametrize("keep", [0.0, -0.1, 1.01, math.nan])
def test_a_share_outside_its_range_is_refused(keep, learnt, after, task):
    with pytest.raises(UsageError, match=r"keep=.* must lie in \(0, 1\]"):
        calibrate(learnt, after, task, keep=keep)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"tolerance": 0.0}, "tolerance=0.0"),
        ({"grid": 1}, "grid=1"),
        ({"level": 1.0}, "level=1.0"),
    ],
)
def test_a_search_that_cannot_be_made_is_refused(options, says, learnt, after, task):
    with pytest.raises(UsageError, match=says):
        calibrate(learnt, after, task, **options)


def test_without_rows_to_keep_there_is_no_calibration(learnt, after, tokenizer, rows):
    with pytest.raises(UsageError, match="needs retain rows"):
        calibrate(learnt, after, Task(tokenizer, forget=rows[:2]))


@pytest.mark.parametrize(("forget", "retain", "side"), [(0, 7, "retain"), (7, 0, "forget")])
def test_a_model_before_that_knows_nothing_is_refused(
    forget, retain, side, learnt, after, tokenizer, rows
):
    task = Task(tokenizer, forget=[rows[forget]], retain=[rows[retain]])
    with pytest.raises(UsageError, match=f"must know the {side} rows"):
        calibrate(learnt, after, task)


def test_rows_without_an_answer_are_not_taken_for_forgotten(learnt, after, tokenizer, rows):
    task = Task(tokenizer, forget=rows[:2], retain=rows[2:5])
    plain = calibrate(learnt, after, task, grid=3, tolerance=0.5)
    task.retain.append(Encoded([5], 1, 3))
    assert calibrate(learnt, after, task, grid=3, tolerance=0.5) == plain
    task.forget[:] = [Encoded([5], 1, 0)]
    with pytest.raises(UsageError, match="must know the forget rows"):
        calibrate(learnt, after, task)


def test_checkpoints_of_other_shapes_are_refused(learnt, after, task):
    odd = {**ParamVector.of(learnt), "lm_head.weight": torch.zeros(300, 47)}
    with pytest.raises(UsageError, match=r"lm_head.weight is \(300, 47\) there and \(300, 48\)"):
        calibrate(odd, after, task)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda named: named.update(extra=torch.zeros(1)), "'extra'] are not in"),
        (lambda named: named.pop("lm_head.weight"), "'lm_head.weight'] are missing for"),
    ],
    ids=["unknown", "missing"],
)
def test_checkpoints_of_other_names_are_refused(change, says, learnt, after, task):
    named = dict(ParamVector.of(learnt))
    change(named)
    with pytest.raises(UsageError, match=says):
        calibrate(named, after, task)


def test_a_model_before_with_fewer_layers_is_refused_though_nothing_trains(learnt, after, task):
    before, frozen = copy.deepcopy(learnt), copy.deepcopy(after).requires_grad_(False)
    del before.model.layers[1]
    with pytest.raises(UsageError, match="are missing for the model after"):
        calibrate(before, frozen, task)


def test_another_kind_of_model_is_refused(toy, after, task):
    with pytest.raises(UsageError, match="must be the same model at other weights"):
        calibrate(toy("gpt2"), after, task)


def test_without_a_model_before_there_must_be_an_adapter(after, task):
    with pytest.raises(UsageError, match="before=None needs a LoRA model"):
        calibrate(None, after, task)


def test_an_adapter_beside_which_something_else_trains_is_refused(learnt, task):
    model = adapted(learnt)
    model.base_model.model.model.norm.weight.requires_grad_()
    with pytest.raises(UsageError, match=r"only LoRA matrices train; .*norm.weight does too"):
        calibrate(None, model, task)


def test_a_merged_adapter_is_refused(learnt, task):
    model = adapted(learnt)
    model.merge_adapter()
    with pytest.raises(UsageError, match="not merged"):
        calibrate(None, model, task)
