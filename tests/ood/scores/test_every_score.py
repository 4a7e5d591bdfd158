"""What every score of the catalogue promises, found by discovery."""

import copy
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from toy_outputs import BIAS, NAMES, WEIGHT, inliers, make, outliers, seen_by

import limen
from limen._core.errors import UsageError
from limen.measure import auroc
from limen.measure.moments import Moments
from limen.ood.scores.protocol import fits, fitted, name_of, scored, sees
from limen.ood.scores.sharing import sharing

every = pytest.mark.parametrize("name", NAMES)
FITTED = [name for name in NAMES if fits(make(name))]
every_fitted = pytest.mark.parametrize("name", FITTED)
KINDS = ("logits", "features", "grams")


def ready(name, dtype=np.float32):
    """The score, fitted on toy inliers."""
    return fitted(make(name), inliers(dtype=dtype), weight=WEIGHT, bias=BIAS)


def taken(score, found):
    return [getattr(seen_by(score, found), kind) for kind in sees(score)]


def fit_arrays(name):
    given = {**vars(inliers()), "weight": WEIGHT, "bias": BIAS, "layers": None}
    return {kind: given[kind] for kind in fits(make(name))}


@every
def test_outliers_score_higher_than_inliers(name):
    score = ready(name)
    inner = scored(score, seen_by(score, inliers(seed=1)))
    outer = scored(score, seen_by(score, outliers()))
    assert auroc(inner, outer) > 0.9


@every
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_arrays_give_arrays_of_their_precision_or_float32(name, dtype):
    score = ready(name)
    found = score(*[a.astype(dtype) for a in taken(score, outliers())])
    assert isinstance(found, np.ndarray)
    assert (found.dtype, found.shape) == (np.result_type(dtype, np.float32), (30,))


@every
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_tensors_give_tensors_of_their_precision_or_float32(name, dtype):
    score = ready(name)
    found = score(*[torch.from_numpy(a).to(dtype) for a in taken(score, outliers())])
    assert isinstance(found, torch.Tensor)
    assert (found.dtype, found.shape) == (torch.promote_types(dtype, torch.float32), (30,))


@every
def test_tensors_and_arrays_score_alike_and_fit_alike(name):
    arrays = [torch.from_numpy(a) for a in taken(ready(name), outliers())]
    as_tensor = make(name)
    if fits(as_tensor):
        as_tensor = as_tensor.fit(
            *[None if a is None else torch.as_tensor(a) for a in fit_arrays(name).values()]
        )
    theirs = ready(name)(*taken(ready(name), outliers()))
    np.testing.assert_allclose(as_tensor(*arrays).numpy(), theirs, rtol=1e-5, atol=1e-6)


@every
def test_a_score_is_row_by_row(name):
    score, rows = ready(name), outliers()
    whole = score(*taken(score, rows))
    order = np.random.default_rng(0).permutation(len(whole))
    shuffled = score(*[a[order] for a in taken(score, rows)])
    alone = np.concatenate([score(*[a[i : i + 1] for a in taken(score, rows)]) for i in range(5)])
    # float32 products are summed in another order for other shapes
    np.testing.assert_allclose(shuffled, whole[order], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(alone, whole[:5], rtol=1e-5, atol=1e-5)


@every
def test_nan_is_refused_by_name(name):
    score = ready(name)
    for place, kind in enumerate(sees(score)):
        arrays = [a.copy() for a in taken(score, outliers())]
        arrays[place][4, 1] = np.nan
        said = "similarities" if name == "MCM" else kind
        with pytest.raises(UsageError, match=rf"{said} must be finite.* 1 of 30 rows, row 4 first"):
            score(*arrays)


@every_fitted
def test_nan_is_refused_by_fit(name):
    arrays = fit_arrays(name)
    for kind in set(arrays) & set(KINDS):
        broken = {**arrays, kind: arrays[kind].copy()}
        broken[kind][4, 1] = np.nan
        with pytest.raises(UsageError, match=f"{kind} must be finite"):
            make(name).fit(*broken.values())


@every
def test_arguments_are_left_as_they_are(name):
    score = make(name)
    train, test = inliers(), outliers()
    before = copy.deepcopy((train, test))
    scored(fitted(score, train, weight=WEIGHT, bias=BIAS), seen_by(score, test))
    for now, then in zip((train, test), before, strict=True):
        for kind in KINDS:
            np.testing.assert_array_equal(getattr(now, kind), getattr(then, kind))


@every
def test_arrays_that_cannot_be_written_will_do(name):
    train, test = inliers(), outliers()
    for found in (train, test):
        for kind in KINDS:
            getattr(found, kind).flags.writeable = False
    score = fitted(make(name), train, weight=WEIGHT, bias=BIAS)
    assert np.isfinite(scored(score, seen_by(score, test))).all()


@every
def test_fitted_gives_a_copy(name):
    score = make(name)
    found = fitted(score, inliers(), weight=WEIGHT, bias=BIAS)
    if not fits(score):
        assert found is score
        return
    with pytest.raises(UsageError, match="must be fitted first"):
        scored(score, seen_by(score, outliers()))


@pytest.mark.parametrize("name", [n for n in FITTED if n != "TemperatureScaling"])
def test_another_width_than_in_fit_is_refused(name):
    score = ready(name)
    with pytest.raises(UsageError, match="columns as in fit"):
        score(*[a[:, :-1] for a in taken(score, outliers())])


@every_fitted
def test_a_fitted_score_is_saved_and_loaded(name, tmp_path):
    score = ready(name)
    again = limen.load(limen.save(score, tmp_path / "score"))
    rows = taken(score, outliers())
    assert type(again) is type(score)
    assert name_of(again) == name_of(score)
    np.testing.assert_array_equal(again(*rows), score(*rows))


@every_fitted
def test_an_unfitted_score_is_not_saved(name, tmp_path):
    with pytest.raises(UsageError, match=r"must be fitted first: .*fit\("):
        limen.save(make(name), tmp_path / "score")


@every_fitted
def test_scores_fitted_together_are_the_scores_fitted_alone(name):
    train = inliers()
    with sharing():
        fitted(make("RelativeMahalanobis"), train)
        together = fitted(make(name), train, weight=WEIGHT, bias=BIAS)
    rows = taken(together, outliers())
    np.testing.assert_allclose(together(*rows), ready(name)(*rows), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", [n for n in NAMES if "labels" in fits(make(n))])
@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (np.zeros(90, dtype=int), "at least two classes"),
        (np.arange(90) % 3 + 1, "must be 0"),
        (np.arange(90) % 3 - 1, "must be 0"),
        (np.arange(90) % 3 / 2, "must be 90 integers"),
        (np.arange(80) % 3, "must be 90 integers"),
    ],
    ids=["one class", "from 1", "from -1", "fractions", "too few"],
)
def test_labels_that_are_not_0_to_c_are_refused(name, labels, said):
    train = inliers()
    train.labels = labels
    arrays = {**fit_arrays(name), "labels": labels}
    if np.issubdtype(labels.dtype, np.integer) and len(labels) == 90:
        with pytest.raises(UsageError, match=said):
            fitted(make(name), train, weight=WEIGHT, bias=BIAS)
    else:  # other types and shapes are what the signature refuses
        with pytest.raises((UsageError, TypeError)):
            make(name).fit(*arrays.values())


