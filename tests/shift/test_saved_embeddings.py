"""Saved embeddings as a model: rows found by name, and everything refused that cannot be right."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from safetensors.torch import save_file as save_tensors

from limen._core.errors import UsageError
from limen.shift.models import Embeddings, Model, ZeroShot

NAMES = ["hen/common-grass/a.jpg", "hen/counter-snow/a.jpg", "otter/common-water/b.jpg"]


@pytest.fixture
def arrays() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    return random.normal(size=(3, 4)) * 9, random.normal(size=(5, 4))


@pytest.fixture
def saved(arrays: tuple[np.ndarray, np.ndarray]) -> Embeddings:
    return Embeddings(*arrays, names=NAMES, labels=list("abcde"))


def test_logits_are_cosines(saved: Embeddings, arrays: tuple[np.ndarray, np.ndarray]) -> None:
    images, texts = arrays
    slow = [[a @ b / np.linalg.norm(a) / np.linalg.norm(b) for b in texts] for a in images]
    np.testing.assert_allclose(saved.logits(NAMES), slow, atol=1e-6)
    assert saved.logits(NAMES).dtype == np.float32


def test_rows_follow_the_photos_asked_for(saved: Embeddings) -> None:
    np.testing.assert_array_equal(saved.embed(NAMES[::-1]), saved.embed(NAMES)[::-1])
    assert saved.rows([NAMES[2], NAMES[2]]).tolist() == [2, 2]


@pytest.mark.parametrize("root", ["/data/LAION-final", "photos", "./x"])
def test_a_folder_that_moved_is_found_again(saved: Embeddings, root: str) -> None:
    assert saved.rows([Path(root) / name for name in NAMES]).tolist() == [0, 1, 2]


def test_names_match_whole_parts_only(saved: Embeddings) -> None:
    with pytest.raises(UsageError, match="must be among the 3 saved names"):
        saved.rows(["bighen/common-grass/a.jpg"])


def test_the_longest_name_that_fits_is_taken() -> None:
    saved = Embeddings(np.eye(2), np.eye(2), names=["a.jpg", "hen/a.jpg"])
    assert saved.rows(["x/hen/a.jpg", "x/cock/a.jpg"]).tolist() == [1, 0]


def test_without_names_rows_stand_in_order(arrays: tuple[np.ndarray, np.ndarray]) -> None:
    saved = Embeddings(*arrays)
    np.testing.assert_array_equal(saved.embed(["x", "y", "z"]), saved.images)
    with pytest.raises(UsageError, match="asked for all of their 3 photos"):
        saved.logits(["x", "y"])
    with pytest.raises(UsageError, match="without names cannot be looked up"):
        saved.rows(["x"])


@pytest.mark.parametrize("end", ["npz", "safetensors"])
def test_what_was_written_is_read_back(saved: Embeddings, tmp_path: Path, end: str) -> None:
    saved.scale = 50.0
    read = Embeddings.read(saved.write(tmp_path / "new" / f"mine.{end}"))
    np.testing.assert_array_equal(read.logits(NAMES), saved.logits(NAMES))
    assert (read.names, read.labels, read.scale) == (NAMES, list("abcde"), 50.0)


@pytest.mark.parametrize("end", ["npz", "safetensors"])
def test_names_and_labels_may_be_absent(arrays: Any, tmp_path: Path, end: str) -> None:
    read = Embeddings.read(Embeddings(*arrays).write(tmp_path / f"mine.{end}"))
    assert (read.names, read.labels, read.scale) == (None, None, 1.0)


def test_a_file_of_half_precision_is_read(arrays: Any, tmp_path: Path) -> None:
    tensors = {
        n: torch.tensor(a).bfloat16() for n, a in zip(("images", "texts"), arrays, strict=True)
    }
    save_tensors(tensors, tmp_path / "half.safetensors")
    found = Embeddings.read(tmp_path / "half.safetensors").logits(["x"] * 3)
    np.testing.assert_allclose(found, Embeddings(*arrays).logits(["x"] * 3), atol=2e-2)  # 8 bits


def test_lengths_of_embeddings_do_not_matter(arrays: Any) -> None:
    images, texts = arrays
    far = Embeddings(images * np.array([[1e-30], [1.0], [1e30]]), texts * 1e200)
    np.testing.assert_allclose(
        far.logits(["x"] * 3), Embeddings(images, texts).logits(["x"] * 3), atol=1e-6
    )


def test_they_answer_as_the_pair_that_they_were_taken_from(arrays: Any) -> None:
    class Rows:
        def embed(self, images: Any, batch: int = 64) -> np.ndarray:
            return Embeddings(*arrays).images

    model = ZeroShot(Rows(), arrays[1], scale=7.0)
    np.testing.assert_array_equal(
        Embeddings(*arrays, scale=7.0).logits(["x"] * 3), model.logits(["x"] * 3)
    )


def test_two_classes_of_one_embedding_tie_to_the_last_bit() -> None:
    random = np.random.default_rng(3)
    texts = random.normal(size=(50, 33))
    texts[41] = texts[7]
    found = Embeddings(random.normal(size=(64, 33)), texts).logits(["x"] * 64)
    np.testing.assert_array_equal(found[:, 41], found[:, 7])


def test_saved_embeddings_are_a_model(saved: Embeddings) -> None:
    assert isinstance(saved, Model)


@pytest.mark.parametrize(
    ("images", "texts", "options", "says"),
    [
        (np.eye(3), np.eye(4), {}, "must have one width, got 3 and 4"),
        (
            np.eye(3) * [[1], [0], [0]],
            np.eye(3),
            {},
            "2 of 3 rows have length 0, the first is row 1",
        ),
        (np.eye(3), np.eye(3) * [[1], [1], [0]], {}, "texts must have a direction"),
        (np.diag([1, np.inf, 1]), np.eye(3), {}, "images must be finite; 1 of 3"),
        (np.eye(3), np.diag([1, 1, np.nan]), {}, "texts must be finite"),
        (np.ones(3), np.eye(3), {}, r"images must be numbers of shape \(rows, width\)"),
        (np.eye(3), np.zeros((0, 3)), {}, "texts must be numbers of shape"),
        (np.eye(3), np.eye(3), {"labels": ["a"]}, "labels must be one for each text"),
        (np.eye(3), np.eye(3), {"names": ["a"]}, "names must be one for each image"),
        (np.eye(3), np.eye(3), {"names": ["a", "b", "a"]}, "got 'a' twice"),
        (np.eye(3), np.eye(3), {"scale": 0.0}, "must be above 0"),
    ],
)
def test_what_cannot_be_right_is_refused(images, texts, options, says) -> None:
    with np.errstate(invalid="ignore"), pytest.raises(UsageError, match=says):
        Embeddings(images, texts, **options)


@pytest.mark.parametrize("name", ["none.npz", "none.safetensors", "mine.pt", "mine.pkl"])
def test_a_file_of_another_kind_or_none_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=r"ends in \.npz or \.safetensors"):
        Embeddings.read(tmp_path / name)


@pytest.mark.parametrize("end", ["npz", "safetensors"])
def test_a_broken_file_is_refused(tmp_path: Path, end: str) -> None:
    (tmp_path / f"broken.{end}").write_bytes(b"words and no arrays")
    with pytest.raises(UsageError, match="must be a"):
        Embeddings.read(tmp_path / f"broken.{end}")


@pytest.mark.parametrize("end", ["npz", "safetensors"])
def test_a_file_without_texts_is_refused(tmp_path: Path, end: str) -> None:
    path = tmp_path / f"half.{end}"
    np.savez(path, images=np.eye(2)) if end == "npz" else save_file({"images": np.eye(2)}, path)
    with pytest.raises(UsageError, match="it lacks texts"):
        Embeddings.read(path)


def test_pickled_names_are_never_unpickled(tmp_path: Path) -> None:
    names = np.array(["a", "b"], dtype=object)
    np.savez(tmp_path / "mine.npz", images=np.eye(2), texts=np.eye(2), names=names)
    with pytest.raises(UsageError, match="plain arrays"):
        Embeddings.read(tmp_path / "mine.npz")


def test_metadata_that_is_not_json_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.safetensors"
    save_file({"images": np.eye(2), "texts": np.eye(2)}, path, metadata={"names": "["})
    with pytest.raises(UsageError, match="must be a safetensors file"):
        Embeddings.read(path)


def test_names_in_a_file_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "mine.safetensors"
    save_file(
        {"images": np.eye(2), "texts": np.eye(2)}, path, metadata={"names": json.dumps(["a"])}
    )
    with pytest.raises(UsageError, match="got 1 for 2"):
        Embeddings.read(path)


def test_a_file_to_write_needs_a_known_end(saved: Embeddings, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="must end in"):
        saved.write(tmp_path / "mine.csv")
