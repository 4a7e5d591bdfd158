"""Nothing heavy is loaded before it is needed: checked in fresh interpreters."""

import pytest

from house.inventory import python

HEAVY = ("torch", "transformers", "plotly", "datasets", "timm", "aeon")
LOADED = (
    f"import sys\nprint(*[name for name in {HEAVY} if name in sys.modules], file=sys.__stdout__)"
)
COMMAND = """
import contextlib, io, sys
sys.argv = ["limen", *{arguments}]
from limen.cli.app import main
with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
    main()
"""


def test_importing_limen_loads_nothing_heavy():
    assert python(f"import limen\n{LOADED}").split() == []


def test_a_heavy_import_would_be_noticed(tmp_path):
    (tmp_path / "torch.py").write_text("", encoding="utf-8")
    assert python(f"import torch\n{LOADED}", path=tmp_path).split() == ["torch"]


def test_importing_limen_takes_less_than_half_a_second():
    clocked = "import time; t = time.perf_counter(); import limen; print(time.perf_counter() - t)"
    assert min(float(python(clocked)) for _ in range(3)) < 0.5


@pytest.mark.parametrize("arguments", [["--help"], ["list"]], ids=" ".join)
def test_a_command_that_only_talks_does_not_import_torch(arguments):
    assert "torch" not in python(COMMAND.format(arguments=arguments) + LOADED).split()
