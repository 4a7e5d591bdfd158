"""The report of a count: its uncertainties, its tables, and two models against each other."""

from math import sqrt

import numpy as np
import pytest

from limen._core.errors import UsageError
from limen.measure.wilson import newcombe
from limen.report.table import Table
from limen.run.files import load, save
from limen.shift.animals import animals
from limen.shift.compare import compare
from limen.shift.counted import Counted
from limen.shift.counter import counter
from limen.shift.labels import LabelSpace
from limen.shift.photos import Photos
from limen.shift.published import published_line

SIZES = [(10, 8), (20, 5), (4, 40)]


def photos_of(sizes=SIZES) -> Photos:
    labels = np.concatenate([np.full(n + m, i) for i, (n, m) in enumerate(sizes)])
    group = np.concatenate([[0] * n + [1] * m for n, m in sizes])
    return Photos([str(i) for i in range(len(labels))], labels, group)


def counted(shares, sizes=SIZES, **options) -> Counted:
    """So many of each class and group named rightly; all others are taken for class 99."""
    named = np.concatenate([
        [i] * k + [99] * (n - k) + [i] * m + [99] * (o - m)
        for i, ((k, m), (n, o)) in enumerate(zip(shares, sizes, strict=True))
    ])  # fmt: skip
    return counter(named.astype(int), photos_of(sizes), **options)


def test_accuracies_and_drops_are_the_means_over_classes():
    found = counted([(5, 2), (20, 1), (1, 20)])
    assert found.accuracy.tolist() == [[0.5, 0.25], [1.0, 0.2], [0.25, 0.5]]
    assert found.drops.tolist() == pytest.approx([0.25, 0.8, -0.25])
    assert found.common == pytest.approx(1.75 / 3)
    assert found.counter == pytest.approx(0.95 / 3)
    assert found.drop == pytest.approx(found.common - found.counter)
    assert found.unbalanced == pytest.approx((26 / 34, 23 / 53))


def test_the_error_with_classes_fixed_is_the_closed_form():
    found = counted([(5, 2), (20, 1), (1, 20)])
    common = 0.25 / 10 + 0 / 20 + 0.1875 / 4
    other = 0.1875 / 8 + 0.16 / 5 + 0.25 / 40
    assert found.error_fixed["common"] == pytest.approx(sqrt(common) / 3)
    assert found.error_fixed["counter"] == pytest.approx(sqrt(other) / 3)
    assert found.error_fixed["drop"] == pytest.approx(sqrt(common + other) / 3)


def test_the_error_with_classes_fixed_is_that_of_other_photos():
    """Photos drawn 4,000 times: the deviation of the drop is known to 1.2 %, checked to 5 %."""
    stream = np.random.default_rng(0)
    p, n = np.array([[0.9, 0.4], [0.6, 0.5], [0.3, 0.1]]), np.array(SIZES)
    seen = stream.binomial(n, p, (4000, *n.shape)) / n
    drawn = (seen[..., 0] - seen[..., 1]).mean(1).std()
    exact = [(9, 3.2), (12, 2.5), (1.2, 4)]
    closed = sqrt(sum(k / a * (1 - k / a) / a + m / b * (1 - m / b) / b
                      for (k, m), (a, b) in zip(exact, SIZES, strict=True))) / 3  # fmt: skip
    assert closed == pytest.approx(drawn, rel=0.05)


def test_the_error_with_classes_resampled_is_that_of_their_mean():
    found = counted([(5, 2), (20, 1), (1, 20)])
    assert found.error_resampled["drop"] == pytest.approx(np.std(found.drops, ddof=1) / sqrt(3))


def test_the_bootstrap_over_classes_agrees_with_its_error():
    """45 drops: the 95 % interval is about 2 x 1.96 standard errors wide."""
    stream = np.random.default_rng(0)
    sizes = [(100, 100)] * 45
    found = counted([(80, int(k)) for k in stream.integers(20, 80, 45)], sizes)
    interval = found.resampled["drop"]
    width = 2 * 1.96 * found.error_resampled["drop"]
    assert interval.high - interval.low == pytest.approx(width, rel=0.1)
    assert interval.low < found.drop < interval.high


def test_other_classes_are_less_sure_than_other_photos():
    found = counted([(90, k) for k in range(10, 90, 10)], [(100, 100)] * 8)
    fixed, other = found.fixed["drop"], found.resampled["drop"]
    assert other.high - other.low > fixed.high - fixed.low


@pytest.mark.parametrize("level", [0.5, 0.9, 0.99])
def test_intervals_keep_their_level(level):
    found = counted([(5, 2), (10, 1), (1, 20)], level=level)
    assert found.fixed["drop"].level == found.resampled["drop"].level == level


