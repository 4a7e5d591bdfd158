"""A run that was stopped, however it was stopped, ends as if it had not been."""

import errno
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import resumed_run
import torch
from resumed_run import outcome, run
from torch.utils.data import DataLoader
from training_toys import bits, net, one_loss, pairs, same, two_losses

import limen
from limen import Loop
from limen._core.errors import InterruptedRun, UsageError, WorkError
from limen.run.tree import read_tree, write_tree


class CrashError(Exception):
    """What a test throws into a run."""


class CrashAt:
    """Fails at the end of one step, once."""

    def __init__(self, step, failure=CrashError):
        self.step, self.failure = step, failure

    def before_update(self, state): ...

    def after_update(self, state):
        if state.step == self.step:
            raise self.failure


class Quiet:
    """Watches, and does nothing."""

    def before_update(self, state): ...

    def after_update(self, state): ...


def identical(a, b):
    """Equality of nested values, tensors bit for bit, nan equal to nan."""
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(identical(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(identical, a, b))
    return a == b or (a != a and b != b)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    return outcome(run(tmp_path_factory.mktemp("whole")))


@pytest.mark.parametrize("crash", [1, 2, 3, 4, 7, 8])
def test_a_crashed_run_ends_bit_for_bit_like_the_whole_one(tmp_path, uninterrupted, crash):
    with pytest.raises(CrashError):
        run(tmp_path, callbacks=[CrashAt(crash)])
    seed = 99 if crash > 3 else 0  # before the first checkpoint the run begins anew
    assert identical(outcome(run(tmp_path, callbacks=[Quiet()], seed=seed)), uninterrupted)


def test_a_run_may_crash_again_and_again(tmp_path, uninterrupted):
    for crash in (2, 4, 5, 7):
        with pytest.raises(CrashError):
            run(tmp_path, callbacks=[CrashAt(crash)], save_every=1)
    assert identical(outcome(run(tmp_path, save_every=1)), uninterrupted)


def test_checkpoints_change_nothing(uninterrupted):
    assert identical(outcome(run(None)), uninterrupted)


def test_a_correction_of_the_update_resumes_too(tmp_path):
    def combine():
        return limen.Rectify(goal="forget", guard="retain", ema=0.5, on="update")

    whole = outcome(run(tmp_path / "whole", combine=combine()))
    with pytest.raises(CrashError):
        run(tmp_path / "parts", combine=combine(), callbacks=[CrashAt(4)])
    assert identical(outcome(run(tmp_path / "parts", combine=combine())), whole)


def test_more_steps_continue_a_finished_run(tmp_path, uninterrupted):
    run(tmp_path, steps=3)
    assert identical(outcome(run(tmp_path)), uninterrupted)


def test_a_finished_run_does_no_work_again(tmp_path, uninterrupted):
    run(tmp_path)

    def never(model, batch):
        raise AssertionError("the run was finished")

    never.__qualname__ = two_losses.__qualname__
    state = run(tmp_path, step=never)
    assert identical(outcome(state), uninterrupted)
    assert state.values == state.history[-1]


@pytest.mark.parametrize("shuffle", [False, True])
def test_a_loader_that_starts_again_resumes_in_the_middle(tmp_path, shuffle):
    """Starting an epoch draws from a random generator, which resuming must not do twice."""

    def loader():
        return DataLoader(
            pairs(5),
            batch_size=None,
            shuffle=shuffle,
            generator=torch.Generator().manual_seed(7) if shuffle else None,
        )

    whole = outcome(run(tmp_path / "whole", batches=loader()))
    with pytest.raises(CrashError):
        run(tmp_path / "parts", batches=loader(), callbacks=[CrashAt(5)], save_every=1)
    assert identical(outcome(run(tmp_path / "parts", batches=loader(), save_every=1)), whole)


# What is remembered, and what is not repeated.


class Remembering:
    """A step with a state, prepared once."""

    def __init__(self):
        self.total, self.prepared = 0.0, 0

    def __call__(self, model, batch):
        return one_loss(model, batch)

    def prepare(self, model, batches):
        self.prepared += 1
        self.total = 100.0

    def observe(self, values):
        self.total += values["loss"]

    def state_dict(self):
        return {"total": self.total}

    def load_state_dict(self, state):
        self.total = state["total"]


def test_a_step_is_restored_and_not_prepared_again(tmp_path):
    whole, first, second = Remembering(), Remembering(), Remembering()
    plain = {"combine": limen.Weighted()}
    run(tmp_path / "whole", step=whole, **plain)
    with pytest.raises(CrashError):
        run(tmp_path / "parts", step=first, callbacks=[CrashAt(5)], **plain)
    run(tmp_path / "parts", step=second, **plain)
    assert (first.prepared, second.prepared) == (1, 0)
    assert second.total == whole.total


def test_batch_norm_statistics_are_restored(tmp_path):
    def norm_run(into, callbacks=()):
        torch.manual_seed(0)
        model = torch.nn.Sequential(torch.nn.BatchNorm1d(3), net())
        model = model.double()
        limen.fit(
            model, one_loss, pairs(5), steps=5, callbacks=callbacks,
            optimizer=torch.optim.SGD(model.parameters(), 0.1),
            loop=Loop(into=into, save_every=2, label=""),
        )  # fmt: skip
        return {**bits(model), **dict(model.named_buffers())}

    whole = norm_run(tmp_path / "whole")
    with pytest.raises(CrashError):
        norm_run(tmp_path / "parts", [CrashAt(3)])
    assert same(norm_run(tmp_path / "parts"), whole)


def test_values_that_are_no_numbers_survive_the_log(tmp_path):
    """The angle to a guard without gradient is nan, which JSON cannot say."""

    def mute(model, batch):
        return {**one_loss(model, batch), "gap": torch.tensor(float("nan"))}

    class Tolerant(limen.Weighted):
        def backward(self, losses, share, back):
            losses.pop("gap")
            return super().backward(losses, share, back)

        def finish(self):
            return {"angle": float("nan")}

    run(tmp_path, step=mute, combine=Tolerant(), steps=2)
    for line in (tmp_path / "log.jsonl").read_text().splitlines():
        assert json.loads(line, parse_constant=pytest.fail)["angle"] is None
    state = run(tmp_path, step=mute, combine=Tolerant(), steps=2)
    assert all(row["angle"] != row["angle"] for row in state.history)


def test_a_combine_without_settings_to_tell_resumes(tmp_path):
    """Its default repr names a place in memory, which differs from run to run."""

    class Own(limen.Weighted):
        __repr__ = object.__repr__

    with pytest.raises(CrashError):
        run(tmp_path, combine=Own(), callbacks=[CrashAt(4)])
    assert run(tmp_path, combine=Own()).step == 8


# Files.


def test_the_log_has_one_row_a_step_after_every_crash(tmp_path, uninterrupted):
    for crash in (4, 8):
        with pytest.raises(CrashError):
            run(tmp_path, callbacks=[CrashAt(crash)])
    run(tmp_path)
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [row.pop("step") for row in rows] == list(range(1, 9))
    assert rows == uninterrupted["history"]


def test_half_a_line_of_log_does_no_harm(tmp_path, uninterrupted):
    with pytest.raises(CrashError):
        run(tmp_path, callbacks=[CrashAt(4)])
    with (tmp_path / "log.jsonl").open("a") as log:
        log.write('{"step": 5, "forg')
    assert identical(outcome(run(tmp_path)), uninterrupted)


def test_only_the_latest_checkpoint_and_nothing_half_written_stays(tmp_path):
    run(tmp_path, save_every=1)
    kept = sorted(path.name for path in (tmp_path / "checkpoint").iterdir())
    assert kept == ["latest", "step-000008"]
    assert [p.name for p in (tmp_path / "checkpoint/step-000008").iterdir()] == [
        "rank0.safetensors"
    ]


def test_what_a_killed_writer_left_is_cleared(tmp_path, uninterrupted):
    with pytest.raises(CrashError):
        run(tmp_path, callbacks=[CrashAt(4)])
    nests = [
        tmp_path / ".log.jsonl.limen-abcdefgh",
        tmp_path / "checkpoint" / ".latest.limen-abcdefgh",
        tmp_path / "checkpoint" / "step-000008" / ".rank0.safetensors.limen-abcdefgh",
    ]
    for nest in nests:
        nest.mkdir(parents=True)
        (nest / "half").write_text("half")
    assert identical(outcome(run(tmp_path)), uninterrupted)
    assert not any(nest.exists() for nest in nests)


def test_a_full_disk_is_one_sentence_and_the_last_checkpoint_stands(
    tmp_path, uninterrupted, monkeypatch
):
    def full(*given, **named):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:

        class Fill(Quiet):
            def after_update(self, state):
                if state.step == 5:
                    patch.setattr("limen.run.tree.save_file", full)

        with pytest.raises(
            WorkError, match=r"^\S+rank0.safetensors could not be written: No space"
        ):
            run(tmp_path, callbacks=[Fill()])
    assert (tmp_path / "checkpoint" / "latest").read_text() == "step-000003\n"
    assert identical(outcome(run(tmp_path)), uninterrupted)


# What is refused.


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"accumulate": 1}, "accumulate was 2 there and is 1"),
        ({"clip": 1.0}, "clip was None there and is 1.0"),
        ({"optimizer": torch.optim.SGD}, "optimizer was AdamW there and is SGD"),
        ({"combine": limen.Weighted()}, r"combine was Rectify\(.* and is Weighted"),
        ({"step": Remembering()}, "step was .* and is .*Remembering"),
        ({"steps": 2}, "already holds step 3, past steps=2"),
    ],
    ids=lambda part: next(iter(part)) if isinstance(part, dict) else "",
)
def test_another_configurations_checkpoint_is_refused(tmp_path, change, says):
    run(tmp_path, steps=3)
    with pytest.raises(UsageError, match=says):
        run(tmp_path, **change)


