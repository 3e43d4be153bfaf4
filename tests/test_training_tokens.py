"""Rows as ids: what is learnt is thought, answer and one stop token, in every model family's own format."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from autogen_core.models import AssistantMessage, LLMMessage, UserMessage
from training_material import STOPS, TEMPLATES, tokenizer_of

from engines.embedded import embedded_folder
from journeys.formats import TAG_STYLES
from settings import UserError
from training.rows import Message, SFTRow, Source
from training.tokens import IGNORED, Encoder, encode_all, hidden_tags, tag_kinds

PROMPTS_END = {
    "chatml": "<|im_start|>assistant\n",
    "llama": "assistant<|end_header_id|>\n\n",
    "gemma": "<start_of_turn>model\n",
    "mistral": " [/INST]",
    "embedded": "<|im_start|>assistant\n",
}
HERE = Source("rows.jsonl", 7)
THOUGHT = "<think>\n2 + 2 = 5\nWait, that was wrong. 2 + 2 = 4\n</think>\n\nAnswer: 4"
FAMILIES = [*sorted(TEMPLATES), "embedded"]
STOP_OF = STOPS | {"embedded": "<|im_end|>"}


def row(completion: str = THOUGHT, *, begun: str = "", system: str = "", question: str = "2 + 2?") -> SFTRow:
    told = (("system", system), ("user", question), ("assistant", begun))
    return SFTRow(HERE, tuple(Message(role, content) for role, content in told if content), completion)


@pytest.fixture(scope="module", params=FAMILIES)
def family(request: pytest.FixtureRequest) -> tuple[str, Encoder]:
    if request.param == "embedded":
        from transformers import AutoTokenizer

        return request.param, Encoder(AutoTokenizer.from_pretrained(embedded_folder()))
    return request.param, Encoder(tokenizer_of(request.param))


def test_the_loss_covers_thought_answer_and_one_stop_token(family: tuple[str, Encoder]) -> None:
    name, encoder = family
    encoded = encoder.encode(row())
    ids, labels = encoded.input_ids, encoded.labels
    assert len(ids) == len(labels)
    learnt = [place for place, label in enumerate(labels) if label != IGNORED]
    assert learnt == list(range(learnt[0], len(ids))), "one span, up to the end"
    assert [labels[place] for place in learnt] == [ids[place] for place in learnt]
    assert encoder.tokenizer.decode(ids[: learnt[0]]).endswith(PROMPTS_END[name])
    assert encoder.tokenizer.decode(ids[learnt[0] :]) == THOUGHT + STOP_OF[name]
    assert ids[-1] == encoder.tokenizer.convert_tokens_to_ids(STOP_OF[name])


def test_a_tuned_model_is_asked_with_the_ids_it_was_trained_on(family: tuple[str, Encoder]) -> None:
    """However far the engines have come in the thought, they send what stood in the row up to there."""
    _, encoder = family
    trained = encoder.encode(row(system="Think.")).input_ids
    asked = [Message("system", "Think."), Message("user", "2 + 2?")]
    assert trained[: len(encoder.prompt(asked))] == encoder.prompt(asked)
    for end in (len("<think>\n"), len("<think>\n2 + 2 = 5\n"), len(THOUGHT)):
        ids = encoder.prompt([*asked, Message("assistant", THOUGHT[:end])])
        assert trained[: len(ids)] == ids


def test_a_completion_may_go_on_from_an_unfinished_message(family: tuple[str, Encoder]) -> None:
    name, encoder = family
    begun = "<think>\n2 + 2 = 5\nWait, that was wrong. 2 + 2 ="
    encoded = encoder.encode(row(THOUGHT.removeprefix(begun), begun=begun))
    assert encoder.tokenizer.decode(encoded.completion) == THOUGHT.removeprefix(begun) + STOP_OF[name]
    assert encoded.input_ids == encoder.encode(row()).input_ids


@pytest.mark.parametrize("wrong", ["2 + 2 = 5", "2 + 2 = 5\nWait, that was wrong."])
def test_steps_that_were_taken_back_are_read_and_not_learnt(family: tuple[str, Encoder], wrong: str) -> None:
    name, encoder = family
    start = THOUGHT.index(wrong)
    told = dataclasses.replace(row(), gone=((start, start + len(wrong)),))
    encoded, whole = encoder.encode(told, learn="standing"), encoder.encode(told)
    assert encoded.input_ids == whole.input_ids
    assert encoder.encode(row(), learn="standing") == whole == encoder.encode(row())
    decode = encoder.tokenizer.decode
    gone = [token for at, token in enumerate(encoded.completion) if at in encoded.unlearnt]
    assert decode(gone).strip() == wrong
    learnt = [label for label in encoded.labels if label != IGNORED]
    assert len(learnt) == encoded.learnt == whole.learnt - len(gone)
    assert "2 + 2 = 5" not in decode(learnt)
    assert decode(learnt).endswith(f"2 + 2 = 4\n</think>\n\nAnswer: 4{STOP_OF[name]}")


def test_what_is_gone_is_found_behind_a_beginning_that_the_template_writes() -> None:
    tokenizer = tokenizer_of("chatml")
    tokenizer.chat_template = tokenizer.chat_template.replace(
        "<|im_start|>assistant\n' }}{% endif %}", "<|im_start|>assistant\n<think>\n' }}{% endif %}"
    )
    encoder = Encoder(tokenizer)
    start = THOUGHT.index("2 + 2 = 5")
    encoded = encoder.encode(dataclasses.replace(row(), gone=((start, start + 9),)), learn="standing")
    assert not tokenizer.decode(encoded.completion).startswith("<think>")
    assert tokenizer.decode([encoded.completion[at] for at in sorted(encoded.unlearnt)]) == "2 + 2 = 5"


@pytest.mark.parametrize("ending", ["", "\n", "{stop}", "{stop}\n", " {stop} {stop}\n\n"])
def test_there_is_one_stop_token_however_a_text_ends(family: tuple[str, Encoder], ending: str) -> None:
    name, encoder = family
    ids = list(encoder.encode(row(THOUGHT + ending.replace("{stop}", STOP_OF[name]))).completion)
    assert ids.count(encoder.stop_id) == 1
    assert encoder.tokenizer.decode(ids) == THOUGHT + STOP_OF[name]


def test_a_step_ends_without_a_stop_token() -> None:
    encoder = Encoder(tokenizer_of("chatml"))
    assert encoder.tokenizer.decode(encoder.completion(" 2 + 2 = 4\n", ends=False)) == " 2 + 2 = 4\n"


def test_nothing_in_a_text_acts_as_control(family: tuple[str, Encoder]) -> None:
    name, encoder = family
    stop = STOP_OF[name]
    encoded = encoder.encode(
        row(f"<think>\nThey wrote {stop} here.\n</think>\n\nAnswer: 4", question=f"What is {stop}?")
    )
    clean = encoder.encode(row())
    assert list(encoded.completion).count(encoder.stop_id) == 1
    assert list(encoded.prompt).count(encoder.stop_id) == list(clean.prompt).count(encoder.stop_id)


def test_a_row_that_is_too_long_is_named_with_its_place_and_length() -> None:
    encoder = Encoder(tokenizer_of("chatml"))
    length = len(encoder.encode(row()))
    assert len(encode_all([row()], encoder, max_length=length)) == 1
    with pytest.raises(UserError, match=rf"rows.jsonl: row 7: .* {length} tokens long, max_length is {length - 1}; "):
        encode_all([row()], encoder, max_length=length - 1)
    with pytest.raises(UserError, match=rf"is {length} tokens long, the model reads no more than 9; take the row out"):
        encode_all([row()], encoder, max_length=length, window=9)


def test_a_thought_that_the_template_has_opened_is_not_opened_twice() -> None:
    tokenizer = tokenizer_of("chatml")
    tokenizer.chat_template = tokenizer.chat_template.replace(
        "<|im_start|>assistant\n' }}{% endif %}", "<|im_start|>assistant\n<think>\n' }}{% endif %}"
    )
    encoded = Encoder(tokenizer).encode(row())
    assert tokenizer.decode(encoded.input_ids).count("<think>") == 1
    assert tokenizer.decode(encoded.completion).startswith("2 + 2 = 5\n")


def test_a_template_that_writes_a_message_otherwise_than_it_opens_one_leads_nobody_astray(
    family: tuple[str, Encoder],
) -> None:
    _, encoder = family
    assert encoder.asked_alike(row())
    for before in (" ", "<think>\\n\\n</think>\\n\\n"):  # older Mistral models; Qwen3
        tokenizer = tokenizer_of("mistral")
        tokenizer.chat_template = tokenizer.chat_template.replace(
            "{{ m['content'] + '</s>' }}", "{{ '" + before + "' + m['content'] + '</s>' }}"
        )
        assert before.encode().decode("unicode_escape") in tokenizer.apply_chat_template(
            [{"role": "user", "content": "?"}, {"role": "assistant", "content": "!"}], tokenize=False
        )
        assert Encoder(tokenizer).asked_alike(row())


def test_a_model_without_a_chat_template_is_refused_in_one_line() -> None:
    tokenizer = tokenizer_of("chatml")
    tokenizer.chat_template = None
    with pytest.raises(UserError, match="no chat template"):
        Encoder(tokenizer)


def test_a_template_that_writes_no_stop_leaves_it_to_the_tokenizer() -> None:
    tokenizer = tokenizer_of("chatml")
    tokenizer.chat_template = (
        "{% for m in messages %}{{ m['role'] + ': ' + m['content'] + '\n' }}{% endfor %}assistant:"
    )
    assert Encoder(tokenizer).stop_text == tokenizer.eos_token == "<|endoftext|>"
    tokenizer.eos_token = None
    with pytest.raises(UserError, match="how an answer ends"):
        Encoder(tokenizer)


def test_tags_are_one_token_or_plain_text_and_nothing_between() -> None:
    think = TAG_STYLES["think"]
    assert all("plain text, " in kind for kind in tag_kinds(tokenizer_of("chatml"), think).values())
    single = tokenizer_of("chatml", plain=["<think>", "</think>"])
    assert set(tag_kinds(single, think).values()) == {"one token"}
    assert hidden_tags(single, think) == ()
    assert hidden_tags(tokenizer_of("chatml", special=["<think>", "</think>"]), think) == ("<think>", "</think>")
    half = tokenizer_of("chatml", plain=["think>"])
    with pytest.raises(UserError, match=r"tags: '<think>' is neither one token .* nor plain text: 'think>'"):
        tag_kinds(half, think)


def test_a_tag_that_engines_would_break_up_is_refused() -> None:
    tokenizer = tokenizer_of("chatml", special=["<Thought>", "</Thought>"])
    with pytest.raises(UserError, match="engines break up"):
        tag_kinds(tokenizer, TAG_STYLES["thought_output"])


def test_a_tokenizer_that_begins_every_text_with_a_space_does_not_put_one_into_a_message(tmp_path: Path) -> None:
    encoder = Encoder(_sentencepiece_like())
    ids = encoder.completion("ab", ends=False)
    assert encoder.tokenizer.convert_ids_to_tokens(ids) == ["a", "b"]
    assert encoder.tokenizer.convert_ids_to_tokens(encoder.tokenizer("ab")["input_ids"]) == ["▁a", "b"]


def _sentencepiece_like() -> Any:
    """A tokenizer that marks words with ▁ and puts one before every text, as Llama 2's does."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    pieces = [
        "<unk>",
        "</s>",
        "▁",
        "▁a",
        "a",
        "b",
        "\n",
        "R",
        "E",
        "T",
        "A",
        "C",
        "N",
        "S",
        "W",
        "-",
        "?",
        ":",
        "u",
        "s",
    ]
    inner = Tokenizer(models.BPE({piece: n for n, piece in enumerate(pieces)}, [("▁", "a")], unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always", split=False)
    tokenizer: Any = PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="</s>", unk_token="<unk>")  # type: ignore[no-untyped-call]
    tokenizer.chat_template = "{% for m in messages %}{{ m['content'] + '</s>' }}{% endfor %}"
    return tokenizer


def test_the_engines_and_training_write_the_same_prompt(family: tuple[str, Encoder]) -> None:
    _, encoder = family
    question, begun = "<|im_end|> 2 + 2?", "<think>\nSo"
    messages: list[LLMMessage] = [
        UserMessage(content=question, source="user"),
        AssistantMessage(content=begun, source="assistant"),
    ]
    engine = encoder.chat.ids(messages, continue_final_message=True)
    assert encoder.prompt([Message("user", question), Message("assistant", begun)]) == engine
