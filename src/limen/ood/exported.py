"""Network, score and threshold as one ONNX graph, compared with torch before it is kept."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from limen._core.errors import UsageError
from limen._core.optional import require
from limen.algebra.modes import in_mode
from limen.bank.network import see
from limen.ood.scores.protocol import name_of, sees
from limen.run.store import replacing


class _Trusting(TorchFunctionMode):
    """A graph has no errors to raise: inside, every value counts as finite."""

    def __torch_function__(self, func: Any, types: Any, *rest: Any) -> Any:
        args, kwargs = (*rest, (), None)[:2] if rest else ((), None)
        return True if func is torch.isfinite else func(*args, **(kwargs or {}))


class _Whole(nn.Module):
    def __init__(self, network: nn.Module, score: Any, *, head: str | None, level: float):
        super().__init__()
        self.network, self.score, self.head, self.level = network, score, head, level

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        seen = see(self.network, inputs, head=self.head)
        with _Trusting():
            scores = self.score(*[getattr(seen, name) for name in sees(self.score)])
        return scores, scores > self.level


def export(
    network: nn.Module,
    score: Any,
    *,
    head: str | None,
    level: float,
    path: Path,
    example: Tensor,
    wanted: np.ndarray,
) -> Path:
    """Write the ONNX file and compare ONNX Runtime's scores with torch's.

    Args:
        network: The classifier.
        score: A score of logits and features.
        head: Name of the classifier layer.
        level: The score above which a row is flagged.
        path: The file.
        example: A batch, two rows or more.
        wanted: The scores of the example.

    Returns:
        The path.

    Raises:
        UsageError: A score of something else, or of operations that ONNX has not; a graph for one
            number of rows only (neighbours looked up in blocks); one row; a difference above 1e-5.
    """
    odd = [name for name in sees(score) if name not in ("logits", "features")]
    if odd or len(example) < 2:
        raise UsageError(
            f"export_onnx needs a score of logits and features and two rows or more; "
            f"{name_of(score)} sees {', '.join(sees(score))}, rows: {len(example)}"
        )
    require("onnxscript", extra="vision")
    runtime = require("onnxruntime", extra="vision")
    whole = _Whole(network, score, head=head, level=level)
    with replacing(path) as fresh:  # an earlier file stands until this one is known to be right
        with in_mode(whole, training=False):
            _traced(whole, fresh, example.to(next(network.parameters(), example).device))
        session = runtime.InferenceSession(str(fresh), providers=["CPUExecutionProvider"])
        problem = _difference(session, example.detach().cpu().numpy(), wanted, level=level)
        if problem:
            raise UsageError(f"{name_of(score)} cannot be written as ONNX: {problem}")
    return path


def _traced(whole: _Whole, path: Path, example: Tensor) -> None:
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the exporter's own, about its own parts
            torch.onnx.export(
                whole, (example,), path, dynamo=True, verbose=False, external_data=False,
                input_names=["inputs"], output_names=["scores", "flags"],
                dynamic_shapes={"inputs": {0: torch.export.Dim("rows")}},
            )  # fmt: skip
    except (RuntimeError, TypeError) as failed:
        raise UsageError(
            f"{name_of(whole.score)} cannot be written as ONNX: torch traces no graph of it"
        ) from failed


def _difference(session: Any, example: np.ndarray, wanted: np.ndarray, *, level: float) -> str:
    """What is wrong with the graph, in words; empty where it answers as torch does."""
    if isinstance(session.get_inputs()[0].shape[0], int):
        return f"its graph takes {len(example)} rows only, because the score works in blocks"
    for rows in (slice(None), slice(1, None)):  # another number of rows than the traced one
        got, flags = session.run(["scores", "flags"], {"inputs": example[rows]})
        if not np.allclose(got, wanted[rows], rtol=1e-5, atol=1e-5):
            worst = float(np.abs(got - wanted[rows]).max())
            return f"ONNX Runtime's scores must equal torch's to 1e-5, got {worst} apart"
        if not np.array_equal(flags, got > np.float32(level)):
            return "its flags are not its scores above the level"
    return ""
