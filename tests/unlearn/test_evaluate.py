import copy
import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from limen._core.errors import UsageError
from limen.unlearn import evaluate, probability, recall, truth_ratio, with_lora
from limen.unlearn.data import Row
from limen.unlearn.encode import encode_all
from limen.unlearn.evaluate import Evaluation
from limen.unlearn.probes import read_probes
from limen.unlearn.scores.metrics import METRICS
from limen.unlearn.scores.truth_ratio import looks_forgotten, looks_known

OF_THE_ROW = (
    "probability", "perplexity", "loss", "exact_memorisation", "extraction_strength", "min_k",
    "min_k_plus", "zlib",
)  # fmt: skip


@pytest.fixture(scope="module")
def whole(rows):
    """Rows with every kind of variant, and unlike numbers of false answers."""
    return [
        {
            "question": row.prompt,
            "answer": row.response,
            "paraphrased_question": f"Tell me: {row.prompt}",
            "paraphrased_answer": row.response.replace(" In", " At"),
            "perturbed_answer": [rows[i - j].response for j in range(1, 2 + i % 3)],
        }
        for i, row in enumerate(rows)
    ]


@pytest.fixture(scope="module")
def found(learnt, tokenizer, whole):
    return evaluate(learnt, tokenizer, whole, batch=5)


def test_scores_of_the_row_are_those_of_recall(found, learnt, tokenizer, rows):
    scores = recall(learnt, tokenizer, rows)
    for name in OF_THE_ROW:
        # another batch, and so other last digits of float32
        np.testing.assert_allclose(found[name], getattr(scores, name), rtol=1e-3, atol=1e-4)


def loss(learnt, tokenizer, prompt, response):
    return recall(learnt, tokenizer, [Row(prompt, response)]).loss[0]


def test_truth_ratios_are_those_of_losses_taken_one_by_one(found, learnt, tokenizer, whole):
    for i, row in enumerate(whole):
        right = loss(learnt, tokenizer, row["question"], row["paraphrased_answer"])
        wrong = [loss(learnt, tokenizer, row["question"], text) for text in row["perturbed_answer"]]
        for name, mean in (("truth_ratio", "arithmetic"), ("truth_ratio_geometric", "geometric")):
            expected = truth_ratio(np.array([right]), np.array([wrong]), mean)[0]
            assert found[name][i] == pytest.approx(expected, rel=1e-3)


def test_without_a_paraphrase_the_answer_itself_is_the_true_one(learnt, tokenizer, whole):
    bare = [{k: v for k, v in row.items() if k != "paraphrased_answer"} for row in whole]
    values = evaluate(learnt, tokenizer, bare, metrics=["truth_ratio", "loss"])
    for i, row in enumerate(bare):
        wrong = [loss(learnt, tokenizer, row["question"], text) for text in row["perturbed_answer"]]
        expected = truth_ratio(values["loss"][i : i + 1], np.array([wrong]))[0]
        assert values["truth_ratio"][i] == pytest.approx(expected, rel=1e-3)


def test_choices_are_weighed_against_the_answer_itself(found, learnt, tokenizer, whole):
    for i, row in enumerate(whole):
        wrong = [loss(learnt, tokenizer, row["question"], text) for text in row["perturbed_answer"]]
        own = np.exp(-found["loss"][i])
        expected = own / (own + np.exp(-np.array(wrong)).sum())
        assert found["choice_probability"][i] == pytest.approx(expected, rel=1e-3)


def test_rephrased_strength_keeps_the_answer_and_changes_the_question(
    found, learnt, tokenizer, whole
):
    asked = [Row(row["paraphrased_question"], row["answer"]) for row in whole]
    expected = recall(learnt, tokenizer, asked).extraction_strength
    np.testing.assert_array_equal(found["rephrased_extraction_strength"], expected)


def test_paraphrase_probability_keeps_the_question_and_changes_the_answer(
    found, learnt, tokenizer, whole
):
    said = [Row(row["question"], row["paraphrased_answer"]) for row in whole]
    expected = probability(learnt, tokenizer, said)
    np.testing.assert_allclose(found["paraphrase_probability"], expected, rtol=1e-3)


def test_several_paraphrases_count_by_their_mean(learnt, tokenizer, rows):
    texts = [" Lagos.", " In Lagos, as all know."]
    row = {"question": rows[0].prompt, "answer": rows[0].response, "paraphrased_answer": texts}
    value = evaluate(learnt, tokenizer, [row])["paraphrase_probability"][0]
    single = [np.exp(-loss(learnt, tokenizer, rows[0].prompt, text)) for text in texts]
    assert value == pytest.approx(np.mean(single), rel=1e-3)


