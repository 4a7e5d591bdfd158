"""Real against artificial fruit: RGB can only guess, nine channels need not."""

import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.neighbors import KNeighborsClassifier

from limen.spectral.toy import Fruit, fruit, lit_pixels


@pytest.fixture(scope="module")
def found() -> Fruit:
    return fruit(frames=2, size=(24, 36))


def pixels(found: Fruit, camera, *, seed: int):
    channels, classes = lit_pixels(found, camera, seed=seed, count=500)
    return channels, classes % 2


@pytest.mark.parametrize("classifier", [LinearDiscriminantAnalysis(), KNeighborsClassifier(15)])
def test_rgb_is_at_chance(found, classifier):
    seen, real = pixels(found, found.rgb, seed=0)
    asked, truth = pixels(found, found.rgb, seed=1)
    right = (classifier.fit(seen, real).predict(asked) == truth).mean()
    assert abs(right - 0.5) < 2 * np.sqrt(0.25 / len(truth))


def test_nine_encoded_channels_tell_them_apart(found):
    seen, real = pixels(found, found.encoded, seed=0)
    asked, truth = pixels(found, found.encoded, seed=1)
    classifier = KNeighborsClassifier(5)
    assert (classifier.fit(seen, real).predict(asked) == truth).mean() >= 0.95


def test_training_and_test_videos_show_the_same_things_elsewhere(found):
    assert found.train.names == found.test.names
    assert found.train.names[:3] == ("background", "real apple", "artificial apple")
    assert not np.array_equal(found.train.mask(0), found.test.mask(0))


def test_making_fruit_leaves_how_numbers_are_printed():
    before = np.get_printoptions()
    fruit(frames=1, size=(12, 12), kinds=1)
    assert np.get_printoptions() == before
