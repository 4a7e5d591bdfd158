"""Files are short, and speak of no particular machine."""

import re

import pytest

from house.inventory import REPOSITORY, SRC, tracked_files

WALL = 400
# Built from parts, so that this file does not find itself.
SOMEBODYS_FOLDER = re.compile(r"(?<![\w.])/(?:wo" + r"rk|tm" + r"p|ho" + r"me|ro" + r"ot)/\w")
FILES = sorted(str(file.relative_to(REPOSITORY)) for file in tracked_files())


def _text(name: str) -> str:
    try:
        return (REPOSITORY / name).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


def test_no_source_file_is_longer_than_the_wall():
    long = {
        file.name: len(file.read_text(encoding="utf-8").splitlines()) for file in SRC.rglob("*.py")
    }
    assert {name: lines for name, lines in long.items() if lines > WALL} == {}


def test_no_file_names_a_folder_of_one_machine():
    if not FILES:
        pytest.skip("not a git checkout")
    assert [name for name in FILES if SOMEBODYS_FOLDER.search(_text(name))] == []


def test_a_folder_of_one_machine_would_be_noticed():
    assert SOMEBODYS_FOLDER.search('data = "/wo' + 'rk/data"')
    assert not SOMEBODYS_FOLDER.search("frame" + "work/data")
