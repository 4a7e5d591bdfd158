"""Manifests: any two groups, from comma-separated values or JSON lines."""

import json
from pathlib import Path

import pytest

from limen._core.errors import UsageError
from limen.shift.manifest import COLUMNS, read_manifest

ROWS = [
    {"path": "a.jpg", "label": "ostrich", "group": "common", "background": "ground", "class_id": 9},
    {"path": "b.jpg", "label": "ostrich", "group": "counter", "background": "water", "class_id": 9},
    {"path": "c.jpg", "label": "owl", "group": "counter", "background": "", "class_id": 24},
    {"path": "d.jpg", "label": "owl", "group": "common", "background": "tree", "class_id": 24},
]


def written(path: Path, rows=ROWS, columns=COLUMNS) -> Path:
    if path.suffix == ".jsonl":
        path.write_text("\n".join(json.dumps(row) for row in rows))
        return path
    mark = "\t" if path.suffix == ".tsv" else ","
    lines = [mark.join(columns), *(mark.join(str(row[c]) for c in columns) for row in rows)]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl"])
def test_every_kind_of_file_says_the_same(tmp_path, kind):
    photos = read_manifest(written(tmp_path / f"mine.{kind}"))
    assert photos.labels.tolist() == [9, 9, 24, 24]
    assert photos.group.tolist() == [0, 1, 1, 0]
    assert photos.background == ("ground", "water", "", "tree")
    assert photos.names == {9: "ostrich", 24: "owl"}


def test_paths_are_meant_from_the_manifests_folder(tmp_path):
    rows = [*ROWS[:3], ROWS[3] | {"path": "/far/d.jpg"}]
    photos = read_manifest(written(tmp_path / "mine.csv", rows))
    assert photos.paths[0] == str(tmp_path / "a.jpg")
    assert photos.paths[3] == "/far/d.jpg"


def test_columns_may_stand_in_any_order(tmp_path):
    one = read_manifest(written(tmp_path / "one.csv"))
    two = read_manifest(written(tmp_path / "two.csv", columns=COLUMNS[::-1]))
    assert one.labels.tolist() == two.labels.tolist()
    assert one.background == two.background


def test_a_byte_order_mark_and_spaces_do_no_harm(tmp_path):
    path = written(tmp_path / "mine.csv")
    path.write_text("\ufeff" + path.read_text().replace(",", ", "), encoding="utf-8")
    assert read_manifest(path).labels.tolist() == [9, 9, 24, 24]


def test_easy_and_hard_are_understood(tmp_path):
    words = {"common": "easy", "counter": "hard"}
    rows = [row | {"group": words[row["group"]]} for row in ROWS]
    photos = read_manifest(written(tmp_path / "mine.csv", rows))
    assert (photos.group.tolist(), photos.groups) == ([0, 1, 1, 0], ("easy", "hard"))


def test_groups_of_ones_own_are_named(tmp_path):
    words = {"common": "photo", "counter": "sketch"}
    path = written(tmp_path / "m.csv", [row | {"group": words[row["group"]]} for row in ROWS])
    assert read_manifest(path, groups=("photo", "sketch")).group.tolist() == [0, 1, 1, 0]
    with pytest.raises(UsageError, match=r"got 'photo'; name yours with groups="):
        read_manifest(path)


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_pairs_are_kept(tmp_path, kind):
    rows = [row | {"pair_id": f"p{i % 2}"} for i, row in enumerate(ROWS)]
    path = written(tmp_path / f"mine.{kind}", rows, (*COLUMNS, "pair_id"))
    assert read_manifest(path).pair_id == ("p0", "p1", "p0", "p1")


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_a_missing_column_is_told_by_name(tmp_path, kind, column):
    left = tuple(name for name in COLUMNS if name != column)
    rows = [{name: row[name] for name in left} for row in ROWS]
    with pytest.raises(UsageError, match=rf"it lacks {column}\b"):
        read_manifest(written(tmp_path / f"mine.{kind}", rows, left))


def test_pairs_in_some_rows_only_are_refused(tmp_path):
    rows = [ROWS[0] | {"pair_id": "1"}, *ROWS[1:]]
    with pytest.raises(UsageError, match=r"row 2 must have.*it lacks pair_id"):
        read_manifest(written(tmp_path / "mine.jsonl", rows))


@pytest.mark.parametrize("value", ["", "x", "-1", "1.5"])
def test_a_class_id_that_is_no_index_is_refused_with_its_row(tmp_path, value):
    rows = [ROWS[0], ROWS[1] | {"class_id": value}, *ROWS[2:]]
    with pytest.raises(UsageError, match="row 2"):
        read_manifest(written(tmp_path / "mine.csv", rows))


def test_one_class_id_with_two_labels_is_refused(tmp_path):
    rows = [*ROWS[:3], ROWS[3] | {"label": "hawk"}]
    with pytest.raises(UsageError, match="class_id 24 must have one label, got 'owl' and 'hawk'"):
        read_manifest(written(tmp_path / "mine.csv", rows))


def test_a_class_without_one_group_is_refused_by_name(tmp_path):
    with pytest.raises(UsageError, match=r"without 'common'.*24 owl"):
        read_manifest(written(tmp_path / "mine.csv", ROWS[:3]))


def test_a_short_row_is_refused(tmp_path):
    path = written(tmp_path / "mine.csv")
    path.write_text(path.read_text() + "e.jpg,owl\n")
    with pytest.raises(UsageError, match="row 5 must have"):
        read_manifest(path)


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("mine.txt", "x", "must end in"),
        ("mine.csv", "", "it lacks path"),
        ("mine.csv", ",".join(COLUMNS), "one photo or more"),
        ("mine.jsonl", "{", "line 1 must be JSON"),
        ("mine.jsonl", "[1]", "line 1 must be an object"),
        ("mine.jsonl", "\n\n", "one photo or more"),
    ],
    ids=["suffix", "empty", "head only", "broken", "list", "blank"],
)
def test_a_file_of_another_form_is_refused(tmp_path, name, text, told):
    (tmp_path / name).write_text(text)
    with pytest.raises(UsageError, match=told):
        read_manifest(tmp_path / name)


def test_a_missing_or_binary_file_is_refused(tmp_path):
    with pytest.raises(UsageError, match="must be a manifest in UTF-8"):
        read_manifest(tmp_path / "no.csv")
    (tmp_path / "b.csv").write_bytes(b"\xff\xfe\x00\xd8")
    with pytest.raises(UsageError, match="must be a manifest in UTF-8"):
        read_manifest(tmp_path / "b.csv")
