"""Tables as people have them: an index written along, no header, no rows, one column twice."""

import numpy as np
import pytest

from limen._core.errors import UsageError
from limen.anomaly import LevelShift, MatrixProfile, as_series
from limen.anomaly.data import read_series

pandas = pytest.importorskip("pandas")


@pytest.fixture
def frame():
    times = pandas.date_range("2024-01-01", periods=4, freq="min")
    return pandas.DataFrame({"load": [1.0, 2.0, 3.0, 4.0]}, index=times)


def test_an_index_written_to_csv_is_time_and_no_channel(frame, tmp_path):
    frame.to_csv(tmp_path / "dates.csv")
    frame.reset_index(drop=True).to_csv(tmp_path / "numbers.csv")
    dates, numbers = (read_series(tmp_path / f"{name}.csv") for name in ("dates", "numbers"))
    assert dates.names == numbers.names == ("load",)
    assert dates.at(1).startswith("2024-01-01T00:01")
    assert numbers.at(1) == "1"


def test_an_index_beside_times_is_left_out(frame, tmp_path):
    frame.rename_axis("time").reset_index().to_csv(tmp_path / "both.csv")
    found = read_series(tmp_path / "both.csv")
    assert (found.names, found.at(0)[:10]) == (("load",), "2024-01-01")


def test_a_time_is_told_to_the_second_unless_it_has_a_part_of_one(tmp_path):
    rows = ["time,a", "2024-01-01 00:00:00,1", "2024-01-01 00:00:00.5,2"]
    (tmp_path / "a.csv").write_text("\n".join(rows).replace("00:00:00,", "00:00:00.0,"))
    found = read_series(tmp_path / "a.csv")
    assert found.at(0) == "2024-01-01T00:00:00"
    assert found.at(1).startswith("2024-01-01T00:00:00.5")


@pytest.mark.parametrize("name", [None, "time"])
def test_the_index_of_a_parquet_table_is_time(frame, tmp_path, name):
    pytest.importorskip("pyarrow")
    frame.rename_axis(name).to_parquet(tmp_path / "a.parquet")
    found = read_series(tmp_path / "a.parquet")
    assert (found.names, found.at(3)[:16]) == (("load",), "2024-01-01T00:03")
    frame[::-1].rename_axis(name).to_parquet(tmp_path / "b.parquet")
    with pytest.raises(UsageError, match="must be sorted by time"):
        read_series(tmp_path / "b.parquet")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"0.5,1.5\n0.6,1.4\n", r"must begin with the names of its columns; .* 0.5, 1.5"),
        (b"time,a\n", "must have rows; it has a header alone"),
        (b"time,a\xe9\n1,2\n", "must be UTF-8 text"),
    ],
)
def test_a_table_without_names_rows_or_text_is_refused(tmp_path, text, told):
    (tmp_path / "a.csv").write_bytes(text)
    with pytest.raises(UsageError, match=told):
        read_series(tmp_path / "a.csv")


def test_columns_may_be_named_by_their_numbers(tmp_path):
    (tmp_path / "a.csv").write_text("0,1\n5,6\n7,8\n")
    assert read_series(tmp_path / "a.csv").names == ("0", "1")


def test_a_channel_is_taken_once(tmp_path):
    (tmp_path / "a.csv").write_text("a,b\n5,6\n7,8\n")
    with pytest.raises(UsageError, match="must be named once each, got a, a"):
        read_series(tmp_path / "a.csv", channels=["a", "a"])


def test_a_folder_is_no_missing_file(tmp_path):
    with pytest.raises(UsageError, match="must be a file; it is a folder"):
        read_series(tmp_path)


@pytest.mark.parametrize("values", [np.array([1e200, -1e200]), np.array([1e18], dtype=np.float32)])
def test_values_whose_squares_overflow_are_refused(values):
    with pytest.raises(UsageError, match="so that squares can be summed"):
        as_series(values)


def test_two_points_have_no_shape():
    pytest.importorskip("stumpy")
    with pytest.raises(UsageError, match="window must be 3 points or more"):
        MatrixProfile(window=2).fit(np.sin(np.arange(300.0)))


def test_a_change_without_end_is_refused():
    wave = np.sin(np.arange(300.0))
    maker = LevelShift(window=50).fit(wave)
    with pytest.raises(UsageError, match="size must be above 0 and finite, got inf"):
        maker.inject(wave, events=1, seed=0, size=float("inf"))
