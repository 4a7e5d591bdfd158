"""Make a language model forget, and know the price."""

from typing import TYPE_CHECKING

from limen._core.lazy import lazy

if TYPE_CHECKING:
    from limen.unlearn.calibrate import calibrate
    from limen.unlearn.data import Row, read_rows
    from limen.unlearn.forget import Forgotten, forget
    from limen.unlearn.judge import judge
    from limen.unlearn.learn import learn
    from limen.unlearn.lora import with_lora
    from limen.unlearn.models import load_model, load_tokenizer, save_model
    from limen.unlearn.objectives.ga import GA
    from limen.unlearn.objectives.npo import NPO
    from limen.unlearn.objectives.wga import WGA
    from limen.unlearn.retain.kl import KL
    from limen.unlearn.retain.nll import NLL
    from limen.unlearn.scores.exact_memorisation import exact_memorisation
    from limen.unlearn.scores.extraction_strength import extraction_strength
    from limen.unlearn.scores.one_pass import Recall, recall
    from limen.unlearn.scores.perplexity import perplexity
    from limen.unlearn.scores.probability import probability
    from limen.unlearn.step import GradDiff, Step
    from limen.unlearn.task import Task
    from limen.unlearn.tokens import Tokens

__all__ = [  # noqa: RUF022  in plain order
    "Forgotten",
    "GA",
    "GradDiff",
    "KL",
    "NLL",
    "NPO",
    "Recall",
    "Row",
    "Step",
    "Task",
    "Tokens",
    "WGA",
    "calibrate",
    "exact_memorisation",
    "extraction_strength",
    "forget",
    "judge",
    "learn",
    "load_model",
    "load_tokenizer",
    "perplexity",
    "probability",
    "read_rows",
    "recall",
    "save_model",
    "with_lora",
]
__getattr__, __dir__ = lazy(__name__, __file__)