@every
def test_a_bank_without_the_arrays_is_told_which(name):
    score = ready(name)
    with pytest.raises(UsageError, match=f"{sees(score)[0]}, which this bank|with .*, which"):
        scored(score, SimpleNamespace())


@every_fitted
def test_a_training_set_without_the_arrays_is_told_which(name):
    needed = [kind for kind in fits(make(name)) if kind not in ("bias", "layers")]
    with pytest.raises(UsageError, match=f"fitted on the training set with {', '.join(needed)}"):
        fitted(make(name), SimpleNamespace())


@every
def test_the_name_for_a_table_is_the_name_of_the_catalogue(name):
    found = getattr(limen.ood.scores, name)
    assert name_of(found() if isinstance(found, type) else found) == name


BAD_OPTIONS = [
    ("msp", {"temperature": 0.0}),
    ("energy", {"temperature": -1.0}),
    ("GEN", {"gamma": 0.0}),
    ("GEN", {"top": 0}),
    ("MCM", {"temperature": 0.0}),
    ("GradNorm", {"temperature": 0.0}),
    ("ODIN", {"temperature": 0.0}),
    ("ODIN", {"epsilon": -0.1}),
    ("KNN", {"k": 0}),
    ("KNN", {"engine": "trees"}),
    ("NNGuide", {"k": 0}),
    ("NCI", {"alpha": -1.0}),
    ("ReAct", {"percentile": 101.0}),
    ("DICE", {"percentile": -1.0}),
    ("SCALE", {"percentile": 101.0}),
    ("ASH", {"percentile": 101.0}),
    ("ASH", {"variant": "q"}),
    ("VRA", {"lower": 96.0}),
    ("VRA", {"shift": -0.1}),
    ("Gram", {"held_out": 0.6}),
    ("HullDistance", {"dim": 0}),
]


@pytest.mark.parametrize(("name", "options"), BAD_OPTIONS, ids=str)
def test_an_option_out_of_range_is_refused_by_name_before_work(name, options):
    found = getattr(limen.ood.scores, name)
    with pytest.raises(UsageError, match=f"{next(iter(options))}="):
        found(**options) if isinstance(found, type) else found(inliers().logits, **options)


@pytest.mark.parametrize("options", [{"dim": 12}, {"dim": 0}])
@pytest.mark.parametrize("name", ["ViM", "Residual"])
def test_a_principal_space_as_wide_as_the_features_is_refused(name, options):
    score = getattr(limen.ood.scores, name)(**options)
    with pytest.raises(UsageError, match=r"dim=.* between 1 and 11"):
        fitted(score, inliers(), weight=WEIGHT, bias=BIAS)


@pytest.mark.parametrize("name", ["KNN", "NNGuide"])
def test_more_neighbours_than_rows_are_refused(name):
    with pytest.raises(UsageError, match="at least k=91 rows, got 90"):
        fitted(getattr(limen.ood.scores, name)(k=91), inliers())


def test_options_that_are_not_defaults_stand_in_the_name():
    assert name_of(limen.ood.scores.KNN(k=7, normalise=False)) == "KNN(k=7, normalise=False)"


def test_moments_are_counted_once_for_scores_fitted_together(monkeypatch):
    counted = []
    of = Moments.of.__func__

    def counting(cls, *arrays):
        counted.append(len(arrays))
        return of(cls, *arrays)

    monkeypatch.setattr(Moments, "of", classmethod(counting))
    train = inliers()
    with sharing():
        for name in ("Mahalanobis", "RelativeMahalanobis", "ViM", "Residual", "NCI", "FDBD"):
            fitted(make(name), train, weight=WEIGHT, bias=BIAS)
    assert len(counted) == 1


def test_nothing_is_remembered_after_sharing():
    train = inliers()
    with sharing():
        before = fitted(make("Mahalanobis"), train)
    train.features += 1
    after = fitted(make("Mahalanobis"), train)
    torch.testing.assert_close(after.origin, before.origin + 1)
