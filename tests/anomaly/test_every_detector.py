"""What holds for every detector: aligned, one way up, streamed, stored, refused alike."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.ensemble import IsolationForest

import limen
from limen._core.errors import UsageError
from limen.anomaly.detectors import (
    KNN,
    PCA,
    RMSZ,
    Adapter,
    AutoEncoder,
    Classifier,
    Contrastive,
    DeepSVDD,
    Forecaster,
    MatrixProfile,
    MaxZ,
    MovingVariance,
    RandomScore,
    WindowedPCA,
)
from limen.anomaly.synth.carla import CARLA

RNG = np.random.default_rng(0)
TIME = np.arange(360)
WAVES = np.stack([np.sin(TIME / 4), np.cos(TIME / 6)], 1) + 0.02 * RNG.normal(size=(360, 2))
QUICK = {"steps": 20, "batch": 32}
BROKEN = WAVES.copy()
BROKEN[200:212] += np.linspace(2.5, 4.0, 12)[:, None] * (-1.0) ** np.arange(12)[:, None]


def makers():
    return {
        "RandomScore": RandomScore(),
        "MaxZ": MaxZ(),
        "RMSZ": RMSZ(),
        "PCA": PCA(explained=0.4),
        "WindowedPCA": WindowedPCA(window=20, components=4),
        "KNN": KNN(window=20),
        "MovingVariance": MovingVariance(window=20),
        "AutoEncoder": AutoEncoder(window=20, width=4, code=4, **QUICK),
        "Forecaster": Forecaster(window=20, width=4, **QUICK),
        "DeepSVDD": DeepSVDD(window=20, width=4, code=8, **QUICK),
        "Classifier": Classifier(CARLA(window=20), width=4, **QUICK),
        "Contrastive": Contrastive(CARLA(window=20), epochs=2, **QUICK),
        "Adapter": Adapter(IsolationForest(n_estimators=20, random_state=0), window=20),
    }


NAMES = list(makers())
FINDS = [name for name in NAMES if name not in ("RandomScore", "PCA", "Contrastive", "DeepSVDD")]


@pytest.fixture(scope="module")
def fitted():
    return {name: made.fit(WAVES) for name, made in makers().items()}


@pytest.mark.parametrize("name", NAMES)
def test_every_point_has_a_finite_score(fitted, name):
    for align in ("mean", "end"):
        scores = fitted[name].decision_function(BROKEN, align=align)
        assert scores.shape == (360,)
        assert np.isfinite(scores).all()


@pytest.mark.parametrize("name", FINDS)
def test_the_planted_stretch_scores_highest(fitted, name):
    at = int(fitted[name].decision_function(BROKEN).argmax())
    assert 180 <= at < 232


@pytest.mark.parametrize("name", NAMES)
def test_a_stream_gives_what_the_batch_gives(fitted, name):
    detector = fitted[name].reset()
    batch = detector.decision_function(BROKEN[150:230], align="end")
    stream = [detector.update(point) for point in BROKEN[150:230]]
    np.testing.assert_allclose(stream, batch, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "Adapter"])
def test_what_is_saved_scores_the_same_bits(fitted, name, tmp_path):
    limen.save(fitted[name], tmp_path / "detector")
    again = limen.load(tmp_path / "detector")
    assert np.array_equal(again.decision_function(BROKEN), fitted[name].decision_function(BROKEN))
    assert again.threshold_ == fitted[name].threshold_
    assert again.get_params(deep=False).keys() == fitted[name].get_params(deep=False).keys()


@pytest.mark.parametrize("name", NAMES)
def test_it_speaks_pyods_words(fitted, name):
    found = fitted[name]
    assert len(found.decision_scores_) == len(found.labels_) == 360
    assert set(np.unique(found.predict(BROKEN))) <= {0, 1}
    assert np.array_equal(found.predict(BROKEN), found.decision_function(BROKEN) > found.threshold_)
    assert np.array_equal(found.score_samples(BROKEN), found.decision_function(BROKEN))


@pytest.mark.parametrize("name", NAMES)
def test_scikit_learn_can_clone_it_unfitted(name):
    again = clone(makers()[name])
    assert again.channels is None
    with pytest.raises(UsageError, match="must be fitted first"):
        again.decision_function(WAVES)


@pytest.mark.parametrize("name", ["AutoEncoder", "Forecaster", "Contrastive", "Classifier"])
def test_the_same_seed_trains_the_same_detector(fitted, name):
    again = makers()[name].fit(WAVES)
    assert np.array_equal(again.decision_scores_, fitted[name].decision_scores_)


@pytest.mark.parametrize("name", NAMES)
def test_labels_other_channels_and_short_series_are_refused(fitted, name):
    with pytest.raises(UsageError, match="fit takes no labels"):
        makers()[name].fit(WAVES, np.zeros(360))
    with pytest.raises(UsageError, match="must have 2 channels"):
        fitted[name].decision_function(WAVES[:, :1])
    if name not in ("RandomScore", "MaxZ", "RMSZ", "PCA"):
        with pytest.raises(UsageError, match="at least as long as the window"):
            makers()[name].fit(WAVES[:15])


@pytest.mark.parametrize("name", NAMES)
def test_a_constant_series_teaches_nothing_and_is_scored_without_a_nan(fitted, name):
    with pytest.raises(UsageError, match="must vary"):
        makers()[name].fit(np.ones((60, 2)))
    assert np.isfinite(fitted[name].decision_function(np.ones((60, 2)))).all()


@pytest.mark.parametrize(
    "name", ["MaxZ", "RMSZ", "PCA", "WindowedPCA", "AutoEncoder", "Forecaster"]
)
def test_attribution_points_at_the_channel_that_was_broken(fitted, name):
    one = WAVES.copy()
    one[200:206, 1] += 6.0
    parts = fitted[name].attribution(one)
    assert parts.shape == (360, 2)
    assert (parts[200:206, 1] > parts[200:206, 0]).mean() > 0.6


@pytest.mark.parametrize("name", ["KNN", "MovingVariance", "RandomScore"])
def test_a_detector_that_cannot_tell_the_channel_says_so(fitted, name):
    with pytest.raises(UsageError, match="cannot tell which channel"):
        fitted[name].attribution(WAVES)


def test_frames_lists_and_plain_arrays_are_one_series():
    frame = pd.DataFrame(WAVES, columns=["a", "b"])
    of_frame, of_list = (RMSZ().fit(one).decision_scores_ for one in (frame, WAVES.tolist()))
    np.testing.assert_allclose(of_frame, of_list)
    assert RMSZ().fit(WAVES[:, 0]).channels == 1


def test_several_series_are_windowed_apart():
    scores = KNN(window=20).fit([WAVES[:100], WAVES[100:]]).decision_scores_
    assert scores.shape == (360,)


def test_an_automatic_window_is_a_period():
    wave = np.sin(2 * np.pi * np.arange(600) / 40)
    assert KNN().fit(wave).size == 40


@pytest.mark.slow  # stumpy compiles first
def test_the_matrix_profile_is_the_same_by_join_and_one_by_one():
    pytest.importorskip("stumpy")
    found = MatrixProfile(window=16).fit(WAVES[:200])
    batch = found.decision_function(BROKEN[190:230], align="end")
    stream = [found.update(point) for point in BROKEN[190:230]]
    np.testing.assert_allclose(stream[16:], batch[16:], atol=1e-5)


def test_the_adapter_turns_scikit_learns_sign():
    inner = IsolationForest(n_estimators=20, random_state=0)
    found = Adapter(inner, window=1).fit(WAVES)
    rows = (BROKEN - WAVES.mean(0)) / WAVES.std(0)
    expected = (
        -IsolationForest(n_estimators=20, random_state=0)
        .fit((WAVES - WAVES.mean(0)) / WAVES.std(0))
        .score_samples(rows)
    )
    np.testing.assert_allclose(found.decision_function(BROKEN), expected)


def test_a_point_that_is_no_number_is_refused_in_a_stream(fitted):
    with pytest.raises(UsageError, match="x must not have missing values"):
        fitted["RMSZ"].update([np.nan, 0.0])


def test_a_threshold_of_ones_own_is_stored_fitted_and_stays_blank_in_the_options(tmp_path):
    asked = limen.Threshold(alpha=0.1)
    found = RMSZ(threshold=asked).fit(WAVES)
    limen.save(found, tmp_path / "detector")
    again = limen.load(tmp_path / "detector")
    assert again.threshold_ == found.threshold_
    assert again.threshold.alpha == 0.1
    assert asked.count == 0
