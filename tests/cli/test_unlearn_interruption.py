"""Stopped, told to end, or killed: the same command again ends with the same bits."""

import random
import signal
import subprocess
import time

import pytest
import torch

from limen.cli.app import ending
from limen.run.progress import talk

RUN = {"steps": 12, "save_every": 5, "lr": 3e-3}
PRODUCTS = ("model/model.safetensors", "result.json", "log.jsonl")
POLITE = pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])


def products(folder):
    return [(folder / file).read_bytes() for file in PRODUCTS]


@pytest.fixture(scope="module")
def whole(given, tmp_path_factory):
    """What the run leaves behind that nobody disturbed."""
    folder = tmp_path_factory.mktemp("whole") / "out"
    assert ending(["unlearn", "train", *given.options(into=folder, **RUN)]) == 0
    talk(on=False)
    return products(folder)


def signalled(monkeypatch, name, *, step, times=1):
    """The process sends itself a signal within this step, counted from 1."""
    taken, usual = [], torch.optim.AdamW.step

    def signal_and_step(self, *args, **kwargs):
        taken.append(self)
        for _ in range(times if len(taken) == step else 0):
            signal.raise_signal(getattr(signal, name))
        return usual(self, *args, **kwargs)

    monkeypatch.setattr(torch.optim.AdamW, "step", signal_and_step)


@POLITE
@pytest.mark.parametrize("verb", ["train", "forget"])
def test_a_stopped_run_is_saved_and_goes_on(limen, given, tmp_path, monkeypatch, whole, name, verb):
    command = ["unlearn", verb, *given.options(into="out", **RUN)]
    signalled(monkeypatch, name, step=7)
    stopped = limen(*command)
    assert (stopped.code, stopped.out) == (130, "")
    said = "limen: stopped after step 7 of 12, checkpoint saved; the same command continues"
    assert stopped.err.splitlines()[-1] == said
    assert (tmp_path / "out/checkpoint/latest").read_text() == "step-000007\n"
    assert not (tmp_path / "out/model").exists()
    assert limen(*command).code == 0
    if verb == "train":
        assert products(tmp_path / "out") == whole


def test_whoever_insists_is_obeyed_at_once(limen, given, tmp_path, monkeypatch, whole):
    command = ["unlearn", "train", *given.options(into="out", **RUN)]
    signalled(monkeypatch, "SIGINT", step=7, times=2)
    stopped = limen(*command)
    assert (stopped.code, stopped.err.splitlines()[-1]) == (130, "limen: interrupted")
    assert (tmp_path / "out/checkpoint/latest").read_text() == "step-000005\n"
    assert limen(*command).code == 0
    assert products(tmp_path / "out") == whole


@pytest.mark.slow
@POLITE
def test_a_process_that_is_told_to_end_goes_on_later(start, given, tmp_path, name):
    """Its steps take seconds; the log says when the first of them are over."""
    command = ["unlearn", "train", *given.options(into="out", steps=400, lr=1e-3)]
    process = start(*command)
    log = tmp_path / "out" / "log.jsonl"
    while not log.exists() or log.read_text().count("\n") < 30:
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(getattr(signal, name))
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, ""), err
    assert "checkpoint saved; the same command continues" in err.splitlines()[-1]
    for into in ("out", "whole"):
        again = ["unlearn", "train", *given.options(into=into, steps=400, lr=1e-3)]
        process = start(*again)
        _, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
    assert products(tmp_path / "out") == products(tmp_path / "whole")


@pytest.mark.slow
def test_killed_at_twenty_random_moments_it_ends_with_the_same_bits(start, given, tmp_path):
    """Moments from the first import to the last file; a finished run makes way for a new one."""

    def command(into):
        return start("unlearn", "train", *given.options(into=into, steps=250, lr=1e-3))

    def finished(into):
        process = command(into)
        _, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        return products(tmp_path / into)

    began = time.monotonic()
    whole = finished("whole")
    lasts = time.monotonic() - began
    draw = random.Random(0)
    finals, kills = [], 0
    while kills < 20:
        into = f"run{len(finals)}"
        process = command(into)
        try:
            process.communicate(timeout=draw.uniform(0, lasts))
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            kills += 1
        if (tmp_path / into / "result.json").exists():
            finals.append(products(tmp_path / into))
    finals.append(finished(f"run{len(finals)}"))
    assert all(final == whole for final in finals)
