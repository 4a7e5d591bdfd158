"""Talk and progress go to stderr, and to nobody who did not ask."""

import io
import sys

import pytest
import torch

from limen.run import Cell, environment, fingerprint, progress, say
from limen.run.progress import console, talk
from limen.run.provenance import hash_files


@pytest.fixture(autouse=True)
def fresh_console():
    console.cache_clear()
    yield
    talk(on=False)
    console.cache_clear()


def test_without_a_terminal_nothing_is_written(capsys):
    with progress("counting", total=2) as advance:
        advance()
        advance(2, note="fine")
        say("nobody hears this")
    assert capsys.readouterr() == ("", "")


def test_a_command_tells_when_the_work_has_ended_on_stderr_alone(capsys):
    talk(on=True)
    with progress("counting", total=2):
        say("half way [not markup]")
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == ["half way [not markup]", "counting: 2 in 0 s"]


def test_work_that_ended_early_says_how_far_it_came(capsys):
    talk(on=True)
    with progress("counting", total=30) as advance:
        advance(3)
        advance(note="enough")
    assert capsys.readouterr().err == "counting: 4 of 30 in 0 s\n"


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(("setting", "drawn"), [(None, True), ("0", False)])
def test_on_a_terminal_a_bar_is_drawn_unless_it_is_turned_off(monkeypatch, setting, drawn):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    if setting is not None:
        monkeypatch.setenv("LIMEN_PROGRESS", setting)
    with progress("outer", total=1) as outer, progress("inner", total=2) as inner:
        inner(2)
        outer()
    assert ("outer" in terminal.getvalue()) == drawn
    assert ("2/2" in terminal.getvalue()) == drawn


def test_a_cells_key_depends_on_its_settings_and_not_on_their_order_or_its_name():
    a = Cell("a", {"seed": 0, "lr": 0.1})
    assert a.key == Cell("b", {"lr": 0.1, "seed": 0}).key
    assert a.key != Cell("a", {"seed": 1, "lr": 0.1}).key
    assert len(a.key) == 16


def test_a_cells_key_is_pinned_because_results_on_disk_are_found_by_it():
    # The first 16 hex digits of sha256 of '{"seed":0}'.
    assert Cell("a", {"seed": 0}).key == "bd0488843468e63c"


def test_the_environment_names_no_machine_and_no_folder(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/somewhere/bin/limen", "forget", "two words"])
    found = environment()
    assert found["command"] == "limen forget 'two words'"
    assert torch.__version__.startswith(found["packages"]["torch"])
    assert "/somewhere" not in str(found)


def test_the_fingerprint_sees_every_bit_type_and_name():
    layer = torch.nn.Linear(2, 1)
    first = fingerprint(layer)
    assert fingerprint(layer) == first
    with torch.no_grad():
        layer.bias.copy_(torch.nextafter(layer.bias, layer.bias + 1))
    second = fingerprint(layer)
    assert len({first, second, fingerprint(layer.double()), fingerprint(layer.bfloat16())}) == 4
    assert fingerprint(torch.nn.Sequential(layer)) != fingerprint(layer)


def test_the_hash_of_files_sees_names_and_bytes(tmp_path):
    a, b = tmp_path / "a", tmp_path / "b"
    a.write_text("text")
    b.write_text("text")
    assert hash_files([a]) != hash_files([b])
    before = hash_files([a, b])
    assert hash_files([b, a]) != before
    a.write_text("Text")
    assert hash_files([a, b]) != before
