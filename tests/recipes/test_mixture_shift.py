"""The recipe on mixtures of domains: who learns from what, and what its page reads."""

from pathlib import Path

import numpy as np
import pytest

from limen._core.errors import UsageError
from limen.report.table import Table
from limen.run import Cell
from limen.run.recipe import Recipe

RECIPE = Path(__file__).parents[2] / "recipes" / "mixture_shift.py"


@pytest.fixture(scope="module")
def module():
    return Recipe(RECIPE).module


@pytest.fixture(scope="module")
def task(module):
    """Digits in two classes, told apart by their first feature; asked near and far."""
    stream = np.random.default_rng(0)

    def rows(count, shift):
        labels = np.arange(count) % 2
        features = stream.normal(size=(count, 3))
        features[:, 0] += 6 * labels
        features[:, 1] += shift
        return module.Labelled(features, labels)

    train = {name: rows(200, shift) for name, shift in (("a", -1), ("b", 1))}
    test = {"sources": {"a": rows(100, -1), "b": rows(100, 1)}, "beyond": {"c": rows(100, 9)}}
    return module.Task(train, test)


def tables(page):
    return {one.title: one for one in page.records if isinstance(one, Table)}


@pytest.fixture(scope="module")
def read(module):
    return tables(module.page(planted(module)))


def gap(place, squared, **weights):
    return {"place": place, "squared": squared, "gap": squared**0.5, "p": 0.5,
            "weights": weights, "rows": 9}  # fmt: skip


def planted(module):
    """One task whose error grows with the gap, and a rule that gains two points everywhere."""
    name = module.MNIST
    gaps = {"a": gap("sources", 0.0, a=1.0), "b": gap("sources", 0.01, b=1.0),
            "c": gap("between", 0.02, a=0.5, b=0.5), "d": gap("beyond", 0.3, b=1.0)}  # fmt: skip
    done = [(Cell("gaps", {"kind": module.GAPS, "task": name}), {"gaps": gaps})]
    for seed in module.SEEDS[:3]:
        shift = 0.001 * (seed - module.SEEDS[1])
        errors = {
            target: [level + 0.3 + shift, level + 0.2 + shift, level + 0.1 + shift]
            for target, level in (("a", 0.0), ("b", 0.02), ("c", 0.05), ("d", 0.4))
        }
        sized = {"sizes": [25, 50, 100], "errors": errors}
        random = {target: some[-1] for target, some in errors.items()}
        better = {target: error - 0.02 for target, error in random.items()}
        chosen = {
            rule: {str(b): better if rule == "logdet" else random for b in module.BUDGETS}
            for rule in module.RULES
        }
        chosen = {"pool": 9, "rules": chosen, module.ALL: random}
        rising = {**sized, "errors": {name: some[::-1] for name, some in errors.items()}}
        results = ((module.CURVES, sized), (module.GROWTH, rising), (module.CHOICE, chosen))
        for kind, result in results:
            done.append((Cell(kind, {"kind": kind, "task": name, "seed": seed}), result))
    return done


def test_what_is_left_out_of_pacs_is_never_learnt_from(module):
    names = module.DOMAINS
    rows = {name: module.Labelled(np.full((1200, 1), i), np.zeros(1200, int))
            for i, name in enumerate(names)}  # fmt: skip
    for place, name in enumerate(names):
        found = module._left_out(rows, f"{module.PACS}, {name} left out")
        assert list(found.test["beyond"]) == [name]
        assert all((some.features != place).all() for some in found.train.values())


def test_no_picture_is_both_learnt_from_and_asked(module):
    pictures = np.arange(10_000.0).reshape(-1, 1, 1)
    found = module._changed(
        pictures, np.zeros(10_000, int), module.MNIST, ways=module.ANGLES, unit="degrees",
        change=lambda x, way: x, features=lambda x: x.reshape(len(x), 1),
    )  # fmt: skip
    parts = [set(rows.features[:, 0]) for rows in (*found.train.values(), found.test["between"]
             ["15 degrees"])]  # fmt: skip
    assert sum(map(len, parts)) == len(set.union(*parts))


def test_errors_are_those_of_the_asked_rows(module, task):
    found = module._curves(task, {"kind": module.CURVES, "task": module.PACS, "seed": 1})
    assert len(found["errors"]["c"]) == len(found["sizes"])
    assert max(found["errors"]["a"][-1], found["errors"]["b"][-1]) < 0.02


def test_where_one_source_grows_the_middle_one_is_not_learnt_from(module, task):
    a, b = task.train.values()
    lies = module.Labelled(a.features, 1 - a.labels)
    three = module.Task({"a": a, "lies": lies, "b": b}, task.test)
    errors = module._curves(three, {"kind": module.GROWTH, "task": module.PACS, "seed": 1})
    assert max(errors["errors"]["a"][-1], errors["errors"]["b"][-1]) < 0.02


def test_each_way_to_grow_has_its_own_verdicts(read):
    both = [read[title].rows for title in ("Error against rows of each source", "One source grows")]
    assert [{row[3] for row in rows} for rows in both] == [{"decreasing"}, {"rising"}]


def test_a_source_that_grows_beside_few_rows_is_named_so(module):
    grown = {module.MNIST: {}}
    places = [one["place"] for one in module._roles(grown, {module.MNIST: {
        "x": gap("sources", 0.0), "y": gap("sources", 0.0), "z": gap("sources", 0.0),
        "t": gap("beyond", 0.1),
    }})[module.MNIST].values()]  # fmt: skip
    assert places == ["few rows", "not learnt", "grows", "beyond"]


def test_missing_data_are_refused_before_any_work(module, tmp_path):
    with pytest.raises(UsageError, match=r"must hold t10k-images.*; use --data"):
        module.cells(tmp_path)


def test_a_gap_that_grows_with_error_is_told(module, read):
    rows = read["Spearman's correlation over targets"].rows
    assert [row[:4] for row in rows if row[0] == module.MNIST] == [
        [module.MNIST, "all targets", 4, 1.0]
    ]


def test_error_above_the_mixture_is_nothing_on_a_source(read):
    rows = read["Every target"].rows
    above = {row[1]: row[6].value for row in rows}
    assert above["a"] == above["b"] == 0
    assert above["c"] == pytest.approx(4.0)  # 15 % against the mean of 10 and 12 %


def test_a_rule_is_read_against_random_rows_of_the_same_seed(read):
    titled = "chosen less random rows, asked on targets that are no source"
    found = {row[0]: row[1] for row in read[f"MNIST, turned: {titled}"].rows}
    assert found["logdet"].value == pytest.approx(-2.0)
    assert found["logdet"].high == pytest.approx(-2.0)
    assert found["herding"].value == 0


def test_the_page_stands_without_cells(module):
    assert module.page([]).answer == "No cell has been run yet."


def test_pacs_is_read_only_where_all_four_tasks_are_there(module):
    one = {f"{module.PACS}, photo left out": {601: {}}}
    assert module._shared(one, module.PACS) == []
