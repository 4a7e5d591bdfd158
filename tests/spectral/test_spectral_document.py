"""The code that the page on hyperspectral video shows, run from top to bottom."""

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "spectral.md"


@pytest.mark.slow
def test_every_block_of_the_page_runs_after_those_before_it(capsys):
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.S | re.M)
    names = {}
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), names)
    said = capsys.readouterr().out
    assert len(blocks) >= 5
    assert "dB gained" in said
    assert "True" in said.splitlines()
