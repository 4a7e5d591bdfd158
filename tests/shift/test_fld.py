"""The line of two classes: fixtures, the sign of the slope, the critical bias, a simulation."""

import numpy as np
import pytest
from scipy.stats import norm

from limen._core.errors import UsageError
from limen.shift.fld import critical_bias, fld_error, fld_rises, growing_bias


@pytest.mark.parametrize(
    ("size", "bias", "expected"),
    [
        (4, [0, 0.5, 1, 2], [0.1855, 0.2086, 0.2684, 0.4090]),
        ([2, 4, 8, 16, 64, 1024], 2.0, [0.4000, 0.4090, 0.4147, 0.4179, 0.4205, 0.4213]),
        ([2, 4, 8, 16, 64, 1024], 0.5, [0.2259, 0.2086, 0.1987, 0.1933, 0.1891, 0.1878]),
    ],
    ids=["bias", "rising", "falling"],
)
def test_errors_are_those_worked_out_by_hand(size, bias, expected):
    np.testing.assert_allclose(fld_error(size, bias), expected, atol=5.1e-5)


M = np.array([0, 2, 4, 8, 16, 32, 64, 256])


@pytest.mark.parametrize(
    ("near", "shift", "expected"),
    [
        (4, 0.5, [0.1855, 0.1801, 0.1795, 0.1805, 0.1825, 0.1845, 0.1859, 0.1872]),
        (4, 1.0, [0.1855, 0.1885, 0.1987, 0.2145, 0.2311, 0.2438, 0.2519, 0.2588]),
        (10, 0.5, [0.1702, 0.1691, 0.1693, 0.1708, 0.1741, 0.1782, 0.1819, 0.1860]),
    ],
    ids=["dip", "rise", "late dip"],
)
def test_a_growing_far_environment_dips_or_rises(near, shift, expected):
    found = fld_error(near + M, growing_bias(near, M, shift))
    np.testing.assert_allclose(found, expected, atol=5.1e-5)


@pytest.mark.parametrize(("mean", "noise"), [(1.0, 1.0), (0.5, 2.0), (2.0, 0.7)])
def test_the_sign_condition_is_that_of_finite_differences(mean, noise):
    size, bias = np.meshgrid([1.0, 2.0, 8.0, 50.0, 400.0], np.linspace(-4, 4, 41))
    kind = {"mean": mean, "noise": noise}
    step = 1e-4 * size
    change = fld_error(size + step, bias, **kind) - fld_error(size - step, bias, **kind)
    clear = np.abs(change) > 1e-12
    assert clear.mean() > 0.5
    np.testing.assert_array_equal(fld_rises(size, bias, **kind)[clear], change[clear] > 0)


def test_the_critical_bias_is_the_known_one():
    assert critical_bias() == pytest.approx(1.19968, abs=5e-6)


@pytest.mark.parametrize("size", [3.0, 100.0])
def test_the_slope_turns_at_the_critical_bias(size):
    turn = critical_bias(size=size, mean=0.8, noise=1.3)
    found = fld_rises(size, [turn - 1e-6, turn + 1e-6], mean=0.8, noise=1.3)
    assert found.tolist() == [False, True]


def test_without_bias_many_rows_reach_the_best_error():
    assert fld_error(1e12, 0.0) == pytest.approx(norm.cdf(-1), abs=1e-9)


def test_the_side_of_the_shift_does_not_matter():
    np.testing.assert_allclose(fld_error(5, [-1.5, -0.2]), fld_error(5, [1.5, 0.2]))
    assert fld_rises(5, -3.0) == fld_rises(5, 3.0)


def test_a_simulation_agrees():
    draw, size, bias = np.random.default_rng(0), 8, 0.7
    x = draw.normal(size=(40_000, size)) + np.array([1.0, -1.0] * 4) + bias
    threshold = x.mean(1)
    error = (norm.cdf(threshold - 1) + norm.cdf(-threshold - 1)) / 2
    assert fld_error(size, bias) == pytest.approx(error.mean(), abs=2e-3)  # 5 standard errors


def test_what_has_no_error_is_refused():
    with pytest.raises(UsageError, match="size, mean and noise must be above 0"):
        fld_error(0, 1.0)
    with pytest.raises(UsageError, match="size, mean and noise must be above 0"):
        critical_bias(noise=0.0)
    with pytest.raises(UsageError, match="one at least in all"):
        growing_bias(0, [0, 1], 1.0)
