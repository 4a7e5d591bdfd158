"""What is no score, given to `judge` from Python."""

import numpy as np
import pytest

from limen import FeatureBank, ood
from limen._core.errors import UsageError
from limen.bank import Outputs


@pytest.fixture
def bank():
    rng = np.random.default_rng(0)
    sets = {
        name: Outputs(
            logits=rng.normal(size=(40, 3)).astype(np.float32),
            features=rng.normal(size=(40, 5)).astype(np.float32),
            labels=np.arange(40) % 3 if name != "out" else None,
        )
        for name in ("train", "id", "out")
    }
    return FeatureBank.of(sets)


@pytest.mark.parametrize("scores", [["msp"], [ood.KNN], "msp"])
def test_what_is_no_list_of_scores_is_refused(bank, scores):
    with pytest.raises(UsageError, match="scores must be a list of scores"):
        ood.judge(bank, inliers="id", outliers=["out"], scores=scores)
