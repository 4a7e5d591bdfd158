"""Makers handed to a detector, and to a mixture, stay as they were."""

import numpy as np
import pytest

from limen import load, save
from limen.anomaly import Classifier, Contrastive, Mixture, Spike, Trend

WAVE = np.sin(np.arange(300) / 5)
QUICK = {"steps": 2, "seed": 0}


@pytest.mark.parametrize("kind", [Classifier, Contrastive])
def test_a_maker_that_is_handed_in_unfitted_stays_unfitted(kind):
    maker = Spike(window=20)
    found = kind(maker, **QUICK, **({"epochs": 1} if kind is Contrastive else {})).fit(WAVE)
    assert maker.scaler is None
    assert found.made.scaler is not None


def test_a_second_fit_meets_a_maker_of_the_second_series():
    found = Classifier(Spike(window=20), **QUICK).fit(WAVE).fit(100 * WAVE)
    assert found.made.scaler.size == pytest.approx(100 * WAVE.std())


def test_a_detector_that_was_fitted_before_is_as_one_that_was_not():
    again = Classifier(Spike(window=20), **QUICK).fit(100 * WAVE).fit(WAVE)
    fresh = Classifier(Spike(window=20), **QUICK).fit(WAVE)
    np.testing.assert_array_equal(again.decision_scores_, fresh.decision_scores_)


def test_a_maker_that_is_handed_in_fitted_is_used_as_it_is():
    maker = Spike(window=20).fit(100 * WAVE)
    found = Classifier(maker, **QUICK).fit(WAVE)
    assert found.made is not maker
    assert found.made.scaler.size == maker.scaler.size


@pytest.mark.parametrize("fitted", [False, True])
def test_what_a_detector_was_taught_by_is_saved_with_it(tmp_path, fitted):
    maker = Spike(window=20).fit(100 * WAVE) if fitted else Spike(window=20)
    found = Classifier(maker, **QUICK).fit(WAVE)
    save(found, tmp_path / "one.safetensors")
    again = load(tmp_path / "one.safetensors")
    assert again.made.scaler.size == found.made.scaler.size
    assert (again.maker.scaler is not None) == fitted


def test_a_mixture_fits_its_members_at_every_fit_and_leaves_those_handed_in_alone():
    spike = Spike(window=20)
    mixture = Mixture([spike, Trend(window=20)]).fit(WAVE).fit(100 * WAVE)
    assert spike.scaler is None
    for member in mixture.made:
        assert member.scaler.size == pytest.approx(100 * WAVE.std())


def test_a_member_that_is_handed_in_fitted_stays_as_it_was_fitted():
    spike = Spike(window=20).fit(WAVE)
    mixture = Mixture([spike, Trend(window=20)]).fit(100 * WAVE)
    assert mixture.made[0].scaler.size == pytest.approx(WAVE.std())
    assert mixture.made[1].scaler.size == pytest.approx(100 * WAVE.std())
