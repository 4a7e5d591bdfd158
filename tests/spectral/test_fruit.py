"""Real against artificial fruit: RGB can only guess, nine channels need not."""

import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.neighbors import KNeighborsClassifier

from limen._core.streams import numpy_stream
from limen.spectral.toy import Fruit, fruit


@pytest.fixture(scope="module")
def found() -> Fruit:
    return fruit(frames=2, size=(24, 36))


def pixels(found: Fruit, camera, *, seed: int, count: int = 60):
    """Equal numbers of real and artificial pixels of each kind, in any light."""
    things = np.stack([found.real, found.artificial], axis=1).reshape(-1, found.real.shape[1])
    labels = np.repeat(np.arange(len(things)), count**2 // len(things) // 36 * 36)
    light = numpy_stream(seed, "light").uniform(0.6, 1.0, size=(len(labels), 1))
    values = (things[labels] * light).reshape(-1, 6, things.shape[1]).astype(np.float32)
    if camera.mosaic is not None:
        values = values.repeat(3, axis=0).repeat(3, axis=1)
    counts = camera.capture(values, seed=seed, wavelengths=found.train.wavelengths)
    return counts.channels().reshape(-1, camera.count), labels % 2


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
