"""A logistic head on chosen rows: how selection rules are compared by what they are for."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from limen.shift.head import Head
from limen.shift.remedies.rows import Predict, Rows
from limen.shift.rules.hull_cover import hull_cover
from limen.shift.rules.pool import Pool, Rule
from limen.shift.select import chosen, count_of


@dataclass(frozen=True)
class Selected:
    """Logistic regression on the rows, and with the weights, that a rule chose.

    In `compare_remedies`, with `Selected(0.1, by=random)` as the baseline, it tells what a rule
    gains at the same budget on environments that neither the rule nor the head has seen. The worst
    of them, left out in turn, is also what to choose a budget, a quota or a cap by.

    Args:
        budget: Rows, or a share of them.
        by: The rule.
        quotas: As for `limen.shift.select`, cells being (class, environment) as codes.
        decay: Of the head.

    Example:
        >>> import numpy as np
        >>> rows = Rows.of([[-1.0], [1.0], [-2.0], [2.0]], [0, 1, 0, 1], [0, 0, 1, 1])
        >>> Selected(2)(rows, seed=0)(np.array([[-3.0], [3.0]])).argmax(1).tolist()
        [0, 1]
    """

    budget: float
    by: Rule = hull_cover
    quotas: Mapping[Any, int] | int | str | None = None
    decay: float = 1e-3

    def __call__(self, rows: Rows, *, seed: int) -> Predict:
        """Learn.

        Args:
            rows: To choose from.
            seed: Decides every random number of the rule.

        Returns:
            The predictor.

        Raises:
            UsageError: A budget above the rows, or quotas that leave too little room.
        """
        count = count_of(self.budget, len(rows))
        pool = Pool.of(
            rows.inputs, labels=rows.labels, environments=rows.environments,
            quotas=self.quotas, budget=count, seed=seed,
        )  # fmt: skip
        found = chosen(pool, count, self.by)
        kept = rows.at(found.rows)
        head = Head(self.decay)
        return head.fit(
            kept.inputs, kept.labels, weights=found.weights, classes=rows.classes
        ).logits
