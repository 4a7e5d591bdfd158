"""A judgement against the measures it is made of, and what it refuses."""

import numpy as np
import pytest

from limen._core.errors import UsageError
from limen._core.streams import numpy_stream
from limen.bank import FeatureBank, Outputs
from limen.measure import auroc, fpr_at_tpr
from limen.ood.compare import compare
from limen.ood.judge import judge
from limen.ood.scores.energy import energy
from limen.ood.scores.extra_class import extra_class
from limen.ood.scores.knn import KNN
from limen.ood.scores.msp import msp
from limen.report import Table


def outputs(name: str, rows: int = 40, *, scale: float = 3.0, labelled: bool = False) -> Outputs:
    stream = numpy_stream(0, name)
    labels = stream.integers(3, size=rows)
    features = stream.normal(size=(rows, 3)) + scale * np.eye(3)[labels]
    kept = labels if labelled else None
    return Outputs(logits=features, features=features, labels=kept)


def bank(**more: Outputs) -> FeatureBank:
    sets = {"train": outputs("train", 60, labelled=True), "id": outputs("id", labelled=True)}
    sets |= {"near": outputs("near", 30, scale=1.0), "far": outputs("far", 20, scale=0.0)}
    return FeatureBank.of({**sets, **more}, weight=np.eye(3), bias=np.zeros(3))


def judged(**more: object):
    return judge(bank(), outliers=["near", "far"], scores=[msp, energy], **more)


def test_beside_the_extra_class_other_scores_see_the_known_classes_alone() -> None:
    plain, wide = bank(), {}
    for name in plain.names:
        one = plain[name]
        more = np.column_stack([one.logits, one.features.sum(axis=1)])
        wide[name] = Outputs(logits=more, features=one.features, labels=one.labels)
    head = np.vstack([np.eye(3), np.ones((1, 3))])
    extra = FeatureBank.of(wide, weight=head, bias=np.zeros(4))
    asked = {"outliers": ["near", "far"], "scores": [msp, energy, extra_class]}
    found = judge(extra, **asked)
    known = judge(plain, outliers=["near", "far"], scores=[msp, energy])
    for score in ("msp", "energy"):
        assert np.array_equal(found.inliers[score], known.inliers[score])
    assert np.array_equal(found.inliers["extra_class"], extra_class(extra["id"].logits))
    assert max(named.max() for named in found.predicted.values()) < 3
    with pytest.raises(UsageError, match="extra_classes=3 must leave two known classes"):
        judge(extra, **asked, extra_classes=3)


def test_a_row_holds_the_measures_of_its_scores() -> None:
    found = judged()
    row = dict(zip(found.columns, found.rows[1], strict=True))
    inliers, outliers = found.pair("msp", "far")
    assert row["outliers"] == "far"
    assert row["AUROC"].value == auroc(inliers, outliers)
    kept = row["FPR95, 95 % of inliers kept"].value
    assert kept == fpr_at_tpr(inliers, outliers, positive="inlier")
    caught = row["FPR95, 95 % of outliers caught"].value
    assert caught == fpr_at_tpr(inliers, outliers, positive="outlier")


def test_every_interval_holds_its_figure() -> None:
    for row in judged().rows:
        assert all(c.low <= c.value <= c.high for c in row[2:7])


def test_pooled_rows_are_the_rows_of_their_members() -> None:
    found = judged(groups={"both": ["near", "far"]})
    everything = np.concatenate([found.outliers["msp"]["near"], found.outliers["msp"]["far"]])
    np.testing.assert_array_equal(found.outliers["msp"]["all"], everything)
    np.testing.assert_array_equal(found.outliers["msp"]["both"], everything)


def test_each_score_is_fitted_once_and_on_the_training_set_only() -> None:
    seen: list[np.ndarray] = []

    class Watched(KNN):
        def fit(self, features):
            seen.append(features)
            return super().fit(features)

    held = bank()
    judge(held, outliers=["near", "far"], scores=[Watched(k=2)])
    assert len(seen) == 1
    np.testing.assert_array_equal(seen[0], held["train"].features)


def test_tradeoffs_are_the_roc_of_each_score_and_set() -> None:
    found = judged()
    for curve in found.tradeoffs:
        assert curve.area() == pytest.approx(auroc(*found.pair(*curve.name.split(", "))))
    assert len(found.tradeoffs) == len(found.rows)


def test_it_is_a_table_that_a_page_takes_and_gives_back() -> None:
    found = judged()
    back = Table.from_dict(found.to_dict())
    assert (list(back.columns), len(back.rows)) == (list(found.columns), len(found.rows))


def test_the_protocol_stands_under_every_table() -> None:
    found = judged()
    for table in (found, found.paired, found.by_class, compare(found, found)):
        assert "id (40 rows)" in table.protocol
        assert "Network passes" in table.protocol


def test_holm_never_lowers_a_p_value() -> None:
    assert all(row[5] >= row[4] for row in judged().paired.rows)


def test_every_outlier_is_mistaken_for_one_class_and_false_alarms_are_five_percent() -> None:
    rows = [row for row in judged().by_class.rows if row[0] == "msp"]
    assert sum(row[4] for row in rows) == 50
    assert sum(row[2] * row[3] for row in rows) == pytest.approx(2)  # of 40


def test_a_method_against_itself_differs_by_nothing() -> None:
    assert all(row[2].value == 0 and row[3] == 1 for row in compare(judged(), judged()).rows)


def test_seeds_are_compared_by_students_interval_of_their_differences() -> None:
    worse = judge(
        bank(far=outputs("other", 20, scale=1.0)), outliers=["near", "far"], scores=[msp, energy]
    )
    table = compare([judged(), judged()], [judged(), worse])
    row = next(row for row in table.rows if row[:2] == ["msp", "far"])
    gap = auroc(*judged().pair("msp", "far")) - auroc(*worse.pair("msp", "far"))
    assert row[2].value == pytest.approx(gap / 2)
    assert row[3] == 2
    # two seeds, differences 0 and gap: t(1) = 12.706, standard error gap / 2
    assert row[2].high == pytest.approx(gap / 2 + 12.7062 * abs(gap) / 2, rel=1e-4)


def test_judgements_of_other_rows_are_refused() -> None:
    with pytest.raises(UsageError, match="the same rows"):
        compare(judged(), judge(bank(), outliers=["near"], scores=[msp]))
    with pytest.raises(UsageError, match="as many seeds"):
        compare([judged()], [judged(), judged()])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"outliers": ["fra"]}, "nearest: .*far"),
        ({"outliers": ["id"]}, "named once"),
        ({"outliers": "far"}, "list of set names"),
        ({"outliers": ["far"], "groups": {"near": ["far", "svhn"]}}, "members among"),
        ({"outliers": ["far"], "scores": [msp, msp]}, "different names"),
        ({"outliers": ["far"], "scores": [KNN(k=2)], "train": "tain"}, "nearest: .*train"),
        ({"outliers": ["far"], "inliers": "near"}, "must have labels"),
    ],
)
def test_what_cannot_be_judged_is_refused(wrong: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        judge(bank(), **wrong)


def test_inliers_of_one_class_are_refused() -> None:
    one = Outputs(logits=np.eye(3), labels=[1, 1, 1])
    with pytest.raises(UsageError, match="two classes or more, got only class 1"):
        judge(bank(id=one), outliers=["far"])


def test_nan_scores_are_refused_by_name() -> None:
    def broken(logits):
        return np.full(len(logits), np.nan)

    with pytest.raises(UsageError, match="broken of set 'id' must not hold NaN"):
        judge(bank(), outliers=["far"], scores=[broken])
