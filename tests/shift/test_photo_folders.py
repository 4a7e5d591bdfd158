"""Folders of photos: both ways of naming, what is passed over, and what is refused."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from limen._core.errors import UsageError
from limen.run.files import load, save
from limen.shift.class_names import class_of, read_names
from limen.shift.photos import Photos, read_photos

TWO = (
    "9 ostrich/common-ground/b.jpg",
    "9 ostrich/common-ground/a.jpg",
    "9 ostrich/counter-water/c.jpg",
    "10 brambling/common-grass/d.png",
    "10 brambling/counter-sky/e.jpeg",
)


def laid(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def seen(photos: Photos, root: Path):
    """Photos as comparable rows."""
    paths = [Path(p).relative_to(root).as_posix() for p in photos.paths]
    return list(
        zip(paths, photos.labels.tolist(), photos.group.tolist(), photos.background, strict=True)
    )


def test_classes_groups_and_backgrounds_are_read_in_sorted_order(tmp_path):
    photos = read_photos(laid(tmp_path, *TWO))
    assert seen(photos, tmp_path) == [
        ("9 ostrich/common-ground/a.jpg", 9, 0, "ground"),
        ("9 ostrich/common-ground/b.jpg", 9, 0, "ground"),
        ("9 ostrich/counter-water/c.jpg", 9, 1, "water"),
        ("10 brambling/common-grass/d.png", 10, 0, "grass"),
        ("10 brambling/counter-sky/e.jpeg", 10, 1, "sky"),
    ]
    assert photos.names == {9: "ostrich", 10: "brambling"}


def test_easy_and_hard_are_read_as_common_and_counter(tmp_path):
    words = {"common": "easy", "counter": "hard"}
    old, new = tmp_path / "old", tmp_path / "new"
    laid(old, *TWO)
    laid(new, *(n.replace("common", "easy").replace("counter", "hard") for n in TWO))
    renamed = [
        (path.replace("common", words["common"]).replace("counter", words["counter"]), *rest)
        for path, *rest in seen(read_photos(old), old)
    ]
    assert [tuple(row) for row in renamed] == seen(read_photos(new), new)


def test_folders_without_an_index_are_found_by_name(tmp_path):
    with_index, without = tmp_path / "a", tmp_path / "b"
    laid(with_index, *TWO)
    laid(without, *(name.split(" ", 1)[1] for name in TWO))
    one, two = read_photos(with_index), read_photos(without)
    assert one.labels.tolist() == two.labels.tolist()
    assert one.background == two.background


def test_the_users_own_class_list_decides_what_a_name_means(tmp_path):
    laid(tmp_path, "dog/common-x/a.jpg", "dog/counter-y/b.jpg")
    assert set(read_photos(tmp_path, names=["cat", "hound, dog"]).labels.tolist()) == {1}


def test_a_list_in_the_folder_is_used(tmp_path):
    laid(tmp_path, "dog/common-x/a.jpg", "dog/counter-y/b.jpg")
    (tmp_path / "imagenet_names.txt").write_text("0\tcat\n1\tdog, hound\n")
    assert set(read_photos(tmp_path).labels.tolist()) == {1}


def test_hidden_files_and_files_that_are_no_photos_are_passed_over(tmp_path):
    laid(
        tmp_path, *TWO, "9 ostrich/common-ground/.a.jpg", "9 ostrich/common-ground/notes.txt",
        ".cache/common-x/a.jpg", "__MACOSX/common-x/a.jpg", "9 ostrich/.x/a.jpg",
        "9 ostrich/common-ground/.thumbs/t.jpg", "readme.md",
    )  # fmt: skip
    assert len(read_photos(tmp_path)) == len(TWO)


def test_suffixes_count_whatever_their_case(tmp_path):
    laid(tmp_path, "9 ostrich/common-x/A.JPG", "9 ostrich/counter-y/B.PNG")
    assert len(read_photos(tmp_path)) == 2


def test_several_backgrounds_of_a_group_are_pooled_and_kept_apart_by_name(tmp_path):
    laid(tmp_path, *TWO, "9 ostrich/common-sand/z.jpg")
    photos = read_photos(tmp_path)
    assert photos.counts.tolist() == [[3, 1], [1, 1]]
    assert photos.background[:3] == ("ground", "ground", "sand")


def test_a_background_may_hold_hyphens(tmp_path):
    laid(tmp_path, "9 ostrich/common-dry-grass/a.jpg", "9 ostrich/counter-sea/b.jpg")
    assert read_photos(tmp_path).background == ("dry-grass", "sea")


def test_groups_may_have_any_two_names(tmp_path):
    laid(tmp_path, "3 dog/photo/a.jpg", "3 dog/sketch-pencil/b.jpg")
    photos = read_photos(tmp_path, groups=("photo", "sketch"))
    assert (photos.group.tolist(), photos.groups) == ([0, 1], ("photo", "sketch"))


def test_a_photo_outside_of_the_groups_is_told(tmp_path):
    laid(tmp_path, *TWO, "9 ostrich/other-sea/x.jpg", "9 ostrich/loose.jpg")
    with pytest.warns(UserWarning, match="2 photos stand in no folder of common or counter"):
        assert len(read_photos(tmp_path)) == len(TWO)


@pytest.mark.parametrize(("gone", "told"), [("common-grass", "common"), ("counter-sky", "counter")])
def test_a_class_without_one_group_is_refused_by_name(tmp_path, gone, told):
    laid(tmp_path, *TWO)
    shutil.rmtree(tmp_path / "10 brambling" / gone)
    with pytest.raises(UsageError, match=rf"'10 brambling'.*none of {told}"):
        read_photos(tmp_path)


def test_an_empty_group_is_a_group_that_lacks(tmp_path):
    laid(tmp_path, *TWO)
    (tmp_path / "10 brambling/counter-sky/e.jpeg").unlink()
    with pytest.raises(UsageError, match="10 brambling"):
        read_photos(tmp_path)


def test_a_folder_that_means_no_index_is_refused_with_the_nearest_names(tmp_path):
    laid(tmp_path, *TWO, "ostritch/common-x/a.jpg", "ostritch/counter-y/b.jpg")
    with pytest.raises(UsageError, match=r"'ostritch' must begin with a class index.*ostrich"):
        read_photos(tmp_path)


def test_two_folders_of_one_class_are_refused(tmp_path):
    laid(tmp_path, *TWO, "ostrich/common-x/a.jpg", "ostrich/counter-y/b.jpg")
    with pytest.raises(UsageError, match="both class 9"):
        read_photos(tmp_path)


def test_an_index_beyond_the_names_is_refused(tmp_path):
    laid(tmp_path, *TWO)
    with pytest.raises(UsageError, match="0 to 1, as 2 names are given, got 10"):
        read_photos(tmp_path, names=["cat", "dog"])


def test_a_name_of_two_classes_asks_for_the_index():
    with pytest.raises(UsageError, match=r"classes 0, 1.*'0 crane'"):
        class_of("crane", ["crane", "crane"])


@pytest.mark.parametrize("what", ["missing", "empty", "file"])
def test_what_is_no_folder_of_classes_is_refused(tmp_path, what):
    path = tmp_path / what
    if what == "empty":
        path.mkdir()
    if what == "file":
        path.touch()
    with pytest.raises(UsageError, match=r"must (be a folder|hold one folder)"):
        read_photos(path)


@pytest.mark.parametrize("groups", [("common",), ("a", "A"), "common"], ids=["one", "same", "text"])
def test_groups_must_be_two(tmp_path, groups):
    with pytest.raises(UsageError, match="two different names"):
        read_photos(laid(tmp_path, *TWO), groups=groups)


@pytest.mark.parametrize(
    ("folder", "index"),
    [("n01518878", 9), ("OSTRICH", 9), ("Struthio camelus", 9), ("polar_bear", 296), ("100", 100)],
)
def test_wordnet_numbers_synonyms_and_bare_indices_mean_classes(folder, index):
    assert class_of(folder)[0] == index


def test_names_are_read_with_and_without_numbers(tmp_path):
    one, two = tmp_path / "one.txt", tmp_path / "two.txt"
    one.write_text("0\ttench, Tinca tinca\n1\tgoldfish\n\n")
    two.write_text("tench, Tinca tinca\ngoldfish\n")
    assert read_names(one) == read_names(two) == ["tench, Tinca tinca", "goldfish"]


@pytest.mark.parametrize("text", ["1\ta\n2\tb\n", "0\ta\n2\tb\n"], ids=["late", "gap"])
def test_names_with_numbers_that_have_a_gap_are_refused(tmp_path, text):
    (tmp_path / "names.txt").write_text(text)
    with pytest.raises(UsageError, match="number the names from 0"):
        read_names(tmp_path / "names.txt")


def test_a_missing_or_empty_list_of_names_is_refused(tmp_path):
    with pytest.raises(UsageError, match="must be a text file"):
        read_names(tmp_path / "no.txt")
    with pytest.raises(UsageError, match="one or more"):
        read_names([])
    with pytest.raises(UsageError, match=r"empty at \[1\]"):
        read_names(["a", " "])


def test_photos_know_their_counts_and_survive_saving(tmp_path):
    photos = read_photos(laid(tmp_path / "photos", *TWO))
    back = load(save(photos, tmp_path / "photos.saved"))
    assert back.paths == photos.paths
    assert back.names == photos.names
    assert back.groups == photos.groups
    assert np.array_equal(back.counts, photos.counts)
    assert np.array_equal(back.labels, photos.labels)


def test_some_of_the_photos_are_photos_again(tmp_path):
    photos = read_photos(laid(tmp_path, *TWO))
    kept = photos.take(photos.labels == 10)
    assert kept.names == {10: "brambling"}
    assert kept.background == ("grass", "sky")
    with pytest.raises(UsageError, match="10 brambling"):
        photos.take([0, 2, 3])


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"labels": [1]}, "one of everything"),
        ({"labels": [1.0, 1.0]}, "labels must be"),
        ({"labels": [-1, -1]}, "0 or more"),
        ({"group": [0, 2]}, "group must be 0 or 1"),
        ({"group": [0, 0]}, "without 'counter'"),
        ({"group": [1, 1]}, "without 'common'"),
        ({"background": ["x"]}, "one of everything"),
        ({"paths": [], "labels": [], "group": []}, "one or more"),
        ({"pair_id": ("1",)}, "one of everything"),
    ],
    ids=["length", "float", "negative", "third", "common only", "counter only", "background",
         "none", "pairs"],
)  # fmt: skip
def test_photos_of_another_form_are_refused(changed, told):
    right = {"paths": ["a", "b"], "labels": [1, 1], "group": [0, 1]}
    with pytest.raises(UsageError, match=told):
        Photos(**(right | changed))
