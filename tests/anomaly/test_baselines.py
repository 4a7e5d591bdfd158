"""Baselines against the slow obvious way, and other libraries' detectors in limen's place."""

import numpy as np
import pytest
from sklearn import decomposition
from sklearn.neighbors import NearestNeighbors

from limen._core.errors import UsageError
from limen.anomaly.detectors.adapter import Adapter
from limen.anomaly.detectors.knn import KNN
from limen.anomaly.detectors.matrix_profile import MatrixProfile
from limen.anomaly.detectors.max_z import MaxZ
from limen.anomaly.detectors.moving_variance import MovingVariance
from limen.anomaly.detectors.pca import PCA, WindowedPCA
from limen.anomaly.detectors.random_score import RandomScore
from limen.anomaly.detectors.rms_z import RMSZ
from limen.anomaly.windows import sliding, to_points

RNG = np.random.default_rng(0)
TIME = np.arange(300)
MIXED = RNG.normal(size=(3, 6))
TRAIN = np.stack([np.sin(TIME / k) for k in (4, 7, 11)], 1) @ MIXED + 5
TRAIN += 0.1 * RNG.normal(size=TRAIN.shape)
TEST = TRAIN.copy()
TEST[120:130, 2] += 4.0
Z = (TEST - TRAIN.mean(0)) / TRAIN.std(0)
Z_TRAIN = (TRAIN - TRAIN.mean(0)) / TRAIN.std(0)


def streamed(detector, series):
    detector.reset()
    return np.array([detector.update(point) for point in series])


def test_max_and_root_mean_square_are_of_z():
    np.testing.assert_allclose(MaxZ().fit(TRAIN).decision_function(TEST), np.abs(Z).max(1))
    found = RMSZ().fit(TRAIN).decision_function(TEST)
    np.testing.assert_allclose(found, np.sqrt((Z**2).mean(1)))


@pytest.mark.parametrize("detector", [MaxZ(), RMSZ()])
def test_one_wild_channel_counts_no_more_than_fifty_deviations(detector):
    wild = TRAIN.copy()
    wild[0, 0] = 1e12
    scores = detector.fit(TRAIN).decision_function(wild)
    assert scores[0] <= 50.0


def test_the_residual_of_pca_is_scikit_learns():
    reference = decomposition.PCA(n_components=0.95, svd_solver="full").fit(Z_TRAIN)
    back = reference.inverse_transform(reference.transform(Z))
    found = PCA().fit(TRAIN)
    assert len(found.components) == reference.n_components_
    np.testing.assert_allclose(found.decision_function(TEST), ((Z - back) ** 2).sum(1), rtol=1e-6)


def test_the_residual_of_windows_is_scikit_learns():
    rows, train = (sliding(z, 8).reshape(-1, 48) for z in (Z, Z_TRAIN))
    reference = decomposition.PCA(n_components=5, svd_solver="full").fit(train)
    back = reference.inverse_transform(reference.transform(rows))
    found = WindowedPCA(window=8, components=5).fit(TRAIN).decision_function(TEST)
    expected = to_points(((rows - back) ** 2).mean(1), 300, window=8)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_windowed_pca_is_fitted_alike_in_one_block_and_in_several(monkeypatch):
    whole = WindowedPCA(window=8, components=5).fit(TRAIN).decision_scores_
    monkeypatch.setattr("limen.anomaly.detectors.pca._BLOCK", 7)
    np.testing.assert_allclose(WindowedPCA(window=8, components=5).fit(TRAIN).decision_scores_,
                               whole, rtol=1e-9)  # fmt: skip


def test_more_components_leave_less():
    left = [WindowedPCA(window=8, components=c).fit(TRAIN).decision_scores_ for c in (2, 8, 30)]
    assert left[0].mean() > left[1].mean() > left[2].mean() > 0


