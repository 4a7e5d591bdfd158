"""The CIFAR-10 recipe learns from no class that it is tested on."""

import json
from pathlib import Path

import pytest

from limen.run.recipe import Recipe

RECIPES = Path(__file__).parents[2] / "recipes"
NAMES = [f"n{number:08d}" for number in range(1000)]


@pytest.fixture(scope="module")
def listed():
    return json.loads((RECIPES / "cifar10_shared_classes.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def split_classes():
    return Recipe(RECIPES / "cifar10_outliers.py").module.split_classes


def named(part):
    return {name for some in part.values() for name in some}


def names_of(listed):
    some = named(listed["removed"]) | named(listed["not auxiliary"])
    return sorted(some | set(NAMES))


def test_no_class_is_on_both_sides(split_classes, listed):
    learnt, asked = split_classes(names_of(listed), listed)
    assert min(len(learnt), len(asked)) > 300
    assert not set(learnt) & set(asked)


def test_what_cifar10_shows_is_on_neither_side(split_classes, listed):
    removed = named(listed["removed"])
    assert removed
    for side in split_classes(names_of(listed), listed):
        assert not removed & set(side)


def test_what_pacs_shows_is_not_learnt_from(split_classes, listed):
    learnt, _ = split_classes(names_of(listed), listed)
    of_pacs = named(listed["not auxiliary"])
    assert of_pacs
    assert not of_pacs & set(learnt)


def test_the_order_of_the_photographs_decides_nothing(split_classes, listed):
    names = names_of(listed)
    assert split_classes(names[::-1], listed) == split_classes(names, listed)
