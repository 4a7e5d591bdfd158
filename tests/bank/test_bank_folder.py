import json

import numpy as np
import pytest
import torch
from bank_toys import Counted, breaking, labels, net, rows
from safetensors.numpy import load_file
from torch.utils.data import DataLoader, TensorDataset

from limen._core.errors import UsageError, WorkError
from limen.bank import FeatureBank, Grams
from limen.bank.disk import SetWriter, folder_of

X, Y = rows(7), labels(7)


def made(path, **sets):
    return FeatureBank.extract(net(), sets or {"id": (X, Y)}, into=path, batch_size=3)


def test_the_folder_holds_what_memory_holds(tmp_path):
    stored = made(tmp_path / "bank", id=(X, Y), far=X[:2])
    memory = FeatureBank.extract(net(), {"id": (X, Y), "far": X[:2]}, batch_size=3)
    for name in memory:
        for kind, array in memory[name].arrays().items():
            np.testing.assert_array_equal(getattr(stored[name], kind), array)
    np.testing.assert_array_equal(stored.weight, memory.weight)
    assert (stored.names, stored.hashes, stored.passes, stored.layers) == (
        memory.names,
        memory.hashes,
        memory.passes,
        memory.layers,
    )


def test_arrays_stay_on_the_disk_until_they_are_read(tmp_path):
    outputs = made(tmp_path)["id"]
    assert all(isinstance(array.base, np.memmap) for array in outputs.arrays().values())


def test_writing_on_an_array_leaves_the_file_as_it_is(tmp_path):
    bank = made(tmp_path)
    before = bank["id"].logits.copy()
    torch.as_tensor(bank["id"].logits).zero_()  # and torch takes the array without a warning
    np.testing.assert_array_equal(FeatureBank.open(tmp_path)["id"].logits, before)


def test_any_safetensors_reader_reads_the_arrays(tmp_path):
    bank = made(tmp_path)
    folder = tmp_path / folder_of("id")
    for kind, array in bank["id"].arrays().items():
        np.testing.assert_array_equal(load_file(folder / f"{kind}.safetensors")[kind], array)


def test_an_interrupted_extraction_forwards_only_what_is_missing(tmp_path):
    sets = {"train": (X, Y), "id": breaking(X, Y, after=4)}
    with pytest.raises(ConnectionError):
        FeatureBank.extract(net(), sets, into=tmp_path)
    model = net()
    counted = Counted(model)
    bank = FeatureBank.extract(model, {"train": (X, Y), "id": (X[:5], Y[:5])}, into=tmp_path)
    assert counted.rows == 5
    assert bank.names == ["train", "id"]
    whole = FeatureBank.extract(net(), {"train": (X, Y), "id": (X[:5], Y[:5])})
    np.testing.assert_array_equal(bank["id"].logits, whole["id"].logits)
    assert bank.hashes == whole.hashes


def test_an_interruption_in_the_first_set_leaves_a_folder_that_can_be_used(tmp_path):
    with pytest.raises(ConnectionError):
        FeatureBank.extract(net(), {"id": breaking(X, Y, after=2)}, into=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]
    assert len(made(tmp_path)["id"]) == 7


def test_a_killed_writer_leaves_nothing_that_counts(tmp_path):
    made(tmp_path)
    SetWriter(tmp_path, "far")  # begun and never finished
    assert list(tmp_path.glob(".far-*limen-*"))
    assert FeatureBank.open(tmp_path).names == ["id"]
    made(tmp_path, id=(X, Y), far=X)
    assert not list(tmp_path.glob(".*limen-*"))


def test_a_set_can_be_added_later(tmp_path):
    made(tmp_path)
    bank = made(tmp_path, far=X)
    assert bank.names == ["id", "far"]


def test_a_finished_bank_asks_the_network_nothing(tmp_path):
    made(tmp_path)
    model = net()
    counted = Counted(model)
    assert FeatureBank.extract(model, {"id": (X, Y)}, into=tmp_path).passes == {"id": 7}
    assert counted.calls == 0


def test_another_size_of_batches_is_the_same_data(tmp_path):
    made(tmp_path)
    FeatureBank.extract(net(), {"id": DataLoader(TensorDataset(X, Y), 2)}, into=tmp_path)


