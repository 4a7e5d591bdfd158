"""The retrained model that a benchmark compares with: itself, or what was said of it."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from torch import nn

from limen._core.errors import UsageError
from limen.measure.separation import auroc
from limen.unlearn.benchmarks.judgement import Judgement, Rows
from limen.unlearn.data import Row
from limen.unlearn.scores.privleak import privleak

if TYPE_CHECKING:
    import transformers

Retrained: TypeAlias = nn.Module | Judgement | str | Path | None


def needed(
    retrained: Retrained,
    judge: Callable[[nn.Module], Judgement],
    *,
    benchmark: str,
    rows: Sequence[str],
    settings: Mapping[str, str | int | bool],
) -> dict[str, Rows]:
    """What a comparison needs to know of the retrained model, row by row.

    Args:
        retrained: A model, its judgement, the file where `Judgement.save` left it, or None.
        judge: Judges a model.
        benchmark: What it must have been judged on.
        rows: The scores that are needed.
        settings: How it must have been judged. One made by hand, without settings, is believed.

    Returns:
        Their rows by name; nothing without a retrained model.

    Raises:
        UsageError: No such file, another kind of file, another benchmark's, one made with other
            settings, or a score it lacks.
    """
    if retrained is None:
        return {}
    found = judge(retrained) if isinstance(retrained, nn.Module) else said(retrained)
    check_said(found, benchmark=benchmark, rows=rows)
    for name, value in settings.items():
        if found.settings and found.settings.get(name) != value:
            raise UsageError(
                f"the retrained model must be judged with the same {name}, {value!r}; it was with "
                f"{found.settings.get(name)!r}: judge it again"
            )
    return {name: found.rows[name] for name in rows}


def said(retrained: Judgement | str | Path) -> Judgement:
    """A judgement, or the one in a file.

    Raises:
        UsageError: No such file, or another kind of file.
    """
    return retrained if isinstance(retrained, Judgement) else Judgement.read(retrained)


def check_said(found: Judgement, *, benchmark: str, rows: Sequence[str]) -> None:
    """Refuse a judgement that cannot be compared with.

    Raises:
        UsageError: It is another benchmark's, or lacks the rows of a score.
    """
    if found.benchmark != benchmark:
        raise UsageError(
            f"the retrained model must be judged on {benchmark}; it was on {found.benchmark}"
        )
    lacking = [name for name in rows if name not in found.rows]
    if lacking:
        raise UsageError(
            f"the retrained model's judgement must hold the rows of {lacking[0]!r}; judge it again"
        )


def settings_of(
    tokenizer: "transformers.PreTrainedTokenizerBase",
    rows: Mapping[str, Sequence[Row]],
    *,
    template: str,
    **others: str | int | bool,
) -> dict[str, str | int | bool]:
    """What two judgements must share to be compared: options first, then the rows themselves.

    Args:
        tokenizer: Decides whether "auto" is chat.
        rows: What is compared, by set.
        template: "auto", "chat" or "plain".
        others: Further options by name.

    Returns:
        Values that JSON holds, by name; `content` is a hash of all prompts and responses.

    Example:
        >>> from limen.unlearn.toy import toy_tokenizer
        >>> settings_of(toy_tokenizer(["x"], vocabulary=260), {"forget": [Row("a", "b")]},
        ...     template="auto", eos=False)["number of forget rows"]
        1
    """
    if template == "auto":
        template = "chat" if tokenizer.chat_template else "plain"
    content = json.dumps([[row.prompt, row.response] for part in rows.values() for row in part])
    return {
        "template": template,
        **others,
        **{f"number of {name} rows": len(part) for name, part in rows.items()},
        "content": hashlib.sha256(content.encode()).hexdigest()[:16],
    }


def privleak_beside(rows: Mapping[str, Rows], known: Mapping[str, Rows]) -> float:
    """PrivLeak from Min-K% rows of forget and holdout, beside a retrained model's; 0 is ideal.

    Args:
        rows: "forget: min-k" and "holdout: min-k" of the model.
        known: The same of the retrained model; empty for a reference of 0.5.

    Returns:
        A percentage, see `privleak`; nan where the retrained model itself tells the two apart
        without a miss, so that there is nothing to compare with.
    """
    reference = auroc(known["forget: min-k"], known["holdout: min-k"]) if known else 0.5
    if reference == 1:
        return float("nan")
    return privleak(rows["forget: min-k"], rows["holdout: min-k"], reference)
