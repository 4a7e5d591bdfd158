"""Series from files: found columns, refused disorder, the archive's names."""

import numpy as np
import pandas as pd
import pytest

from limen._core.errors import UsageError
from limen.anomaly.data import read_series, read_ucr


@pytest.fixture
def written(tmp_path):
    def write(text, name="series.csv"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


def test_times_and_labels_are_found_by_their_usual_names_in_any_case(written):
    found = read_series(written("Timestamp,a,b,Label\n2024-01-01,1,2,0\n2024-01-02,3,4,1\n"))
    assert found.names == ("a", "b")
    assert found.values.tolist() == [[1, 2], [3, 4]]
    assert found.labels.tolist() == [False, True]
    assert found.at(1).startswith("2024-01-02")


def test_other_columns_are_taken_when_they_are_named(written):
    path = written("when,a,b,bad\n1,5,6,0\n2,7,8,1\n")
    found = read_series(path, time="when", label="bad", channels=["b"])
    assert (found.names, found.times.tolist(), found.labels.tolist()) == (
        ("b",), [1, 2], [False, True],
    )  # fmt: skip
    assert found.values.ravel().tolist() == [6, 8]


def test_parquet_gives_what_csv_gives(written, tmp_path):
    frame = pd.DataFrame({"time": [1, 2, 3], "load": [0.5, 0.25, 1.0], "label": [0, 1, 0]})
    frame.to_parquet(tmp_path / "s.parquet")
    frame.to_csv(tmp_path / "s.csv", index=False)
    one, other = (read_series(tmp_path / name) for name in ("s.parquet", "s.csv"))
    assert one.values.tolist() == other.values.tolist()
    assert one.labels.tolist() == other.labels.tolist()


def test_an_array_of_an_archive_is_named_like_a_file_in_a_folder(tmp_path):
    np.savez(tmp_path / "m.npz", train=np.zeros((4, 2)), test=np.ones((3, 2)), test_label=[0, 1, 0])
    found = read_series(tmp_path / "m.npz" / "test")
    assert found.values.shape == (3, 2)
    assert found.labels.tolist() == [False, True, False]
    assert read_series(tmp_path / "m.npz" / "train").labels is None


def test_plain_numbers_are_one_channel_however_they_are_laid_out(written, tmp_path):
    np.save(tmp_path / "n.npy", np.arange(3))
    for path in (written("1\n2\n3\n", "a.txt"), written("1 2 3", "b.txt"), tmp_path / "n.npy"):
        assert read_series(path).values.shape == (3, 1)


def test_a_part_keeps_times_and_labels_beside_its_values(written):
    found = read_series(written("time,a,label\n1,1,0\n2,2,1\n3,3,0\n")).part(1)
    assert (found.values.ravel().tolist(), found.times.tolist(), found.labels.tolist()) == (
        [2, 3], [2, 3], [True, False],
    )  # fmt: skip


def test_holes_are_filled_only_when_a_policy_is_named(written):
    path = written("a\n1\n\n3\n".replace("\n\n", "\nnan\n"))
    with pytest.raises(UsageError, match="1 are NaN, the first in row 1"):
        read_series(path)
    assert read_series(path, missing="linear").values.ravel().tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("time,a\n2,1\n1,2\n", "an earlier time than"),
        ("time,a\n1,1\n1,2\n", "the same time as"),
        ("time,a\nsoon,1\nlater,2\n", "must hold times"),
        ("time,a\n1,1\n,2\n", "row 1 has none"),
        ("a,label\n1,0\n2,7\n", "must be 0 and 1; found 7"),
        ("a,b\n1,x\n2,y\n", "all columns of series.csv must be numbers; 'b'"),
        ("time,label\n1,0\n", "must have a column of values"),
        ("", "must be a table with a header"),
    ],
)
def test_a_table_that_is_none_is_refused_in_one_sentence(written, text, told):
    with pytest.raises(UsageError, match=told) as refused:
        read_series(written(text))
    assert "\n" not in str(refused.value)


def test_a_missing_file_column_or_key_is_answered_with_what_is_there(written, tmp_path):
    path = written("load,label\n1,0\n")
    np.savez(tmp_path / "m.npz", train=np.zeros(3), test=np.zeros(3))
    for call, told in (
        (lambda: read_series(tmp_path / "serie.csv"), "nearest: series.csv"),
        (lambda: read_series(path, time="laod"), "nearest: load"),
        (lambda: read_series(tmp_path / "m.npz"), "holds train, test; name one"),
        (lambda: read_series(tmp_path / "m.npz" / "tst"), "it has train, test"),
        (lambda: read_series(written("x", "a.md")), "must be one of .csv"),
    ):
        with pytest.raises(UsageError, match=told):
            call()


def test_objects_in_an_archive_are_never_unpickled(tmp_path):
    np.save(tmp_path / "o.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(UsageError, match="must hold numbers"):
        read_series(tmp_path / "o.npy")


def test_the_archives_name_counts_from_one_and_both_ends_are_inside(written):
    found = read_ucr(written("0\n" * 10, "001_UCR_Anomaly_a_b_4_6_7.txt"))
    assert (found.train_end, found.start, found.end) == (4, 5, 7)
    assert len(found.train) + len(found.test) == 10
    assert found.labels.astype(int).tolist() == [0, 1, 1, 0, 0, 0]


@pytest.mark.parametrize("name", ["series.txt", "001_UCR_Anomaly_a_9_6_7.txt"])
def test_another_name_of_the_archive_is_refused(written, name):
    with pytest.raises(UsageError, match=r"must be called|must name a training end"):
        read_ucr(written("0\n" * 10, name))