def test_another_models_checkpoint_is_refused(tmp_path):
    run(tmp_path, steps=1)
    model = torch.nn.Linear(3, 2).double()
    with pytest.raises(UsageError, match="parameters was"):
        limen.fit(
            model, one_loss, pairs(1), steps=2, optimizer=torch.optim.AdamW(model.parameters()),
            loop=Loop(into=tmp_path),
        )  # fmt: skip


def test_a_checkpoint_of_more_processes_is_refused(tmp_path):
    run(tmp_path, steps=3)
    file = tmp_path / "checkpoint" / "step-000003" / "rank0.safetensors"
    write_tree(file, {**read_tree(file), "world": 2})
    with pytest.raises(UsageError, match="written by 2 processes, this run has 1"):
        run(tmp_path)


# Signals.


class SignalAt(Quiet):
    """Sends this process a signal at one step."""

    def __init__(self, step, number, *, times=1):
        self.step, self.number, self.times = step, number, times

    def after_update(self, state):
        if state.step == self.step:
            for _ in range(self.times):
                os.kill(os.getpid(), self.number)
                time.sleep(0.01)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_step_saves_and_says_how_to_continue(tmp_path, uninterrupted, number):
    before = signal.getsignal(number)
    with pytest.raises(InterruptedRun, match=r"after step 5 of 8.*same command continues"):
        run(tmp_path, callbacks=[SignalAt(5, number)])
    assert signal.getsignal(number) is before
    assert (tmp_path / "checkpoint" / "latest").read_text() == "step-000005\n"
    assert identical(outcome(run(tmp_path)), uninterrupted)


