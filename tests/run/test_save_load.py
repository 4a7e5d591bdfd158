"""`limen.save` and `limen.load`: limen's own objects and nobody else's."""

import json
from dataclasses import dataclass

import numpy as np
import pytest
import torch

import limen
from limen._core.errors import UsageError, WorkError
from limen.run.tree import write_tree


@pytest.fixture
def ours(monkeypatch):
    """A class that stands in one of limen's modules and keeps whatever it is given."""

    @dataclass
    class Kept:
        state: dict

        def to_dict(self):
            return self.state

        @classmethod
        def from_dict(cls, state):
            return cls(state)

    Kept.__module__, Kept.__qualname__ = "limen.measure.tradeoff", "Kept"
    monkeypatch.setattr("limen.measure.tradeoff.Kept", Kept, raising=False)
    return Kept


def test_a_tradeoff_comes_back_equal_to_the_bit(tmp_path):
    curve = limen.Tradeoff(price=[0.0, 1 / 3], gain=[0.1, 2 / 3], knob=[0.0, 1.0])
    found = limen.load(limen.save(curve, tmp_path / "deep" / "curve.json"))
    assert found.to_dict() == curve.to_dict()
    assert found.at(price=1 / 3).gain == 2 / 3


def test_plain_numbers_are_written_as_json_that_people_can_read(tmp_path, ours):
    file = limen.save(ours({"alpha": 0.1, "names": ["a"], "none": None}), tmp_path / "kept")
    assert json.loads(file.read_text())["state"] == {"alpha": 0.1, "names": ["a"], "none": None}


@pytest.mark.parametrize(
    "state",
    [{"level": float("inf")}, {"pair": (1, 2)}, {3: "int key"}, {"count": np.int64(3)}],
    ids=str,
)
def test_what_json_would_change_is_kept_exactly(tmp_path, ours, state):
    assert limen.load(limen.save(ours(state), tmp_path / "kept")).state == state


def test_arrays_and_tensors_come_back(tmp_path, ours):
    state = {"w": torch.ones(2, dtype=torch.bfloat16), "x": np.arange(3)}
    found = limen.load(limen.save(ours(state), tmp_path / "kept")).state
    assert torch.equal(found["w"], state["w"])
    assert np.array_equal(found["x"], state["x"])


class Foreign:
    def to_dict(self):
        return {}

    @classmethod
    def from_dict(cls, state):
        raise AssertionError("somebody else's class was rebuilt")


class OneWay:
    def to_dict(self):
        return {}


@pytest.mark.parametrize("thing", [Foreign(), OneWay()], ids=["foreign", "one way"])
def test_what_could_not_be_loaded_cannot_be_saved(tmp_path, thing):
    with pytest.raises(UsageError, match="must be limen's and have to_dict and from_dict"):
        limen.save(thing, tmp_path / "thing")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "kind",
    [
        f"{__name__}.Foreign",
        "builtins.dict",
        "os.system",
        "collections.Counter",
        "limen.run.files.json.loads",
        "limen.run.files.Path",
        "limen.run.files.save",
        "limen.no_such_module.Thing",
        "limen.measure.tradeoff.no_such_class",
        "limen",
        "",
        "limen.measure.tradeoff.Tradeoff.from_dict",
    ],
)
@pytest.mark.parametrize("form", ["json", "safetensors"])
def test_only_limens_own_classes_are_rebuilt(tmp_path, kind, form):
    record = {"limen": 1, "kind": kind, "state": {}}
    file = tmp_path / "crafted"
    if form == "json":
        file.write_text(json.dumps(record))
    else:
        write_tree(file, record)
    with pytest.raises(UsageError, match="must name a class of limen's"):
        limen.load(file)


def test_a_class_that_limen_only_imports_is_not_limens(tmp_path, monkeypatch):
    monkeypatch.setattr("limen.run.files.Foreign", Foreign, raising=False)
    file = tmp_path / "crafted"
    file.write_text(json.dumps({"kind": "limen.run.files.Foreign", "state": {}}))
    with pytest.raises(UsageError, match="must name a class of limen's"):
        limen.load(file)


@pytest.mark.parametrize("text", ["{}", '{"kind": "a"}', "{", "not ours", ""])
def test_files_of_another_kind_are_refused(tmp_path, text):
    (tmp_path / "file").write_text(text)
    with pytest.raises(UsageError):
        limen.load(tmp_path / "file")


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    for path in (tmp_path / "missing", tmp_path):
        with pytest.raises(UsageError, match="no such file"):
            limen.load(path)


def test_saving_over_a_folder_costs_nothing(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "precious").write_text("precious")
    with pytest.raises(WorkError, match="a folder stands there"):
        limen.save(limen.Tradeoff(price=[0.0], gain=[0.0]), tmp_path / "data")
    assert (tmp_path / "data" / "precious").is_file()
