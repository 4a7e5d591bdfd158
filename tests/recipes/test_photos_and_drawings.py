"""The recipe on photos and drawings: how a class of ImageNet counts, and what the page reads."""

from pathlib import Path

import numpy as np
import pytest

from limen._core.errors import UsageError
from limen.report.table import Table
from limen.run import Cell
from limen.run.recipe import Recipe

RECIPE = Path(__file__).parents[2] / "recipes" / "photos_and_drawings.py"
DOG, ELEPHANT, GUITAR, HORSE = 0, 1, 3, 4


@pytest.fixture(scope="module")
def module():
    return Recipe(RECIPE).module


def planted(module, domain, *, hits):
    """Two pictures of each class; the classifier misses the second where `hits` is 1."""
    labels = np.repeat(np.arange(7), 2)
    wrong = np.where(np.arange(14) % 2 >= hits, GUITAR, labels)
    wrong[labels == GUITAR] = GUITAR
    said = {module.CLEAR: wrong.tolist(), module.THOUSAND: wrong.tolist()}
    right = {choice: labels.tolist() for choice in (module.CLEAR, module.THOUSAND)}
    return Cell(domain, {"domain": domain}), {
        "names": [f"{domain}/{i}" for i in range(14)], "labels": labels.tolist(),
        module.LITE: said, module.BRIDGE: right | {module.ALL_NAMES: labels.tolist()},
    }  # fmt: skip


def table(page, title):
    return next(one for one in page.records if isinstance(one, Table) and one.title == title)


def test_a_class_is_as_likely_as_its_likest_child(module):
    logits = np.zeros((2, 1000))
    logits[0, 200], logits[0, 0] = 5.0, 9.0  # a dog, and a fish that is likelier still
    logits[1, 546] = 1.0  # an electric guitar
    found = module._by_classifier(logits)
    assert found[module.CLEAR] == [DOG, GUITAR]
    assert found[module.THOUSAND] == [-1, GUITAR]


def test_the_children_of_two_classes_do_not_meet(module):
    every = [column for columns in module.CHILDREN.values() for column in columns]
    assert len(every) == len(set(every))
    assert 340 not in every  # a zebra is no horse


def test_the_drop_is_that_of_the_classes_with_children(module):
    done = [planted(module, "photo", hits=2), planted(module, "sketch", hits=1)]
    rows = {
        (row[0], row[1]): row for row in table(module.page(done), "Photos against drawings").rows
    }
    lite = rows[module.LITE, module.CLEAR]
    assert (lite[3].value, lite[4].value) == (100.0, 62.5)  # 3 classes at half, one at whole
    assert rows[module.BRIDGE, module.CLEAR][5].value == 0
    assert rows[module.BRIDGE, module.ALL_NAMES][7] == 7


def test_a_class_without_children_is_asked_of_the_bridge_only(module):
    done = [planted(module, "photo", hits=2), planted(module, "sketch", hits=1)]
    rows = table(module.page(done), "Class by class").rows
    assert {row[1] for row in rows if row[0] == "giraffe"} == {module.BRIDGE}


def test_the_page_stands_without_cells(module):
    assert module.page([]).answer == "No cell has been run yet."


def test_missing_data_are_refused_before_any_work(module, tmp_path):
    with pytest.raises(UsageError, match=r"must hold pacs_64px.zip.*; use --data"):
        module.cells(tmp_path)
