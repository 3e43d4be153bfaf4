"""The wire format of OpenAI-compatible servers: addresses, what is sent, what is read."""

import contextlib
import json
from typing import Any

import pytest
from autogen_core import FunctionCall
from autogen_core.models import AssistantMessage, FunctionExecutionResultMessage, LLMMessage, SystemMessage, UserMessage
from fault_server import completion
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from engines.errors import EngineBusy, EngineError, MalformedReply
from engines.openai_engine import base_url
from engines.openai_wire import read_fault, read_reply, request_body, split_thought
from settings import UserError

PROMPT: list[LLMMessage] = [
    SystemMessage(content="Think."),
    UserMessage(content="2+3?", source="user"),
]


@pytest.mark.parametrize(
    ("model", "base"),
    [
        ("http://localhost:8000", "http://localhost:8000/v1"),
        ("http://localhost:8000/", "http://localhost:8000/v1"),
        ("http://localhost:8000/v1/", "http://localhost:8000/v1"),
        ("http://localhost:8000/v1/chat/completions", "http://localhost:8000/v1"),
        ("https://router.example/api/v1", "https://router.example/api/v1"),
        ("https://llm.example/v1beta/openai/", "https://llm.example/v1beta/openai"),
        ("https://host/llm", "https://host/llm/v1"),
    ],
)
def test_a_url_means_the_same_with_and_without_its_tail(model: str, base: str) -> None:
    assert str(base_url(model)) == base


@pytest.mark.parametrize(
    "model", ["ftp://host", "http://", "gpt-4", "http://user:secret@host/v1", "https://h/?key=secret"]
)
def test_a_url_that_is_none_or_holds_a_secret_is_refused_without_repeating_it(model: str) -> None:
    with pytest.raises(UserError) as caught:
        base_url(model)
    assert "secret" not in str(caught.value)


class Judgement(BaseModel):
    move: str
    critique: str


def test_the_body_holds_only_what_was_asked_for() -> None:
    body = json.loads(request_body("m", PROMPT, {"temperature": 0.5, "top_k": 0, "min_p": 0.0, "stop": [], "seed": 0}))
    assert body == {
        "model": "m",
        "messages": [{"role": "system", "content": "Think."}, {"role": "user", "content": "2+3?"}],
        "temperature": 0.5,
        "seed": 0,
    }


def test_vllms_own_keys_are_sent_when_set() -> None:
    args: Any = {"top_k": 5, "min_p": 0.1, "continue_final_message": True, "logprobs": True, "request_id": "p/1/0/0"}
    body = json.loads(request_body("m", [*PROMPT, AssistantMessage(content="So", source="policy")], args))
    assert body["messages"][-1] == {"role": "assistant", "content": "So"}
    del body["model"], body["messages"]
    assert body == {
        "top_k": 5,
        "min_p": 0.1,
        "continue_final_message": True,
        "add_generation_prompt": False,
        "logprobs": True,
        "top_logprobs": 5,
    }


def test_a_type_becomes_a_json_schema_response_format() -> None:
    body = json.loads(request_body("m", PROMPT, {}, Judgement))
    assert body["response_format"]["type"] == "json_schema"
    assert body["response_format"]["json_schema"]["name"] == "Judgement"
    assert set(body["response_format"]["json_schema"]["schema"]["properties"]) == {"move", "critique"}
    assert json.loads(request_body("m", PROMPT, {}, True))["response_format"] == {"type": "json_object"}


def test_unknown_request_keys_are_the_callers_mistake() -> None:
    with pytest.raises(ValueError, match="frequency_penalty"):
        request_body("m", PROMPT, {"frequency_penalty": 1.0})  # type: ignore[typeddict-unknown-key]


def test_a_message_that_is_not_text_is_the_callers_mistake() -> None:
    call = FunctionCall(id="1", name="add", arguments="{}")
    for message in (AssistantMessage(content=[call], source="p"), FunctionExecutionResultMessage(content=[])):
        with pytest.raises(ValueError, match="not plain text"):
            request_body("m", [message], {})


@given(st.text())
def test_any_text_survives_the_body_except_lone_surrogates(text: str) -> None:
    sent = json.loads(request_body("m", [UserMessage(content=text, source="user")], {}))
    assert sent["messages"][0]["content"] == text


