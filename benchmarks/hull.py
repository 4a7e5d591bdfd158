"""What a distance to a convex hull costs: limen's against a program for each query.

    python benchmarks/hull.py [--small]

Normal queries against normal points, 16 columns. All queries are asked of `limen.Hull`; a linear
program (membership, scipy's HiGHS) and a nonnegative least squares (distance) are solved for the
first 200 of them, and compared query by query. One thread, CPU time; every ratio is the median over
rounds in which the variants take turns. Memory is the peak above what stood before, at two numbers
of queries.
"""

import sys
from resource import RUSAGE_SELF, getrusage
from statistics import median

import numpy as np
import torch
from scipy.optimize import linprog, nnls
from timing import interleaved, ratio, table, write

from limen.measure.hull import Hull

POINTS, WIDTH, QUERIES, ASKED = 2_000, 16, 10_000, 200
ROUNDS = 3
WANTED = {
    "limen / one LP, a query": 0.01,
    "limen / one NNLS, a query": 0.1,
    "largest difference from NNLS": 1e-6,
}


def by_program(points, x):
    """Whether each row is a mixture of the points."""
    system = np.vstack([points.T, np.ones(len(points))])
    cost = np.zeros(len(points))
    return np.array([linprog(cost, A_eq=system, b_eq=np.append(row, 1.0)).status == 0 for row in x])


def by_squares(points, x):
    """The distance of each row; a heavy row of ones makes the weights sum to 1."""
    heavy = 1e4 * max(1.0, np.abs(points).max())
    system = np.vstack([points.T, np.full(len(points), heavy)])
    found = []
    for row in x:
        weights, _ = nnls(system, np.append(row, heavy))
        found.append(np.linalg.norm(points.T @ (weights / weights.sum()) - row))
    return np.array(found)


def peak(hull, x):
    """Largest memory [MB] that the process came to hold while asking."""
    hull.distance(x)
    return getrusage(RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Measure, print, write."""
    torch.set_num_threads(1)
    small = "--small" in sys.argv
    queries, asked, rounds = (1_000, 20, 1) if small else (QUERIES, ASKED, ROUNDS)
    draw = np.random.default_rng(0)
    points, x = draw.normal(size=(POINTS, WIDTH)), draw.normal(size=(queries, WIDTH))
    x[::2] *= 0.25  # so that many lie inside
    hull, kept = Hull(points, tolerance=1e-7), {}
    memory = {"few": peak(hull, x[: queries // 10]), "all": peak(hull, x)}

    def limen():
        kept["limen"] = hull.distance(x)

    def program():
        kept["LP"] = by_program(points, x[:asked])

    def squares():
        kept["NNLS"] = by_squares(points, x[:asked])

    seconds = interleaved({"limen": limen, "LP": program, "NNLS": squares}, rounds=rounds)
    each = queries / asked
    mine = kept["limen"][:asked]
    figures = {
        "limen [ms a query]": 1000 * median(seconds["limen"]) / queries,
        "one LP [ms a query]": 1000 * median(seconds["LP"]) / asked,
        "one NNLS [ms a query]": 1000 * median(seconds["NNLS"]) / asked,
        "limen / one LP, a query": ratio(seconds, "limen", "LP") / each,
        "limen / one NNLS, a query": ratio(seconds, "limen", "NNLS") / each,
        "largest difference from NNLS": float(
            np.abs(mine - np.where(kept["NNLS"] < 1e-6, 0, kept["NNLS"])).max()
        ),
        "memberships unlike the LP's": int(((mine == 0) != kept["LP"]).sum()),
        "queries inside": float((kept["limen"] == 0).mean()),
        "memory, ten times the queries / few": memory["all"] / memory["few"],
    }
    print(table(figures, WANTED))
    if not small:
        write("hull", {"hull: rounds": ROUNDS, "wanted": WANTED, **figures})


if __name__ == "__main__":
    main()
