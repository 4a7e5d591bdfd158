"""Recipes run, stop, and go on where they stopped."""

import hashlib
import importlib.util
import json

import pytest

from limen._core.errors import UsageError, WorkError
from limen.run import Recipe, run_recipe

SOURCE = '''
"""Squares."""
import json
from pathlib import Path

from limen.run import Cell


def cells(data):
    return [Cell(f"square of {n}", {"n": n}) for n in (1, 2, 3)]


def run(settings, data):
    with (Path(__file__).parent / "calls").open("a") as calls:
        calls.write(f"{settings['n']}\\n")
    if (Path(__file__).parent / f"fail {settings['n']}").exists():
        raise RuntimeError("out of luck")
    return {"square": settings["n"] ** 2, "data": str(data)}


class Sheet:
    def __init__(self, done):
        self.done = {cell.name: result["square"] for cell, result in done}

    def to_dict(self):
        return self.done

    def write(self, path):
        path.write_text(json.dumps(self.done))
        return path


def page(done):
    return Sheet(done)
'''


class Bench:
    """A recipe in a folder of its own, and what became of it."""

    def __init__(self, folder):
        self.folder, self.into = folder, folder / "out"
        (folder / "squares.py").write_text(SOURCE)
        self.recipe = Recipe(folder / "squares.py")

    def go(self, **settings):
        return json.loads(run_recipe(self.recipe, self.into, **settings).read_text())

    def fail(self, n, *, on=True):
        file = self.folder / f"fail {n}"
        file.write_text("") if on else file.unlink()

    def edit(self, old, new):
        text = self.recipe.path.read_text()
        assert old in text
        self.recipe.path.write_text(text.replace(old, new))
        self.recipe = Recipe(self.recipe.path)

    @property
    def stale(self):
        return json.loads((self.into / "result.json").read_text())["stale"]

    @property
    def calls(self):
        file = self.folder / "calls"
        return [int(line) for line in file.read_text().split()] if file.exists() else []

    @property
    def kept(self):
        return {json.loads(f.read_text())["square"] for f in (self.into / "cells").iterdir()}


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


ALL = {"square of 1": 1, "square of 2": 4, "square of 3": 9}


def test_every_cell_runs_and_the_page_is_written(bench, tmp_path):
    assert bench.go(data=tmp_path) == ALL
    result = json.loads((bench.into / "result.json").read_text())
    assert [cell["square"] for cell in result["cells"]] == [1, 4, 9]
    assert result["cells"][0]["settings"] == {"n": 1}
    assert result["cells"][0]["data"] == str(tmp_path)
    assert result["not_run"] == []
    assert result["summary"] == ALL


def test_the_table_is_also_kept_beside_the_recipe(bench):
    bench.go(only="*2")
    assert json.loads(bench.recipe.results.read_text())["not_run"] == ["square of 1", "square of 3"]
    bench.go()
    assert json.loads(bench.recipe.results.read_text())["summary"] == ALL


def test_fewer_cells_never_replace_the_table_of_more(bench, tmp_path):
    bench.go()
    run_recipe(bench.recipe, tmp_path / "elsewhere", only="*2")
    assert json.loads(bench.recipe.results.read_text())["summary"] == ALL


def test_what_is_kept_beside_the_recipe_names_no_folder_of_this_machine(bench, monkeypatch):
    monkeypatch.setattr("sys.argv", ["limen", "run", str(bench.recipe.path), "--into", "here"])
    bench.go()
    kept = json.loads(bench.recipe.results.read_text())
    assert kept["environment"]["command"] == f"limen run {bench.folder.name}/squares.py"


def test_the_same_call_again_runs_nothing(bench):
    bench.go()
    assert bench.go() == ALL
    assert bench.calls == [1, 2, 3]


def test_only_runs_what_matches_and_lists_the_rest(bench):
    assert bench.go(only="square of [23]") == {"square of 2": 4, "square of 3": 9}
    assert json.loads((bench.into / "result.json").read_text())["not_run"] == ["square of 1"]
    assert bench.go() == ALL
    assert bench.calls == [2, 3, 1]


def test_a_failing_cell_is_named_and_keeps_those_before_it(bench):
    bench.fail(2)
    with pytest.raises(WorkError, match=r"cell 'square of 2' failed: out of luck.*same command"):
        bench.go()
    assert bench.kept == {1}
    bench.fail(2, on=False)
    assert bench.go() == ALL
    assert bench.calls == [1, 2, 2, 3]


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"only": "cube*"}, r"only='cube\*' must match a cell; nearest: square"),
        ({"engine": "cloud"}, "engine='cloud' must be 'local' or 'ray'"),
    ],
)
def test_wrong_settings_are_refused_before_anything_is_made(bench, settings, says):
    with pytest.raises(UsageError, match=says):
        bench.go(**settings)
    assert not bench.into.exists()


def test_another_recipes_folder_is_refused(bench):
    bench.go(only="*1")
    (bench.folder / "cubes.py").write_text(SOURCE)
    with pytest.raises(UsageError, match='recipe was "squares" there and is "cubes" now'):
        run_recipe(Recipe(bench.folder / "cubes.py"), bench.into)