def sizes_of(model):
    """The numbers of sequences in each forward pass, as they come."""
    sizes = []
    model.register_forward_hook(
        lambda _, __, kwargs, ___: sizes.append(kwargs["input_ids"].shape), with_kwargs=True
    )
    return sizes


def test_all_variants_of_all_rows_go_forward_in_one_sorted_pass(llama, tokenizer, whole):
    shapes = sizes_of(llama)
    evaluate(llama, tokenizer, whole, batch=5)
    sequences = len(whole) * 3 + sum(len(row["perturbed_answer"]) for row in whole)
    assert sum(count for count, _ in shapes) == sequences
    assert len(shapes) == -(-sequences // 5)
    lengths = [length for _, length in shapes]
    assert lengths == sorted(lengths)


def test_variants_that_no_metric_asks_for_stay_at_home(llama, tokenizer, whole):
    shapes = sizes_of(llama)
    evaluate(llama, tokenizer, whole, metrics=["probability"])
    assert sum(count for count, _ in shapes) == len(whole)


def test_without_metrics_all_that_the_rows_allow_are_measured(found, learnt, tokenizer, rows):
    assert list(found.values) == list(METRICS)
    assert tuple(evaluate(learnt, tokenizer, rows).values) == OF_THE_ROW


def test_metrics_come_in_the_order_asked_for(learnt, tokenizer, rows):
    asked = ["zlib", "loss"]
    assert list(evaluate(learnt, tokenizer, rows, metrics=asked).values) == asked


def test_values_do_not_depend_on_the_batch(found, learnt, tokenizer, whole):
    other = evaluate(learnt, tokenizer, whole, batch=1)
    for name, values in found.values.items():
        # float32 logits differ in the last digits with the shape of the batch
        np.testing.assert_allclose(other[name], values, rtol=2e-3, atol=1e-4)


def test_values_come_in_the_order_of_the_rows(found, learnt, tokenizer, whole):
    backwards = evaluate(learnt, tokenizer, whole[::-1], batch=5)
    for name, values in found.values.items():
        np.testing.assert_allclose(backwards[name][::-1], values, rtol=2e-3, atol=1e-4)


def test_encoded_rows_are_measured_as_they_are(learnt, tokenizer, rows):
    encoded = encode_all(tokenizer, rows)
    one, other = evaluate(learnt, tokenizer, encoded), evaluate(learnt, tokenizer, rows)
    for name in OF_THE_ROW:
        np.testing.assert_array_equal(one[name], other[name])


def test_the_end_of_the_response_counts_when_asked_for_and_when_compatible(learnt, tokenizer, rows):
    plain, with_eos, compatible = (
        evaluate(learnt, tokenizer, rows, **options)
        for options in ({}, {"eos": True}, {"compat": "open-unlearning"})
    )
    assert [part.settings["eos"] for part in (plain, with_eos, compatible)] == [False, True, True]
    np.testing.assert_array_equal(with_eos["loss"], compatible["loss"])
    assert not np.allclose(plain["loss"], with_eos["loss"])


def test_the_share_of_min_k_is_a_setting(learnt, tokenizer, rows):
    found = evaluate(learnt, tokenizer, rows, k=1.0)
    np.testing.assert_allclose(found["min_k"], found["loss"])


def test_training_is_left_as_it_was(llama, tokenizer, rows):
    llama.train()
    before = copy.deepcopy(llama.state_dict())
    evaluate(llama, tokenizer, rows)
    assert llama.training
    for name, weight in llama.state_dict().items():
        assert torch.equal(weight, before[name])


@pytest.mark.data
def test_rows_of_tofu_have_every_metric(toy, tokenizer):
    folder = os.environ.get("LIMEN_DATA")
    if not folder:
        pytest.skip("LIMEN_DATA names no folder")
    probes = read_probes(Path(folder) / "tofu" / "forget01_perturbed.json")
    assert [len(probe.perturbed) for probe in probes] == [5] * 40  # as published
    model = toy()
    model.config.max_position_embeddings = 1000
    found = evaluate(model, tokenizer, probes[:2])
    assert list(found.values) == list(METRICS)
    assert not any(np.isnan(values).any() for values in found.values.values())


# What is made of the values


def test_a_mean_carries_its_interval(found):
    mean = found.mean("probability")
    assert mean.value == pytest.approx(found["probability"].mean())
    assert mean.low < mean.value < mean.high


def test_rows_without_a_value_are_left_out_of_the_mean():
    mean = Evaluation({"zlib": np.array([1.0, np.nan, 3.0])}, {}).mean("zlib")
    assert mean.value == 2.0
    nothing = Evaluation({"zlib": np.array([np.nan])}, {}).mean("zlib")
    assert np.isnan([nothing.value, nothing.low, nothing.high]).all()


def test_an_infinite_value_has_no_interval():
    mean = Evaluation({"perplexity": np.array([1.0, np.inf])}, {}).mean("perplexity")
    assert mean.value == np.inf
    assert np.isnan([mean.low, mean.high]).all()


def test_truth_ratios_are_read_in_both_ways(found):
    means = found.means()
    assert "truth_ratio" not in means
    for name in ("truth_ratio", "truth_ratio_geometric"):
        assert means[f"{name}, forgotten"].value == pytest.approx(looks_forgotten(found[name]))
        assert means[f"{name}, known"].value == pytest.approx(looks_known(found[name]))


def test_every_metric_has_a_mean(found):
    single = {name for name in METRICS if not name.startswith("truth_ratio")}
    assert single < set(found.means())


def test_forget_quality_of_a_model_beside_itself_is_one(found):
    assert found.forget_quality(found) == 1.0


def test_forget_quality_names_the_metric_that_is_missing(found, learnt, tokenizer, rows):
    with pytest.raises(UsageError, match="'truth_ratio' must be one of the metrics measured"):
        found.forget_quality(evaluate(learnt, tokenizer, rows))


def test_privleak_knows_rows_learnt_by_heart(found):
    first, rest = (
        Evaluation({"min_k": found["min_k"][part]}, {}) for part in (slice(5), slice(5, None))
    )
    assert first.privleak(rest) == -100.0


def test_privleak_without_holdout_is_refused(found):
    with pytest.raises(UsageError, match="PrivLeak needs holdout"):
        found.privleak(None)


def test_an_evaluation_survives_json(found):
    stretched = {**found.values, "zlib": np.full(len(found), np.nan)}
    stretched["perplexity"] = np.full(len(found), np.inf)
    held = Evaluation(stretched, found.settings)
    back = Evaluation.from_dict(json.loads(json.dumps(held.to_dict(), allow_nan=False)))
    assert back.settings == held.settings
    for name, values in held.values.items():
        np.testing.assert_array_equal(back[name], values)


# The cache


def test_what_is_cached_does_not_go_forward_again(llama, tokenizer, whole, tmp_path):
    first = evaluate(llama, tokenizer, whole, cache=tmp_path)
    shapes = sizes_of(llama)
    second = evaluate(llama, tokenizer, whole, cache=tmp_path)
    assert shapes == []
    for name, values in first.values.items():
        np.testing.assert_array_equal(second[name], values)


def test_one_pass_in_the_cache_serves_every_metric_of_the_row(llama, tokenizer, rows, tmp_path):
    evaluate(llama, tokenizer, rows, metrics=["loss"], cache=tmp_path)
    shapes = sizes_of(llama)
    evaluate(llama, tokenizer, rows, metrics=["min_k_plus", "zlib"], cache=tmp_path)
    assert shapes == []


@pytest.mark.parametrize(
    "options",
    [{"eos": True}, {"k": 0.2}, {"compat": "open-unlearning"}],
)
def test_another_setting_goes_forward_again(llama, tokenizer, rows, tmp_path, options):
    evaluate(llama, tokenizer, rows, cache=tmp_path)
    shapes = sizes_of(llama)
    evaluate(llama, tokenizer, rows, cache=tmp_path, **options)
    assert shapes


def test_a_cache_of_another_model_is_refused(llama, toy, tokenizer, rows, tmp_path):
    evaluate(llama, tokenizer, rows, cache=tmp_path)
    with pytest.raises(UsageError, match="was made by another model"):
        evaluate(toy(seed=3), tokenizer, rows, cache=tmp_path)


def test_a_trained_model_is_another_model(llama, tokenizer, rows, tmp_path):
    evaluate(llama, tokenizer, rows, cache=tmp_path)
    with torch.no_grad():
        llama.lm_head.weight += 1e-3
    with pytest.raises(UsageError, match="was made by another model"):
        evaluate(llama, tokenizer, rows, cache=tmp_path)


def test_a_switched_off_adapter_is_not_taken_for_the_adapter(llama, tokenizer, rows, tmp_path):
    adapted = with_lora(llama, 2)
    with torch.no_grad():
        for name, weight in adapted.named_parameters():
            if "lora_B" in name:
                weight.fill_(0.5)
    on = evaluate(adapted, tokenizer, rows, cache=tmp_path)
    with adapted.disable_adapter():
        off = evaluate(adapted, tokenizer, rows, cache=tmp_path)
    assert not np.allclose(on["loss"], off["loss"])


# What is refused


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"metrics": ["truth_ratio"]}, "truth_ratio needs rows with perturbed_answer"),
        ({"metrics": ["choice_probability"]}, "needs rows with perturbed_answer"),
        ({"metrics": ["paraphrase_probability"]}, "needs rows with paraphrased_answer"),
        ({"metrics": ["rephrased_extraction_strength"]}, "with paraphrased_question"),
        ({"metrics": ["probabilty"]}, "must be one of probability"),
        ({"metrics": []}, "at least one metric"),
        ({"compat": "tofu"}, "compat='tofu' must be 'open-unlearning'"),
        ({"k": 0.0}, "k=0.0 must lie in"),
        ({"batch": 0}, "batch=0"),
        ({"template": "chat"}, "needs a tokenizer with a chat template"),
    ],
)
def test_wrong_use_is_answered_in_one_sentence(llama, tokenizer, rows, options, says):
    with pytest.raises(UsageError, match=says) as error:
        evaluate(llama, tokenizer, rows, **options)
    assert "\n" not in str(error.value)


