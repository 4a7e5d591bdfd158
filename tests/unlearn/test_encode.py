import pytest
import tokenizers
import transformers
from hypothesis import given
from hypothesis import strategies as st

from limen._core.errors import UsageError
from limen.unlearn.data import Row
from limen.unlearn.encode import Encoded, context_length, encode, encode_all, require_fit

CHAT = (
    "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)
ROW = Row("Where?", " In Oslo.", "rows.jsonl:7")


def ids(tokenizer, text):
    return tokenizer(text, add_special_tokens=False)["input_ids"]


@pytest.fixture
def wrapped(byte_tokenizer):
    """Puts <bos> before and <end> behind every text, as some tokenizers do."""
    words = byte_tokenizer(["Where? In Oslo."])
    words.add_special_tokens({"bos_token": "<bos>"})
    words.backend_tokenizer.post_processor = tokenizers.processors.TemplateProcessing(
        single="<bos> $A <end>",
        special_tokens=[("<bos>", words.bos_token_id), ("<end>", words.eos_token_id)],
    )
    return words


@given(prompt=st.text(min_size=1, max_size=12), response=st.text(min_size=1, max_size=12))
def test_plain_is_the_prompts_ids_and_then_the_responses_ids(tokenizer, prompt, response):
    item = encode(tokenizer, Row(prompt, response))
    assert item.ids[: item.answer] == ids(tokenizer, prompt)
    assert item.ids[item.answer :] == ids(tokenizer, response)


def test_special_tokens_in_front_stay_and_those_behind_go(wrapped):
    item = encode(wrapped, ROW)
    assert item.ids[: item.answer] == [wrapped.bos_token_id, *ids(wrapped, "Where?")]
    assert item.ids[item.answer :] == ids(wrapped, " In Oslo.")


def test_chat_ends_where_the_assistant_speaks(byte_tokenizer):
    words = byte_tokenizer(["Where? In Oslo."])
    words.chat_template = CHAT
    item = encode(words, ROW)
    assert words.decode(item.ids[: item.answer]) == "<user>Where?<assistant>"
    assert words.decode(item.ids[item.answer :]) == " In Oslo."


def test_plain_overrules_a_chat_template(byte_tokenizer):
    words = byte_tokenizer(["Where? In Oslo."])
    words.chat_template = CHAT
    assert encode(words, ROW, template="plain").ids[:1] == ids(words, "Where?")[:1]


def test_running_text_is_not_put_through_a_chat_template(byte_tokenizer):
    words = byte_tokenizer(["Where? In Oslo."])
    words.chat_template = CHAT
    assert encode(words, Row("", "In Oslo.")).ids == ids(words, "In Oslo.")


def test_the_first_token_of_a_text_is_context_because_nothing_predicts_it(tokenizer):
    item = encode(tokenizer, Row("", "In Oslo."))
    assert item.ids == ids(tokenizer, "In Oslo.")
    assert item.answer == 1


def test_with_a_bos_the_whole_text_is_answer(wrapped):
    item = encode(wrapped, Row("", "In Oslo."))
    assert item.ids[item.answer :] == ids(wrapped, "In Oslo.")


def test_eos_counts_only_when_asked_for(tokenizer):
    without, with_eos = encode(tokenizer, ROW), encode(tokenizer, ROW, eos=True)
    assert with_eos.ids == [*without.ids, tokenizer.eos_token_id]
    assert with_eos.answer == without.answer


def test_a_long_row_is_refused_with_both_lengths_and_its_place(tokenizer):
    length = len(encode(tokenizer, ROW).ids)
    assert encode(tokenizer, ROW, max_length=length).ids
    with pytest.raises(UsageError, match=rf"row 4 \(rows.jsonl:7\).* {length - 1} .* {length}:"):
        encode(tokenizer, ROW, max_length=length - 1, index=3)


def test_a_tokenizer_without_the_tokens_is_refused():
    words = tokenizers.Tokenizer(tokenizers.models.WordLevel({"?": 0, "a": 1}, "?"))
    words.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    strange = transformers.PreTrainedTokenizerFast(tokenizer_object=words, unk_token="?")
    with pytest.raises(UsageError, match="no token for it"):
        encode(strange, Row("a", "b c"))


def test_a_response_that_is_known_in_part_is_refused_by_name():
    words = tokenizers.Tokenizer(tokenizers.models.WordLevel({"?": 0, "a": 1, "b": 2}, "?"))
    words.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    words = transformers.PreTrainedTokenizerFast(tokenizer_object=words, unk_token="?")
    with pytest.raises(UsageError, match=r"row 1 \(rows.jsonl:7\).* no token for some of it"):
        encode(words, Row("a", "b c", "rows.jsonl:7"))
    assert encode(words, Row("a", "b ?")).ids == [1, 2, 0]


def test_special_tokens_in_front_stay_though_the_letter_a_is_unknown():
    words = tokenizers.Tokenizer(tokenizers.models.WordLevel({"?": 0, "<s>": 1, "b": 2}, "?"))
    words.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    words.post_processor = tokenizers.processors.TemplateProcessing(
        single="<s> $A <s>", special_tokens=[("<s>", 1)]
    )
    words = transformers.PreTrainedTokenizerFast(
        tokenizer_object=words, unk_token="?", bos_token="<s>"
    )
    assert encode(words, Row("", "b")) == Encoded([1, 2], 1)
    assert encode(words, Row("unknown", "b")) == Encoded([1, 0, 2], 2)


def test_special_tokens_written_in_a_text_are_not_taken_for_those_in_front(wrapped):
    item = encode(wrapped, Row("<bos>Where?", " In Oslo."))
    assert item.ids[: item.answer] == [wrapped.bos_token_id] * 2 + ids(wrapped, "Where?")


def test_a_tokenizer_in_python_says_itself_what_it_puts_in_front():
    class Letters(transformers.PreTrainedTokenizer):
        vocab_size = 128

        def get_vocab(self):
            return {chr(i): i for i in range(128)}

        def _tokenize(self, text, **_):
            return list(text)

        def _convert_token_to_id(self, token):
            return ord(token)

        def build_inputs_with_special_tokens(self, token_ids_0, token_ids_1=None):
            return [self.bos_token_id, *token_ids_0, self.eos_token_id]

    letters = Letters(bos_token="^", eos_token="$")
    front = letters.bos_token_id
    assert encode(letters, Row("b", "c")) == Encoded([front, ord("b"), ord("c")], 2)


def test_a_tokenizer_that_drops_what_it_does_not_know_is_refused():
    empty = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizers.Tokenizer(tokenizers.models.BPE())
    )
    with pytest.raises(UsageError, match="no token for it"):
        encode(empty, ROW)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"template": "chat"}, "chat template"),
        ({"template": "plian"}, "must be one of plain"),
    ],
)
def test_a_template_that_is_not_there_is_refused(tokenizer, options, says):
    with pytest.raises(UsageError, match=says):
        encode(tokenizer, ROW, **options)