def test_a_lone_surrogate_does_not_break_the_request() -> None:
    sent = json.loads(request_body("m", [UserMessage(content="a\ud800b", source="user")], {}))
    assert sent["messages"][0]["content"] == "a?b"


def read(**changes: Any) -> Any:
    return read_reply(json.dumps(completion(**changes)).encode(), seconds=0.1)


@pytest.mark.parametrize("field", ["reasoning", "reasoning_content"])
def test_reasoning_is_read_under_both_names(field: str) -> None:
    reply = read(content="5", message={field: "2 and 3 make 5"})
    assert (reply.content, reply.thought) == ("5", "2 and 3 make 5")


@pytest.mark.parametrize(
    ("content", "thought", "answer"),
    [
        ("<think>a < b</think>\n\nthink kinder", "a < b", "think kinder"),
        ("\n<think>\na\n</think>b", "a", "b"),
        ("template opened it</think>b", "template opened it", "b"),
        ("<think>never closed", "never closed", ""),
        ("<think></think>b", "", "b"),
        ("The problem says <think> twice", None, "The problem says <think> twice"),
        ("A pair <think>x</think> in the text", None, "A pair <think>x</think> in the text"),
        ("<think>a</think>b </think> c", "a", "b </think> c"),
        ("", None, ""),
    ],
)
def test_inline_thinking_is_split_off_and_other_tags_are_text(content: str, thought: str | None, answer: str) -> None:
    assert split_thought(content) == (thought, answer)


def test_a_continued_message_keeps_its_tags() -> None:
    raw = json.dumps(completion("so 5.</think>\nAnswer: 5")).encode()
    assert read_reply(raw, seconds=0, continues=True).content == "so 5.</think>\nAnswer: 5"


@pytest.mark.parametrize(
    ("given_reason", "finish"),
    [("stop", "stop"), ("length", "length"), ("tool_calls", "function_calls"), ("abort", "unknown"), (None, "unknown")],
)
def test_finish_reasons_are_mapped_to_the_closed_set(given_reason: str | None, finish: str) -> None:
    assert read(choice={"finish_reason": given_reason}).finish_reason == finish


def test_cached_tokens_and_logprobs_are_read() -> None:
    tokens = [{"token": "5", "logprob": -0.1, "bytes": [53], "top_logprobs": [{"token": "5", "logprob": -0.1}]}]
    usage = {"prompt_tokens": 9, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 8}}
    reply = read(choice={"logprobs": {"content": tokens}}, usage=usage)
    assert (reply.usage.prompt_tokens, reply.cached_tokens) == (9, 8)
    assert reply.logprobs[0].token == "5"
    assert reply.logprobs[0].top_logprobs[0].logprob == -0.1


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda x: (
            st.lists(x)
            | st.dictionaries(
                st.sampled_from(["choices", "message", "content", "usage", "logprobs", "finish_reason", "reasoning"])
                | st.text(),
                x,
            )
        ),
    )
)
def test_any_json_is_a_reply_or_malformed_and_nothing_else(value: Any) -> None:
    for body in (value, {"choices": [value]}, {"choices": [{"message": value}]}, completion(usage=value)):
        with contextlib.suppress(MalformedReply):
            read_reply(json.dumps(body).encode(), seconds=0.0)


@given(st.integers(400, 599), st.binary(max_size=200), st.none() | st.text(max_size=30))
def test_any_error_page_becomes_an_engine_error_of_one_line(status: int, raw: bytes, retry_after: str | None) -> None:
    error = read_fault(status, raw, retry_after=retry_after)
    assert isinstance(error, EngineError)
    assert len(str(error).splitlines()) == 1


def test_retry_after_is_read_as_seconds_and_as_a_date() -> None:
    for value, low, high in [("7", 7, 7), ("-3", 0, 0), ("Fri, 01 Jan 2100 00:00:00 GMT", 1e6, 1e11)]:
        error = read_fault(429, b"", retry_after=value)
        assert isinstance(error, EngineBusy)
        assert error.retry_after is not None
        assert low <= error.retry_after <= high
    for value in ("soon", "nan", "inf"):
        error = read_fault(429, b"", retry_after=value)
        assert isinstance(error, EngineBusy)
        assert error.retry_after is None