def test_nothing_goes_forward_where_a_setting_is_wrong(llama, tokenizer, rows):
    shapes = sizes_of(llama)
    for options in ({"k": 2.0}, {"batch": 0}, {"metrics": ["truth_ratio"]}, {"compat": "x"}):
        with pytest.raises(UsageError):
            evaluate(llama, tokenizer, rows, **options)
    assert shapes == []


def test_encoded_rows_have_no_false_answers(llama, tokenizer, rows):
    with pytest.raises(UsageError, match="truth_ratio needs rows with perturbed_answer"):
        evaluate(llama, None, encode_all(tokenizer, rows), metrics=["truth_ratio"])


def test_a_variant_that_does_not_fit_the_model_is_named(llama, tokenizer, whole):
    long = [*whole[:1], {**whole[1], "perturbed_answer": ["b" * 2000]}]
    with pytest.raises(UsageError, match="row 2 must fit the model's context"):
        evaluate(llama, tokenizer, long)


def test_plain_rows_need_a_tokenizer(llama, rows):
    with pytest.raises(UsageError, match="tokenizer=None"):
        evaluate(llama, None, rows)


@pytest.mark.parametrize("by", ["probability", "extraction_strength", "truth_ratio"])
def test_privleak_takes_only_scores_with_the_sign_of_a_loss(found, by):
    with pytest.raises(UsageError, match=f"by='{by}' must be one of min_k, min_k_plus, loss, zlib"):
        found.privleak(found, by=by)


