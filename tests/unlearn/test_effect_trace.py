"""A trace watches training, and training does not notice."""

import copy

import numpy as np
import pytest
import torch

import limen
from limen import Loop, Rectify
from limen._core.errors import UsageError
from limen.unlearn import EffectTrace, effects
from limen.unlearn.objectives import GA, NPO, WGA
from limen.unlearn.retain import NLL
from limen.unlearn.risk import risks_now
from limen.unlearn.step import Step
from limen.unlearn.task import Task

ON = ["gradient", "update"]


@pytest.fixture(scope="module")
def task(tokenizer, rows):
    return Task(tokenizer, forget=rows[:3], retain=rows[3:6])


@pytest.fixture(scope="module")
def model(toy):
    """Float64 throughout, with dropout, so that training draws random numbers."""
    model = toy("gpt2").double()
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.1
    return model


@pytest.fixture(scope="module")
def calm(toy):
    """The same without dropout."""
    model = toy("gpt2").double()
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    return model


def trained(model, task, *, steps=4, callbacks=(), combine=None, step=None, **loop):
    """A short run on a copy: final state and model."""
    model = copy.deepcopy(model)
    optimizer = loop.pop("optimizer", lambda params: torch.optim.AdamW(params, 1e-3))
    torch.manual_seed(0)
    state = limen.fit(
        model,
        step or Step(NPO(), NLL()),
        task.batches(3),
        steps=steps,
        optimizer=optimizer,
        combine=combine,
        callbacks=list(callbacks),
        loop=Loop(label="", **loop),
    )
    return state, model


def sgd(lr):
    return lambda params: torch.optim.SGD(params, lr)


@pytest.mark.parametrize("on", ON)
@pytest.mark.parametrize("surgery", [None, *ON])
def test_training_does_not_notice(on, surgery, model, task):
    def run(callbacks):
        combine = None if surgery is None else Rectify(goal="forget", guard="retain", on=surgery)
        state, done = trained(model, task, steps=2, callbacks=callbacks, combine=combine, clip=1.0)
        moments = [m for s in state.optimizer.state_dict()["state"].values() for m in s.values()]
        return state.history, [*done.parameters(), *moments], torch.get_rng_state()

    history, tensors, drawn = run([EffectTrace(task.probes(2), every=1, on=on)])
    alone, plain, drawn_alone = run([])
    assert history == alone
    assert torch.equal(drawn, drawn_alone)
    assert all(torch.equal(a, b) for a, b in zip(tensors, plain, strict=True))


@pytest.mark.parametrize("on", ON)
def test_the_model_comes_back_as_it_was_at_every_probe(on, model, task):
    class Look:
        """Stands before and after the trace."""

        def __init__(self):
            self.seen = []

        def look(self, state):
            flags = [m.training for m in state.model.modules()]
            flags += [p.requires_grad for p in state.model.parameters()]
            grads = [p.grad.clone() for p in state.model.parameters()]
            self.seen.append((flags, [p.detach().clone() for p in state.model.parameters()], grads))

        before_update = after_update = look

    first, last = Look(), Look()
    trained(model, task, callbacks=[first, EffectTrace(task.probes(2), every=1, on=on), last])
    for one, other in zip(first.seen, last.seen, strict=True):
        assert one[0] == other[0]
        for a, b in zip(one[1] + one[2], other[1] + other[2], strict=True):
            assert torch.equal(a, b)


def test_the_first_probe_is_the_g_effect(calm, task):
    trace = EffectTrace(task.probes(9))
    trained(calm, task, steps=1, callbacks=[trace], step=Step(WGA()))
    found = effects(calm, None, objective=WGA(), forget=task)
    assert trace.names == found.names
    np.testing.assert_allclose(trace.forget[0], found.forget, rtol=1e-9)
    np.testing.assert_allclose(trace.retain[0], found.retain, rtol=1e-9)
    by_row = effects(calm, None, objective=WGA(), forget=task, by="row").forget
    expected = np.quantile(by_row, [0.0, 0.25, 0.5, 0.75, 1.0])
    np.testing.assert_allclose(trace.rows["forget"][0], expected, rtol=1e-9)


def test_an_update_of_plain_descent_is_the_gradient_times_its_rate(calm, task):
    traces = [EffectTrace(task.probes(9), on=on) for on in ON]
    trained(calm, task, steps=1, callbacks=traces, optimizer=sgd(1e-3))
    np.testing.assert_allclose(traces[1].forget, 1e-3 * traces[0].forget, rtol=1e-6)
    np.testing.assert_allclose(traces[1].retain, 1e-3 * traces[0].retain, rtol=1e-6)


