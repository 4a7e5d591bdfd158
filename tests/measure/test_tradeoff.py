"""Tradeoff: the best gain at a price, the frontier, the area; exact on its way to JSON and back."""

import dataclasses
import json
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from limen import Tradeoff
from limen._core.errors import UsageError
from limen.measure import Point

# Few distinct values, so that ties are common.
ticks = st.integers(-4, 8).map(lambda tick: tick / 4)
settings_ = st.lists(st.tuples(ticks, ticks), min_size=1, max_size=12)


def tradeoff(pairs):
    return Tradeoff(price=[p for p, _ in pairs], gain=[g for _, g in pairs])


# --- at


@given(settings_, ticks)
def test_at_price_is_the_best_of_what_is_affordable(pairs, budget):
    t = tradeoff(pairs)
    affordable = [(g, -p, -i) for i, (p, g) in enumerate(pairs) if p <= budget]
    if not affordable:
        with pytest.raises(UsageError):
            t.at(price=budget)
        return
    gain, price, index = max(affordable)
    assert t.at(price=budget) == Point(-price, gain, -index)


@given(settings_, ticks)
def test_at_gain_is_the_cheapest_of_what_is_good_enough(pairs, wish):
    t = tradeoff(pairs)
    enough = [(p, -g, i) for i, (p, g) in enumerate(pairs) if g >= wish]
    if not enough:
        with pytest.raises(UsageError):
            t.at(gain=wish)
        return
    price, gain, index = min(enough)
    assert t.at(gain=wish) == Point(price, -gain, index)


@given(settings_, ticks, ticks)
def test_paying_more_never_gains_less(pairs, one, other):
    t = tradeoff(pairs)
    low, high = sorted((one, other))
    if low >= t.price.min():
        assert t.at(price=low).gain <= t.at(price=high).gain


def test_at_never_interpolates():
    t = Tradeoff(price=[0.0, 1.0], gain=[0.2, 0.8])
    assert t.at(price=0.99).gain == 0.2
    assert t.at(gain=0.21).price == 1.0


def test_a_dearer_and_worse_setting_is_never_chosen():
    assert Tradeoff(price=[0.1, 0.2], gain=[0.9, 0.5]).at(price=0.2).knob == 0


def test_at_forgives_the_rounding_of_the_asked_number():
    t = Tradeoff(price=[1 - 0.95, 0.2], gain=[0.3 - 0.1, 0.5])
    assert t.at(price=0.05).knob == 0
    assert t.at(gain=0.2).knob == 0


def test_at_forgives_no_more_than_a_billionth():
    t = Tradeoff(price=[0.0, 0.05 + 3e-9], gain=[0.1, 0.9])
    assert t.at(price=0.05).knob == 0


def test_a_price_below_the_cheapest_setting_says_what_to_do():
    sentence = (
        r"^price=-0\.1 is below the cheapest setting measured, 0\.0; ask for more or add knobs$"
    )
    with pytest.raises(ValueError, match=sentence):
        Tradeoff(price=[0.0, 0.5], gain=[0.0, 1.0]).at(price=-0.1)


def test_a_gain_above_the_best_setting_says_what_to_do():
    sentence = r"^gain=2\.0 is above the best setting measured, 1\.0; ask for less or add knobs$"
    with pytest.raises(UsageError, match=sentence):
        Tradeoff(price=[0.0, 0.5], gain=[0.0, 1.0]).at(gain=2.0)


@pytest.mark.parametrize("asked", [{}, {"price": 0.5, "gain": 0.5}])
def test_at_takes_exactly_one_question(asked):
    with pytest.raises(UsageError, match="exactly one of price and gain"):
        Tradeoff(price=[0.0], gain=[0.0]).at(**asked)


@pytest.mark.parametrize("asked", [{"price": float("nan")}, {"gain": float("nan")}])
def test_at_refuses_nan(asked):
    with pytest.raises(UsageError, match="must be a number, got nan"):
        Tradeoff(price=[0.0], gain=[0.0]).at(**asked)


def test_an_infinite_budget_buys_the_best():
    assert Tradeoff(price=[0.0, 9.0], gain=[0.0, 1.0]).at(price=float("inf")).knob == 1


def test_the_point_carries_its_interval_and_plain_python_values():
    t = Tradeoff(price=[0.0], gain=[0.5], knob=np.array(["x"]), gain_interval=[[0.4, 0.6]])
    point = t.at(price=0.0)
    assert point == Point(0.0, 0.5, "x", (0.4, 0.6))
    assert [type(v) for v in dataclasses.astuple(point)] == [float, float, str, tuple]


