"""Pictures from folders, archives and arrays: what is read, and what is refused before any work."""

from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
from PIL import Image

from limen._core.errors import UsageError
from limen.ood.data import read_images, require_apart


def paint(path, colour, size=(8, 8)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)


@pytest.fixture
def folder(tmp_path):
    for name, colour in {"cat/a.png": "red", "cat/b.png": "lime", "dog/a.png": "blue"}.items():
        paint(tmp_path / "pets" / name, colour)
    return tmp_path / "pets"


@pytest.fixture
def archive(folder):
    with ZipFile(folder.with_suffix(".zip"), "w") as opened:
        for file in folder.rglob("*.png"):
            opened.write(file, Path("train") / file.relative_to(folder))
    return folder.with_suffix(".zip")


def test_folders_are_classes_in_the_order_of_their_names(folder):
    found = read_images(folder, size=8)
    assert found.classes == ("cat", "dog")
    assert found.labels.tolist() == [0, 0, 1]
    assert found.names == ("cat/a.png", "cat/b.png", "dog/a.png")
    assert found.inputs[:, :, 0, 0].tolist() == [[255, 0, 0], [0, 255, 0], [0, 0, 255]]


def test_an_archive_is_read_like_its_folder(folder, archive):
    whole, inside = read_images(folder, size=4), read_images(archive / "train", size=4)
    np.testing.assert_array_equal(inside.inputs, whole.inputs)
    assert (inside.names, inside.hashes) == (whole.names, whole.hashes)


def test_pictures_without_a_folder_have_no_class(tmp_path):
    paint(tmp_path / "a.png", "red")
    found = read_images(tmp_path, size=8)
    assert found.labels is None
    assert found.classes == ()


def test_the_middle_is_kept_and_the_shape_of_things(tmp_path):
    stripes = np.repeat(np.array([0, 0, 255, 255, 0, 0], dtype=np.uint8), 2)
    Image.fromarray(np.tile(stripes, (4, 1))).save(tmp_path / "wide.png")
    found = read_images(tmp_path, size=4)
    assert found.inputs.shape == (1, 3, 4, 4)
    assert (found.inputs == 255).all()


def test_a_picture_of_the_right_size_is_left_alone(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (5, 5, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    np.testing.assert_array_equal(
        read_images(tmp_path, size=5).inputs[0], pixels.transpose(2, 0, 1)
    )


def test_a_limit_takes_the_first_of_each_class(folder):
    assert read_images(folder, size=2, limit=1).names == ("cat/a.png", "dog/a.png")


def test_arrays_are_read_with_and_without_labels(tmp_path):
    images = np.arange(3 * 4 * 4, dtype=np.uint8).reshape(3, 4, 4)
    np.savez(tmp_path / "plain.npz", images=images)
    np.savez(tmp_path / "labelled.npz", images=images, labels=np.array([2, 0, 2]))
    plain, labelled = (read_images(tmp_path / f"{n}.npz", size=4) for n in ("plain", "labelled"))
    np.testing.assert_array_equal(plain.inputs[:, 1], images)
    assert plain.labels is None
    assert labelled.labels.tolist() == [2, 0, 2]
    assert labelled.classes == ("0", "1", "2")


def test_a_broken_picture_is_listed_and_skipped_only_if_asked(folder):
    (folder / "cat" / "c.png").write_bytes(b"no picture")
    (folder / "dog" / "empty.png").write_bytes(b"")
    with pytest.raises(UsageError, match=r"2 of 5 pictures cannot .*cat/c.png, dog/empty.png"):
        read_images(folder, size=8)
    found = read_images(folder, size=8, skip_bad=True)
    assert found.skipped == ("cat/c.png", "dog/empty.png")
    assert len(found) == len(found.names) == len(found.hashes) == len(found.labels) == 3


def test_nothing_but_broken_pictures_is_refused(tmp_path):
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.raises(UsageError, match="none of 1 can"):
        read_images(tmp_path, size=8, skip_bad=True)


def test_a_cut_off_picture_is_broken(folder):
    whole = (folder / "cat" / "a.png").read_bytes()
    (folder / "cat" / "a.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UsageError, match="1 of 3"):
        read_images(folder, size=8)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: None, "must be a folder"),
        (lambda path: path.mkdir(), "must hold pictures"),
        (lambda path: path.write_bytes(b"x"), "must be a folder"),
        (lambda path: (paint(path / "a.png", "red"), paint(path / "b" / "a.png", "red")), "both"),
    ],
)
def test_what_holds_no_pictures_is_refused(tmp_path, make, said):
    make(tmp_path / "set")
    with pytest.raises(UsageError, match=said):
        read_images(tmp_path / "set", size=8)


def test_a_folder_that_an_archive_lacks_is_named(archive):
    with pytest.raises(UsageError, match="must hold pictures in test/"):
        read_images(archive / "test", size=8)


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"x": np.zeros(3)}, "must hold 'images', uint8; it holds x float64"),
        ({"images": np.zeros((2, 4, 4))}, "must hold 'images', uint8"),
        ({"images": np.zeros((2, 4), dtype=np.uint8)}, "must have shape"),
        ({"images": np.zeros((2, 4, 4), np.uint8), "labels": np.array([0])}, "labels must be"),
        ({"images": np.zeros((2, 4, 4), np.uint8), "labels": np.array([0.5, 1])}, "labels must be"),
        ({"images": np.zeros((2, 4, 4), np.uint8), "labels": np.array([-1, 0])}, "labels must lie"),
    ],
)
def test_arrays_of_another_form_are_refused(tmp_path, arrays, said):
    np.savez(tmp_path / "set.npz", **arrays)
    with pytest.raises(UsageError, match=said):
        read_images(tmp_path / "set.npz", size=4)


def test_a_file_that_only_ends_in_npz_is_refused(tmp_path):
    (tmp_path / "set.npz").write_bytes(b"hello")
    with pytest.raises(UsageError, match="npz file of plain arrays"):
        read_images(tmp_path / "set.npz", size=4)


def test_shared_files_are_found_by_content_under_any_name(tmp_path, folder):
    paint(tmp_path / "other" / "z.png", "lime")
    sets = {"inliers": read_images(folder, size=8), "nets": read_images(tmp_path / "other", size=8)}
    with pytest.raises(UsageError, match=r"they share 1, such as cat/b.png = z.png"):
        require_apart(sets)


def test_sets_that_share_nothing_pass(folder):
    found = read_images(folder, size=8)
    require_apart({"a": found.take([0, 1]), "b": found.take([2])})


def test_taking_rows_keeps_what_belongs_to_them(folder):
    found = read_images(folder, size=8).take([2, 0])
    assert found.names == ("dog/a.png", "cat/a.png")
    assert found.labels.tolist() == [1, 0]
    assert found.classes == ("cat", "dog")