def test_a_higher_level_is_wider():
    low, high = (counted([(5, 2), (10, 1), (1, 20)], level=x).fixed["drop"] for x in (0.5, 0.99))
    assert high.low < low.low < low.high < high.high


def test_intervals_of_accuracies_stay_within_0_and_1():
    found = counted([(10, 7), (20, 4), (3, 39)])
    assert 0 <= found.fixed["common"].low <= found.fixed["common"].high <= 1


def test_one_class_says_nothing_of_others():
    found = counted([(5, 2)], [(10, 8)])
    assert np.isnan(found.error_resampled["drop"])
    assert np.isnan(found.resampled["drop"].low)
    assert "other classes" not in found.answer
    assert found.overall.to_text()


def test_the_same_seed_gives_the_same_interval():
    shares = [(5, 2), (10, 1), (1, 20)]
    one, two, other = (counted(shares, seed=s).resampled["drop"] for s in (1, 1, 2))
    assert one == two
    assert other.level == one.level


def test_the_table_has_a_row_for_each_class_the_mean_and_all_photos():
    found = counted([(5, 2), (20, 1), (1, 20)])
    rows = found.table.rows
    assert [row[0] for row in rows] == ["1", "0", "2", "mean of 3 classes", "all photos alike"]
    assert rows[1][8].value == pytest.approx(25.0)
    assert rows[3][8].value == pytest.approx(100 * found.drop)
    assert rows[4][8].value == pytest.approx(100 * found.unbalanced_drop)
    assert rows[4][4:6] == [34, 53]


def test_every_interval_of_the_table_holds_its_value():
    found = counted([(10, 0), (20, 5), (1, 20)])
    cells = [cell for row in found.table.rows for cell in row[6:9]]
    assert all(cell.low <= cell.value <= cell.high for cell in cells)


def test_the_overall_table_tells_both_uncertainties_in_points():
    found = counted([(5, 2), (20, 1), (1, 20)])
    drop = found.overall.rows[2]
    assert drop[1].value == drop[2].value == pytest.approx(100 * found.drop)
    assert drop[3] == pytest.approx(100 * found.error_fixed["drop"])
    assert drop[4] == pytest.approx(100 * found.error_resampled["drop"])
    assert drop[5] == pytest.approx(100 * found.unbalanced_drop)


def test_tables_survive_writing():
    found = counted([(5, 2), (20, 1), (1, 20)])
    for table in (found.table, found.overall):
        assert Table.from_dict(table.to_dict()).to_text() == table.to_text()
        assert table.to_markdown()


def test_the_answer_is_the_drop_in_points():
    assert "a drop of 26.7 points [" in counted([(5, 2), (20, 1), (1, 20)], name="net").answer


def test_what_was_put_among_the_candidates_is_told():
    photos = photos_of()
    space = LabelSpace({0: [0, 1], 1: [0, 1], 2: [2, 0], 8: [8]}, put_in=(1, 8))
    found = counter(np.eye(3)[photos.labels], photos, candidates=space)
    assert (found.space, found.put_in) == ("1 vs 2", (1,))
    assert "put among the candidates of: 1." in found.table.protocol


def test_the_space_is_told():
    photos = photos_of()
    assert counter(np.eye(7)[photos.labels], photos).space == "1 vs 7"
    assert counter(photos.labels, photos).space == "predictions as given"


def test_the_tradeoff_is_the_model_at_its_price():
    found = counted([(5, 2), (20, 1), (1, 20)], name="net")
    point = found.tradeoff.at(price=1.0)
    assert (point.price, point.gain, point.knob) == (1 - found.common, found.counter, "net")
    low, high = point.gain_interval
    assert low < found.counter < high


@pytest.mark.parametrize("candidates", [None, LabelSpace({0: [0, 1], 1: [1], 2: [2]})])
def test_a_count_survives_saving(tmp_path, candidates):
    photos = photos_of()
    found = counter(np.eye(3)[photos.labels], photos, candidates=candidates, name="net")
    back = load(save(found, tmp_path / "count"))
    assert back.table.rows == found.table.rows
    assert back.overall.to_text() == found.overall.to_text()
    assert back.predicted.tolist() == found.predicted.tolist()
    assert (back.groups, back.space, back.put_in) == (found.groups, found.space, found.put_in)


def test_a_state_of_something_else_is_refused():
    with pytest.raises(UsageError, match=r"Counted\.to_dict"):
        Counted.from_dict({"name": "x"})


