"""Several attacks on one model, and what a page says of them."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from torch import nn

from limen._core.errors import UsageError
from limen.report.measured import Measured
from limen.report.records import Record
from limen.report.table import Cell, Table
from limen.report.trace import Trace
from limen.run.progress import progress
from limen.unlearn.attacks.attacked import Attack, Attacked, Checked, both
from limen.unlearn.attacks.jailbreak import Jailbreak
from limen.unlearn.attacks.probing import Probing
from limen.unlearn.attacks.quantisation import Quantisation
from limen.unlearn.attacks.relearning import Relearning
from limen.unlearn.attacks.token_noise import TokenNoise
from limen.unlearn.evidence import SCORE_COLUMNS, measured, scores_row
from limen.unlearn.task import Task

ATTACKS: tuple[Attack, ...] = (
    Jailbreak(), Probing(), TokenNoise(), Quantisation(bits=8), Quantisation(bits=4), Relearning(),
)  # fmt: skip
NONE = "none"
"""The model left in peace, in the place of an attack's name."""
METRICS = {
    "extraction strength": "extraction_strength",
    "exact memorisation": "exact_memorisation",
    "probability": "probability",
    "perplexity": "perplexity",
    "Min-K%": "min_k",
    "Min-K%++": "min_k_plus",
}
AXES = {"step": "optimiser steps of relearning", "layer": "block after which the model is read"}
"""What runs to the right, by knob."""
HELD = (
    "Extraction strength: share of an answer that the model says by itself once a prefix is given "
    "(greedy, one teacher-forced pass). Means over rows; 95 % bootstrap intervals over rows."
)
Values = Mapping[str, Mapping[str, Sequence[float] | np.ndarray]]
"""Side -> metric -> one value for each model."""


def suite(
    model: nn.Module, task: Task, attacks: Sequence[Attack] = ATTACKS, *, batch: int = 16
) -> dict[str, Attacked]:
    """What each attack brings back, beside the model left in peace; with a progress bar.

    Every attack that can is asked first whether model and rows fit it, so that none of them
    fails after the others have done their work.

    Args:
        model: A causal language model; it ends exactly as it began.
        task: Forget and retain rows.
        attacks: At least one, of unlike names.
        batch: Rows in a forward pass.

    Returns:
        Name -> scores, the first of them "none".

    Raises:
        UsageError: No attack, two of one name, no retain rows, or as the attacks.

    Example:
        >>> from limen.unlearn.toy import toy_model, toy_tokenizer
        >>> tokenizer = toy_tokenizer(["a b c"], vocabulary=260)
        >>> task = Task(tokenizer, forget=[{"prompt": "a", "response": " b"}],
        ...             retain=[{"prompt": "b", "response": " c"}])
        >>> list(suite(toy_model(tokenizer, width=32, layers=1), task, [Quantisation(bits=4)]))
        ['none', 'quantisation, 4 bits']
    """
    names = [attack.name for attack in attacks]
    if not names or len({NONE, *names}) <= len(names):
        raise UsageError(f"attacks must be at least one, of unlike names; got {names}")
    for attack in attacks:
        if isinstance(attack, Checked):
            attack.check(model, task)
    with progress("attacking", total=len(names) + 1) as advance:
        found = {NONE: Attacked(*both(model, task, batch=batch))}
        advance(note=NONE)
        for name, attack in zip(names, attacks, strict=True):
            found[name] = attack(model, task, batch=batch)
            advance(note=name)
    return found


def table(found: Mapping[str, Attacked]) -> Table:
    """One row for each attack, one column for each score of each set.

    Args:
        found: What `suite` gave.

    Returns:
        The table; its last column is the mean change of a forget row's extraction strength.
    """
    plain = found[NONE].forget.extraction_strength
    rows: list[list[Cell]] = []
    for name, held in found.items():
        change = None if name == NONE else measured(held.forget.extraction_strength - plain)
        rows.append([name, *scores_row((held.forget, held.retain)), change])
    return Table(
        ["attack", *SCORE_COLUMNS, "forget: change of strength"],
        rows,
        title="Under attack",
        caption="Forget: what rises above the first row was hidden, not gone.",
        protocol=f"{HELD} Of jailbreaks and probing the worst case, row by row.",
    )


def records(found: Mapping[str, Attacked]) -> list[Record]:
    """The table, the curve over each number that an attack varied, and a table of each text.

    Args:
        found: What `suite` gave.

    Returns:
        Records for a `Page` or a `Section`.
    """
    shown: list[Record] = [table(found)]
    for name, held in found.items():
        if len(held.tried) > 1:
            shown.append(_tried(name, held))
    return shown


def answer(found: Mapping[str, Attacked], *, name: str = "") -> str:
    """The result in one sentence, with intervals.

    Args:
        found: What `suite` gave.
        name: What the model is called, where there are several.

    Returns:
        The sentence.
    """
    held = {name: measured(one.forget.extraction_strength) for name, one in found.items()}
    worst = max((name for name in held if name != NONE), key=lambda name: held[name].value)
    alone = f"By itself {name or 'the model'} gives away {_share(held[NONE])} of the text to forget"
    if held[worst].value > held[NONE].value:
        brought = f"{_share(held[worst])} under the attack that brings back most ({worst})"
        return f"{alone}, and {brought}."
    return f"{alone}; no attack brings back more, the nearest {_share(held[worst])} ({worst})."


def gathered(
    suites: Iterable[Mapping[str, Attacked]],
) -> tuple[Values, dict[str, Values]]:
    """Means over rows of many models, before and under attack: what `robustness` compares.

    Args:
        suites: What `suite` gave for each model, the same attacks on the same rows.

    Returns:
        Side -> metric -> value for each model, without attack; and the same by attack.

    Raises:
        UsageError: No model, or unlike attacks.
    """
    models = list(suites)
    if not models or any(one.keys() != models[0].keys() for one in models):
        raise UsageError("suites must hold at least one model, with the same attacks on each")
    means = {name: _means([one[name] for one in models]) for name in models[0]}
    return means.pop(NONE), means


def _means(models: Sequence[Attacked]) -> Values:
    found: dict[str, dict[str, Sequence[float] | np.ndarray]] = {"forget": {}, "retain": {}}
    for side, metrics in found.items():
        for metric, field in METRICS.items():
            rows = [getattr(getattr(one, side), field) for one in models]
            if all(row is not None for row in rows):
                metrics[metric] = np.array([row[~np.isnan(row)].mean() for row in rows])
    return found


def _tried(name: str, held: Attacked) -> Record:
    sides = ("forget", "retain")
    strengths = {
        side: [measured(both_[i].extraction_strength) for both_ in held.tried.values()]
        for i, side in enumerate(sides)
    }
    if all(isinstance(knob, int) for knob in held.tried):
        return Trace(
            [float(knob) for knob in held.tried],
            {side: [one.value for one in strengths[side]] for side in sides},
            title=name.capitalize(),
            x_name=AXES.get(held.knob, held.knob),
            y_name="extraction strength [share of the answer]",
            caption=f"Mean over rows, at each {held.knob}.",
        )
    rows = [list(row) for row in zip(held.tried, *strengths.values(), strict=True)]
    columns = [held.knob, *(f"{side}: extraction strength" for side in sides)]
    return Table(columns, rows, title=name.capitalize(), protocol=HELD)


def _share(held: Measured) -> str:
    return f"{held.value:.0%} [{held.low:.0%}, {held.high:.0%}]"
