"""What VUS costs, beside the `vus` package, on 100,000 points with buffers of 0 to 100.

    pip install --no-deps vus    # what is measured of it needs numpy, pandas, scikit-learn, tqdm
    python benchmarks/anomaly_vus.py

Both count VUS-PR and VUS-ROC from the same scores and labels, and must agree to 1e-8. The package
has two ways, of which the default is measured, `opt`, and `opt_mem`, which trades memory for time.
One thread, CPU time.
"""

from statistics import median

import numpy as np
from timing import interleaved, ratio, table, write
from vus.utils.metrics import metricor

from limen.anomaly.metrics import vus

POINTS, WINDOW, EVENTS, ROUNDS = 100_000, 100, 20, 2
WANTED = {"limen / vus": 0.02, "limen / vus, opt_mem": 0.02, "largest difference": 1e-8}


def main() -> None:
    """Measure, print, write.

    Raises:
        SystemExit: The values differ.
    """
    stream = np.random.default_rng(0)
    labels = np.zeros(POINTS, dtype=int)
    for start in stream.integers(WINDOW, POINTS - 2 * WINDOW, EVENTS):
        labels[start : start + int(stream.integers(5, 100))] = 1
    scores = stream.random(POINTS) + 0.5 * labels

    ours = vus(scores, labels, window=WINDOW)
    *_, roc, pr = metricor().RangeAUC_volume_opt(labels, scores, WINDOW)
    apart = max(abs(ours.pr - pr), abs(ours.roc - roc))
    if apart > WANTED["largest difference"]:
        raise SystemExit(f"both must give the same values; they differ by {apart}")
    seconds = interleaved(
        {
            "limen": lambda: vus(scores, labels, window=WINDOW),
            "vus": lambda: metricor().RangeAUC_volume_opt(labels, scores, WINDOW),
            "opt_mem": lambda: metricor().RangeAUC_volume_opt_mem(labels, scores, WINDOW),
        },
        rounds=ROUNDS,
    )
    figures = {
        "points": POINTS,
        "widest buffer [points]": WINDOW,
        "labelled points": int(labels.sum()),
        "limen [s]": median(seconds["limen"]),
        "vus [s]": median(seconds["vus"]),
        "vus, opt_mem [s]": median(seconds["opt_mem"]),
        "limen / vus": ratio(seconds, "limen", "vus"),
        "limen / vus, opt_mem": ratio(seconds, "limen", "opt_mem"),
        "largest difference": apart,
    }
    print(table(figures, WANTED))
    write("anomaly_vus", {"rounds": ROUNDS, "wanted": WANTED, **figures})


if __name__ == "__main__":
    main()
