import json

import pytest

from limen._core.errors import UsageError
from limen.unlearn.data import Row
from limen.unlearn.probes import Probe, read_probes

WHOLE = {
    "question": "Where does Ada live?",
    "answer": "In Lagos.",
    "paraphrased_question": "What is Ada's home?",
    "paraphrased_answer": "Lagos is her home.",
    "perturbed_answer": ["In Oslo.", "In Turin."],
}


def test_every_column_of_a_row_is_read():
    (probe,) = read_probes([WHOLE])
    assert (probe.row.prompt, probe.row.response) == (WHOLE["question"], WHOLE["answer"])
    assert probe.prompts == ("What is Ada's home?",)
    assert probe.paraphrased == ("Lagos is her home.",)
    assert probe.perturbed == ("In Oslo.", "In Turin.")


def test_our_own_names_of_the_columns_are_read_too():
    other = {
        "prompt": "a", "response": "b", "paraphrased_prompt": "c", "paraphrased_response": "d",
        "perturbed_response": "e",
    }  # fmt: skip
    (probe,) = read_probes([other])
    assert (probe.prompts, probe.paraphrased, probe.perturbed) == (("c",), ("d",), ("e",))


def test_rows_need_no_variants():
    for rows in ([Row("a", "b")], [{"text": "b"}], [{"prompt": "a", "response": "b"}]):
        (probe,) = read_probes(rows)
        assert (probe.prompts, probe.paraphrased, probe.perturbed) == ((), (), ())


def test_variants_are_read_from_a_file(tmp_path):
    file = tmp_path / "rows.jsonl"
    file.write_text("\n".join(json.dumps(WHOLE) for _ in range(2)), encoding="utf-8")
    found = read_probes(file)
    assert found[1].row.where == "rows.jsonl:2"
    assert [probe.perturbed for probe in found] == [("In Oslo.", "In Turin.")] * 2


def test_probes_pass_through():
    given = [Probe(Row("a", "b"), perturbed=("c",))]
    assert read_probes(given) == given


def test_a_variant_is_a_row_of_its_own():
    (probe,) = read_probes([WHOLE])
    (asked,) = probe.texts("prompts")
    assert (asked.prompt, asked.response) == ("What is Ada's home?", "In Lagos.")
    first, second = probe.texts("perturbed")
    assert (first.prompt, first.response) == (WHOLE["question"], "In Oslo.")
    assert second.where == "row 1, perturbed_answer"


@pytest.mark.parametrize("column", ["paraphrased_question", "paraphrased_answer"])
def test_a_column_that_only_some_rows_carry_is_refused(column):
    bare = {name: value for name, value in WHOLE.items() if name != column}
    with pytest.raises(UsageError, match=rf"row 2 has no {column} .*1 of 3 rows lack it"):
        read_probes([WHOLE, bare, WHOLE])


@pytest.mark.parametrize("bad", [3, [""], ["fine", None], " "])
def test_a_variant_that_is_no_text_is_refused(bad):
    with pytest.raises(UsageError, match=r"row 1: perturbed_answer must be text"):
        read_probes([{**WHOLE, "perturbed_answer": bad}])


@pytest.mark.parametrize("empty", [None, [], ()])
def test_an_empty_column_is_an_absent_one(empty):
    assert read_probes([{**WHOLE, "perturbed_answer": empty}])[0].perturbed == ()


def test_no_rows_are_refused():
    with pytest.raises(UsageError, match="at least one row"):
        read_probes([])


@pytest.mark.parametrize("row", [WHOLE, Probe(Row("a", "b"), perturbed=("c",))])
def test_a_generator_is_read_like_a_list(row):
    assert read_probes(row for _ in range(2)) == read_probes([row, row])
