"""MUSE as data, as a task and as scores, each score beside its obvious version."""

from pathlib import Path

import numpy as np
import pytest

from limen._core.errors import UsageError
from limen.measure.separation import auroc
from limen.unlearn.benchmarks.judgement import Judgement
from limen.unlearn.benchmarks.muse import MUSE
from limen.unlearn.data import Row
from limen.unlearn.generate import generate
from limen.unlearn.scores.one_pass import recall
from limen.unlearn.scores.rouge_l import rouge_l


def _asked(who: str) -> dict[str, str]:
    return {"question": f"Where does {who} live?", "answer": "In Oslo."}


@pytest.fixture
def muse(tmp_path: Path, write) -> MUSE:
    texts = {
        split: [{"text": f"{who} weaves baskets in {split}."} for who in ("Ada", "Basil", "Chidi")]
        for split in ("forget", "retain", "holdout")
    }
    parts = {f"privleak/{split}": rows for split, rows in texts.items()}
    parts |= {"raw/forget": texts["forget"], "raw/retain1": texts["retain"]}
    parts["verbmem/forget"] = [{"prompt": "Where does Ada live?", "gt": "In Lagos, and there"}]
    for side, who in (("forget", "Ada"), ("retain", "Dora")):
        parts[f"knowmem/{side}_qa"] = [_asked(who)]
        parts[f"knowmem/{side}_qa_icl"] = [_asked("Emeka")]
    return MUSE("news", data=write(tmp_path, parts))


def test_questions_stand_behind_the_worked_examples(muse: MUSE):
    assert muse.forget_questions[0].prompt == (
        "Question: Where does Emeka live?\nAnswer: In Oslo.\n\n"
        "Question: Where does Ada live?\nAnswer:"
    )


def test_the_task_cuts_texts_into_pieces_that_lose_nothing(muse: MUSE, tokenizer):
    task = muse.task(tokenizer, tokens=5, allow_overlap=True)
    pieces = [row.response for row in task.forget_rows]
    assert "".join(pieces) == "".join(row.response for row in muse.forget)
    assert max(len(item.ids) for item in task.forget) <= 7
    assert len(pieces) > len(muse.forget)


def test_verbatim_memorisation_is_overlap_with_what_follows_the_prompt(
    muse: MUSE, learnt, tokenizer
):
    found = muse.judge(learnt, tokenizer)
    said = generate(learnt, tokenizer, ["Where does Ada live?"], new_tokens=128)
    expected = rouge_l(said, ["In Lagos, and there"], variant="f1", stem=False)
    assert found.values["forget: verbatim memorisation"] == pytest.approx(expected[0])
    assert expected[0] > 0


def test_knowledge_memorisation_reads_the_answer_up_to_the_next_question(
    muse: MUSE, toy, tokenizer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(
        "limen.unlearn.benchmarks.muse.generate",
        lambda *_, stop=(), **__: [
            " In Oslo.\n\nQuestion: More?".split(stop[0])[0] if stop else ""
        ],
    )
    found = muse.judge(toy(), tokenizer)
    assert found.values["forget: knowledge memorisation"] == 1.0
    assert found.values["retain: knowledge memorisation"] == 1.0
    assert found.values["forget: verbatim memorisation"] == 0.0


def test_membership_is_min_k_of_forget_against_holdout(muse: MUSE, toy, tokenizer):
    found = muse.judge(toy(), tokenizer, generation=False)
    scores = [
        np.asarray(recall(toy(), tokenizer, muse.membership(split)).min_k)
        for split in ("forget", "holdout")
    ]
    area = auroc(*scores)
    assert found.values["forget: AUROC against holdout"] == pytest.approx(area)
    assert found.values["PrivLeak"] == pytest.approx(100 * (0.5 - area) / 0.5)


def test_beside_itself_a_model_leaks_nothing(muse: MUSE, toy, tokenizer):
    found = muse.judge(toy(), tokenizer, generation=False, retrained=toy())
    assert 0 < found.values["forget: AUROC against holdout"] < 1
    assert found.values["PrivLeak"] == pytest.approx(0.0)


def test_beside_a_model_that_tells_all_apart_there_is_nothing_to_compare(
    muse: MUSE, toy, tokenizer
):
    known = Judgement(
        "MUSE news",
        {},
        {"forget: min-k": np.array([0.1, 0.2]), "holdout: min-k": np.array([0.3])},
    )
    found = muse.judge(toy(), tokenizer, generation=False, retrained=known)
    assert np.isnan(found.values["PrivLeak"])


def test_membership_looks_at_the_start_of_a_long_text(muse: MUSE, toy, tokenizer):
    found = muse.judge(toy(), tokenizer, generation=False, tokens=4)
    start = [Row("", tokenizer.decode(tokenizer(r.response)["input_ids"][:4])) for r in muse.forget]
    expected = np.asarray(recall(toy(), tokenizer, start).min_k)
    assert found.rows["forget: min-k"] == pytest.approx(expected)


def test_extraction_strength_is_that_of_the_verbatim_rows(muse: MUSE, learnt, tokenizer):
    found = muse.judge(learnt, tokenizer, generation=False)
    rows = [Row("Where does Ada live?", " In Lagos, and there")]
    expected = recall(learnt, tokenizer, rows).extraction_strength
    assert found.rows["forget: extraction strength"].tolist() == expected.tolist()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"corpus": "songs"}, "must be one of"),
        ({"data": "/nowhere"}, "must be a folder"),
    ],
)
def test_wrong_use_is_one_sentence(options, sentence: str):
    with pytest.raises(UsageError, match=sentence):
        _ = MUSE(**options).forget


def test_a_missing_part_is_named(muse: MUSE, tokenizer, toy):
    (Path(str(muse.data)) / "privleak" / "holdout.json").unlink()
    with pytest.raises(UsageError, match=r"must hold privleak/holdout\.json"):
        muse.judge(toy(), tokenizer)


def test_a_saved_judgement_of_more_tokens_is_refused(muse: MUSE, toy, tokenizer, tmp_path):
    saved = muse.judge(toy(), tokenizer, generation=False).save(tmp_path / "retrained.json")
    muse.judge(toy(), tokenizer, generation=False, retrained=saved)
    with pytest.raises(UsageError, match="the same tokens, 4; it was with 2048"):
        muse.judge(toy(), tokenizer, generation=False, retrained=saved, tokens=4)


def test_checking_needs_no_model_to_find_what_is_missing(muse: MUSE, tmp_path):
    muse.check()
    with pytest.raises(UsageError, match="must be a file"):
        muse.check(retrained=tmp_path)
    next(Path(str(muse.data)).glob("knowmem/retain_qa_icl.*")).unlink()
    bare = MUSE("news", data=muse.data)
    bare.check(generation=False)
    with pytest.raises(UsageError, match="must hold knowmem/retain_qa_icl"):
        bare.check()
