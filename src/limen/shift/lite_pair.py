"""A zero-shot pair made of two packages that pip installs: EfficientNet-Lite0 and MiniLM."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from limen._core.errors import UsageError
from limen.shift.bridge import Bridge
from limen.shift.lite import Lite0, lite0, lite0_pixels
from limen.shift.minilm import minilm
from limen.shift.models.pair import Pair
from limen.shift.prompts import Template, class_embeddings


def lite_pair(
    labels: Sequence[str],
    *,
    templates: str | Path | Template | Sequence[str | Template] | None = None,
    label_style: str = "full",
    decay: float = 1.0,
    network: Lite0 | None = None,
    text: Callable[[list[str]], Any] | None = None,
    workers: int = 1,
    cache: str | Path | None = None,
) -> Pair:
    """EfficientNet-Lite0 bridged to MiniLM: a `Pair` that needs no network access and no photo.

    The bridge is fitted to the weight rows of the classifier's last layer, one for each ImageNet
    class, and the embeddings of the class names. It walks the whole zero-shot path, and is a
    bridge and not a CLIP: see `Bridge` before anything is concluded from it. Ask it with the same
    templates that it was fitted with.

    Args:
        labels: Names of the network's classes in the order of its logits: of ImageNet-1k sorted by
            wnid, for instance torchvision's `weights.meta["categories"]`.
        templates: As for `Pair.zero_shot`.
        label_style: As for `Pair.zero_shot`.
        decay: As for `Bridge`.
        network: None: `lite0()`.
        text: Texts to rows; None: `minilm()`.
        workers: Threads that open photos.
        cache: As for `lite0`.

    Returns:
        The pair; its `zero_shot` takes any class names.

    Raises:
        MissingExtraError: A package that is needed is not installed.
        UsageError: Another number of labels than the network has classes, or bad templates.

    Example:
        >>> import numpy as np, torch
        >>> vectors = dict(zip("abc", np.eye(3)))
        >>> pair = lite_pair(list("abc"), templates="<label>", network=Lite0(classes=3),
        ...                  text=lambda texts: [vectors[name] for name in texts])
        >>> pair.zero_shot(["b", "c"], templates="{}").logits(torch.zeros(1, 3, 32, 32)).shape
        (1, 2)
    """
    seeing = lite0(cache=cache) if network is None else network
    reading = minilm() if text is None else text
    rows = seeing.classifier.weight.detach().cpu().double().numpy()
    if len(labels) != len(rows):
        raise UsageError(
            f"labels must name the network's {len(rows)} classes in order, got {len(labels)} names"
        )
    goals = class_embeddings(reading, labels, templates=templates, label_style=label_style)
    bridge = Bridge(decay).fit(rows, goals)
    return Pair(
        lambda pixels: bridge.embed(seeing.features(pixels).float().cpu().numpy()),
        lambda texts: bridge.place(reading(texts)),
        preprocess=lite0_pixels,
        modules=(seeing,),
        workers=workers,
        name="EfficientNet-Lite0 bridged to MiniLM",
    )
