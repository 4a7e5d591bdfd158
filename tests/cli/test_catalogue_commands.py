"""`limen list`, `limen show`, `limen doctor`."""

import json
import re

import pytest

import limen as root
from limen import unlearn


def test_list_names_everything_that_the_packages_offer(limen):
    found = limen("list", "--json").data
    assert found["limen"].keys() == set(root.__all__)
    assert found["unlearn"].keys() == set(unlearn.__all__)


def test_each_name_comes_with_its_first_line(limen):
    found = limen("list", "unlearn", "--json").data
    assert list(found) == ["unlearn"]
    assert found["unlearn"]["NPO"] == unlearn.NPO.__doc__.splitlines()[0]
    assert all(found["unlearn"].values())


def test_the_list_for_people_says_the_same_as_the_one_for_programs(limen):
    lines = limen("list", "unlearn").out.splitlines()
    assert lines[0] == "unlearn"
    said = dict(re.split(r"  +", line.strip(), maxsplit=1) for line in lines[1:])
    assert said == limen("list", "unlearn", "--json").data["unlearn"]


@pytest.mark.parametrize("name", ["NPO", "npo", "unlearn.NPO", "limen.unlearn.npo"])
def test_show_finds_a_name_however_it_is_written(limen, name):
    ended = limen("show", name)
    assert (ended.code, ended.err) == (0, "")
    heading, signature, doc = ended.out.split("\n\n", 2)
    assert (heading, signature) == ("limen.unlearn.NPO", "NPO(beta: float = 0.1)")
    assert doc.startswith(unlearn.NPO.__doc__.splitlines()[0])


def test_a_name_that_two_packages_use_is_shown_from_both(limen):
    headings = re.findall(r"^limen\.\S+$", limen("show", "Step").out, re.MULTILINE)
    assert headings == ["limen.ood.Step", "limen.train.Step", "limen.unlearn.Step"]
    assert limen("show", "train.Step").out.startswith("limen.train.Step\n")


def test_a_thing_that_two_packages_export_is_shown_once(limen):
    headings = re.findall(r"^limen\.\S+$", limen("show", "fit").out, re.MULTILINE)
    assert headings == ["limen.fit"]


@pytest.mark.parametrize("name", ["conflict", "Conflict"])
def test_case_decides_where_it_can(limen, name):
    assert limen("show", name).out.startswith(f"limen.algebra.{name}\n")


@pytest.mark.parametrize("name", root.__all__ + unlearn.__all__)
def test_every_listed_name_can_be_shown(limen, name):
    ended = limen("show", name)
    assert ended.code == 0
    assert "no documentation" not in ended.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["list", "unlearm"], "no package 'unlearm'; nearest: unlearn, "),
        (["show", "NOP"], "no name 'NOP'; nearest: NPO, "),
        (["show", "unlearn.NOP"], "no name 'unlearn.NOP'; nearest: NPO, "),
        (["show", "unlern.NPO"], "no name 'unlern.NPO'; nearest: unlearn, "),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_an_unknown_name_is_answered_with_the_nearest_three(limen, arguments, said):
    ended = limen(*arguments)
    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err
    assert ended.err.count(",") == 2


def test_doctor_says_the_same_to_people_and_programs(limen):
    known = limen("doctor", "--json").data
    told = limen("doctor").out
    assert known["python"] in told
    assert all(f"{name} {version}" in told for name, version in known["packages"].items())
    for extra, missing in known["missing"].items():
        (line,) = re.findall(rf"^extra {extra}: (.*)$", told, re.MULTILINE)
        wanted = f"missing {', '.join(missing)}: pip install '.[{extra}]'"
        assert line == (wanted if missing else "installed")


def test_doctor_finds_what_is_missing(limen, monkeypatch):
    monkeypatch.setattr("limen.cli.catalogue.EXTRAS", {"some": ("json", "no_such_module")})
    assert json.loads(limen("doctor", "--json").out)["missing"] == {"some": ["no_such_module"]}
