"""Files that are whole or absent, whatever happens."""

import errno
import os

import pytest

from limen._core.errors import UsageError, WorkError
from limen.run.store import clear_leftovers, read_json, replacing, write_json, write_text


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_takes_the_place_of_the_old_one(tmp_path):
    target = tmp_path / "deep" / "notes.txt"
    for text in ("old", "new"):
        write_text(target, text)
    assert target.read_text() == "new"
    assert names(target.parent) == ["notes.txt"]


def test_a_folder_takes_the_place_of_the_old_one_as_a_whole(tmp_path):
    for name in ("old", "new"):
        with replacing(tmp_path / "model") as temporary:
            temporary.mkdir()
            (temporary / name).write_text(name)
    assert names(tmp_path) == ["model"]
    assert names(tmp_path / "model") == ["new"]


def write_file(path, text):
    path.write_text(text)


def write_folder(path, text):
    path.mkdir()
    (path / text).write_text(text)


def replace(target, write, *, then=None):
    """Write something new in place of the target, and perhaps fail before the end."""
    with replacing(target) as temporary:
        write(temporary, "new")
        if then is not None:
            raise then


@pytest.mark.parametrize("write", [write_file, write_folder])
def test_a_failing_writer_leaves_the_old_and_nothing_else(tmp_path, write):
    target = tmp_path / "kept"
    write(target, "old")
    with pytest.raises(ZeroDivisionError):
        replace(target, write, then=ZeroDivisionError())
    assert names(tmp_path) == ["kept"]
    assert (target / "old" if target.is_dir() else target).read_text() == "old"


def test_a_writer_that_writes_nothing_is_an_error_and_leaves_the_old(tmp_path):
    target = tmp_path / "kept"
    target.write_text("old")
    with pytest.raises(WorkError, match="could not be written"), replacing(target):
        pass
    assert target.read_text() == "old"


def test_a_file_never_takes_the_place_of_a_folder(tmp_path):
    """A slip such as `limen.save(threshold, "data")` must not cost the data."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "precious").write_text("precious")
    with pytest.raises(WorkError, match="a folder stands there"):
        write_text(tmp_path / "data", "text")
    assert names(tmp_path) == ["data"]
    assert names(tmp_path / "data") == ["precious"]


def test_a_full_disk_is_one_sentence_that_names_the_file(tmp_path):
    target = tmp_path / "big"
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with pytest.raises(WorkError, match=r"^\S+big could not be written: No space left on device$"):
        replace(target, write_file, then=full)
    assert names(tmp_path) == []


def test_a_file_in_the_way_of_the_parent_folder_is_a_work_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(WorkError, match="could not be written"):
        write_text(tmp_path / "file" / "below", "text")


def test_json_is_strict_and_readable(tmp_path):
    value = {"n": [1.5, float("inf"), float("nan")], "name": "Größe", "at": tmp_path, 3: None}
    write_json(tmp_path / "a.json", value)
    assert "Größe" in (tmp_path / "a.json").read_text(encoding="utf-8")
    assert read_json(tmp_path / "a.json") == {
        "n": [1.5, None, None], "name": "Größe", "at": str(tmp_path), "3": None,
    }  # fmt: skip


@pytest.mark.parametrize("text", [None, "{", b"\xff\xfe"], ids=["missing", "cut", "binary"])
def test_what_is_no_json_is_a_usage_error(tmp_path, text):
    file = tmp_path / "a.json"
    if text is not None:
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UsageError, match="must"):
        read_json(file)


def test_leftovers_go_and_everything_else_stays(tmp_path):
    (tmp_path / ".log.jsonl.limen-abcd1234").mkdir()
    (tmp_path / ".git.disabled").mkdir()
    (tmp_path / ".lock").write_text("")
    (tmp_path / ".log.jsonl.file1234").write_text("a file is no nest")
    (tmp_path / "model").mkdir()
    clear_leftovers(tmp_path)
    assert names(tmp_path) == [".git.disabled", ".lock", ".log.jsonl.file1234", "model"]


class KilledError(BaseException):
    """Nothing after it runs, as after SIGKILL."""


def test_a_folder_survives_a_writer_killed_between_two_renames(tmp_path, monkeypatch):
    write_folder(tmp_path / "model", "old")
    rename, targets = os.rename, []

    def killed(source, target, **named):
        targets.append(target)
        if len(targets) == 2:
            raise KilledError
        return rename(source, target, **named)

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", killed)
        patch.setattr("limen.run.store.shutil.rmtree", lambda *given, **named: None)
        with pytest.raises(KilledError):
            replace(tmp_path / "model", write_folder)
    assert not (tmp_path / "model").exists()
    clear_leftovers(tmp_path)
    assert names(tmp_path) == ["model"]
    assert names(tmp_path / "model") == ["new"]


def test_a_folder_is_no_json_in_one_sentence(tmp_path):
    with pytest.raises(UsageError, match="must be a file that can be read: Is a directory"):
        read_json(tmp_path)
