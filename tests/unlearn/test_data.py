import json
import os
from pathlib import Path

import pytest

from limen._core.errors import UsageError, WorkError
from limen.unlearn.data import Row, overlap, read_rows

PAIRS = [("Who?", "Ada."), ("Where?", "In Oslo.\u2028Or near it.")]
COLUMNS = [("prompt", "response"), ("question", "answer")]


def written(folder: Path, name: str, text: str) -> Path:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return file


def lines(columns: tuple[str, str]) -> str:
    # ensure_ascii=False keeps U+2028 as it is: a line separator to Python, not to JSON lines.
    return "".join(
        json.dumps(dict(zip(columns, pair, strict=True)), ensure_ascii=False) + "\n"
        for pair in PAIRS
    )


@pytest.mark.parametrize("columns", COLUMNS)
@pytest.mark.parametrize("name", ["rows.jsonl", "rows.json"])
def test_json_lines_are_read_whatever_the_suffix(tmp_path, name, columns):
    rows = read_rows(written(tmp_path, name, lines(columns)))
    assert [(row.prompt, row.response) for row in rows] == PAIRS


def test_a_row_remembers_its_file_and_line(tmp_path):
    file = written(tmp_path, "rows.jsonl", "\n" + lines(COLUMNS[0]))
    assert [row.where for row in read_rows(file)] == ["rows.jsonl:2", "rows.jsonl:3"]


def test_a_json_list_is_read(tmp_path):
    records = [dict(zip(COLUMNS[1], pair, strict=True)) for pair in PAIRS]
    rows = read_rows(str(written(tmp_path, "rows.json", json.dumps(records, indent=1))))
    assert [(row.prompt, row.response) for row in rows] == PAIRS


def test_csv_is_read_with_quoted_line_breaks_and_a_byte_order_mark(tmp_path):
    text = '\ufeffprompt,response\nWho?,"Ada,\nor Basil"\nWhere?,Oslo\n'
    rows = read_rows(written(tmp_path, "rows.csv", text))
    assert rows == [
        Row("Who?", "Ada,\nor Basil", "rows.csv:2"),
        Row("Where?", "Oslo", "rows.csv:4"),
    ]


def test_running_text_is_a_response_without_prompt():
    assert read_rows([{"text": "Once."}]) == [Row("", "Once.", "row 1")]


def test_a_whole_pair_of_columns_goes_before_half_of_another():
    row = {"response": "a label", "question": "Who?", "answer": "Ada."}
    assert read_rows([row]) == [Row("Who?", "Ada.", "row 1")]
    assert read_rows([{"response": "Ada."}]) == [Row("", "Ada.", "row 1")]


def test_rows_pass_through_as_they_are(rows):
    assert read_rows(rows) == rows


def test_limit_takes_rows_from_the_start(rows):
    assert read_rows(rows, limit=2) == rows[:2]


def test_other_columns_are_left_alone():
    row = {"question": "Who?", "answer": "Ada.", "perturbed_answer": ["Bo.", "Cy."]}
    assert read_rows([row])[0].response == "Ada."


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("a.jsonl", '{"prompt": "x", "response": "y"}\n{"prompt": "x"}\n', r"a.jsonl:2: .*prompt"),
        ("a.jsonl", '{"prompt": "x", "response": " "}\n', r"a.jsonl:1: .*not empty"),
        ("a.jsonl", '{"prompt": "x", "response": null}\n', r"a.jsonl:1: .*needs a response"),
        ("a.jsonl", '{"prompt": "x", "response": 5}\n', r"a.jsonl:1: response must be text, got 5"),
        ("a.jsonl", '{"prompt": 5, "response": "y"}\n', r"a.jsonl:1: prompt must be text, got 5"),
        ("a.jsonl", '{"text": "y"}\n{"text"\n', r"a.jsonl:2: not JSON"),
        ("a.jsonl", '"text"\n', r"a.jsonl:1: .*named columns.*str"),
        ("a.jsonl", "\n", r"a.jsonl must hold at least one row"),
        ("a.json", "[]", r"a.json must hold at least one row"),
        ("a.json", '[{"text": "x"},\n oops]', r"a.json:2: not JSON"),
        ("a.json", '[{"text": "x"}, {"title": "x"}]', r"a.json: row 2: .*columns are title"),
        ("a.jsonl", '{"text": " \\n"}\n', r"a.jsonl:1: .*not empty, in the column text"),
        ("a.jsonl", '{"text": "x", "prompt": "y"}\n', r"a.jsonl:1: text .*beside prompt"),
        ("a.jsonl", '{"text": "x", "question": null}\n', r"a.jsonl:1: text .*beside question"),
        ("a.jsonl", '{"prompt": "x", "answer": "y"}\n', r"a.jsonl:1: .*columns are answer, prom"),
        ("a.jsonl", '{"prompt": "", "response": "", "answer": "y"}\n', r"in the column response"),
        ("a.csv", "prompt,response\nx\n", r"a.csv:2: .*prompt, response"),
        ("a.csv", "", r"a.csv must hold at least one row"),
        ("a.txt", "text", r"must end in .jsonl, .json or .csv"),
    ],
)
def test_bad_files_are_refused_in_one_sentence_that_says_where(tmp_path, name, text, says):
    with pytest.raises(UsageError, match=says) as caught:
        read_rows(written(tmp_path, name, text))
    assert "\n" not in str(caught.value)


