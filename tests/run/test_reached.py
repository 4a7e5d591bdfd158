"""Which edits of a file can change what a function gives."""

import pytest

from limen.run.reached import reached

SOURCE = '''"""A recipe."""
from math import sqrt, tau
import os.path as place
import json.decoder

SCALE = 2
NOTE = "shown"


def doubled(n):
    """Twice."""
    return SCALE * n


class Row:
    """A row."""

    size = 1


def run(n):
    # by two
    return doubled(sqrt(n)) + Row.size


def page(n):
    return NOTE, place, json, tau, shown(n)


def shown(n):
    return run(n)
'''


def test_what_runs_is_kept_and_what_only_shows_is_not():
    kept = reached(SOURCE, ["run"])
    for line in ("from math import sqrt", "SCALE = 2", "def doubled(n):", "class Row:", "def run"):
        assert line in kept
    for word in ("tau", "place", "json", "NOTE", "page", "shown", "recipe", "Twice", "by two"):
        assert word not in kept


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"""A recipe."""', '"""Another one.\n\nMeasured: 3.\n"""'),
        ('    """Twice."""\n', ""),
        ("# by two", "# by 2"),
        ("SCALE * n", "(SCALE *\n            n)"),
        ('NOTE = "shown"', 'NOTE = "hidden"'),
        ("    return run(n)", "    return -run(n)"),
        ("sqrt, tau", "sqrt, pi"),
        ("def page(n)", "def page(m)"),
    ],
)
def test_an_edit_that_cannot_move_a_number_keeps_the_text(old, new):
    assert old in SOURCE
    assert reached(SOURCE.replace(old, new), ["run"]) == reached(SOURCE, ["run"])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("SCALE = 2", "SCALE = 3"),
        ("SCALE * n", "n * SCALE"),
        ("size = 1", "size = 2"),
        ("from math import sqrt, tau", "from cmath import sqrt, tau"),
        ("sqrt, tau", "exp as sqrt, tau"),
        ("NOTE =", "SCALE += 1\nNOTE ="),
        ("NOTE =", "SCALE: float = 1\nNOTE ="),
        ("NOTE =", "SCALE, other = 1, 2\nNOTE ="),
        ("NOTE =", "Row.size = 3\nNOTE ="),
        ("NOTE =", "print()\nNOTE ="),
        ("NOTE =", "if json:\n    SCALE = 4\nNOTE ="),
        ("NOTE =", "from numpy import *\nNOTE ="),
        ("class Row:", "class Row(dict):"),
        ("def doubled", "@staticmethod\ndef doubled"),
        ("def doubled(n)", "def doubled(n, m=1)"),
    ],
)
def test_an_edit_that_may_move_a_number_changes_the_text(old, new):
    assert old in SOURCE
    assert reached(SOURCE.replace(old, new), ["run"]) != reached(SOURCE, ["run"])


def test_what_acts_at_a_distance_brings_what_it_uses():
    kept = reached(SOURCE + "\nprint(NOTE)\n", ["run"])
    assert "NOTE = 'shown'" in kept


@pytest.mark.parametrize("word", ["globals()", "eval('NOTE')", "vars()", "__doc__"])
def test_where_names_may_be_built_all_of_the_source_counts(word):
    source = SOURCE.replace("return SCALE * n", f"return {word}")
    assert reached(source, ["run"]) == reached(source.encode(), ["run"]) == source
    assert reached(SOURCE, ["run"]) != SOURCE


def test_later_statements_stand_behind_earlier_ones():
    first, second = "a = 1\na = 2\ndef run(): return a", "a = 2\na = 1\ndef run(): return a"
    assert reached(first, ["run"]) != reached(second, ["run"])


def test_functions_that_call_each_other_end():
    source = "def run(n):\n    return other(n)\ndef other(n):\n    return run(n)"
    assert reached(source, ["run"]) == source


def test_a_body_of_nothing_but_a_docstring_stays_a_body():
    assert reached('def run():\n    "Nothing."', ["run"]) == "def run():\n    pass"


def test_what_is_no_python_is_refused():
    with pytest.raises(SyntaxError):
        reached("def", ["run"])