@pytest.mark.parametrize("k", [1, 3])
def test_the_distance_of_knn_is_exact(k):
    rows, train = (sliding(z, 8).reshape(-1, 48) for z in (Z, Z_TRAIN))
    far = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(train).kneighbors(rows)[0][:, -1]
    found = KNN(window=8, k=k).fit(TRAIN).decision_function(TEST)
    expected = to_points(far / np.sqrt(48), 300, window=8)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_knn_on_normalised_windows_sees_shape_alone():
    found = KNN(window=20, normalise=True).fit(TRAIN)
    scores = [found.decision_function(x) for x in (TEST, 3 * TEST + 100)]
    np.testing.assert_allclose(*scores, atol=1e-6)
    assert 110 < scores[0].argmax() < 140


def test_knn_keeps_windows_of_all_series_evenly():
    found = KNN(window=8, most=20).fit([TRAIN[:100], TRAIN[100:]])
    chosen = np.linspace(0, 93 + 193 - 1, 20).round().astype(int)
    rows = np.concatenate([sliding(x, 8) for x in (Z_TRAIN[:100], Z_TRAIN[100:])])[chosen]
    np.testing.assert_allclose(found.known, rows.reshape(20, -1))
    with pytest.raises(UsageError, match="k must be 1 to 20"):
        KNN(window=8, most=20, k=21).fit(TRAIN)


def test_moving_variance_is_the_z_of_log_variances():
    logs, usual = (np.log(sliding(z, 8).var(1) + 1e-6) for z in (Z, Z_TRAIN))
    expected = np.abs((logs - usual.mean(0)) / usual.std(0)).mean(1)
    found = MovingVariance(window=8).fit(TRAIN).decision_function(TEST)
    np.testing.assert_allclose(found, to_points(expected, 300, window=8))


def test_moving_variance_finds_what_stops_moving():
    quiet = TRAIN.copy()
    quiet[150:180] = quiet[150]
    assert 140 < MovingVariance(window=20).fit(TRAIN).decision_function(quiet).argmax() < 190


def test_random_scores_are_noise_also_where_the_series_repeats_itself():
    scores = RandomScore().fit(TRAIN).decision_function(np.ones((4000, 6)))
    assert len(np.unique(scores)) == 4000
    assert abs(scores.mean() - 0.5) < 0.02  # 4 standard errors of a uniform mean
    assert abs(np.corrcoef(scores[1:], scores[:-1])[0, 1]) < 0.07


def test_random_scores_know_nothing_of_the_values_but_their_seed():
    found, other = (RandomScore(seed=s).fit(TRAIN).decision_function(TEST) for s in (0, 1))
    assert np.array_equal(found, RandomScore().fit(TRAIN).decision_function(TRAIN))
    assert not np.array_equal(found, other)


def test_random_scores_begin_again_with_the_stream():
    detector = RandomScore().fit(TRAIN)
    first = streamed(detector, TEST[:9])
    assert np.array_equal(first, streamed(detector, TRAIN[:9]))
    with pytest.raises(UsageError, match="must have 6 channels"):
        detector.update([0.0])


# a matrix profile


def naive(train, series, window):
    """The definition: every z-normalised window against every training window, by channel."""

    def shapes(values):
        rows = sliding(values[:, None], window)[:, :, 0]
        spread = rows.std(1, keepdims=True)
        flat = np.ptp(rows, axis=1, keepdims=True) == 0
        return np.where(flat, 0.0, (rows - rows.mean(1, keepdims=True)) / np.where(flat, 1, spread))

    far = []
    for c in range(train.shape[1]):
        gaps = shapes(series[:, c])[:, None] - shapes(train[:, c])[None]
        far.append(np.sqrt((gaps**2).sum(2)).min(1))
    return np.mean(far, axis=0)


FLAT = TEST.copy()
FLAT[200:230] = 5.5
LEAP = TEST + 1e4 * (TIME > 150)[:, None]


@pytest.mark.slow  # stumpy compiles first
@pytest.mark.parametrize("offset", [0.0, 1e5])
@pytest.mark.parametrize("series", [TEST, FLAT, LEAP], ids=["plain", "flat stretch", "leap"])
def test_the_matrix_profile_is_its_definition_in_a_batch_and_in_a_stream(series, offset):
    pytest.importorskip("stumpy")
    found = MatrixProfile(window=12).fit(TRAIN[:200, :2] + offset)
    part = series[110:240, :2] + offset
    expected = naive(TRAIN[:200, :2] + offset, part, 12)
    batch = found.decision_function(part, align="end")
    np.testing.assert_allclose(batch[11:], expected, atol=1e-6)
    np.testing.assert_allclose(streamed(found, part), batch, atol=1e-6)


