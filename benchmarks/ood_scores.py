"""What distances in feature space cost: Mahalanobis against the loop over classes, KNN and faiss.

    python benchmarks/ood_scores.py

Mahalanobis scores 256 inputs of 512 features against 1,000 classes; the loop multiplies the
centred features of each class with the inverse covariance, in float32, as is usual (pytorch-ood's
own is timed too where it is installed). Fitting is timed on 20,000 rows. KNN finds the 50th of
50,000 normalised neighbours for 1,000 inputs, beside faiss's flat index (`pip install faiss-cpu`;
without it that half is left out). One thread, CPU time; every ratio is the median over rounds in
which the variants take turns.
"""

from importlib.util import find_spec
from statistics import median

import numpy as np
import torch
from timing import interleaved, ratio, table, write

from limen.measure.moments import Moments
from limen.ood.scores import KNN, Mahalanobis

CLASSES, WIDTH, TRAIN, TEST = 1_000, 512, 20_000, 256
BANK, QUERIES, K = 50_000, 1_000, 50
ROUNDS = {"Mahalanobis": 5, "fit": 3, "KNN": 9}
WANTED = {
    "Mahalanobis: limen / loop": 0.02,
    "KNN of 128 features: limen / faiss": 1.5,
    "KNN of 512 features: limen / faiss": 1.5,
}


def rows(count, width, seed):
    """Activations of no particular network."""
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(count, width, generator=draw).relu()


def loop(features, means, precision):
    """The usual way: one product with the inverse covariance for each class."""
    found = []
    for mean in means:
        centred = features - mean
        found.append(((centred @ precision) * centred).sum(1))
    return torch.stack(found, 1).amin(1)


def fit_loop(features, labels):
    """The usual fit: a mask and a product for each class."""
    means = torch.zeros(CLASSES, WIDTH)
    scatter = torch.zeros(WIDTH, WIDTH)
    for name in range(CLASSES):
        own = features[labels == name]
        means[name] = own.mean(0)
        scatter += (own - means[name]).T @ (own - means[name])
    return means, torch.linalg.inv(scatter / len(features))


def mahalanobis():
    """Figures of fitting and scoring at 1,000 classes."""
    train, test, labels = rows(TRAIN, WIDTH, 0), rows(TEST, WIDTH, 1), torch.arange(TRAIN) % CLASSES
    score = Mahalanobis(ridge=0.0).fit(train, labels)
    means, precision = fit_loop(train, labels)
    variants = {"limen": lambda: score(test), "loop": lambda: loop(test, means, precision)}
    if find_spec("pytorch_ood"):
        from pytorch_ood.detector import Mahalanobis as Theirs

        peer = Theirs(None).fit_features(train, labels)
        variants["pytorch-ood"] = lambda: peer.predict_features(test)
    scoring = interleaved(variants, rounds=ROUNDS["Mahalanobis"])
    fitting = interleaved(
        {
            "limen": lambda: Mahalanobis().fit(train, labels),
            "loop": lambda: fit_loop(train, labels),
        },
        rounds=ROUNDS["fit"],
    )
    moments = Moments.of(train, labels)
    slow = loop(test.double(), moments.mean, torch.linalg.inv(moments.covariance))
    figures = {
        "Mahalanobis: limen [ms]": 1000 * median(scoring["limen"]),
        "Mahalanobis: limen / loop": ratio(scoring, "limen", "loop"),
        "Mahalanobis: loop / limen": ratio(scoring, "loop", "limen"),
        "Mahalanobis: fit by a loop / fit by limen": ratio(fitting, "loop", "limen"),
        "Mahalanobis: limen against a float64 loop [relative]": gap(score(test), slow),
        "Mahalanobis: float32 loop against it [relative]": gap(loop(test, means, precision), slow),
    }
    if "pytorch-ood" in scoring:
        figures["Mahalanobis: pytorch-ood / limen"] = ratio(scoring, "pytorch-ood", "limen")
    return figures


def gap(found, exact):
    """The largest error, relative."""
    return ((found.double() - exact).abs() / exact).max().item()


def knn(width):
    """Figures of the 50th neighbour."""
    import faiss

    faiss.omp_set_num_threads(1)
    bank, queries = rows(BANK, width, 2), rows(QUERIES, width, 3)
    score = KNN(k=K).fit(bank)
    unit = [torch.nn.functional.normalize(part).numpy() for part in (bank, queries)]
    index = faiss.IndexFlatL2(width)
    index.add(unit[0])
    kept = {}

    def limen():
        kept["limen"] = score(queries).numpy()

    def flat():
        kept["faiss"] = np.sqrt(index.search(unit[1], K)[0][:, -1])

    seconds = interleaved({"limen": limen, "faiss": flat}, rounds=ROUNDS["KNN"])
    figures = {
        "limen [ms]": 1000 * median(seconds["limen"]),
        "faiss [ms]": 1000 * median(seconds["faiss"]),
        "limen / faiss": ratio(seconds, "limen", "faiss"),
        "largest difference": float(np.abs(kept["limen"] - kept["faiss"]).max()),
    }
    return {f"KNN of {width} features: {name}": value for name, value in figures.items()}


def main() -> None:
    """Measure, print, write."""
    torch.set_num_threads(1)
    figures = mahalanobis()
    if find_spec("faiss"):
        figures |= knn(128) | knn(512)
    else:
        print("KNN: left out, faiss is not installed")
    print(table(figures, WANTED))
    rounds = {f"{name}: rounds": count for name, count in ROUNDS.items()}
    write("ood_scores", {**rounds, "wanted": WANTED, **figures})


if __name__ == "__main__":
    main()