def test_a_second_interrupt_stops_at_once(tmp_path):
    with pytest.raises(KeyboardInterrupt) as caught:
        run(tmp_path, callbacks=[SignalAt(5, signal.SIGINT, times=2)])
    assert not isinstance(caught.value, InterruptedRun)
    assert (tmp_path / "checkpoint" / "latest").read_text() == "step-000003\n"


def test_without_a_folder_an_interrupt_is_the_users_own():
    with pytest.raises(KeyboardInterrupt) as caught:
        run(None, callbacks=[SignalAt(2, signal.SIGINT)])
    assert not isinstance(caught.value, InterruptedRun)


@pytest.mark.slow
def test_a_run_killed_at_random_moments_ends_bit_for_bit_like_the_whole_one(tmp_path):
    def program(into, result):
        return [sys.executable, resumed_run.__file__, str(tmp_path / into), str(tmp_path / result)]

    def log():
        file = tmp_path / "parts" / "log.jsonl"
        return file.read_text().splitlines() if file.is_file() else []

    subprocess.run(program("whole", "expected"), check=True)
    chance, kills = random.Random(0), 0
    for lines in (1, 20, 50):
        process = subprocess.Popen(program("parts", "found"))
        while len(log()) < lines and process.poll() is None:
            time.sleep(0.005)
        time.sleep(chance.uniform(0, 0.02))
        process.kill()
        kills += process.wait() == -signal.SIGKILL
    assert kills == 3
    subprocess.run(program("parts", "found"), check=True)
    assert identical(read_tree(tmp_path / "found"), read_tree(tmp_path / "expected"))
    assert [json.loads(line)["step"] for line in log()] == list(range(1, 101))
    assert not list(Path(tmp_path / "parts").rglob(".*.????????"))