@pytest.mark.slow  # stumpy compiles first
def test_the_matrix_profile_comes_back_from_a_file_and_takes_one_series(tmp_path):
    pytest.importorskip("stumpy")
    import limen

    found = MatrixProfile(window=12).fit(TRAIN)
    limen.save(found, tmp_path / "profile")
    again = limen.load(tmp_path / "profile")
    assert np.array_equal(again.decision_function(TEST), found.decision_function(TEST))
    with pytest.raises(UsageError, match="takes one series"):
        MatrixProfile(window=12).fit([TRAIN, TEST])


# other libraries' detectors


def test_an_object_that_is_no_detector_is_refused():
    with pytest.raises(UsageError, match="must have fit, and decision_function"):
        Adapter("isolation forest")


def test_pyods_detectors_score_windows_of_z():
    ECOD = pytest.importorskip("pyod.models.ecod").ECOD
    found = Adapter(ECOD(), window=10).fit(TRAIN)
    rows, train = (sliding(z, 10).reshape(-1, 60) for z in (Z, Z_TRAIN))
    expected = to_points(ECOD().fit(train).decision_function(rows), 300, window=10)
    np.testing.assert_allclose(found.decision_function(TEST), expected, rtol=1e-6)


class Knower:
    """What aeon's detectors offer, with the axis that time is on written down."""

    __module__ = "aeon.anomaly_detection"

    def __init__(self, normal=True):
        self.normal, self.seen = normal, None

    def get_tag(self, tag):
        return {"learning_type:semi_supervised": self.normal, "fit_is_empty": False}[tag]

    def fit(self, X, axis=1):
        self.seen = X.mean(axis)

    def predict(self, X, axis=1):
        return np.abs(X - self.seen).max(1 - axis)

    def fit_predict(self, X, axis=1):
        return np.abs(X - np.median(X, axis)).max(1 - axis)


def test_aeons_detectors_that_learn_are_asked_by_what_they_learnt():
    found = Adapter(Knower()).fit(TRAIN).decision_function(TEST)
    np.testing.assert_allclose(found, np.abs(Z).max(1), atol=1e-9)


def test_aeons_detectors_that_do_not_learn_see_the_scored_series_alone():
    found = Adapter(Knower(normal=False)).fit(TRAIN).decision_function(TEST)
    np.testing.assert_allclose(found, np.abs(Z - np.median(Z, 0)).max(1), atol=1e-9)


def test_aeons_detectors_take_one_series_and_follow_no_stream():
    with pytest.raises(UsageError, match="takes one series"):
        Adapter(Knower()).fit([TRAIN, TEST])
    with pytest.raises(UsageError, match="cannot follow a stream"):
        Adapter(Knower()).fit(TRAIN).update(TEST[0])


@pytest.mark.slow  # aeon compiles first
@pytest.mark.parametrize("channels", [1, 6])
def test_a_detector_of_aeon_finds_the_planted_stretch(channels):
    room = pytest.importorskip("aeon.anomaly_detection.series.distance_based")
    inner = room.KMeansAD(n_clusters=8, window_size=20, random_state=0)
    here = slice(2, 3) if channels == 1 else slice(None)
    scores = Adapter(inner).fit(TRAIN[:, here]).decision_function(TEST[:, here])
    assert scores.shape == (300,)
    assert 100 < scores.argmax() < 150


def test_an_adapter_writes_nothing_that_would_have_to_be_unpickled():
    from sklearn.ensemble import IsolationForest

    with pytest.raises(UsageError, match="limen unpickles nothing"):
        Adapter(IsolationForest(n_estimators=5), window=10).fit(TRAIN).to_dict()


@pytest.mark.parametrize("kind", [KNN, MovingVariance, WindowedPCA])
def test_a_window_of_no_points_is_refused_and_not_taken_for_automatic(kind):
    with pytest.raises(UsageError, match="1 or more, got 0"):
        kind(window=0).fit(TRAIN)
