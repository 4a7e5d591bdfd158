"""On a terminal: bars with the time left on stderr, colours unless told otherwise."""

import os
import pty
import re
import subprocess
import sys

import pytest

RECIPE = """
from time import sleep

from limen.report import Page, Table
from limen.run import Cell, progress, say


def cells(data):
    return [Cell(name, {"name": name}) for name in ("first", "second")]


def run(settings, data):
    with progress("inner work", total=5) as advance:
        for i in range(5):
            sleep(0.05)
            advance(note=f"at {i}")
    say(f"{settings['name']} is over")
    return {}


def page(done):
    return Page("Words", "Two.", [Table(["cell"], [[cell.name] for cell, _ in done])])
"""
COLOUR = re.compile(r"\x1b\[[0-9;]*3[0-9](;[0-9;]*)?m")


@pytest.fixture
def on_terminal(tmp_path):
    """The command with stderr on a terminal and stdout in a pipe; returns both, and the code."""

    def run(*arguments, **environment):
        master, slave = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "-m", "limen.cli.app", *map(str, arguments)],
            cwd=tmp_path,
            env={**os.environ, "TERM": "xterm", "COLUMNS": "120", **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=slave,
            text=True,
        )
        os.close(slave)
        seen = b""
        while True:
            try:
                part = os.read(master, 65536)
            except OSError:  # the terminal's other end is closed
                break
            if not part:
                break
            seen += part
        os.close(master)
        out, _ = process.communicate(timeout=60)
        return process.returncode, out, seen.decode()

    return run


def lines(seen):
    """What stood on the screen, without colours and cursor movements, each state of each line."""
    return [
        line.strip() for line in re.split(r"[\r\n]+", re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", seen))
    ]


@pytest.fixture
def recipe(tmp_path):
    (tmp_path / "words.py").write_text(RECIPE)
    return "words.py"


def test_bars_show_the_time_left_and_nest(on_terminal, recipe):
    code, out, seen = on_terminal("run", recipe, "--into", "out")
    assert (code, out) == (0, "out/report.html\n")
    screen = lines(seen)
    bar = r"[━╸╺ ]+ {done}/{total} \d:\d\d:\d\d left (\d:\d\d:\d\d|-:--:--) {note}"
    for what, done, total, note in (("words", 2, 2, "second"), ("inner work", 5, 5, "at 4")):
        wanted = what + r" +" + bar.format(done=done, total=total, note=note)
        assert any(re.fullmatch(wanted, line) for line in screen), (what, screen)
    for said in ("words: 2 cells, 0 done before", "first is over", "second is over", "the page:"):
        assert said in screen  # whole lines, not mixed up with a bar
    assert seen.count("\x1b[?25l") == seen.count("\x1b[?25h")  # the cursor comes back


def test_bars_can_be_turned_off(on_terminal, recipe):
    code, _, seen = on_terminal("run", recipe, "--into", "out", LIMEN_PROGRESS="0")
    assert code == 0
    assert "━" not in seen
    assert "words: 2 in" in seen


def test_errors_are_red_unless_colours_are_unwanted(on_terminal):
    code, out, seen = on_terminal("lst")
    assert (code, out) == (2, "")
    assert COLOUR.search(seen)
    _, _, plain = on_terminal("lst", NO_COLOR="1")
    assert not COLOUR.search(plain)
    assert lines(plain) == lines(seen)


def test_bars_have_no_colours_where_they_are_unwanted(on_terminal, recipe):
    _, _, seen = on_terminal("run", recipe, "--into", "out", NO_COLOR="1")
    assert "inner work" in seen
    assert not COLOUR.search(seen)


@pytest.mark.slow
def test_forgetting_shows_its_steps_and_its_calibration(on_terminal, given):
    options = given.options(into="out", steps=40, lr=3e-3)
    code, out, seen = on_terminal("unlearn", "forget", *options, OMP_NUM_THREADS="1")
    assert code == 0
    assert "\x1b" not in out
    screen = lines(seen)
    for what in (
        r"forgetting, WGA rectified .* 40/40 .* left 0:00:00 .*",
        r"calibrating .*15/15 .*",
    ):
        assert any(re.fullmatch(what, line) for line in screen), (what, screen)


@pytest.mark.slow
def test_the_whole_run_is_quiet_where_there_is_no_terminal(start, given):
    process = start("unlearn", "forget", *given.options(into="out", steps=5, lr=3e-3, lora=2))
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0
    said = [re.sub(r"\d+ s$", "N s", line) for line in err.splitlines()]
    assert said == ["forgetting, WGA rectified: 5 in N s", "calibrating: 15 in N s"]