# --- frontier


@given(settings_)
def test_the_frontier_is_what_nobody_dominates(pairs):
    def dominated(p, g):
        return any(q <= p and h >= g and (q, h) != (p, g) for q, h in pairs)

    kept = [(p, g, i) for i, (p, g) in enumerate(pairs) if not dominated(p, g)]
    frontier = tradeoff(pairs).frontier()
    assert list(zip(frontier.price, frontier.gain, frontier.knob, strict=True)) == sorted(kept)


@given(settings_, ticks)
def test_the_frontier_answers_every_question_as_the_whole_does(pairs, asked):
    t = tradeoff(pairs)
    frontier = t.frontier()
    if asked >= t.price.min():
        assert frontier.at(price=asked) == t.at(price=asked)
    if asked <= t.gain.max():
        assert frontier.at(gain=asked) == t.at(gain=asked)


@given(settings_)
def test_the_frontier_is_its_own_frontier(pairs):
    frontier = tradeoff(pairs).frontier()
    assert frontier.frontier() == frontier


def test_the_frontier_keeps_names_knobs_and_intervals():
    t = Tradeoff(
        price=[1.0, 0.0, 2.0], gain=[0.5, 0.1, 0.2], knob=["b", "a", "c"], name="method",
        gain_interval=[[0.4, 0.6], [0.0, 0.2], [0.1, 0.3]], price_name="alarms per 1,000",
    )  # fmt: skip
    frontier = t.frontier()
    assert (frontier.knob, frontier.name, frontier.price_name) == (
        ("a", "b"),
        "method",
        t.price_name,
    )
    assert frontier.gain_interval.tolist() == [[0.0, 0.2], [0.4, 0.6]]


# --- area


def slow_area(pairs, upto):
    """One straight piece after another; all prices are quarters, so steps of 1/4 meet each knot."""
    levels = sorted({p for p, _ in pairs})

    def best(limit):
        return max(g for p, g in pairs if p <= limit)

    def curve(price):
        left = [p for p in levels if p <= price]
        right = [p for p in levels if p > price]
        if not left or not right:
            return best(left[-1]) if left else 0.0
        start, foot = best(left[-1]), min(g for p, g in pairs if p == right[0])
        share = (price - left[-1]) / (right[0] - left[-1])
        return start + (max(start, foot) - start) * share

    steps = round(upto * 4)
    return sum(curve((step + 0.5) / 4) for step in range(steps)) / steps


@given(settings_, st.sampled_from([0.25, 1.0, 1.5, 3.0]))
def test_area_equals_the_slow_obvious_version(pairs, upto):
    assert tradeoff(pairs).area(upto) == pytest.approx(slow_area(pairs, upto), abs=1e-12)


@given(settings_)
def test_the_mean_gain_lies_between_nothing_and_the_best(pairs):
    t = tradeoff([(p, abs(g)) for p, g in pairs])
    assert 0 <= t.area(2.0) <= t.gain.max() + 1e-12


def test_area_is_zero_below_the_cheapest_setting():
    assert Tradeoff(price=[0.75], gain=[1.0]).area() == 0.25
    assert Tradeoff(price=[2.0], gain=[1.0]).area() == 0.0


def test_area_stays_flat_after_the_dearest_setting():
    assert Tradeoff(price=[0.0], gain=[0.5]).area(upto=100.0) == 0.5


def test_area_goes_up_vertically_at_equal_price():
    assert Tradeoff(price=[0.0, 0.5, 0.5], gain=[0.0, 0.0, 1.0]).area() == 0.5


def test_area_cuts_a_segment_where_the_prices_end():
    assert Tradeoff(price=[-1.0, 1.0], gain=[0.0, 1.0]).area(upto=0.5) == 0.625


@pytest.mark.parametrize("upto", [0.0, -1.0, float("nan"), float("inf")])
def test_area_needs_a_finite_price_above_zero(upto):
    with pytest.raises(UsageError, match="upto must be a finite price above 0"):
        Tradeoff(price=[0.0], gain=[0.0]).area(upto)