def test_another_models_bank_is_refused(tmp_path):
    made(tmp_path)
    with pytest.raises(UsageError, match=r"another model \(its layers or weights differ\)"):
        FeatureBank.extract(net(seed=1), {"id": (X, Y)}, into=tmp_path)
    with pytest.raises(UsageError, match="another model"):
        FeatureBank.open(tmp_path, model=net(seed=1))
    assert FeatureBank.open(tmp_path, model=net()).names == ["id"]


@pytest.mark.parametrize(
    ("options", "what"),
    [({"head": "0"}, "head"), ({"dtype": torch.bfloat16}, "dtype"), ({"grams": Grams()}, "grams")],
)
def test_other_options_are_refused_by_name(tmp_path, options, what):
    made(tmp_path)
    with pytest.raises(UsageError, match=f"another .*{what}"):
        FeatureBank.extract(net(), {"id": (X, Y)}, into=tmp_path, **options)


@pytest.mark.parametrize(
    ("given", "how"),
    [
        ((X + 1, Y), "its inputs or labels are others"),
        ((X, torch.cat([Y[:6], Y[:1] + 1])), "its inputs or labels are others"),
        (X, "its inputs or labels are others"),
        ([(X + 1, Y)], "its first row is another one"),
        ([(X, Y + 1)], "its first row is another one"),
        (TensorDataset(X.flip(0), Y), "its first row is another one"),
        ((X[:5], Y[:5]), "it had 7 rows and has 5"),
        (DataLoader(TensorDataset(X, Y), 2, drop_last=True), "it had 7 rows and has 6"),
    ],
)
def test_other_data_under_a_sets_name_is_refused(tmp_path, given, how):
    made(tmp_path)
    with pytest.raises(UsageError, match=f"set 'id' .* made of other data: {how}"):
        made(tmp_path, id=given)


def test_another_transform_is_refused(tmp_path):
    FeatureBank.extract(net(), {"id": X}, into=tmp_path, transform="raw")
    with pytest.raises(UsageError, match="its transform was raw and is scaled"):
        FeatureBank.extract(net(), {"id": X}, into=tmp_path, transform="scaled")


def test_names_that_a_file_system_would_mix_up_stay_apart(tmp_path):
    bank = made(tmp_path, **{"a/b": X, "a b": X[:3], "../c": X[:2], "ü" * 300: X[:1]})
    assert [len(bank[name]) for name in bank] == [7, 3, 2, 1]
    assert all(path.parent == tmp_path for path in tmp_path.iterdir())


def test_a_folder_with_other_files_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(UsageError, match=r"must be empty or a bank; it holds thesis\.tex"):
        made(tmp_path)


def test_a_file_in_the_folders_place_is_refused(tmp_path):
    (tmp_path / "bank").write_text("mine")
    with pytest.raises(UsageError, match="a file stands there"):
        made(tmp_path / "bank")


def test_what_is_no_bank_is_not_opened(tmp_path):
    with pytest.raises(UsageError, match="must be a bank's folder"):
        FeatureBank.open(tmp_path)


def test_an_array_cut_short_is_refused(tmp_path):
    made(tmp_path)
    file = tmp_path / folder_of("id") / "logits.safetensors"
    file.write_bytes(file.read_bytes()[:-4])
    with pytest.raises(UsageError, match=r"logits\.safetensors must be a safetensors file"):
        FeatureBank.open(tmp_path)


@pytest.mark.parametrize("content", [b"", b"\x08\0\0\0\0\0\0\0nonsense", b"\xff" * 40])
def test_a_file_of_something_else_is_refused(tmp_path, content):
    made(tmp_path)
    (tmp_path / folder_of("id") / "logits.safetensors").write_bytes(content)
    with pytest.raises(UsageError, match=r"logits\.safetensors must be a safetensors file"):
        FeatureBank.open(tmp_path)


def test_a_bank_of_a_later_format_is_refused(tmp_path):
    made(tmp_path)
    file = tmp_path / "bank.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "limen": 99}))
    with pytest.raises(UsageError, match="must be of format 1"):
        FeatureBank.open(tmp_path)


def test_a_full_disk_is_an_error_of_work(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(SetWriter, "_append", full)
    with pytest.raises(WorkError, match="could not be written: No space left"):
        made(tmp_path)


def test_a_loaders_own_file_error_is_not_blamed_on_the_bank(tmp_path):
    def failing():
        yield X
        raise FileNotFoundError("cat.png")

    with pytest.raises(FileNotFoundError, match=r"cat\.png"):
        made(tmp_path, id=failing())