def test_other_data_is_another_run(bench, tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "rows.json").write_text(name * (1 + (name == "b")))
    bench.go(data=tmp_path / "a")
    with pytest.raises(UsageError, match="belongs to another configuration: data was"):
        bench.go(data=tmp_path / "b")


def test_data_is_known_by_its_files_and_not_by_what_lies_hidden_beside_them(bench, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    (data / "rows").write_text("a")
    bench.go(data=data)
    (data / ".cache").mkdir()
    (data / ".cache" / "a.lock").write_text("")
    assert bench.go(data=data) == ALL
    (data / "more").write_text("b")
    with pytest.raises(UsageError, match="belongs to another configuration: data was"):
        bench.go(data=data)


def test_a_folder_that_did_not_note_its_data_still_opens(bench, tmp_path):
    bench.go()
    (bench.into / "spec.json").write_text('{"recipe": "squares"}')
    assert bench.go(data=tmp_path) == ALL
    assert bench.calls == [1, 2, 3]


def test_cells_of_an_edited_recipe_are_kept_and_named_stale(bench):
    bench.go(only="*1")
    assert bench.stale == []
    bench.edit("** 2", "** 2 + 0")
    assert bench.go() == ALL
    assert bench.calls == [1, 2, 3]
    assert bench.stale == ["square of 1"]


def test_cells_stay_fresh_where_only_words_and_the_page_are_edited(bench):
    bench.go()
    bench.edit('"""Squares."""', '"""Squares.\n\nMeasured: 1, 4, 9.\n"""')
    bench.edit("return Sheet(done)", "return Sheet(list(done))  # another page")
    bench.go()
    assert bench.stale == []


def test_cells_that_noted_the_whole_file_are_fresh_until_it_is_edited(bench):
    bench.go()
    whole = hashlib.sha256(bench.recipe.path.read_bytes()).hexdigest()[:16]
    for file in (bench.into / "cells").iterdir():
        file.write_text(json.dumps({**json.loads(file.read_text()), "recipe text": whole}))
    bench.go()
    assert bench.stale == []
    bench.edit("return Sheet(done)", "return Sheet(list(done))")
    bench.go()
    assert len(bench.stale) == 3


def test_a_cell_that_did_not_note_its_recipe_is_not_called_stale(bench):
    bench.go()
    for file in (bench.into / "cells").iterdir():
        cell = json.loads(file.read_text())
        assert len(cell.pop("recipe text")) == 16
        file.write_text(json.dumps(cell))
    bench.go()
    assert json.loads((bench.into / "result.json").read_text())["stale"] == []


def test_what_a_killed_recipe_left_is_cleared(bench):
    bench.go()
    nests = [folder / ".a.json.limen-abcdefgh" for folder in (
        bench.into / "cells", bench.recipe.results.parent
    )]  # fmt: skip
    for nest in nests:
        nest.mkdir()
    bench.go()
    assert not any(nest.exists() for nest in nests)


def test_a_page_is_written_even_where_the_recipes_folder_cannot_be(bench):
    (bench.folder / "results").write_text("a file stands where the folder would")
    with pytest.raises(WorkError, match="could not be written"):
        bench.go()
    assert json.loads((bench.into / "report.html").read_text()) == ALL


def test_two_cells_of_equal_settings_are_refused(bench):
    (bench.folder / "twice.py").write_text(SOURCE.replace("(1, 2, 3)", "(1, 1)"))
    with pytest.raises(UsageError, match="must differ in their settings"):
        run_recipe(Recipe(bench.folder / "twice.py"), bench.into)


def test_two_recipes_of_one_name_in_two_folders_do_not_mix(tmp_path):
    squares = []
    for name, rule in (("a", "** 2"), ("b", "** 3")):
        (tmp_path / name).mkdir()
        bench = Bench(tmp_path / name)
        (bench.folder / "same.py").write_text(SOURCE.replace("** 2", rule))
        squares.append(Recipe(bench.folder / "same.py").module.run({"n": 2}, None)["square"])
    assert squares == [4, 8]


def test_a_missing_recipe_is_refused_with_the_nearest(bench):
    with pytest.raises(UsageError, match=r"no such file; nearest: squares\.py"):
        Recipe(bench.folder / "sqares.py")


def test_a_file_that_is_no_recipe_is_refused_by_what_it_lacks(tmp_path):
    (tmp_path / "half.py").write_text("def cells(data): ...")
    with pytest.raises(UsageError, match=r"\['run', 'page'\] are missing"):
        Recipe(tmp_path / "half.py")


def test_a_recipe_that_fails_to_import_fails_again_and_not_differently(tmp_path):
    (tmp_path / "broken.py").write_text("cells = run = page = print\n1 / 0\n")
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            Recipe(tmp_path / "broken.py")


@pytest.mark.slow
def test_two_processes_do_the_work_and_keep_what_ended(bench):
    bench.fail(1)
    with pytest.raises(WorkError, match="cell 'square of 1' failed"):
        bench.go(jobs=2)
    assert 4 in bench.kept  # it ran beside the one that failed
    bench.fail(1, on=False)
    assert bench.go(jobs=2) == ALL
    assert sorted(bench.calls) in ([1, 1, 2, 3], [1, 1, 2, 3, 3])


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="ray is not installed")
def test_ray_does_the_work(bench):
    assert bench.go(engine="ray", jobs=2) == ALL
