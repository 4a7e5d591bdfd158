"""`__all__` is the catalogue: literal, complete, and true."""

import pytest

from house.inventory import NAMES, PACKAGES, resolve
from limen._core.lazy import catalogue, exports


@pytest.mark.parametrize("package", PACKAGES)
def test_all_lists_exactly_what_the_package_exports(package):
    init = str(PACKAGES[package])
    assert sorted(catalogue(init)) == sorted(exports(init))


@pytest.mark.parametrize("package", PACKAGES)
def test_all_is_sorted_and_says_each_name_once(package):
    names = catalogue(str(PACKAGES[package]))
    assert names == sorted(set(names))


@pytest.mark.parametrize(("package", "name"), NAMES, ids=lambda part: part)
def test_every_name_can_be_imported(package, name):
    assert resolve(f"{package}.{name}") is not None