# --- construction


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"price": [], "gain": []}, "price must be one non-empty row"),
        ({"price": [0.0], "gain": [0.0, 1.0]}, "got 1, 2 and 1"),
        ({"price": [0.0], "gain": [0.0], "knob": [1, 2]}, "got 1, 1 and 2"),
        ({"price": [float("nan")], "gain": [0.0]}, "price must not hold NaN, got 1 of 1"),
        ({"price": [0.0], "gain": [float("inf")]}, "gain must be finite, got 1 of 1 infinite"),
        ({"price": [[0.0]], "gain": [0.0]}, r"got shape \(1, 1\)"),
        ({"price": [0.0], "gain": [0.0], "knob": "x"}, "one entry for each setting, got 'x'"),
        ({"price": [0.0], "gain": [0.0], "knob": [None]}, "floats, ints or strings, got None"),
        ({"price": [0.0], "gain": [0.0], "knob": [float("nan")]}, "got nan"),
        ({"price": [0.0], "gain": [0.0], "knob": torch.tensor(1.0)}, "one entry for each"),
        ({"price": [0.0], "gain": [0.0], "gain_interval": [0.0, 1.0]}, r"shape \(1, 2\)"),
        ({"price": [0.0], "gain": [0.0], "gain_interval": [[1.0, 0.0]]}, "lower end first"),
        ({"price": [0.0], "gain": [0.0], "gain_interval": [[0.0, float("inf")]]}, "finite"),
    ],
)
def test_a_wrong_argument_is_named_before_any_work(arguments, sentence):
    with pytest.raises(UsageError, match=sentence):
        Tradeoff(**arguments)


def test_knobs_count_from_zero_when_left_out():
    assert Tradeoff(price=[0.0, 1.0], gain=[0.0, 1.0]).knob == (0, 1)


def test_tensors_are_taken_wherever_arrays_are():
    column = torch.tensor([0.5, 1.0], dtype=torch.bfloat16, requires_grad=True)
    t = Tradeoff(column, column, column, gain_interval=torch.stack([column, column], dim=1))
    assert t == Tradeoff([0.5, 1.0], [0.5, 1.0], [0.5, 1.0], gain_interval=[[0.5, 0.5], [1, 1]])


def test_a_list_of_mixed_knobs_keeps_each_type():
    t = Tradeoff(np.zeros(4), np.zeros(4), [0.5, 3, "last", np.float32(0.25)])
    assert t.knob == (0.5, 3, "last", 0.25)
    assert [type(k) for k in t.knob] == [float, int, str, float]


def test_a_tradeoff_cannot_be_changed_by_anyone():
    prices = np.array([0.0, 1.0])
    t = Tradeoff(price=prices, gain=[0.0, 1.0])
    prices[0] = 9.0
    assert t.price[0] == 0.0
    with pytest.raises(ValueError, match="read-only"):
        t.price[0] = 9.0
    with pytest.raises(dataclasses.FrozenInstanceError):
        t.name = "other"


def test_replace_renames_and_keeps_the_rest():
    t = Tradeoff(price=[0.0], gain=[1.0], knob=["k"], gain_name="recall")
    assert dataclasses.replace(t, name="new").to_dict() == {**t.to_dict(), "name": "new"}


def test_repr_says_what_a_reader_wants_to_know():
    t = Tradeoff([0.0, 0.25], [0.1, 0.9], name="energy", price_name="rejected", gain_name="caught")
    assert repr(t) == "Tradeoff(energy: 2 settings, rejected 0 to 0.25, caught 0.1 to 0.9)"
    assert len(t) == 2


# --- to JSON and back

finite = st.floats(allow_nan=False, allow_infinity=False)
knobs = st.one_of(st.floats(allow_nan=False), st.integers(), st.text())


@given(st.lists(st.tuples(finite, finite, knobs), min_size=1, max_size=6), st.text())
def test_the_round_trip_through_strict_json_is_exact(rows, name):
    price, gain, knob = zip(*rows, strict=True)
    t = Tradeoff(price, gain, knob, name=name, gain_interval=[[g, g] for g in gain])
    back = Tradeoff.from_dict(json.loads(json.dumps(t.to_dict(), allow_nan=False)))
    assert back == t
    assert [type(k) for k in back.knob] == [type(k) for k in t.knob]
    assert back.gain_interval.tolist() == t.gain_interval.tolist()


def test_tradeoffs_differ_when_any_part_does():
    t = Tradeoff([0.0], [1.0])
    assert t == Tradeoff([0.0], [1.0])
    assert t not in [Tradeoff([0.5], [1.0]), Tradeoff([0.0], [1.0], name="a"), "t"]


def test_a_pickled_tradeoff_comes_back():
    t = Tradeoff([0.0, 1.0], [0.5, 0.75])
    assert pickle.loads(pickle.dumps(t)) == t


def test_from_dict_names_what_does_not_fit():
    data = Tradeoff([0.0], [1.0]).to_dict()
    del data["price"]
    with pytest.raises(UsageError, match=r"missing or unknown: \['price', 'surprise'\]"):
        Tradeoff.from_dict({**data, "surprise": 1})
