"""The command itself: help, version, wrong words, where it talks, how it ends."""

import os
import re
import subprocess
import sys

import pytest

from limen import __version__
from limen._core.errors import InterruptedRun, WorkError
from limen.cli import catalogue

ANSI = "\x1b["


def test_help_is_an_answer_and_goes_to_stdout(limen):
    ended = limen("--help")
    assert (ended.code, ended.err) == (0, "")
    for command in ("demo", "list", "show", "doctor", "run", "report", "unlearn"):
        assert re.search(rf"^  {command} ", ended.out, re.MULTILINE), command


def test_every_command_says_what_it_does_on_one_whole_line(limen):
    for group in ((), ("unlearn",), ("ood",), ("anomaly",), ("shift",), ("spectral",)):
        lines = limen(*group, "--help").out.split("Commands:")[1].strip().splitlines()
        assert all(line.endswith(".") and not line.endswith("...") for line in lines), lines


def test_forget_and_train_are_told_apart(limen):
    helps = [limen("unlearn", name, "--help").out.splitlines()[2] for name in ("forget", "train")]
    assert helps[0] != helps[1]


def test_version_is_printed_alone(limen):
    ended = limen("--version")
    assert (ended.code, ended.out, ended.err) == (0, f"{__version__}\n", "")


@pytest.mark.parametrize("group", [(), ("unlearn",)], ids=["limen", "limen unlearn"])
def test_without_a_command_the_choice_is_shown_and_the_use_is_wrong(limen, group):
    ended = limen(*group)
    assert (ended.code, ended.out) == (2, "")
    assert "Commands:" in ended.err
    assert ended.err.splitlines()[-1].endswith("needs one of the commands above")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["lst"], "'limen' has no command 'lst'; nearest: list, "),
        (["unlearn", "forgt"], "'limen unlearn' has no command 'forgt'; nearest: forget, "),
        (["--bad"], "'limen' has no option '--bad'; nearest: --"),
        (["list", "--jsn"], "'limen list' has no option '--jsn'; nearest: --json"),
        (["unlearn", "forget", "--modl", "x"], "no option '--modl'; nearest: --model, "),
        (["unlearn", "forget", "--model"], "'--model' requires an argument"),
        (["unlearn", "forget", "--model", "m"], "Missing option '--forget'; "),
        (["unlearn", "train", "--steps", "few"], "'--steps'.*, got 'few'; "),
        (["unlearn", "train", "--steps=0"], "'--steps'.*, got '0'; "),
        (["unlearn", "train", "--clip", "-1"], "'--clip'.*, got '-1'; "),
        (["list", "unlearn", "more"], "more.*; 'limen list --help' lists all"),
        (["demo", "nolearn"], "no demo 'nolearn'; nearest: unlearn"),
        (["run", "x.py", "--jobs", "0"], "'--jobs'.*, got '0'; "),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_words_are_answered_in_one_sentence(limen, tmp_path, arguments, said):
    ended = limen(*arguments)
    assert (ended.code, ended.out) == (2, "")
    (sentence,) = ended.err.splitlines()
    assert re.search(said, sentence), sentence
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("failure", "code", "said"),
    [
        (KeyboardInterrupt(), 130, "interrupted"),
        (InterruptedRun("stopped after step 3"), 130, "stopped after step 3"),
        (WorkError("the disk [/dev/x] is full"), 1, "the disk [/dev/x] is full"),
        (ZeroDivisionError("division by zero"), 1, "unexpected ZeroDivisionError: division by"),
    ],
    ids=["ctrl-c", "checkpointed", "work", "bug"],
)
def test_each_kind_of_ending_has_its_code_and_its_sentence(limen, monkeypatch, failure, code, said):
    def fail():
        raise failure

    monkeypatch.setattr(catalogue, "_packages", fail)
    ended = limen("list")
    assert (ended.code, ended.out) == (code, "")
    (sentence,) = ended.err.splitlines()
    assert sentence.startswith(f"limen: {said}")


def test_a_traceback_is_there_for_those_who_ask(limen, monkeypatch):
    monkeypatch.setattr(catalogue, "_packages", lambda: 1 / 0)
    monkeypatch.setenv("LIMEN_TRACEBACK", "1")
    assert "Traceback (most recent call last)" in limen("list").err


@pytest.mark.parametrize("arguments", [["list"], ["show", "NPO"], ["lst"]], ids=" ".join)
def test_no_colours_where_there_is_no_terminal(limen, arguments):
    ended = limen(*arguments)
    assert ANSI not in ended.out + ended.err


def test_a_reader_who_has_seen_enough_is_no_failure_to_talk_about(tmp_path):
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "limen.cli.app", "list"]
    ended = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, cwd=tmp_path)
    os.close(writer)
    assert ended.stderr == ""
