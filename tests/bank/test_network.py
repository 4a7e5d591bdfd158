import pytest
import timm
import torch
import torchvision
from torch import nn
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    GPT2Config,
    GPT2ForSequenceClassification,
    ViTConfig,
    ViTForImageClassification,
)
from transformers.modeling_outputs import SequenceClassifierOutput

from limen._core.errors import UsageError
from limen.bank import head_of, see

IMAGES = torch.linspace(-1, 1, 2 * 3 * 32 * 32).reshape(2, 3, 32, 32)
TOKENS = {
    "input_ids": torch.tensor([[5, 6, 7], [8, 9, 0]]),
    "attention_mask": torch.tensor([[1, 1, 1], [1, 1, 0]]),
}


def net():
    return nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))


class Told(nn.Module):
    """Answers as it is told to."""

    def __init__(self, answer):
        super().__init__()
        self.fc = nn.Linear(4, 3)
        self.answer = answer

    def forward(self, x):
        return self.answer(self.fc, x)


def vit():
    config = ViTConfig(
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=8,
        image_size=32,
        patch_size=16,
        num_labels=5,
    )
    return ViTForImageClassification(config)


def bert():
    config = BertConfig(
        vocab_size=12,
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=8,
        num_labels=5,
    )
    return BertForSequenceClassification(config)


def gpt2():
    config = GPT2Config(
        vocab_size=12,
        n_embd=8,
        n_layer=1,
        n_head=2,
        num_labels=5,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=1,
    )
    return GPT2ForSequenceClassification(config)


CLASSIFIERS = {
    "timm": (lambda: timm.create_model("resnet10t", pretrained=False, num_classes=5), IMAGES),
    "torchvision": (lambda: torchvision.models.mobilenet_v2(num_classes=5), IMAGES),
    "vit": (vit, {"pixel_values": IMAGES}),
    "bert": (bert, TOKENS),
    "gpt2": (gpt2, TOKENS),
}


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_the_head_turns_the_features_seen_into_the_logits_seen(name):
    make, inputs = CLASSIFIERS[name]
    model = make().eval()
    with torch.no_grad():
        seen = see(model, inputs)
        torch.testing.assert_close(head_of(model)(seen.features), seen.logits)
    assert seen.logits.shape == (2, 5)


def test_the_head_of_a_named_submodule_comes_before_every_rule():
    model = net()
    assert head_of(model, "1") is model[1]


def test_the_last_linear_layer_is_the_head_where_no_name_says_so():
    model = net()
    assert head_of(model) is model[3]


def test_a_name_that_classifiers_use_comes_before_the_order_of_registration():
    model = nn.Module()
    model.fc, model.auxiliary = nn.Linear(4, 3), nn.Linear(4, 2)
    assert head_of(model) is model.fc


def test_the_pass_is_one_and_is_the_models_own_call():
    model, calls = net(), []
    model.register_forward_hook(lambda *_: calls.append(1))
    see(model, torch.ones(2, 4))
    assert len(calls) == 1


def test_a_compiled_model_that_has_run_is_still_seen():
    model = torch.compile(net(), backend="eager")
    expected = model(torch.ones(2, 4))
    assert torch.equal(see(model, torch.ones(2, 4)).logits, expected)


def test_no_hook_stays_behind_even_after_an_error():
    model = net()
    with pytest.raises(RuntimeError):
        see(model, torch.ones(2, 5))
    assert not any(layer._forward_hooks for layer in model.modules())


def test_gradients_flow_through_logits_and_features():
    model = net()
    logits, features = see(model, torch.ones(2, 4))
    (logits.sum() + features.sum()).backward()
    assert all(p.grad is not None for p in model.parameters())


@pytest.mark.parametrize(
    "answer",
    [
        lambda fc, x: (fc(x), x),
        lambda fc, x: {"loss": None, "logits": fc(x)},
        lambda fc, x: SequenceClassifierOutput(logits=fc(x)),
    ],
)
def test_logits_are_found_in_tuples_dicts_and_outputs(answer):
    model = Told(answer)
    torch.testing.assert_close(see(model, torch.ones(2, 4)).logits, model.fc(torch.ones(2, 4)))


def test_of_a_head_that_scores_every_token_the_features_are_the_kept_tokens():
    model = Told(lambda fc, x: fc(x)[:, 1])
    x = torch.arange(24.0).reshape(2, 3, 4)
    assert torch.equal(see(model, x).features, x[:, 1])


def test_a_model_without_a_linear_layer_is_refused():
    with pytest.raises(UsageError, match="Conv2d has none"):
        head_of(nn.Conv2d(3, 2, 1))


def test_an_unknown_head_is_answered_with_the_linear_layers():
    with pytest.raises(UsageError, match=r"nearest linear ones: (1, 3|3, 1)"):
        head_of(net(), "fc")


def test_a_head_that_is_not_linear_is_refused():
    with pytest.raises(UsageError, match=r"head='2' must be an nn.Linear and is ReLU"):
        head_of(net(), "2")


def test_a_timm_model_without_classes_is_refused():
    with pytest.raises(UsageError, match=r"get_classifier\(\) must be .* is Identity"):
        head_of(timm.create_model("resnet10t", pretrained=False, num_classes=0))


def test_a_head_that_takes_no_part_is_refused():
    with pytest.raises(UsageError, match="'fc' must take part"):
        see(Told(lambda _, x: x), torch.ones(2, 4))


def test_a_layer_that_does_not_make_the_logits_is_refused():
    with pytest.raises(UsageError, match=r"logits of shape \(2, 2\)"):
        see(net(), torch.ones(2, 4), head="1")


def test_an_answer_without_logits_is_refused():
    with pytest.raises(UsageError, match="must answer with logits"):
        see(Told(lambda fc, x: {"scores": fc(x)}), torch.ones(2, 4))