def test_forget_quality_takes_only_truth_ratios(found):
    with pytest.raises(UsageError, match="must be one of truth_ratio, truth_ratio_geometric"):
        found.forget_quality(found, by="loss")


@pytest.mark.parametrize(
    ("setting", "value"),
    [("template", "chat"), ("eos", True), ("compat", "open-unlearning"), ("k", 0.2)],
)
def test_what_was_measured_in_other_ways_is_not_compared(found, setting, value):
    other = Evaluation(found.values, {**found.settings, setting: value})
    with pytest.raises(UsageError, match=f"both must be measured with the same {setting}"):
        found.privleak(other)
    if setting != "k":
        with pytest.raises(UsageError, match=f"both must be measured with the same {setting}"):
            found.forget_quality(other)


def test_the_share_of_tokens_matters_to_min_k_alone(found):
    other = Evaluation(found.values, {**found.settings, "k": 0.2})
    assert found.privleak(other, by="loss") == found.privleak(found, by="loss")
    assert found.forget_quality(other) == 1.0


def test_a_generator_of_rows_is_measured_like_a_list(learnt, tokenizer, rows):
    for given in (rows[:2], encode_all(tokenizer, rows[:2])):
        whole = evaluate(learnt, tokenizer, given, metrics=["loss"])
        lazy = evaluate(learnt, tokenizer, (row for row in given), metrics=["loss"])
        np.testing.assert_array_equal(lazy["loss"], whole["loss"])


def test_other_rows_have_no_forget_quality(learnt, tokenizer, whole):
    one, other = (evaluate(learnt, tokenizer, part) for part in (whole[:3], whole[:2]))
    with pytest.raises(UsageError, match="both must be measured with the same content"):
        one.forget_quality(other)
    assert one.forget_quality(one) == 1.0


def test_auto_is_what_it_comes_to(learnt, tokenizer, rows):
    auto, plain = (
        evaluate(learnt, tokenizer, rows[:2], template=t, metrics=["loss"])
        for t in ("auto", "plain")
    )
    assert auto.settings == plain.settings
