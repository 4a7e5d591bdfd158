import numpy as np
import onnxruntime
import pytest
from bank_toys import labels, rows
from onnx import TensorProto, helper, numpy_helper

from limen._core.errors import UsageError
from limen.bank import FeatureBank, Onnx

X, Y = rows(5), labels(5)
RNG = np.random.default_rng(0)
FIRST, WEIGHT, BIAS = (RNG.normal(size=s).astype(np.float32) for s in ((6, 4), (3, 4), (3,)))


ENDINGS = {
    "gemm": [helper.make_node("Gemm", ["features", "weight", "bias"], ["logits"], transB=1)],
    "add": [
        helper.make_node("MatMul", ["features", "turned"], ["product"]),
        helper.make_node("Add", ["bias", "product"], ["logits"]),
    ],
    "plain": [helper.make_node("MatMul", ["features", "turned"], ["logits"])],
    "scaled": [
        helper.make_node("Gemm", ["features", "turned", "bias"], ["logits"], alpha=0.5),
    ],
    "softmax": [
        helper.make_node("MatMul", ["features", "turned"], ["product"]),
        helper.make_node("Softmax", ["product"], ["logits"]),
    ],
}


def graph(*, last="gemm", outputs=("logits",), inputs=("x",)):
    """relu(x @ FIRST) @ WEIGHT.T + BIAS, its last layer written in one of the usual ways."""
    constants = {"first": FIRST, "bias": BIAS, "weight": WEIGHT, "turned": WEIGHT.T.copy()}
    made = helper.make_graph(
        [
            helper.make_node("MatMul", ["x", "first"], ["hidden"]),
            helper.make_node("Relu", ["hidden"], ["features"]),
            *ENDINGS[last],
        ],
        "net",
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["rows", 6]) for n in inputs],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["rows", None]) for n in outputs],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(made, opset_imports=opset, ir_version=10).SerializeToString()


def by_hand():
    features = np.maximum(X.numpy() @ FIRST, 0)
    return features @ WEIGHT.T + BIAS, features


def session(**options):
    return onnxruntime.InferenceSession(graph(**options), providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("last", ["gemm", "add"])
def test_a_file_tells_its_features_and_its_head(tmp_path, last):
    path = tmp_path / "net.onnx"
    path.write_bytes(graph(last=last))
    bank = FeatureBank.extract(Onnx(path), {"id": (X, Y)}, batch_size=2)
    logits, features = by_hand()
    np.testing.assert_allclose(bank["id"].logits, logits, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(bank["id"].features, features, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(bank.weight, WEIGHT)
    np.testing.assert_array_equal(bank.bias, BIAS)
    np.testing.assert_array_equal(bank["id"].labels, Y)


def test_a_last_layer_without_a_bias_is_found():
    bank = FeatureBank.extract(Onnx(graph(last="plain")), {"id": X})
    np.testing.assert_array_equal(bank.weight, WEIGHT)
    assert bank.bias is None


@pytest.mark.parametrize("last", ["softmax", "scaled"])
def test_a_last_layer_that_is_not_linear_leaves_logits_alone(last):
    bank = FeatureBank.extract(Onnx(graph(last=last)), {"id": X})
    assert bank.weight is None
    assert bank["id"].features is None


def one_layer():
    made = helper.make_graph(
        [helper.make_node("MatMul", ["x", "first"], ["logits"])],
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", 6])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["rows", 4])],
        [numpy_helper.from_array(FIRST, "first")],
    )
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(made, opset_imports=opset, ir_version=10).SerializeToString()


def test_a_network_of_one_layer_has_its_inputs_for_features():
    bank = FeatureBank.extract(Onnx(one_layer()), {"id": X})
    np.testing.assert_array_equal(bank["id"].features, X)
    np.testing.assert_array_equal(bank.weight, FIRST.T)
    np.testing.assert_allclose(bank["id"].logits, X.numpy() @ FIRST, rtol=1e-5, atol=1e-6)


def test_an_input_of_a_session_may_be_the_features():
    given = onnxruntime.InferenceSession(one_layer(), providers=["CPUExecutionProvider"])
    bank = FeatureBank.extract(Onnx(given, features="x", weight=FIRST.T), {"id": X})
    np.testing.assert_array_equal(bank["id"].features, X)


def test_any_tensor_of_a_file_may_be_the_features():
    bank = FeatureBank.extract(Onnx(graph(), features="hidden"), {"id": X})
    np.testing.assert_allclose(bank["id"].features, X.numpy() @ FIRST, rtol=1e-5, atol=1e-6)
    assert bank.weight is None


def test_a_session_gives_the_outputs_that_it_has():
    given = session(outputs=("logits", "features"))
    bank = FeatureBank.extract(Onnx(given, weight=WEIGHT, bias=BIAS), {"id": X})
    np.testing.assert_allclose(
        bank["id"].features @ bank.weight.T + bank.bias, bank["id"].logits, rtol=1e-5, atol=1e-5
    )


def test_a_bare_session_is_enough():
    bank = FeatureBank.extract(session(), {"id": X})
    np.testing.assert_allclose(bank["id"].logits, by_hand()[0], rtol=1e-5, atol=1e-6)
    assert bank["id"].features is None


def test_batches_may_be_dicts_of_input_names():
    bank = FeatureBank.extract(session(), {"id": {"x": X, "labels": Y}})
    np.testing.assert_allclose(bank["id"].logits, by_hand()[0], rtol=1e-5, atol=1e-6)


def test_a_stored_bank_of_another_onnx_model_is_refused(tmp_path):
    FeatureBank.extract(Onnx(graph()), {"id": X}, into=tmp_path)
    FeatureBank.extract(Onnx(graph()), {"id": X}, into=tmp_path)
    with pytest.raises(UsageError, match="another model"):
        FeatureBank.open(tmp_path, model=Onnx(graph(last="add")))


def test_an_unknown_output_is_answered_with_the_nearest():
    with pytest.raises(UsageError, match="no output 'feature'; the nearest: logits"):
        Onnx(session(), features="feature")


def test_an_unknown_tensor_of_a_file_is_refused():
    with pytest.raises(UsageError, match="no tensor 'embedding'"):
        Onnx(graph(), features="embedding")


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(UsageError, match="there is no such file"):
        Onnx(tmp_path / "net.onnx")


def test_what_is_no_onnx_model_is_refused(tmp_path):
    path = tmp_path / "net.onnx"
    path.write_text("not a network")
    with pytest.raises(UsageError, match="must be an ONNX model"):
        Onnx(path)


def test_several_inputs_need_dicts():
    with pytest.raises(UsageError, match=r"batches as dicts of \['x', 'y'\]"):
        FeatureBank.extract(session(inputs=("x", "y")), {"id": X})


def test_options_of_torch_models_are_refused():
    with pytest.raises(UsageError, match="are for torch models"):
        FeatureBank.extract(session(), {"id": X}, head="fc")
