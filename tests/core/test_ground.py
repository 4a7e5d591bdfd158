"""Errors that teach, imports that explain, random numbers that do not depend on one another."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from limen._core.errors import (
    InterruptedRun,
    LimenError,
    MissingExtraError,
    UsageError,
    WorkError,
    nearest,
)
from limen._core.optional import require
from limen._core.streams import numpy_stream, seed_for, torch_stream


@pytest.mark.parametrize(
    ("kind", "builtin", "code"),
    [
        (UsageError, ValueError, 2),
        (WorkError, RuntimeError, 1),
        (MissingExtraError, ImportError, 2),
    ],
)
def test_every_error_is_limens_and_a_builtin_one(kind, builtin, code):
    assert issubclass(kind, LimenError)
    assert issubclass(kind, builtin)
    assert kind.exit_code == code


def test_an_interrupted_run_passes_every_except_exception():
    assert issubclass(InterruptedRun, KeyboardInterrupt)
    assert not issubclass(InterruptedRun, Exception)


def test_the_nearest_names_come_first_whatever_their_case():
    assert nearest("retein", ["retain", "forget", "loss"], count=1) == "retain"
    assert nearest("npo", ["NPO", "GA"], count=1) == "NPO"


def test_nearest_gives_at_most_so_many_and_none_of_nothing():
    assert nearest("a", ["a1", "a2", "a3", "a4"], count=3).count(",") == 2
    assert nearest("a", []) == ""


def test_require_gives_a_module_that_is_there():
    assert require("json", extra="llm").dumps([1]) == "[1]"


@pytest.mark.parametrize("module", ["no_such_module", "no_such_module.part"])
def test_require_names_the_extra_of_a_module_that_is_absent(module):
    with pytest.raises(MissingExtraError, match=r"no_such_module.*pip install '\.\[llm\]'"):
        require(module, extra="llm")


def test_require_does_not_blame_a_module_for_what_it_lacks(tmp_path, monkeypatch):
    (tmp_path / "half_there.py").write_text("import no_such_module\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="no_such_module") as caught:
        require("half_there", extra="llm")
    assert not isinstance(caught.value, MissingExtraError)


NAMES = st.lists(st.text(max_size=4), max_size=3)


@given(st.integers(0, 2**40), NAMES, st.integers(0, 2**40), NAMES)
def test_streams_differ_where_seed_or_names_differ(seed, names, other_seed, others):
    equal = (seed, names) == (other_seed, others)
    sameness = "\x1f" in "".join(names + others)  # the separator itself may not be told apart
    assert (seed_for(seed, *names) == seed_for(other_seed, *others)) == equal or sameness


def test_a_stream_is_the_same_every_time_and_leaves_the_global_state_alone():
    torch_before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    first = torch.rand(3, generator=torch_stream(0, "draws"))
    assert torch.equal(first, torch.rand(3, generator=torch_stream(0, "draws")))
    assert numpy_stream(0, "draws").random() == numpy_stream(0, "draws").random()
    assert torch.equal(torch.get_rng_state(), torch_before)
    assert np.array_equal(np.random.get_state()[1], numpy_before)  # noqa: NPY002


def test_the_seed_of_a_name_is_pinned_across_versions():
    # What was published with a seed must stay reproducible: sha256 of "0<US>pairing<US>3".
    assert seed_for(0, "pairing", 3) == 5501447081850771420
