"""Three classes of activations, outliers that no class explains, and every score by name."""

from types import SimpleNamespace

import numpy as np

from limen._core.lazy import catalogue
from limen._core.streams import numpy_stream
from limen.ood import scores

CLASSES, WIDTH = 3, 12
WEIGHT = np.eye(CLASSES, WIDTH, dtype=np.float32)
BIAS = np.array([0.1, 0.0, -0.1], dtype=np.float32)
WITH_NETWORK = {"ODIN"}  # sees the network, not its outputs
OPTIONS = {
    "KNN": {"k": 5},
    "NNGuide": {"k": 5},
    "ReAct": {"percentile": 99.0},
    "DICE": {"percentile": 50.0},
    "ASH": {"percentile": 50.0},
    "SCALE": {"percentile": 50.0},
}
NAMES = [name for name in catalogue(scores.__file__) if name not in WITH_NETWORK]


def make(name):
    """The score, with options that suit 90 rows."""
    found = getattr(scores, name)
    return found(**OPTIONS.get(name, {})) if isinstance(found, type) else found


def outputs(features, labels=None, dtype=np.float32):
    """What a network whose last layer is WEIGHT and BIAS gives."""
    logits = features @ WEIGHT.T + BIAS
    return SimpleNamespace(
        features=features.astype(dtype),
        logits=logits.astype(dtype),
        grams=(features**2).astype(dtype),
        labels=labels,
    )


def inliers(seed=0, rows=90, dtype=np.float32):
    """Each class fires its own unit, and the others a little; some rows are like another class."""
    draw = numpy_stream(seed, "inliers")
    labels = np.arange(rows) % CLASSES
    features = np.abs(draw.normal(0.0, 0.1, (rows, WIDTH)))
    features[np.arange(rows), labels] += 5 + draw.normal(0.0, 0.5, rows)
    labels = np.where(np.arange(rows) % 30 == 29, (labels + 1) % CLASSES, labels)
    return outputs(features, labels, dtype)


def outliers(seed=0, rows=30, dtype=np.float32):
    """Every unit fires a little, also those that never did."""
    draw = numpy_stream(seed, "outliers")
    return outputs(np.abs(draw.normal(0.7, 0.2, (rows, WIDTH))), None, dtype)


def seen_by(score, found):
    """Cosines for MCM, a class more for extra_class, else what the bank gives."""
    if score is scores.extra_class:
        more = 3 * found.features[:, CLASSES:].sum(1, keepdims=True)  # what no inlier fires
        return SimpleNamespace(logits=np.append(found.logits, more, 1))
    if type(score).__name__ != "MCM":
        return found
    return SimpleNamespace(logits=np.tanh(found.logits / 8))
