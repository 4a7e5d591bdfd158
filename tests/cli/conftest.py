"""A tiny model that knows seven sentences by heart, and the command, called in this process."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from cli_files import written

from limen.cli.app import ending
from limen.run.progress import talk

FORGET = [("grass", "green"), ("snow", "white"), ("coal", "black")]
RETAIN = [("Aland", "Besk"), ("Boria", "Carn"), ("Cusk", "Dorn"), ("Dell", "Elm")]


@dataclass(frozen=True)
class Ending:
    """What a command left behind: exit code, stdout, stderr."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> dict:
        """Stdout as JSON; fails where anything else was printed there."""
        return json.loads(self.out)


@dataclass(frozen=True)
class Given:
    """Folder of the model and files of the rows, with the options that name them."""

    model: Path
    forget: Path
    retain: Path

    def options(self, **changes: object) -> list[str]:
        """`--model ... --forget ... --retain ...`; None leaves one out, underscores are dashes."""
        named = {"model": self.model, "forget": self.forget, "retain": self.retain, **changes}
        return [
            word
            for name, value in named.items()
            if value is not None
            for word in (f"--{name.replace('_', '-')}", str(value))
        ]


@pytest.fixture(scope="session")
def given(tmp_path_factory: pytest.TempPathFactory) -> Given:
    """A model of 0.02 M parameters that has learnt its rows."""
    from limen import unlearn
    from limen.unlearn.toy import toy_model, toy_tokenizer

    folder = tmp_path_factory.mktemp("given")
    forget = [{"prompt": f"the colour of {a} is", "response": f" {b} all over"} for a, b in FORGET]
    retain = [{"prompt": f"the capital of {a} is", "response": f" {b} by night"} for a, b in RETAIN]
    rows = forget + retain
    tokenizer = toy_tokenizer([row["prompt"] + row["response"] for row in rows], vocabulary=340)
    model = toy_model(tokenizer, width=32, layers=1)
    reached = unlearn.learn(model, tokenizer, rows, until=1.0, steps=200, lr=1e-2)
    assert reached == 1.0
    return Given(
        unlearn.save_model(model, tokenizer, folder / "model"),
        written(folder / "forget.jsonl", forget),
        written(folder / "retain.jsonl", retain),
    )


@pytest.fixture
def limen(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Ending]:
    """`limen("list", "--json")`: the command in this process, in an empty folder of its own."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> Ending:
        capfd.readouterr()
        try:
            code = ending([str(word) for word in arguments])
        finally:
            talk(on=False)
        return Ending(code, *capfd.readouterr())

    return run


@pytest.fixture
def start(tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    """`start("list")`: the command as a process of its own, in the same empty folder."""

    def begin(*arguments: object) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "limen.cli.app", *map(str, arguments)],
            cwd=tmp_path,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return begin


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of tiny pictures, `model` that knows the three classes of `train`, and `other`."""
    from ood_files import classifier, folders

    home = tmp_path_factory.mktemp("pictures")
    folders(home)
    classifier(home / "model", home / "train", seed=0)
    classifier(home / "other", home / "train", seed=1)
    return home
