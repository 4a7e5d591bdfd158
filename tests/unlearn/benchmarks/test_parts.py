"""Parts of a benchmark: where they are looked for, and what is said if they are not there."""

from dataclasses import fields

import datasets
import numpy as np
import pytest

from limen._core.errors import UsageError, WorkError
from limen.unlearn.benchmarks.chunks import chunks, opening
from limen.unlearn.benchmarks.judgement import Judgement
from limen.unlearn.benchmarks.parts import read_part
from limen.unlearn.benchmarks.together import recall_together
from limen.unlearn.data import Row
from limen.unlearn.encode import encode
from limen.unlearn.scores.one_pass import recall

TEXT = {"text": "text"}


def test_without_a_folder_the_hub_is_asked_for_the_configuration_and_split(monkeypatch):
    asked = {}

    def load(path: str, **options: object) -> list[dict[str, str]]:
        asked.update(options, id=path)
        return [{"text": "One."}, {"text": "Two."}, {"text": "Three."}]

    monkeypatch.setattr(datasets, "load_dataset", load)
    found = read_part("raw/forget", data=None, hub="a/b", columns=TEXT, config="raw", split="x")
    assert asked == {"id": "a/b", "name": "raw", "split": "x"}
    assert [record["text"] for record in found] == ["One.", "Two.", "Three."]
    assert len(read_part("raw", data=None, hub="a/b", columns=TEXT, split="x", limit=2)) == 2


def test_a_hub_that_is_away_is_answered_with_the_way_around_it(monkeypatch):
    def away(*_, **__):
        raise WorkError("a/b could not be loaded")

    monkeypatch.setattr("limen.unlearn.benchmarks.parts.read_records", away)
    with pytest.raises(WorkError, match=r"a/b could not be loaded; a copy in .*: data=FOLDER"):
        read_part("raw", data=None, hub="a/b", columns=TEXT)


def test_a_copy_of_the_hub_is_read_like_the_hub(tmp_path, monkeypatch):
    (tmp_path / "README.md").write_text("---\nconfigs: ...\n---\n")
    monkeypatch.setattr(datasets, "load_dataset", lambda path, **_: [{"text": path}])
    found = read_part("forget01", data=tmp_path, hub="a/b", columns=TEXT, split="train")
    assert found[0]["text"] == str(tmp_path)


def test_a_missing_part_is_answered_with_the_nearest_that_are_there(tmp_path, write):
    write(tmp_path, {"forget01": [{"text": "a"}], "raw/holdout": [{"text": "b"}]})
    with pytest.raises(
        UsageError, match=r"must hold forget10\.json .*; the nearest it holds are f"
    ):
        read_part("forget10", data=tmp_path, hub="", columns=TEXT)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="it holds none"):
        read_part("forget10", data=tmp_path / "empty", hub="", columns=TEXT)


@pytest.mark.parametrize(
    ("records", "sentence"),
    [
        ([{"text": "a"}, {"txt": "b"}], "row 2 must have the column text; its columns are txt"),
        ([{"text": 3}], "row 1: text must be text, got 3"),
        (["a"], "must have named columns"),
        ([], "at least one record"),
    ],
)
def test_a_broken_part_is_named_with_its_place(tmp_path, write, records, sentence: str):
    with pytest.raises(UsageError, match=sentence):
        read_part("p", data=write(tmp_path, {"p": records}), hub="", columns=TEXT)


def test_a_limit_below_one_is_refused(tmp_path):
    with pytest.raises(UsageError, match="limit=0"):
        read_part("p", data=tmp_path, hub="", columns=TEXT, limit=0)


def test_pieces_of_a_text_join_to_the_text_and_have_the_length_asked_for(tokenizer):
    text = "Where does Ada live? In Lagos, where the é and the 雨 are. " * 5
    pieces = [row.response for row in chunks(tokenizer, [Row("", text)], tokens=7)]
    assert "".join(pieces) == text
    assert all(len(tokenizer(piece)["input_ids"]) <= 8 for piece in pieces)


def test_no_piece_is_left_with_a_single_token(tokenizer):
    text = tokenizer.decode(tokenizer("Where does Ada live? " * 9)["input_ids"][:22])
    pieces = [row.response for row in chunks(tokenizer, [Row("", text)], tokens=7)]
    assert [len(tokenizer(piece)["input_ids"]) for piece in pieces] == [7, 7, 6, 2]


def test_too_short_pieces_are_refused(tokenizer):
    with pytest.raises(UsageError, match="tokens=1"):
        chunks(tokenizer, [Row("", "a")], tokens=1)