def test_measured_changes_add_up_to_the_change_of_risk(calm, task):
    trace = EffectTrace(task.probes(9), every=1, on="update")
    _, done = trained(calm, task, callbacks=[trace])
    for side, tokens in zip(("forget", "retain"), task.probes(9), strict=True):
        counts = tokens.answer[:, 1:].sum(1).numpy()
        ends = [np.average(risks_now(m, tokens, batch=8), weights=counts) for m in (calm, done)]
        assert trace.actual[side].sum() == pytest.approx(ends[1] - ends[0], rel=1e-9)
        assert trace.risk[side][0] == pytest.approx(ends[0], rel=1e-9)


def test_predictions_come_closer_with_smaller_steps(calm, task):
    def share(lr):
        trace = EffectTrace(task.probes(9), every=1, on="update")
        step = Step(WGA(), NLL())
        trained(calm, task, steps=2, callbacks=[trace], optimizer=sgd(lr), step=step)
        return abs(trace.residual["forget"].sum() / trace.actual["forget"].sum())

    large, small = share(2e-4), share(1e-4)
    assert small < 0.01
    assert small == pytest.approx(large / 2, rel=0.1)  # linear in the rate, and higher orders


def test_probes_come_at_regular_steps(calm, task):
    trace = EffectTrace(task.probes(1), every=3)
    trained(calm, task, steps=7, callbacks=[trace])
    assert trace.steps == [0, 3, 6]
    assert trace.forget.shape == (3, len(trace.names))
    assert trace.risk["retain"].shape == (3,)


def test_the_weights_before_are_copied_only_where_a_probe_is_due(calm, task):
    class Look:
        def __init__(self):
            self.known = []

        def before_update(self, state): ...

        def after_update(self, state):
            self.known.append(state.before is not None)

    look = Look()
    trained(calm, task, callbacks=[EffectTrace(task.probes(1), every=2, on="update"), look])
    assert look.known == [True, False, True, False]


@pytest.mark.parametrize("on", ON)
def test_a_resumed_run_has_the_whole_trace(on, model, task, tmp_path):
    whole = EffectTrace(task.probes(2), every=2, on=on)
    trained(model, task, steps=3, callbacks=[whole], into=tmp_path / "whole")
    for steps in (1, 3):
        part = EffectTrace(task.probes(2), every=2, on=on)
        trained(model, task, steps=steps, callbacks=[part], into=tmp_path / "cut")
    assert part.steps == whole.steps == [0, 2]
    assert part.names == whole.names
    assert np.array_equal(part.forget, whole.forget)
    assert np.array_equal(part.rows["retain"], whole.rows["retain"])
    if on == "update":
        assert np.array_equal(part.residual["retain"], whole.residual["retain"])


def test_without_rows_to_keep_there_is_one_side(calm, tokenizer, rows):
    task = Task(tokenizer, forget=rows[:3])
    trace = EffectTrace(task.probes(3), on="update")
    trained(calm, task, steps=1, callbacks=[trace], step=Step(GA()))
    assert trace.retain is None
    assert list(trace.risk) == list(trace.residual) == ["forget"]


def test_groups_of_ones_own_are_taken(calm, task):
    trace = EffectTrace(task.probes(1), by=lambda name: "norms" if ".ln_" in name else "rest")
    trained(calm, task, steps=1, callbacks=[trace])
    assert set(trace.names) == {"norms", "rest"}


def test_nothing_seen_is_an_empty_trace(task):
    trace = EffectTrace(task.probes(1))
    assert trace.forget.shape[0] == 0
    assert trace.risk["forget"].shape == (0,)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [({"every": 0}, "at least 1"), ({"batch": 0}, "at least 1"), ({"on": "loss"}, "on='loss'")],
)
def test_wrong_use_is_one_sentence(wrong, said, task):
    with pytest.raises(UsageError, match=said):
        EffectTrace(task.probes(1), **wrong)


def test_changes_are_known_of_updates_alone(task):
    with pytest.raises(UsageError, match="only with on='update'"):
        _ = EffectTrace(task.probes(1)).residual


@pytest.mark.parametrize("on", ON)
def test_intervals_hold_the_totals_and_are_those_of_the_effects(on, calm, task):
    trace = EffectTrace(task.probes(9), on=on)
    trained(calm, task, steps=1, callbacks=[trace], step=Step(WGA()))
    for side in ("forget", "retain"):
        (low, high), (total,) = trace.interval[side][0], trace.total[side]
        assert low <= total <= high
    if on == "gradient":
        found = effects(calm, None, objective=WGA(), forget=task).sides["forget"].interval()
        np.testing.assert_allclose(trace.interval["forget"][0], (found.low, found.high), rtol=1e-9)
