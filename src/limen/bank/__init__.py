"""Every set forwarded once: logits, features and statistics as arrays that scores work on."""

from typing import TYPE_CHECKING

from limen._core.lazy import lazy

if TYPE_CHECKING:
    from limen.bank.bank import FeatureBank
    from limen.bank.grams import Grams
    from limen.bank.network import Seen, head_of, see
    from limen.bank.onnx import Onnx
    from limen.bank.outputs import Outputs

__all__ = ["FeatureBank", "Grams", "Onnx", "Outputs", "Seen", "head_of", "see"]
__getattr__, __dir__ = lazy(__name__, __file__)
