"""The documents keep up with the code."""

import pytest

from house.inventory import NAMES, PACKAGES, REPOSITORY, generate


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reference")
    generate.reference(folder)
    return folder


@pytest.mark.parametrize("package", PACKAGES)
def test_the_index_of_the_reference_leads_to_every_package(reference, package):
    assert f"   {package}\n" in (reference / "index.rst").read_text(encoding="utf-8")


@pytest.mark.parametrize(("package", "name"), NAMES, ids=lambda part: part)
def test_the_reference_shows_every_public_name(reference, package, name):
    page = (reference / f"{package}.rst").read_text(encoding="utf-8").splitlines()
    entry = (f":: {name}", f".{name}`", f".{name}``")
    assert any(line.endswith(entry) for line in page)


def test_the_changelog_has_a_place_for_what_comes_next():
    lines = (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8").splitlines()
    assert {"## [Unreleased]", "### Added", "### Numbers"} <= set(lines)


def test_the_version_is_the_same_everywhere():
    import limen

    for document in ("pyproject.toml", "CITATION.cff"):
        said = (REPOSITORY / document).read_text(encoding="utf-8")
        assert limen.__version__ in said, f"{document} names another version"
