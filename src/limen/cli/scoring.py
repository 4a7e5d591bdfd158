"""Scores and objectives of `limen ood` by name, refused before any picture is read."""

import ast
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from inspect import isfunction, signature
from typing import Any, ClassVar

import numpy as np
import torch

from limen._core.errors import UsageError
from limen._core.streams import numpy_stream
from limen.cli.named import looked_up, named
from limen.ood.data import Images
from limen.ood.objectives.atol import ATOL
from limen.ood.objectives.vos import VOS
from limen.ood.scores.odin import ODIN
from limen.ood.scores.protocol import learns, name_of
from limen.ood.step import Objective
from limen.ood.synth.latents import Latents
from limen.ood.synth.pca import PCAGenerator

SCORES, OBJECTIVES = "limen.ood.scores", "limen.ood.objectives"
GENERATOR_ROWS = 5000
"""Inliers that a generator is fitted on, at most: its components cost their square."""
_LATENT = ("spread", "half_width")


def score(text: str) -> Any:
    """A score: a function with its settings, or a fresh object.

    Raises:
        UsageError: An unknown name or setting, or a score that needs more than one pass.
    """
    name, places, settings = _called(text, option="--score")
    make = looked_up(name, SCORES, option="--score")
    if make is ODIN:
        raise UsageError(
            "--score ODIN asks the network for gradients, picture by picture; the command scores "
            "what one pass gave: use limen.ood.ODIN in a script"
        )
    if not isfunction(make):
        return named(text, SCORES, option="--score")
    takes = list(signature(make).parameters)[1:]
    settings = _placed(places, settings, takes, text=text, option="--score")
    unknown = next((setting for setting in settings if setting not in takes), None)
    if unknown is not None:
        raise UsageError(
            f"--score {name!r}: {make.__name__} has no setting {unknown!r}; it takes "
            f"{', '.join(takes) or 'none'}"
        )
    found = partial(make, **settings) if settings else make
    try:
        found(np.zeros((1, 2), dtype=np.float32))
    except (UsageError, TypeError) as wrong:
        raise UsageError(f"--score {text!r}: {wrong}") from None
    return found


def scores(texts: Sequence[str], *, train: str | None) -> list[Any]:
    """Several scores, of different names; fitted ones need a training set, the others none.

    Raises:
        UsageError: As `score`; one named twice, or no training set where it is needed, or one
            that nobody reads.
    """
    found = [score(text) for text in texts]
    names = [name_of(one) for one in found]
    twice = next((name for i, name in enumerate(names) if name in names[:i]), None)
    if twice is not None:
        raise UsageError(f"--score must name each score once; {twice} is named again")
    fitted = [name_of(one) for one in found if learns(one)]
    if fitted and train is None:
        raise UsageError(f"--train is needed for {fitted[0]}, which is fitted on training pictures")
    if train is not None and not fitted:
        raise UsageError(
            f"--train is for scores that are fitted; {', '.join(names)} needs none: leave it out"
        )
    return found


@dataclass(frozen=True, repr=False)
class FromPixels:
    """ATOL with a generator fitted on the inliers' pixels: principal components.

    Attributes:
        width: Components, at most.
        latents: Settings of `Latents.anchored`.
        settings: Settings of `ATOL`.
    """

    weight: ClassVar[float] = ATOL.weight
    width: int = 32
    latents: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.width, int) or self.width < 1:
            raise UsageError(
                f"--objective 'ATOL': width={self.width} must be a whole number above 0"
            )
        try:
            self._made(torch.zeros_like, Latents(torch.zeros(2, self.width), **self.latents))
        except (UsageError, TypeError) as wrong:
            raise UsageError(f"--objective 'ATOL': {wrong}") from None

    def __repr__(self) -> str:
        """As on the command line: what a run folder keeps and a refusal shows."""
        told = {"width": self.width, **self.latents, **self.settings}
        return f"ATOL({', '.join(f'{name}={value!r}' for name, value in told.items())})"

    def fitted(self, inliers: Images, *, seed: int) -> ATOL:
        """The objective for these inliers, whose pixels are taken from 0 to 1."""
        rows = np.arange(len(inliers))
        if len(rows) > GENERATOR_ROWS:
            drawn = numpy_stream(seed, "generator").permutation(len(rows))
            rows = np.sort(drawn[:GENERATOR_ROWS])
        chosen = inliers.take(rows)
        pixels = torch.from_numpy(chosen.inputs).float() / 255
        width = min(self.width, len(pixels) - 1, pixels[0].numel())
        generator = PCAGenerator.fit(pixels, width=width)
        labels = torch.from_numpy(np.asarray(chosen.labels))
        latents = Latents.anchored(generator.encode(pixels), labels, **self.latents)
        return self._made(generator, latents)

    def _made(self, generator: Any, latents: Latents) -> ATOL:
        return ATOL(generator, latents, **self.settings)


Asked = Objective | FromPixels | None


def objective(text: str) -> Asked:
    """An objective, or what makes one once the inliers are known; None for "none".

    Raises:
        UsageError: An unknown name or setting.
    """
    if text.strip().casefold() == "none":
        return None
    name, places, settings = _called(text, option="--objective")
    if looked_up(name, OBJECTIVES, option="--objective") is not ATOL:
        found: Objective = named(text, OBJECTIVES, option="--objective")
        return found
    takes = ["width", *_LATENT, *list(signature(ATOL).parameters)[2:]]
    settings = _placed(places, settings, takes, text=text, option="--objective")
    unknown = next((setting for setting in settings if setting not in takes), None)
    if unknown is not None:
        raise UsageError(
            f"--objective {name!r}: ATOL has no setting {unknown!r} here; it takes "
            f"{', '.join(takes)}"
        )
    width = settings.pop("width", FromPixels.width)
    latents = {key: settings.pop(key) for key in _LATENT if key in settings}
    return FromPixels(width, latents, settings)


def needs_outliers(asked: Asked) -> bool:
    """Whether it learns from outliers that somebody gives."""
    return asked is not None and not isinstance(asked, FromPixels | VOS)


def _called(text: str, *, option: str) -> tuple[str, list[Any], dict[str, Any]]:
    """Name, settings by place and settings by name.

    Raises:
        UsageError: It is neither a name nor a call.
    """
    try:
        node = ast.parse(text.strip(), mode="eval").body
    except SyntaxError:
        node = None
    if isinstance(node, ast.Name):
        return node.id, [], {}
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        try:
            by_place = [ast.literal_eval(value) for value in node.args]
            return node.func.id, by_place, {
                str(k.arg): ast.literal_eval(k.value) for k in node.keywords
            }  # fmt: skip
        except ValueError:
            pass
    raise UsageError(
        f"{option} {text!r} must be a name, or a name with settings: 'KNN(k=50)', 'DAL(radius=0.1)'"
    )


def _placed(
    places: Sequence[Any], settings: dict[str, Any], takes: Sequence[str], *, text: str, option: str
) -> dict[str, Any]:
    """Settings by place under their names, before those by name.

    Raises:
        UsageError: More of them than there are, or one given twice.
    """
    if len(places) > len(takes):
        raise UsageError(
            f"{option} {text!r} has no more settings than {', '.join(takes) or 'none'}"
        )
    found = dict(zip(takes, places, strict=False))
    twice = next((name for name in settings if name in found), None)
    if twice is not None:
        raise UsageError(f"{option} {text!r} gives {twice} twice; give it once")
    return {**found, **settings}
