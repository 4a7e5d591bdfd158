"""Remedies: each does to training what it says, and mends the shift that it is made for."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from limen._core.errors import UsageError
from limen.measure.hull import Hull
from limen.shift import remedies
from limen.shift.remedies import (
    CORAL,
    ERM,
    Augmented,
    Balanced,
    Blurred,
    GroupDRO,
    Logistic,
    Mixup,
    Pretrained,
    Rotated,
    Selected,
    Training,
)
from limen.shift.remedies.augmented import with_environments
from limen.shift.remedies.balanced import balancing
from limen.shift.remedies.coral import apart
from limen.shift.remedies.group_dro import exponentiated, group_means
from limen.shift.remedies.rows import Rows

QUICK = Training(steps=40, batch=32)
ALL = {
    "ERM": ERM(QUICK),
    "Balanced": Balanced(training=QUICK),
    "GroupDRO": GroupDRO(training=QUICK),
    "CORAL": CORAL(training=QUICK),
    "Mixup": Mixup(training=QUICK),
    "Augmented": Augmented([lambda x: x + 0.1], then=ERM(QUICK)),
    "Pretrained": Pretrained(np.abs, then=ERM(QUICK)),
    "Logistic": Logistic(),
    "Selected": Selected(0.5),
}
few = settings(max_examples=15)


def toy(seed=0, *, rows=200, places=2, apart_by=4.0):
    draw = np.random.default_rng(seed)
    labels = draw.integers(2, size=rows)
    inputs = draw.normal(size=(rows, 3)) + apart_by * labels[:, None]
    return Rows.of(inputs, labels, draw.integers(places, size=rows))


def spurious(seed=0, *, rows=1000, minority=0.02):
    """Column 0 tells the class a little, column 1 very well except in a rare environment."""
    draw = np.random.default_rng(seed)
    labels = draw.integers(2, size=rows)
    rare = (draw.random(rows) < minority).astype(int)
    sign = 2.0 * labels - 1
    inputs = np.column_stack([sign + draw.normal(size=rows), 3 * sign * (1 - 2 * rare)])
    return Rows.of(inputs + 0.3 * draw.normal(size=(rows, 2)), labels, rare)


def error(predict, rows, where=None):
    kept = rows if where is None else rows.at(where)
    return float((predict(kept.inputs).argmax(1) != kept.labels).mean())


@pytest.mark.parametrize("name", ALL)
def test_every_remedy_learns_what_is_easy(name):
    rows = toy()
    assert error(ALL[name](rows, seed=0), toy(1)) < 0.05


@pytest.mark.parametrize("name", ALL)
def test_every_remedy_gives_the_same_answer_again(name):
    first, second = (ALL[name](toy(), seed=3)(toy(1).inputs) for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("name", ALL)
def test_no_remedy_touches_the_global_generators(name):
    torch.manual_seed(0)
    before = torch.get_rng_state()
    ALL[name](toy(), seed=0)
    assert (torch.get_rng_state() == before).all()


@pytest.mark.parametrize("name", ["ERM", "GroupDRO", "CORAL", "Mixup"])
def test_another_seed_is_another_run(name):
    first, second = (ALL[name](toy(), seed=one)(toy(1).inputs) for one in (0, 1))
    assert (first != second).any()


def test_every_exported_remedy_is_tested_here():
    other = {"Blurred", "Compared", "Rotated", "Training", "compare_remedies"}
    assert set(ALL) | other == set(remedies.__all__)


@pytest.mark.parametrize("remedy", [GroupDRO, Balanced], ids=["GroupDRO", "Balanced"])
def test_weighing_environments_mends_the_rare_one(remedy):
    rows, fresh = spurious(), spurious(1, minority=0.5)
    training = Training(steps=50, batch=256, lr=0.05)
    rare = fresh.environments == 1
    plain = error(ERM(training)(rows, seed=0), fresh, rare)
    mended = error(remedy(by="environment", training=training)(rows, seed=0), fresh, rare)
    assert plain > 0.5
    assert mended < plain - 0.2


def test_exponentiated_weights_are_the_closed_form():
    weights, risks = np.array([0.2, 0.3, 0.5]), np.array([1.0, 2.0, 0.5])
    slow = weights * np.exp(0.7 * risks)
    np.testing.assert_allclose(exponentiated(weights, risks, 0.7), slow / slow.sum())


def test_exponentiated_weights_go_to_the_worst_group():
    weights = np.full(3, 1 / 3)
    for _ in range(200):
        weights = exponentiated(weights, np.array([0.1, 0.4, 0.2]), 0.5)
    np.testing.assert_allclose(weights, [0, 1, 0], atol=1e-6)


def test_weights_and_risks_of_a_game_meet_its_value():
    """Averaged play of exponentiated gradient against best answers solves a matrix game."""
    losses = np.array([[1.0, 0.0], [0.0, 3.0]])  # answer by group; value 3/4 at q = (3/4, 1/4)
    weights, played, mean = np.full(2, 0.5), np.zeros(2), np.zeros(2)
    for _ in range(4000):
        answer = int((losses @ weights).argmin())
        played[answer] += 1 / 4000
        mean += weights / 4000
        weights = exponentiated(weights, losses[answer], 0.02)
    np.testing.assert_allclose(mean, [0.75, 0.25], atol=0.05)
    assert (played @ losses).max() == pytest.approx(0.75, abs=0.05)


def test_group_means_are_those_of_each_group():
    losses, groups = torch.rand(50), torch.randint(4, (50,))
    found = group_means(losses, groups, 5)
    for one in range(4):
        assert found[one].item() == pytest.approx(losses[groups == one].mean().item(), abs=1e-6)
    assert found[4] == 0


@few
@given(st.lists(st.integers(0, 3), min_size=1, max_size=30))
def test_balancing_weights_give_every_group_the_same_sum(groups):
    groups = np.array(groups)
    weights = balancing(groups)
    sums = [weights[groups == one].sum() for one in np.unique(groups)]
    np.testing.assert_allclose(sums, len(groups) / len(sums))
    assert weights.mean() == pytest.approx(1)


def test_coral_is_zero_only_where_first_and_second_moments_agree():
    rows = torch.randn(40, 3, generator=torch.Generator().manual_seed(0))
    both, groups = torch.cat([rows, rows]), torch.arange(80) // 40
    assert apart(both, groups).item() == pytest.approx(0, abs=1e-10)
    assert apart(torch.cat([rows, rows + 1]), groups).item() == pytest.approx(1, abs=1e-4)
    assert apart(torch.cat([rows, 2 * rows]), groups) > 0.1
    assert apart(rows, torch.zeros(40).long()) == 0


def test_coral_brings_the_features_of_environments_together():
    draw = np.random.default_rng(0)
    places = np.arange(400) % 2
    labels = draw.integers(2, size=400)
    inputs = draw.normal(size=(400, 3)) + 3 * labels[:, None]
    inputs[:, 2] = 5 * places  # tells nothing but the environment
    rows, nets = Rows.of(inputs, labels, places), []

    def net(shape, classes):
        made = nn.Sequential(nn.Linear(shape[0], 16), nn.ReLU(), nn.Linear(16, classes))
        nets.append(made)
        return made

    training = Training(net=net, steps=40, batch=64, lr=0.02)
    for weight in (0.0, 5.0):
        CORAL(weight=weight, training=training)(rows, seed=0)
    standard = torch.from_numpy((inputs - inputs.mean(0)) / inputs.std(0)).float()
    without, aligned = (apart(n[:2](standard), torch.from_numpy(places)).item() for n in nets)
    assert aligned < without / 3


def test_coral_refuses_a_head_alone():
    with pytest.raises(UsageError, match="hidden must be above 0"):
        CORAL(training=Training(hidden=0))


@few
@given(st.integers(0, 1000), st.floats(0, 1))
def test_mixed_rows_change_no_hull(seed, share):
    draw = np.random.default_rng(seed)
    rows, asked = draw.normal(size=(15, 3)), draw.normal(size=(20, 3))
    mixed = share * rows + (1 - share) * rows[draw.permutation(15)]
    before, after = Hull(rows), Hull(np.concatenate([rows, mixed]))
    np.testing.assert_allclose(after.distance(asked), before.distance(asked), atol=1e-5)


def test_a_turn_by_90_degrees_is_numpys():
    pictures = np.random.default_rng(0).random((3, 8, 8))
    np.testing.assert_allclose(Rotated(90)(pictures), np.rot90(pictures, axes=(1, 2)), atol=1e-9)
    np.testing.assert_allclose(Rotated(0)(pictures), pictures)


def test_channels_come_last_or_first():
    pictures = np.random.default_rng(0).random((2, 6, 6, 3))
    first = np.moveaxis(pictures, 3, 1)
    for last, other in [
        (Rotated(30), Rotated(30, axes=(2, 3))),
        (Blurred(1.0), Blurred(1.0, axes=(2, 3))),
    ]:
        np.testing.assert_allclose(np.moveaxis(last(pictures), 3, 1), other(first))


def test_a_blur_keeps_the_mean_inside_and_lowers_the_variance():
    picture = np.zeros((1, 21, 21))
    picture[0, 10, 10] = 1
    blurred = Blurred(1.5)(picture)
    assert blurred.sum() == pytest.approx(1, abs=1e-3)  # the kernel is cut at four deviations
    offsets = np.arange(21) - 10
    assert (blurred[0].sum(0) * offsets**2).sum() == pytest.approx(1.5**2, rel=0.02)


def test_features_are_no_pictures():
    with pytest.raises(UsageError, match="height and width on axes"):
        Rotated(10)(np.ones((4, 3)))


def test_every_change_is_an_environment_of_its_own():
    rows = toy(places=3, rows=30)
    found = with_environments(rows, [lambda x: x + 1, lambda x: -x])
    assert len(found) == 90
    assert len(np.unique(found.environments)) == 9
    assert found.labels.tolist() == 3 * rows.labels.tolist()
    np.testing.assert_array_equal(found.inputs[60:], -rows.inputs)


def test_a_change_of_shape_is_refused():
    with pytest.raises(UsageError, match="keep the shape"):
        with_environments(toy(), [lambda x: x[:, :2]])


def test_augmentation_that_makes_the_target_mends_it():
    rows = toy(apart_by=3.0)
    turned = Rows(-rows.inputs, rows.labels, rows.environments, 2)
    training = Training(steps=50, batch=256, lr=0.05)
    centred = Rows(rows.inputs, rows.labels, rows.environments, 2)
    plain = error(ERM(training)(centred, seed=0), turned)
    mended = error(Augmented([lambda x: -x], then=ERM(training))(centred, seed=0), turned)
    assert plain > 0.4
    assert mended < 0.2


def test_a_network_of_ones_own_is_trained():
    def net(shape, classes):
        assert shape == (6, 6)
        return nn.Sequential(nn.Unflatten(1, (1, 6)), nn.Conv2d(1, 4, 3), nn.Flatten(),
                             nn.Linear(64, classes))  # fmt: skip

    draw = np.random.default_rng(0)
    labels = draw.integers(2, size=100)
    pictures = draw.normal(size=(100, 6, 6)) + 2.0 * labels[:, None, None]
    rows = Rows.of(pictures, labels, np.arange(100) % 2)
    assert error(ERM(Training(net=net, steps=40))(rows, seed=0), rows) < 0.1


def test_selected_learns_from_the_chosen_rows_alone():
    from limen.shift.head import Head
    from limen.shift.select import select

    rows = toy(2)
    found = select(rows.inputs, 20, labels=rows.labels, environments=rows.environments)
    head = Head().fit(rows.inputs[found.rows], rows.labels[found.rows])
    predict = Selected(20)(rows, seed=0)
    np.testing.assert_allclose(predict(rows.inputs), head.logits(rows.inputs), atol=1e-9)


@pytest.mark.parametrize("name", ["ERM", "Logistic", "GroupDRO", "Mixup"])
def test_the_units_of_the_columns_change_no_prediction(name):
    rows, fresh = toy(3, rows=100), toy(4)
    unit = np.array([1.0, 100.0, 0.01])
    scaled = Rows(rows.inputs * unit, rows.labels, rows.environments, 2)
    first = ALL[name](rows, seed=0)(fresh.inputs)
    second = ALL[name](scaled, seed=0)(fresh.inputs * unit)
    np.testing.assert_allclose(first, second, atol=1e-2)  # float32 through forty steps


def test_rows_of_weight_zero_are_not_learned_from():
    from limen.shift.remedies.training import cross_entropy

    rows = toy(5)
    wrong = Rows(rows.inputs, rows.labels.copy(), rows.environments, 2)
    wrong.labels[:90] = 1 - wrong.labels[:90]
    weights = (np.arange(200) >= 90).astype(float)
    predict = QUICK.run(wrong, cross_entropy, seed=0, weights=weights)
    assert error(predict, toy(6)) < 0.05


@pytest.mark.parametrize(
    "weights", [np.ones(3), -np.ones(200), np.zeros(200)], ids=["few", "negative", "zero"]
)
def test_weights_that_do_not_fit_are_refused(weights):
    from limen.shift.remedies.training import cross_entropy

    with pytest.raises(UsageError, match="weights must be 200"):
        QUICK.run(toy(), cross_entropy, seed=0, weights=weights)


def test_groups_are_pairs_and_another_word_is_refused():
    rows = toy(places=3)
    assert rows.groups("group").max() == 5
    assert rows.groups("class").max() == 1
    with pytest.raises(UsageError, match="by='classes'"):
        rows.groups("classes")


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: GroupDRO(eta=0.0), "eta"),
        (lambda: Mixup(alpha=-1.0), "alpha"),
        (lambda: CORAL(weight=-1.0), "weight"),
        (lambda: Blurred(0.0), "sigma"),
        (lambda: Training(steps=0), "steps"),
        (lambda: Training(lr=0.0), "lr"),
        (lambda: Training(hidden=-1), "hidden"),
        (lambda: Rows.of([[1.0]], [0], [0]), "two classes"),
        (lambda: Rows.of([1.0], [0], [0]), "inputs must be"),
    ],
    ids=["eta", "alpha", "weight", "sigma", "steps", "lr", "hidden", "classes", "inputs"],
)
def test_wrong_options_of_remedies_are_refused(make, told):
    with pytest.raises(UsageError, match=told):
        make()
