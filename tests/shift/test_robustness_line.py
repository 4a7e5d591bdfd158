"""RobustnessLine: fixtures of the published tables, and what a line must and must not do."""

import numpy as np
import pytest

import limen
from limen._core.errors import UsageError
from limen.shift.line import RobustnessLine
from limen.shift.published import published_line

rng = np.random.default_rng(0)
COMMON = np.linspace(0.3, 0.9, 12)
COUNTER = COMMON - 0.1 + 0.03 * rng.standard_normal(12)

FITS = [  # slope, intercept, R2 of the published accuracies, computed independently
    ("CLIP", "linear", 1.5016528, -0.561962019, 0.9595144),
    ("CLIP", "logit", 1.1144188, -1.0174812, 0.9713418),
    ("CLIP", "probit", 1.1898938, -0.6667739, 0.9701466),
    ("ImageNet", "linear", 1.4853023, -0.527070612, 0.9761271),
    ("ImageNet", "logit", 1.1454132, -0.9450914, 0.9928066),
    ("ImageNet", "probit", 1.2137811, -0.6185175, 0.9908377),
]


@pytest.mark.parametrize(("family", "transform", "slope", "intercept", "r2"), FITS)
def test_the_published_fits_are_reproduced(family, transform, slope, intercept, r2):
    line = published_line(family, transform=transform, include_discovery=True)
    assert (line.slope, line.intercept, line.r2) == pytest.approx((slope, intercept, r2), abs=1e-6)


@pytest.mark.parametrize("transform", ["logit", "probit", "linear"])
def test_the_line_is_polyfit_in_the_transformed_space(transform):
    from scipy.special import logit, ndtri

    f = {"logit": logit, "probit": ndtri, "linear": np.asarray}[transform]
    line = RobustnessLine(transform).fit(COMMON, COUNTER)
    slope, intercept = np.polyfit(f(COMMON), f(COUNTER), 1)
    assert (line.slope, line.intercept) == pytest.approx((slope, intercept))
    assert line.r2 == pytest.approx(np.corrcoef(f(COMMON), f(COUNTER))[0, 1] ** 2)


@pytest.mark.parametrize("transform", ["logit", "probit", "linear"])
def test_residuals_of_the_family_average_zero_in_the_transformed_space(transform):
    from scipy.special import logit, ndtri

    f = {"logit": logit, "probit": ndtri, "linear": np.asarray}[transform]
    line = RobustnessLine(transform).fit(COMMON, COUNTER)
    assert np.mean(f(COUNTER) - f(line.predict(COMMON))) == pytest.approx(0, abs=1e-12)


def test_models_on_the_line_have_no_excess_and_better_ones_have():
    line = RobustnessLine().fit(COMMON, COUNTER)
    on = line.predict(0.7)
    assert line.excess(0.7, on) == 0
    assert line.excess(0.7, on + 0.05) == pytest.approx(0.05)


def test_order_of_models_changes_nothing():
    one = RobustnessLine().fit(COMMON, COUNTER)
    two = RobustnessLine().fit(COMMON[::-1], COUNTER[::-1])
    assert one.slope == pytest.approx(two.slope)


def test_excluded_models_do_not_move_the_line():
    names = [f"m{i}" for i in range(12)]
    line = RobustnessLine().fit(COMMON, COUNTER, names=names, exclude=["m0", "m3"])
    kept = np.delete(np.arange(12), [0, 3])
    assert line.slope == pytest.approx(RobustnessLine().fit(COMMON[kept], COUNTER[kept]).slope)
    assert "m3" not in line.names


def test_clipping_makes_zero_and_one_finite():
    line = RobustnessLine(count=100).fit([0.0, 0.5, 1.0], [0.0, 0.4, 1.0])
    same = RobustnessLine().fit([0.005, 0.5, 0.995], [0.005, 0.4, 0.995])
    assert line.slope == pytest.approx(same.slope)


def test_the_band_holds_the_line_and_widens_away_from_the_models():
    line = RobustnessLine().fit(COMMON, COUNTER)
    low, high = line.band(np.array([0.1, 0.6]))
    assert low.shape == (2,)
    assert low[1] < line.predict(0.6) < high[1]
    x = np.array([0.6, 0.95])
    low, high = RobustnessLine("linear").fit(COMMON, COUNTER).band(x)
    assert high[1] - low[1] > high[0] - low[0]


def test_the_band_is_a_slow_bootstrap():
    line = RobustnessLine("linear").fit(COMMON, COUNTER)
    drawn = np.random.default_rng(1).integers(12, size=(4000, 12))
    slow = [np.polyval(np.polyfit(COMMON[i], COUNTER[i], 1), 0.8) for i in drawn]
    assert line.band(0.8, resamples=4000) == pytest.approx(
        np.quantile(slow, [0.025, 0.975]),
        abs=2e-3,  # two sets of draws
    )