def test_a_judgement_comes_back_from_its_file(tmp_path):
    said = Judgement("X", {"a": 0.5, "b": float("nan")}, {"a": np.array([0.0, 1.0])}, "how")
    back = Judgement.read(said.save(tmp_path / "x.json"))
    assert (back.benchmark, back.protocol, back.values["a"]) == ("X", "how", 0.5)
    assert np.isnan(back.values["b"])
    assert back.rows["a"].tolist() == [0.0, 1.0]


def test_means_over_rows_stand_with_their_interval():
    table = Judgement("X", {"a": 0.5, "b": 2.0}, {"a": np.array([0.0, 1.0] * 8)}).table
    assert table.rows[0][1].low < 0.5 < table.rows[0][1].high
    assert table.rows[1] == ["b", 2.0]


def test_another_file_is_no_judgement(tmp_path):
    path = tmp_path / "x.json"
    path.write_text("[1, 2]")
    with pytest.raises(UsageError, match="must be a saved judgement"):
        Judgement.read(path)


def test_pieces_of_two_tokens_take_a_third_in_rather_than_leave_one(tokenizer):
    text = tokenizer.decode(tokenizer("Where does Ada live? " * 9)["input_ids"][:5])
    pieces = [row.response for row in chunks(tokenizer, [Row("", text)], tokens=2)]
    assert [len(tokenizer(piece)["input_ids"]) for piece in pieces] == [2, 3]


@pytest.mark.parametrize("count", [6, 7, 8, 14, 15, 16])
def test_no_piece_is_longer_than_asked_for_and_none_is_a_single_token(tokenizer, count):
    text = tokenizer.decode(tokenizer("Where does Ada live? " * 9)["input_ids"][:count])
    pieces = [row.response for row in chunks(tokenizer, [Row("", text)], tokens=7)]
    sizes = [len(tokenizer(piece)["input_ids"]) for piece in pieces]
    assert (sum(sizes), max(sizes) <= 7, min(sizes) >= 2) == (count, True, True)


@pytest.mark.parametrize("count", [3, 7, 8, 20])
def test_an_opening_is_the_first_tokens_and_no_other(tokenizer, count):
    ids = tokenizer("Where does Ada live? " * 9)["input_ids"][:count]
    row = opening(tokenizer, Row("Who?", tokenizer.decode(ids), "a:1"), tokens=7)
    assert row == Row("Who?", tokenizer.decode(ids[:7]), "a:1")


def test_pieces_cut_at_a_space_keep_their_tokens_where_the_tokenizer_brings_its_own(
    spaced_tokenizer,
):
    words = spaced_tokenizer()
    rows = chunks(words, [Row("", "In Oslo. In Oslo. A B")], tokens=2)
    assert [words.convert_ids_to_tokens(encode(words, row).ids) for row in rows] == [
        ["▁In", "▁Oslo."], ["▁In", "▁Oslo."], ["▁A", "▁B"],
    ]  # fmt: skip


def test_a_row_is_named_by_its_set_and_its_number_there(toy, tokenizer):
    sets = {"forget": [Row("a", "b")] * 3, "holdout": [Row("a", "b"), Row("", "Who? " * 200)]}
    with pytest.raises(UsageError, match=r"holdout: row 2 must fit the model's context"):
        recall_together(toy(), tokenizer, sets)


def test_a_set_is_recalled_together_as_it_is_alone(toy, tokenizer, rows):
    found = recall_together(toy(), tokenizer, {"a": rows[:3], "b": rows[3:]})
    for name, part in (("a", rows[:3]), ("b", rows[3:])):
        alone = recall(toy(), tokenizer, part)
        for score in fields(alone):
            np.testing.assert_allclose(
                getattr(found[name], score.name), getattr(alone, score.name), rtol=1e-5
            )


def test_a_folder_is_no_judgement(tmp_path):
    with pytest.raises(UsageError, match="must be a file"):
        Judgement.read(tmp_path)


def test_a_judgement_in_a_file_says_how_it_was_made(tmp_path):
    said = Judgement("X", {}, settings={"eos": True, "tokens": 3})
    assert Judgement.read(said.save(tmp_path / "x.json")).settings == {"eos": True, "tokens": 3}
    (tmp_path / "old.json").write_text(
        '{"benchmark": "X", "values": {}, "rows": {}, "protocol": ""}'
    )
    with pytest.raises(UsageError, match="saved by an earlier version"):
        Judgement.read(tmp_path / "old.json")
