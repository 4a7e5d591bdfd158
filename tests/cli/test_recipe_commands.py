"""`limen run`: experiments as files, interrupted and gone on with."""

import json
import re
import signal
import sys
import time

import pytest
from cli_files import listing

from limen.report import read

RECIPE = '''
"""Squares."""
from pathlib import Path
from time import sleep

from limen.report import Page, Table
from limen.run import Cell


def cells(data):
    return [Cell(f"n{n}", {"n": n}) for n in (1, 2, 3, 4)]


def run(settings, data):
    with Path("calls").open("a") as calls:
        calls.write(f"{settings['n']}\\n")
    trouble = Path("trouble").read_text() if Path("trouble").exists() else ""
    if settings["n"] > 2 and trouble:
        {"interrupt": interrupt, "fail": lambda: 1 / 0, "sleep": lambda: sleep(600)}[trouble]()
    return {"square": settings["n"] ** 2}


def interrupt():
    raise KeyboardInterrupt


def page(done):
    rows = [[cell.name, result["square"]] for cell, result in done]
    return Page("Squares", "Squares grow.", [Table(["cell", "square"], rows)])
'''


@pytest.fixture(autouse=True)
def recipe(tmp_path):
    """A recipe of four cells; the last two have the trouble that a file `trouble` names."""
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "squares.py").write_text(RECIPE)


def calls(folder):
    """Which cells were computed, in order."""
    file = folder / "calls"
    return file.read_text().split() if file.exists() else []


@pytest.mark.parametrize("name", ["squares", "recipes/squares.py"])
def test_a_recipe_runs_by_name_or_by_file(limen, tmp_path, name):
    ended = limen("run", name)
    assert (ended.code, ended.out) == (0, "runs/squares/report.html\n")
    result = json.loads((tmp_path / "recipes/results/squares.json").read_text())
    assert [cell["square"] for cell in result["cells"]] == [1, 4, 9, 16]
    assert read(tmp_path / "runs/squares/report.html") == result["summary"]


def test_a_finished_recipe_computes_nothing(limen, tmp_path):
    first = limen("run", "squares")
    assert limen("run", "squares").out == first.out
    assert calls(tmp_path) == ["1", "2", "3", "4"]


def test_only_chooses_cells_and_the_rest_follows_later(limen, tmp_path):
    assert limen("run", "squares", "--only", "n[23]", "--into", "out").code == 0
    assert calls(tmp_path) == ["2", "3"]
    for kept in ("out/result.json", "recipes/results/squares.json"):
        assert json.loads((tmp_path / kept).read_text())["not_run"] == ["n1", "n4"]
    limen("run", "squares", "--into", "out")
    assert calls(tmp_path) == ["2", "3", "1", "4"]


def test_an_interrupted_recipe_goes_on(limen, tmp_path):
    (tmp_path / "trouble").write_text("interrupt")
    ended = limen("run", "squares")
    assert (ended.code, ended.out) == (130, "")
    assert ended.err.splitlines()[-1] == "limen: interrupted"
    (tmp_path / "trouble").unlink()
    assert limen("run", "squares").code == 0
    assert calls(tmp_path) == ["1", "2", "3", "3", "4"]


def test_a_cell_that_fails_is_named_and_the_others_are_kept(limen, tmp_path):
    (tmp_path / "trouble").write_text("fail")
    ended = limen("run", "squares")
    assert (ended.code, ended.out) == (1, "")
    assert "limen: cell 'n3' failed: division by zero; the cells before it are kept" in ended.err
    (tmp_path / "trouble").unlink()
    assert limen("run", "squares").code == 0
    assert calls(tmp_path) == ["1", "2", "3", "3", "4"]


def test_a_recipe_that_is_no_python_is_refused_with_the_line(limen, tmp_path):
    (tmp_path / "broken.py").write_text("def cells(data):\n    return (\n")
    ended = limen("run", "broken.py")
    assert (ended.code, ended.err.split(" must be Python")[0]) == (2, "limen: broken.py:2")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["sqares.py"], "sqares.py must be a recipe file; there is no such file"),
        (["sqares"], "recipes/sqares.py must be a recipe file; .*; nearest: squares.py"),
        (["squares", "--only", "m*"], r"--only 'm\*' must match a cell; nearest: n"),
        (["squares", "--engine", "cloud"], "--engine 'cloud' must be 'local' or 'ray'"),
        (["squares", "--data", "nowhere"], "--data nowhere must be a folder; there is none"),
    ],
    ids=["file", "name", "only", "engine", "data"],
)
def test_a_wrong_recipe_is_refused_and_nothing_written(limen, tmp_path, arguments, said):
    before = listing(tmp_path)
    ended = limen("run", *arguments)
    assert (ended.code, ended.out) == (2, "")
    (sentence,) = ended.err.splitlines()
    assert re.search(said, sentence)
    written = {path for path in listing(tmp_path) - before if "__pycache__" not in path.parts}
    assert written == set()


def test_an_absent_engine_is_refused_and_nothing_written(limen, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    ended = limen("run", "squares", "--engine", "ray")
    assert ended.code == 2
    assert "pip install '.[ray]'" in ended.err
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_jobs_side_by_side_find_the_same(limen, start, tmp_path):
    process = start("run", "recipes/squares.py", "--jobs", "2", "--into", "two")
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (0, "two/report.html\n"), err
    limen("run", "squares", "--into", "one")
    one, two = (json.loads((tmp_path / n / "result.json").read_text()) for n in ("one", "two"))
    assert one["cells"] == two["cells"]


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_recipe_that_is_told_to_stop_stops_at_once(start, tmp_path, jobs, name):
    (tmp_path / "trouble").write_text("sleep")
    process = start("run", "recipes/squares.py", "--jobs", jobs, "--into", "out")
    for _ in range(200):
        if {"3", "4"} & set(calls(tmp_path)) and len(listing(tmp_path / "out/cells")) == 2:
            break
        time.sleep(0.1)
    began = time.monotonic()
    process.send_signal(getattr(signal, name))
    out, err = process.communicate(timeout=60)
    assert time.monotonic() - began < 30
    assert (process.returncode, out) == (130, ""), err
    assert err.splitlines()[-1] == "limen: interrupted"
    assert "Traceback" not in err
    (tmp_path / "trouble").unlink()
    process = start("run", "recipes/squares.py", "--into", "out")
    process.communicate(timeout=60)
    assert process.returncode == 0
    made = calls(tmp_path)
    assert [made.count("1"), made.count("2"), set(made)] == [1, 1, {"1", "2", "3", "4"}]