def test_counts_widen_the_interval_and_more_pictures_narrow_it():
    line = RobustnessLine().fit(COMMON, COUNTER)
    width = [
        (found := line.interval(0.7, 0.6, counts=counts)).high - found.low
        for counts in (None, (10_000, 10_000), (100, 100))
    ]
    assert width[0] < width[1] < width[2]


def test_the_point_alone_varies_as_the_binomial_does():
    x = np.linspace(0.2, 0.9, 30)
    line = RobustnessLine("linear").fit(x, x)  # an exact line: only the point varies
    found = line.interval(0.7, 0.6, counts=(1000, 1000), resamples=20_000)
    expected = 2 * 1.959964 * np.sqrt((0.21 + 0.24) / 1000)
    assert found.high - found.low == pytest.approx(expected, rel=0.03)  # 20,000 draws


def test_a_model_that_is_never_right_still_has_a_width():
    line = RobustnessLine(count=50).fit(COMMON, COUNTER)
    found = line.interval(0.5, 0.0, counts=(50, 50))
    assert found.low < found.high < 0


def test_the_seed_decides_the_draws():
    line = RobustnessLine().fit(COMMON, COUNTER)
    assert line.interval(0.7, 0.6) == line.interval(0.7, 0.6)
    assert line.interval(0.7, 0.6) != line.interval(0.7, 0.6, seed=1)


def test_saved_and_loaded_it_says_the_same(tmp_path):
    line = RobustnessLine("probit", count=200).fit(COMMON, COUNTER)
    again = limen.load(limen.save(line, tmp_path / "line"))
    assert (again.slope, again.r2, again.count) == (line.slope, line.r2, 200)
    assert again.names == line.names
    assert again.interval(0.7, 0.6) == line.interval(0.7, 0.6)


def test_the_record_shows_family_line_diagonal_and_model():
    record = RobustnessLine().fit(COMMON, COUNTER).record({"mine": (0.7, 0.65)})
    assert set(record.groups) == {"family", "yours"}
    assert set(record.lines) == {"logit line", "no drop"}
    assert record.names[-1] == "mine"
    assert (record.x[-1], record.y[-1]) == (70.0, 65.0)
    assert (record.marks[0], record.marks[-1]) == ("", "mine")
    assert "mine +" in record.caption


@pytest.mark.parametrize(
    ("common", "counter", "said"),
    [
        ([70.0, 80.0, 90.0], [60.0, 70.0, 80.0], "per cent: divide by 100"),
        ([0.5, 0.6, 90.0], [0.4, 0.5, 0.6], "per cent"),
        ([0.5, -0.6, 0.7], [0.4, 0.5, 0.6], r"in \[0, 1\], got -0.6"),
        ([0.5, 0.6], [0.4, 0.5], "3 models or more"),
        ([0.5, 0.5, 0.5], [0.4, 0.5, 0.6], "must differ"),
        ([0.5, 0.6, 0.7], [0.4, 0.5], "one for each"),
        ([0.5, 0.6, 1.0], [0.4, 0.5, 0.9], "transform=linear, or give RobustnessLine a count"),
        ([0.5, 0.6, 0.7], [0.0, 0.5, 0.6], "transform=linear, or give RobustnessLine a count"),
    ],
    ids=["percent", "one-percent", "negative", "few", "equal", "lengths", "one", "zero"],
)
def test_what_has_no_line_is_refused(common, counter, said):
    with pytest.raises(UsageError, match=said):
        RobustnessLine().fit(common, counter)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: RobustnessLine("cube"),
        lambda: RobustnessLine(count=0),
        lambda: RobustnessLine().slope,
        lambda: RobustnessLine().to_dict(),
        lambda: RobustnessLine().fit(COMMON, COUNTER, exclude=["nobody"]),
        lambda: RobustnessLine().fit(COMMON, COUNTER).band(0.5, level=1.0),
        lambda: RobustnessLine().fit(COMMON, COUNTER).band(0.5, resamples=0),
        lambda: RobustnessLine().fit(COMMON, COUNTER).interval(0.5, 0.4, counts=(0, 10)),
        lambda: RobustnessLine().fit(COMMON, COUNTER).excess([0.5, 0.6], 0.4),
    ],
    ids=["transform", "count", "slope", "state", "name", "level", "draws", "counts", "shape"],
)
def test_mistakes_are_told(wrong):
    with pytest.raises(UsageError):
        wrong()
