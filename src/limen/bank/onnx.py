"""ONNX networks for a bank."""

import hashlib
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from limen._core.errors import UsageError, nearest
from limen._core.optional import require
from limen.bank.looking import Answer
from limen.bank.outputs import array_of


class Onnx:
    """An ONNX classifier for `FeatureBank.extract`.

    From a file the last layer is found (a Gemm, or a MatMul with or without an Add, that makes the
    logits from constants): its input becomes the features, its constants the weight and bias.
    Of a session only the outputs can be had, so it must have the features among them. A network
    that is one linear layer has its inputs for features.

    Args:
        model: A file, its bytes, or an ONNX Runtime session.
        logits: Name of the output with logits; the first output where it is None.
        features: Name of the output or input, or in a file of any tensor, with features; None: the
            last layer's input, or in a session the output called "features", if there is one.
        weight: The last layer's, (classes, width), where the file does not tell.
        bias: The last layer's, (classes,).

    Raises:
        UsageError: It is no ONNX model, has no such output, or a session's content is not known.
        MissingExtraError: onnx or onnxruntime is not installed.

    Example:
        >>> import onnx, torch
        >>> from limen.bank import FeatureBank
        >>> text = '''<ir_version: 10, opset_import: ["": 17]>
        ... net (float[N, 2] x) => (float[N, 1] y)
        ... <float[2, 1] w = {3, 4}> { features = Relu(x)  y = MatMul(features, w) }'''
        >>> network = Onnx(onnx.parser.parse_model(text).SerializeToString())
        >>> bank = FeatureBank.extract(network, {"id": torch.tensor([[1.0, -1.0]])})
        >>> bank["id"].features.tolist(), bank.weight.tolist(), bank["id"].logits.tolist()
        ([[1.0, 0.0]], [[3.0, 4.0]], [[3.0]])
    """

    def __init__(
        self,
        model: Any,
        *,
        logits: str | None = None,
        features: str | None = None,
        weight: Any = None,
        bias: Any = None,
    ):
        self.layers: tuple[int, ...] = ()
        self.weight = None if weight is None else array_of(weight).astype(np.float32)
        self.bias = None if bias is None else array_of(bias).astype(np.float32)
        self._hash = _hash(model)
        if isinstance(model, str | Path | bytes):
            model, logits, features = self._opened(model, logits, features)
        outputs = [output.name for output in model.get_outputs()]
        inputs = [each.name for each in model.get_inputs()]
        if features is None and "features" in outputs:
            features = "features"
        for name, known in ((logits, outputs), (features, [*outputs, *inputs])):
            if name is not None and name not in known:
                close = nearest(name, known)
                raise UsageError(f"the ONNX model has no output {name!r}; the nearest: {close}")
        self.session = model
        self._wanted = {"logits": logits or outputs[0]}
        if features is not None:
            self._wanted["features"] = features

    def settings(self) -> dict[str, Any]:
        """The model's content hash and the outputs' names."""
        return {"model": self._hash, "head": self._wanted.get("features")}

    def ready(self) -> Any:
        """Nothing to prepare."""
        return nullcontext()

    def __call__(self, inputs: Any) -> Answer:
        """One pass."""
        given = inputs if isinstance(inputs, dict) else {self._input(): inputs}
        feed = {name: array_of(value) for name, value in given.items()}
        asked = [name for name in self._wanted.values() if name not in feed]
        arrays = feed | dict(zip(asked, self.session.run(asked, feed), strict=True))
        found = {what: np.asarray(arrays[name], np.float32) for what, name in self._wanted.items()}
        return Answer(found["logits"], found.get("features"), None)

    def _input(self) -> str:
        names = [each.name for each in self.session.get_inputs()]
        if len(names) != 1:
            raise UsageError(f"an ONNX model of several inputs needs batches as dicts of {names}")
        return str(names[0])

    def _opened(self, model: Any, logits: str | None, features: str | None) -> tuple[Any, ...]:
        onnx = require("onnx", extra="vision")
        runtime = require("onnxruntime", extra="vision")
        try:
            graph = onnx.load_from_string(model) if isinstance(model, bytes) else onnx.load(model)
        except Exception as broken:  # protobuf's own error, or what reading its weights met
            raise UsageError(f"model must be an ONNX model: {broken}") from broken
        logits = logits or graph.graph.output[0].name
        head = _linear(graph.graph, logits, onnx.numpy_helper.to_array)
        if head is not None and features in (None, head[0]):
            features, weight, bias = head
            if self.weight is None:
                self.weight, self.bias = weight, bias
        shown = [each.name for each in (*graph.graph.output, *graph.graph.input)]
        if features is not None and features not in shown:
            _refuse_unknown(features, graph.graph)
            graph.graph.output.append(onnx.ValueInfoProto(name=features))
        providers = runtime.get_available_providers()
        session = runtime.InferenceSession(graph.SerializeToString(), providers=providers)
        return session, logits, features


def _linear(graph: Any, logits: str, to_array: Any) -> tuple[str, Any, Any] | None:
    """Input, weight and bias of the linear layer that makes the logits; None: it is not one."""
    made = {name: node for node in graph.node for name in node.output}
    constants = {each.name: to_array(each) for each in graph.initializer}
    node, bias = made.get(logits), None
    if node is not None and node.op_type == "Add":
        sides = sorted(node.input, key=lambda name: name in constants)
        node, bias = made.get(sides[0]), constants.get(sides[1])
        if bias is None or node is None or node.op_type != "MatMul":
            return None
    if node is None or node.op_type not in ("Gemm", "MatMul"):
        return None
    weight = constants.get(node.input[1])
    options = {each.name: each for each in node.attribute}
    if weight is None or _is_scaled(options) or weight.ndim != 2:
        return None
    if len(node.input) > 2:
        bias = constants.get(node.input[2])
        if bias is None:
            return None
    turned = "transB" in options and options["transB"].i
    return str(node.input[0]), np.ascontiguousarray(weight if turned else weight.T), bias


def _refuse_unknown(name: str, graph: Any) -> None:
    tensors = [made for node in graph.node for made in node.output]
    if name not in tensors:
        close = nearest(name, tensors)
        raise UsageError(f"the ONNX model has no tensor {name!r}; the nearest: {close}")


def _is_scaled(options: dict[str, Any]) -> bool:
    plain = all(options[name].f == 1.0 for name in ("alpha", "beta") if name in options)
    return not plain or ("transA" in options and bool(options["transA"].i))


def _hash(model: Any) -> str:
    """16 hex digits of the model's bytes, with the weights in a `.data` file beside it.

    Raises:
        UsageError: The content cannot be had.
    """
    path = model if isinstance(model, str | Path) else getattr(model, "_model_path", None)
    content = model if isinstance(model, bytes) else getattr(model, "_model_bytes", None)
    digest = hashlib.sha256(content or b"")
    if path is not None:
        if not Path(path).is_file():
            raise UsageError(f"{path} must be an ONNX file; there is no such file")
        for file in (Path(path), Path(f"{path}.data")):
            if file.is_file():
                with file.open("rb") as opened:
                    digest.update(hashlib.file_digest(opened, "sha256").digest())
    elif content is None:
        kind = type(model).__name__
        raise UsageError(f"model must be a torch module, an ONNX file or session, got {kind}")
    return digest.hexdigest()[:16]
