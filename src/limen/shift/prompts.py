"""Prompts of class names, and what a text encoder makes of several prompts a class."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from limen._core.errors import UsageError
from limen.shift.models.unit import unit

Template = Callable[[str], str]
DEFAULT = "A photo of <label>."
VARIED = (
    DEFAULT,
    "A picture that shows <label>.",
    "<label>, seen from nearby.",
    "<label>, far away in a landscape.",
    "A dark photograph of <label>.",
    "A sharp, bright photograph of <label>.",
    "Part of <label>, cut off by the frame.",
    "Wildlife documentary: <label>.",
)
_STYLES = ("full", "first")
_SLOTS = ("<label>", "{}")


def template(text: str | Template) -> Template:
    """A prompt as a function of the label.

    Args:
        text: With the label's place once or more, as `<label>` or `{}`; a function is kept.

    Returns:
        The function.

    Raises:
        UsageError: The text has no place for the label.

    Example:
        >>> template("A sketch of {}.")("a hen"), template(str.upper)("hen")
        ('A sketch of a hen.', 'HEN')
    """
    if callable(text):
        return text
    slot = next((slot for slot in _SLOTS if slot in text), None)
    if slot is None:
        raise UsageError(f"a template must hold <label> where the label belongs, got {text!r}")
    return lambda label: text.replace(slot, label)


def read_templates(path: str | Path) -> list[str]:
    r"""Templates of a text file, one a line; empty lines and those that begin with # are none.

    Args:
        path: The file, in UTF-8.

    Returns:
        The lines.

    Raises:
        UsageError: The file cannot be read, holds no template, or one without `<label>` or `{}`.

    Example:
        >>> from tempfile import mkdtemp
        >>> path = Path(mkdtemp()) / "mine.txt"
        >>> _ = path.write_text("# two of mine\na <label>\n\nthe <label>")
        >>> read_templates(path)
        ['a <label>', 'the <label>']
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as broken:
        raise UsageError(f"{path} must be a text file of templates: {broken}") from broken
    found = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    if not found:
        raise UsageError(f"{path} must hold a template a line, such as {DEFAULT!r}; it has none")
    for line in found:
        template(line)
    return found


def styled(label: str, style: str = "full") -> str:
    """The label as it enters a prompt: whole, or the first of its comma-separated synonyms.

    Args:
        label: For instance "ice bear, polar bear, Ursus maritimus".
        style: "full" or "first". Which of the two a published number rests on is seldom said, and
            it moves the number; keep it with the result.

    Returns:
        The text.

    Raises:
        UsageError: Another style, or nothing left of the label.

    Example:
        >>> styled("ice bear, polar bear", "first")
        'ice bear'
    """
    if style not in _STYLES:
        raise UsageError(f"label_style must be one of {', '.join(_STYLES)}, got {style!r}")
    found = (label.split(",")[0] if style == "first" else label).strip()
    if not found:
        raise UsageError(f"every label must be a name, got {label!r}")
    return found


def prompts(
    labels: Sequence[str],
    *,
    templates: str | Path | Template | Sequence[str | Template] | None = None,
    label_style: str = "full",
) -> list[list[str]]:
    """One list of prompts for each template, in the order of the labels.

    Args:
        labels: Names of the classes.
        templates: One template or several; a path of a file of them; None: "A photo of <label>.".
        label_style: As for `styled`.

    Returns:
        Templates x labels.

    Raises:
        UsageError: No label, no template, or one that is no good.

    Example:
        >>> prompts(["hen", "cock, rooster"], label_style="first")
        [['A photo of hen.', 'A photo of cock.']]
    """
    if isinstance(labels, str) or not len(labels):
        raise UsageError(f"labels must be a list of class names, got {labels!r}")
    names = [styled(label, label_style) for label in labels]
    return [[fill(name) for name in names] for fill in map(template, _listed(templates))]


def class_embeddings(
    encode: Callable[[list[str]], Any],
    labels: Sequence[str],
    *,
    templates: str | Path | Template | Sequence[str | Template] | None = None,
    label_style: str = "full",
) -> Float[np.ndarray, "classes width"]:
    """Unit embeddings of classes: the mean over templates of unit embeddings, brought to length 1.

    `e_c = m_c / |m_c|`, `m_c = mean_t f(t(c)) / |f(t(c))|`. Averaging prompts removes what depends
    on the phrase; each prompt weighs alike because each is normalised before.

    Args:
        encode: Texts to rows, (texts, width), of any length.
        labels: Names of the classes.
        templates: As for `prompts`.
        label_style: As for `styled`.

    Returns:
        float32 rows of length 1.

    Raises:
        UsageError: As `prompts`; or an embedding is not finite, or its length is 0.

    Reference:
        A. Radford et al., "Learning transferable visual models from natural language supervision",
        ICML 2021, section 3.1.4. Their 80 templates are not shipped: name a file of them.

    Example:
        >>> vectors = {"a hen": [2.0, 0.0], "the hen": [0.0, 5.0]}
        >>> class_embeddings(lambda texts: [vectors[t] for t in texts], ["hen"],
        ...                  templates=["a {}", "the {}"]).tolist() == [[np.float32(0.5**0.5)] * 2]
        True
    """
    asked = prompts(labels, templates=templates, label_style=label_style)
    rows = [unit("text embeddings", encode(texts)) for texts in asked]
    return unit("mean text embeddings", np.mean(rows, axis=0, dtype=np.float64))


def _listed(
    templates: str | Path | Template | Sequence[str | Template] | None,
) -> list[str | Template]:
    if templates is None:
        return [DEFAULT]
    if isinstance(templates, Path):
        return list(read_templates(templates))
    if isinstance(templates, str) or callable(templates):
        return [templates]
    if not templates:
        raise UsageError(f"templates must be one or more, such as [{DEFAULT!r}], got none")
    return list(templates)