def test_text_in_another_encoding_is_refused(tmp_path):
    file = tmp_path / "a.jsonl"
    file.write_bytes('{"text": "café"}'.encode("latin-1"))
    with pytest.raises(UsageError, match="UTF-8"):
        read_rows(file)


@pytest.mark.parametrize("source", ["none.jsonl", "data/none.jsonl", "./data/none", "/a/b/c", "x"])
def test_a_path_that_does_not_exist_is_never_looked_up_on_the_hub(monkeypatch, source):
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: pytest.fail("asked the hub"))
    with pytest.raises(UsageError, match="no such file"):
        read_rows(source)


def test_options_of_data_sets_are_refused_for_a_file(tmp_path):
    file = written(tmp_path, "a.jsonl", lines(COLUMNS[0]))
    with pytest.raises(UsageError, match="one file"):
        read_rows(file, split="train")


def test_limit_below_one_is_refused(rows):
    with pytest.raises(UsageError, match="limit=0"):
        read_rows(rows, limit=0)


def test_a_data_set_on_disk_is_read(tmp_path):
    datasets = pytest.importorskip("datasets")
    datasets.Dataset.from_list([{"question": q, "answer": a} for q, a in PAIRS]).save_to_disk(
        str(tmp_path / "set"), num_proc=None
    )
    assert [row.response for row in read_rows(tmp_path / "set")] == [a for _, a in PAIRS]


def test_a_data_set_with_several_splits_asks_which(tmp_path):
    datasets = pytest.importorskip("datasets")
    one = datasets.Dataset.from_list([{"text": "Once."}])
    datasets.DatasetDict({"forget": one, "retain": one}).save_to_disk(str(tmp_path / "set"))
    assert len(read_rows(tmp_path / "set", split="retain")) == 1
    with pytest.raises(UsageError, match="one of forget, retain"):
        read_rows(tmp_path / "set")


def test_a_folder_without_data_is_refused(tmp_path):
    pytest.importorskip("datasets")
    with pytest.raises(UsageError, match="cannot be read as a data set"):
        read_rows(tmp_path)


def test_an_unreachable_hub_is_failed_work_and_not_wrong_use(monkeypatch):
    datasets = pytest.importorskip("datasets")

    def offline(*_: object, **__: object) -> None:
        raise ConnectionError("Couldn't reach the hub\nand more")

    monkeypatch.setattr(datasets, "load_dataset", offline)
    with pytest.raises(WorkError, match=r"^org/set could not be loaded.*the hub$"):
        read_rows("org/set")


def test_a_hub_id_is_loaded_with_its_configuration_and_split(monkeypatch):
    datasets = pytest.importorskip("datasets")
    asked = {}

    def load(path: str, **options: object) -> list[dict[str, str]]:
        asked.update(options, id=path)
        return [{"question": "Who?", "answer": "Ada."}]

    monkeypatch.setattr(datasets, "load_dataset", load)
    rows = read_rows("org/wmdp-v1.5", config="forget01", split="train")
    assert asked == {"id": "org/wmdp-v1.5", "name": "forget01", "split": "train"}
    assert rows == [Row("Who?", "Ada.", "org/wmdp-v1.5: row 1")]


def test_overlap_ignores_white_space_and_where_rows_stand():
    forget = [Row("a", "b", "x:1"), Row("a", "c", "x:2")]
    assert overlap(forget, [Row(" a", "b\n", "y:9"), Row("c", "a")]) == forget[:1]


@pytest.mark.data
def test_forget01_of_tofu_has_forty_rows():
    folder = os.environ.get("LIMEN_DATA")
    if not folder:
        pytest.skip("LIMEN_DATA names no folder")
    rows = read_rows(Path(folder) / "tofu" / "forget01.json")
    assert len(rows) == 40  # TOFU: two authors of twenty questions
    assert all(row.prompt and row.response for row in rows)
