"""A run directory: one configuration, one user at a time."""

import errno
import json
import os
import subprocess
import sys

import pytest

from limen._core.errors import UsageError, WorkError
from limen.run import RunFolder
from limen.run.folder import held
from limen.run.store import write_json

SPEC = {"seed": 0, "lr": 0.1, "model": None}


@pytest.fixture
def folder(tmp_path):
    return RunFolder(tmp_path / "run")


def test_opening_writes_the_specification_and_the_environment(folder):
    with folder.opened(SPEC):
        pass
    assert json.loads((folder.path / "spec.json").read_text()) == SPEC
    assert "packages" in json.loads((folder.path / "environment.json").read_text())


def test_the_same_configuration_may_come_again(folder):
    for _ in range(2):
        with folder.opened(SPEC) as same:
            assert same is folder


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"lr": 0.2}, "lr was 0.1 there and is 0.2 now"),
        ({"model": "phi"}, 'model was null there and is "phi" now'),
        ({"extra": 1}, "extra was null there and is 1 now"),
    ],
    ids=lambda part: str(part),
)
def test_another_configuration_is_refused_by_the_key_that_differs(folder, change, says):
    with folder.opened(SPEC):
        pass
    with pytest.raises(UsageError, match=says), folder.opened({**SPEC, **change}):
        pass


def test_json_decides_whether_two_configurations_are_the_same(folder):
    with folder.opened({"range": (1, 2)}):
        pass
    with folder.opened({"range": [1, 2]}):
        pass


def test_a_folder_with_other_files_is_refused_and_left_alone(folder):
    folder.path.mkdir()
    (folder.path / "thesis.tex").write_text("")
    with pytest.raises(UsageError, match="holds other files"), folder.opened(SPEC):
        pass
    assert [path.name for path in folder.path.iterdir()] == ["thesis.tex"]


def test_a_file_in_its_place_is_refused(folder):
    folder.path.write_text("")
    with pytest.raises(UsageError, match="a file stands there"):
        folder.check(SPEC)


def test_a_run_killed_before_its_second_file_may_go_on(folder, monkeypatch):
    def killed(path, value):
        if path.name == "environment.json":
            raise ZeroDivisionError
        write_json(path, value)

    with monkeypatch.context() as patch:
        patch.setattr("limen.run.folder.write_json", killed)
        with pytest.raises(ZeroDivisionError), folder.opened(SPEC):
            pass
    with folder.opened(SPEC):
        assert (folder.path / "environment.json").is_file()


@pytest.mark.parametrize(
    ("number", "error"), [(errno.ENOSPC, WorkError), (errno.EACCES, UsageError)]
)
def test_a_full_disk_is_failed_work_and_a_forbidden_folder_wrong_use(
    folder, monkeypatch, number, error
):
    def refuse(*_given, **_named):
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        with pytest.raises(error, match=os.strerror(number)), held(folder.path):
            pass


def test_checking_touches_nothing(folder):
    folder.check(SPEC)
    assert not folder.path.exists()


HOLD = """
import sys
from pathlib import Path
from limen.run.folder import held
from limen.run.store import write_json
with held(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.readline()
"""


def test_a_second_process_is_refused_until_the_first_is_gone(folder):
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(UsageError, match="in use by another run"), folder.opened(SPEC):
            pass
        other.kill()
        other.wait()
    with folder.opened(SPEC):
        pass


def test_the_same_process_may_hold_it_twice_and_lets_go_once(folder):
    with held(folder.path):
        with held(folder.path):
            pass
        answer = subprocess.run(
            [sys.executable, "-c", HOLD, str(folder.path)], capture_output=True, text=True, input=""
        )
        assert "in use by another run" in answer.stderr
    with held(folder.path):
        pass


def test_leftovers_of_a_killed_run_are_cleared(folder):
    with folder.opened(SPEC):
        pass
    (folder.path / ".result.json.limen-abcd1234").mkdir()
    with folder.opened(SPEC):
        assert not (folder.path / ".result.json.limen-abcd1234").exists()


def test_the_result_is_there_when_the_run_has_finished(folder):
    with folder.opened(SPEC):
        assert folder.result is None
        folder.finish({"gain": 0.9, "price": float("nan")})
    assert folder.result == {"gain": 0.9, "price": None}


def test_the_log_grows_row_by_row_and_can_be_rewound(folder):
    with folder.opened(SPEC):
        for step in range(3):
            folder.log({"step": step, "loss": 1 / 3})
        rows = folder.rows()
        assert rows == [{"step": step, "loss": 1 / 3} for step in range(3)]
        folder.rewind(rows[:1])
        assert folder.rows() == rows[:1]


def test_half_a_line_of_log_is_left_out(folder):
    with folder.opened(SPEC):
        folder.log({"step": 0})
        with (folder.path / "log.jsonl").open("a") as file:
            file.write('{"step": 1, "lo')
        assert folder.rows() == [{"step": 0}]


def test_every_row_of_the_log_is_strict_json(folder):
    with folder.opened(SPEC):
        folder.log({"loss": float("nan"), "angle": float("inf")})
    line = (folder.path / "log.jsonl").read_text()
    assert json.loads(line, parse_constant=pytest.fail) == {"loss": None, "angle": None}


def test_wrong_use_that_shows_only_inside_leaves_nothing(tmp_path):
    with pytest.raises(UsageError, match="too short"), RunFolder(tmp_path / "new").opened({"a": 1}):
        raise UsageError("too short")
    assert list(tmp_path.iterdir()) == []


def test_wrong_use_after_something_was_written_loses_nothing(tmp_path):
    folder = RunFolder(tmp_path / "run")

    def work():
        with folder.opened({"a": 1}):
            folder.log({"step": 1})
            raise UsageError("too short")

    with pytest.raises(UsageError, match="too short"):
        work()
    assert folder.rows() == [{"step": 1}]
    assert (tmp_path / "run" / "spec.json").is_file()


def test_wrong_use_in_a_folder_that_was_there_leaves_the_folder(tmp_path):
    with pytest.raises(UsageError, match="short"), RunFolder(tmp_path).opened({"a": 1}):
        raise UsageError("too short")
    assert not (tmp_path / "spec.json").exists()