def test_eos_needs_a_tokenizer_that_has_one(byte_tokenizer):
    words = byte_tokenizer(["a"])
    words.eos_token = None
    with pytest.raises(UsageError, match="end-of-sequence"):
        encode(words, ROW, eos=True)


def test_rows_know_their_place_in_the_set(tokenizer, rows):
    assert [item.row for item in encode_all(tokenizer, rows)] == list(range(len(rows)))


@pytest.mark.parametrize("answer", [0, 3])
def test_an_answer_outside_the_text_is_refused(answer):
    with pytest.raises(UsageError, match=f"answer={answer}"):
        Encoded([1, 2], answer)


@pytest.mark.parametrize("kind", ["llama", "gpt2", "qwen2"])
def test_the_context_length_is_found_in_every_family(toy, kind):
    assert context_length(toy(kind)) == 96


def test_a_model_is_not_given_tokens_or_lengths_it_does_not_know(llama):
    require_fit(llama, [Encoded([299] * 96, 1)])
    with pytest.raises(UsageError, match=r"token 300 .* 300 tokens"):
        require_fit(llama, [Encoded([1, 300], 1)])
    with pytest.raises(UsageError, match="context of 96 tokens and has 97"):
        require_fit(llama, [Encoded([1] * 97, 1)])


@pytest.mark.parametrize("kind", ["prepend", "metaspace"])
@pytest.mark.parametrize("response", [" In Oslo.", "In Oslo.", " A", "\nOslo.", "  In"])
def test_a_response_has_the_tokens_that_it_has_behind_its_prompt(spaced_tokenizer, kind, response):
    words = spaced_tokenizer(kind)
    item = encode(words, Row("Where?", response), template="plain")
    assert item.ids == ids(words, "Where?" + response)
    assert item.ids[: item.answer] == ids(words, "Where?")


@pytest.mark.parametrize("kind", ["prepend", "metaspace"])
def test_what_begins_a_text_begins_with_one_space(spaced_tokenizer, kind):
    words = spaced_tokenizer(kind)
    assert words.convert_ids_to_tokens(ids(words, "Oslo."))[0] == "▁Oslo."
    for text in ("Oslo.", " Oslo."):
        assert encode(words, Row("", text)).ids == ids(words, "Oslo.")


def test_what_begins_an_assistants_turn_begins_with_one_space(spaced_tokenizer):
    words = spaced_tokenizer()
    words.chat_template = CHAT
    for text in ("Oslo.", " Oslo."):
        item = encode(words, Row("Where?", text))
        assert item.ids[item.answer :] == ids(words, "Oslo.")


def test_an_empty_response_brings_no_space(spaced_tokenizer):
    words = spaced_tokenizer()
    assert encode(words, Row("Where?", "")).ids == ids(words, "Where?")


def test_a_tokenizer_of_whole_texts_keeps_its_response():
    words = tokenizers.Tokenizer(tokenizers.models.WordLevel({"a": 0, "b": 1}, "a"))
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=words)
    assert encode(tokenizer, Row("a", "b")).ids == [0, 1]
