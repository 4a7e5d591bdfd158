"""`limen demo`: one page, from data that is on every machine."""

import time

import pytest

from limen.report import read


@pytest.mark.slow
def test_the_quick_demo_writes_its_page_within_a_minute(start, tmp_path):
    began = time.monotonic()
    process = start("demo", "unlearn", "--quick", "--into", "out")
    out, err = process.communicate(timeout=180)
    assert process.returncode == 0, err
    assert time.monotonic() - began < 60
    page = tmp_path / "out" / "report.html"
    assert out == f"{page.resolve()}\n"
    assert {path.name for path in tmp_path.rglob("*")} == {"out", "report.html"}
    assert "topic 'with'" in str(read(page))


def test_a_demo_does_not_write_into_a_file(limen, tmp_path):
    (tmp_path / "out").write_text("")
    ended = limen("demo", "--into", "out")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == "limen: --into out must be a folder; a file stands there\n"