def test_a_count_of_the_45_animals_is_placed_beside_the_published_models():
    indices = np.repeat([one.index for one in animals()], 20)
    group = np.tile(np.repeat([0, 1], 10), 45)
    photos = Photos([str(i) for i in range(900)], indices, group)
    named = np.where((np.arange(900) % 10 < 8) | (group == 1) & (np.arange(900) % 10 < 6),
                     indices, 0)  # fmt: skip
    named = np.where((group == 1) & (np.arange(900) % 10 >= 6), 0, named)
    found = counter(np.eye(1000)[named], photos, name="net")
    assert (found.common, found.counter) == pytest.approx((0.8, 0.6))
    expected = published_line("ImageNet").excess(found.common, found.counter)
    assert found.placed().over_imagenet == pytest.approx(expected)


def test_a_model_without_a_mistake_is_placed_half_a_photo_below():
    indices = np.repeat([one.index for one in animals()], 2)
    photos = Photos([str(i) for i in range(90)], indices, np.tile([0, 1], 45))
    placed = counter(np.eye(1000)[indices], photos).placed()
    assert (placed.common, placed.counter) == pytest.approx((1 - 0.5 / 45, 1 - 0.5 / 45))


def test_what_a_class_loses_is_its_drop_with_newcombes_interval():
    found = counted([(5, 2), (20, 1), (1, 20)])
    assert [one.value for one in found.lost] == pytest.approx((100 * found.drops).tolist())
    around = newcombe((5, 10), (2, 8))
    assert (found.lost[0].low, found.lost[0].high) == (100 * around.low, 100 * around.high)


def test_other_classes_are_not_placed():
    with pytest.raises(UsageError, match="45 animals, 1 vs 1000"):
        counted([(5, 2), (20, 1), (1, 20)]).placed()


def test_compared_with_itself_a_model_differs_by_nothing():
    found = counted([(5, 2), (20, 1), (1, 20)])
    contrast = compare(found, found)
    assert contrast.drop.difference == contrast.counter.difference == 0
    assert contrast.drop.p_value == 1


def test_changing_places_changes_the_sign():
    one, two = counted([(5, 2), (20, 1), (1, 20)]), counted([(9, 2), (15, 5), (4, 10)])
    there, back = compare(one, two), compare(two, one)
    for a, b in ((there.drop, back.drop), (there.counter, back.counter)):
        assert a.difference == pytest.approx(-b.difference)
        assert a.p_value == b.p_value


def test_differences_are_those_of_the_counts():
    one, two = counted([(5, 2), (20, 1), (1, 20)]), counted([(9, 2), (15, 5), (4, 10)])
    found = compare(one, two)
    assert found.drop.difference == pytest.approx(one.drop - two.drop)
    assert found.counter.difference == pytest.approx(one.counter - two.counter)
    assert found.common.difference == pytest.approx(one.common - two.common)


def test_pairing_finds_what_two_intervals_cannot():
    """Classes differ by far; the second model is 5 points better on every one of them."""
    sizes = [(100, 100)] * 45
    counts = np.random.default_rng(0).integers(5, 90, 45).tolist()
    one = counted([(95, k) for k in counts], sizes)
    two = counted([(95, k + 5) for k in counts], sizes)
    found = compare(one, two)
    assert found.counter.interval.high < 0
    assert found.drop.interval.low > 0
    assert found.drop.p_value < 0.01
    assert one.resampled["drop"].low < two.resampled["drop"].high


def test_the_numbers_of_classes_do_not_move_a_comparison():
    """More classes than have all their sign patterns tried, in another order."""
    stream = np.random.default_rng(0)
    sizes = [(50, 40)] * 30
    first, second = stream.integers(0, 40, (2, 30, 2)).tolist()
    order = stream.permutation(30)
    one = compare(counted(first, sizes), counted(second, sizes))
    moved = [counted([shares[i] for i in order], sizes) for shares in (first, second)]
    two = compare(*moved)
    assert one.drop.interval.low == pytest.approx(two.drop.interval.low, abs=1e-12)
    assert one.drop.interval.high == pytest.approx(two.drop.interval.high, abs=1e-12)
    assert one.drop.p_value == two.drop.p_value


def test_counts_on_other_photos_are_not_compared():
    with pytest.raises(UsageError, match="the same photos"):
        compare(counted([(5, 2)], [(10, 8)]), counted([(5, 2)], [(10, 9)]))


def test_counts_of_other_label_spaces_are_not_compared():
    photos = photos_of()
    one = counter(np.eye(3)[photos.labels], photos)
    two = counter(np.eye(5)[photos.labels], photos)
    with pytest.raises(UsageError, match="1 vs 3 and 1 vs 5"):
        compare(one, two)


def test_the_table_of_a_comparison_is_in_points():
    one, two = counted([(5, 2), (20, 1), (1, 20)]), counted([(9, 2), (15, 5), (4, 10)])
    found = compare(one, two)
    assert found.table.rows[2][1].value == pytest.approx(100 * found.drop.difference)
