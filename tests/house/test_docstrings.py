"""A public name explains itself, with an example that is run and the paper it comes from."""

import re

import pytest

from house.inventory import DOCSTRINGS, REPOSITORY

# Each exception with its reason.
WITHOUT_EXAMPLE = {
    "limen.LimenError": "a base class to catch, never raised or called",
}
HELD = (REPOSITORY / "PAPERS.md").read_text(encoding="utf-8").split("## Departures")[0]
FROM_PAPERS = sorted(set(re.findall(r"`(limen\.[\w.]+)`", HELD)))


@pytest.mark.parametrize("name", [name for name in DOCSTRINGS if name not in WITHOUT_EXAMPLE])
def test_every_public_name_has_an_example_that_is_a_doctest(name):
    _, found, example = DOCSTRINGS[name].partition("Example:")
    assert found, f"{name} has no Example"
    assert ">>>" in example, f"the Example of {name} is no doctest"


@pytest.mark.parametrize("name", WITHOUT_EXAMPLE)
def test_every_exception_has_a_docstring_and_is_still_needed(name):
    assert DOCSTRINGS[name]
    assert "Example:" not in DOCSTRINGS[name]


def test_the_list_of_papers_names_something():
    assert "limen.algebra.rectified" in FROM_PAPERS


@pytest.mark.parametrize("name", FROM_PAPERS)
def test_every_name_with_a_paper_has_a_reference(name):
    assert "Reference:" in DOCSTRINGS[name]
