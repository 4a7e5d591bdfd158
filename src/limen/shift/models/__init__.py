"""Models as `shift` asks them: photos in, logits and embeddings out."""

from typing import TYPE_CHECKING

from limen._core.lazy import lazy

if TYPE_CHECKING:
    from limen.shift.models.classifier import Classifier
    from limen.shift.models.embeddings import Embeddings
    from limen.shift.models.pair import Pair
    from limen.shift.models.protocol import Model
    from limen.shift.models.unit import unit
    from limen.shift.models.zero_shot import ZeroShot

__all__ = ["Classifier", "Embeddings", "Model", "Pair", "ZeroShot", "unit"]
__getattr__, __dir__ = lazy(__name__, __file__)
