# ruff: noqa: F401, F811  (a fixture is imported, and taken as an argument)
"""The OpenAI engine against a real server that misbehaves."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from time import monotonic
from typing import Any

import pytest
from autogen_core import CancellationToken, FunctionCall
from autogen_core.models import AssistantMessage, FunctionExecutionResultMessage, LLMMessage, SystemMessage, UserMessage
from fault_server import SERVED, FaultServer, completion, fault_server
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from engines import retry
from engines.contract import EngineSettings
from engines.errors import (
    EngineBusy,
    EngineDead,
    EngineError,
    EngineRefused,
    EngineTimeout,
    EngineUnavailable,
    MalformedReply,
    PromptTooLong,
)
from engines.openai_engine import OpenAIEngine, base_url
from engines.openai_wire import read_fault, read_reply, request_body, split_thought
from settings import UserError

KEY = "key-that-must-never-be-seen-0123456789"
PROMPT: list[LLMMessage] = [
    SystemMessage(content="Think."),
    UserMessage(content="2+3?", source="user"),
]
Open = Callable[..., OpenAIEngine]


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry.BACKOFF, "multiplier", 0.005)


@pytest.fixture
async def open_engine(fault_server: FaultServer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Open]:
    monkeypatch.setenv("RETRACE_TEST_KEY", KEY)
    opened: list[OpenAIEngine] = []

    def make(**changes: Any) -> OpenAIEngine:
        values = {"engine": "openai", "model": fault_server.url, "api_key_env": "RETRACE_TEST_KEY", "max_retries": 3}
        opened.append(OpenAIEngine(EngineSettings.model_validate(values | changes)))
        return opened[-1]

    yield make
    for engine in opened:
        await engine.close()


RETRIED = [
    ("429", EngineBusy),
    ("429-after", EngineBusy),
    ("500", EngineUnavailable),
    ("503", EngineUnavailable),
    ("html", EngineUnavailable),
    ("close", EngineUnavailable),
    ("close-mid-body", EngineUnavailable),
    ("truncated", MalformedReply),
    ("html-200", MalformedReply),
    ("nested", MalformedReply),
    ("no-choices", MalformedReply),
    ("huge", MalformedReply),
    ("whitespace-body", MalformedReply),
    ("hang", EngineTimeout),
    ("drip", EngineTimeout),
]
REFUSED = [
    ("401", EngineRefused),
    ("404", EngineRefused),
    ("429-quota", EngineRefused),
    ("redirect", EngineRefused),
    ("refuse-top_k", EngineRefused),
    ("too-long", PromptTooLong),
]


def patience(behaviour: str) -> float:
    """Seconds for one try: short where the limit is tested, long where a busy machine must not reach it."""
    return 0.4 if behaviour in ("hang", "drip") else 30.0


@pytest.mark.parametrize(("behaviour", "kind"), RETRIED)
async def test_a_fault_that_heals_is_counted_and_the_call_succeeds(
    behaviour: str, kind: type[EngineError], fault_server: FaultServer, open_engine: Open
) -> None:
    engine = open_engine(request_timeout=patience(behaviour))
    fault_server.plan(behaviour, behaviour, "ok")
    reply = await engine.create(PROMPT, extra_create_args={"max_tokens": 16})
    assert reply.content == "2 + 3 = 5"
    assert engine.faults == {kind.__name__: 2}
    assert len(fault_server.requests) == 3


@pytest.mark.parametrize(("behaviour", "kind"), RETRIED)
async def test_a_fault_that_stays_ends_in_its_own_class_after_the_last_retry(
    behaviour: str, kind: type[EngineError], fault_server: FaultServer, open_engine: Open
) -> None:
    engine = open_engine(request_timeout=patience(behaviour), max_retries=1)
    fault_server.default = behaviour
    with pytest.raises(kind) as caught:
        await engine.create(PROMPT, extra_create_args={"max_tokens": 16})
    assert type(caught.value) is kind
    assert engine.faults == {kind.__name__: 2}
    assert len(fault_server.requests) == 2
    assert KEY not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("behaviour", "kind"), REFUSED)
async def test_a_refused_request_is_not_sent_again(
    behaviour: str, kind: type[EngineError], fault_server: FaultServer, open_engine: Open
) -> None:
    engine = open_engine()
    fault_server.default = behaviour
    with pytest.raises(kind) as caught:
        await engine.create(PROMPT, extra_create_args={"top_k": 20})
    assert type(caught.value) is kind
    assert engine.faults == {kind.__name__: 1}
    assert len(fault_server.requests) == 1
    assert KEY not in f"{caught.value!r} {caught.value.__cause__!r}"


async def test_a_refusal_names_the_key_that_the_server_does_not_take(
    fault_server: FaultServer, open_engine: Open
) -> None:
    fault_server.default = "refuse-top_k"
    with pytest.raises(EngineRefused, match="does not take top_k"):
        await open_engine().create(PROMPT, extra_create_args={"top_k": 20, "min_p": 0.1})


async def test_retry_after_is_waited_for(fault_server: FaultServer, open_engine: Open) -> None:
    fault_server.plan("429-after")
    began = monotonic()
    await open_engine().create(PROMPT)
    assert monotonic() - began >= 0.3


async def test_a_retry_after_beyond_the_deadline_fails_at_once(fault_server: FaultServer, open_engine: Open) -> None:
    fault_server.default = "429-late"
    began = monotonic()
    with pytest.raises(EngineBusy):
        await open_engine().create(PROMPT)
    assert monotonic() - began < 2
    assert len(fault_server.requests) == 1


async def test_the_deadline_ends_a_call_in_the_middle_of_a_try(fault_server: FaultServer, open_engine: Open) -> None:
    fault_server.plan("500")
    fault_server.default = "hang"
    engine = open_engine(deadline=0.5)
    began = monotonic()
    with pytest.raises(EngineTimeout, match=r"deadline of 0.5 s .*the engine stumbled"):
        await engine.create(PROMPT)
    assert 0.4 < monotonic() - began < 1.5
    assert engine.faults == {"EngineUnavailable": 1, "EngineTimeout": 1}


@pytest.mark.parametrize("way", ["token", "task"])
async def test_cancelling_closes_the_request_at_once(way: str, fault_server: FaultServer, open_engine: Open) -> None:
    fault_server.default = "hang"
    token = CancellationToken()
    call = asyncio.create_task(open_engine().create(PROMPT, cancellation_token=token))
    await fault_server.until(lambda: fault_server.in_flight == 1)
    began = monotonic()
    token.cancel() if way == "token" else call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await fault_server.until(lambda: fault_server.given_up == 1)
    assert monotonic() - began < 1


async def test_a_token_cancelled_after_the_reply_does_no_harm(open_engine: Open) -> None:
    token = CancellationToken()
    engine = open_engine()
    reply = await engine.create(PROMPT, cancellation_token=token)
    token.cancel()
    assert reply.finish_reason == "stop"
    assert (await engine.create(PROMPT)).finish_reason == "stop"


async def test_max_batch_requests_are_in_flight_and_waiting_is_not_a_timeout(
    fault_server: FaultServer, open_engine: Open
) -> None:
    fault_server.delay = 0.1
    engine = open_engine(max_batch=4, request_timeout=0.25)
    replies = await asyncio.gather(*(engine.create(PROMPT) for _ in range(24)))
    assert fault_server.most_in_flight == 4
    assert not engine.faults
    assert replies[-1].seconds > 0.25
    assert engine.total_usage().completion_tokens == 24 * 5


@pytest.mark.parametrize(("behaviour", "content", "finish"), [("empty", "", "stop"), ("length", "2 + 3 =", "length")])
async def test_a_poor_answer_is_an_outcome_and_not_a_fault(
    behaviour: str, content: str, finish: str, fault_server: FaultServer, open_engine: Open
) -> None:
    engine = open_engine()
    fault_server.plan(behaviour)
    reply = await engine.create(PROMPT)
    assert (reply.content, reply.finish_reason) == (content, finish)
    assert not engine.faults


async def test_null_content_is_empty_text(fault_server: FaultServer, open_engine: Open) -> None:
    fault_server.plan("null")
    assert (await open_engine().create(PROMPT)).content == ""


async def test_endless_whitespace_in_the_content_is_cut_and_becomes_length(
    fault_server: FaultServer, open_engine: Open
) -> None:
    fault_server.plan("whitespace-content")
    reply = await open_engine().create(PROMPT)
    assert (reply.content, reply.finish_reason) == ('{"move": "continue"', "length")


async def test_missing_usage_is_estimated_so_that_budgets_still_end(
    fault_server: FaultServer, open_engine: Open
) -> None:
    fault_server.plan("no-usage")
    assert (await open_engine().create(PROMPT)).usage.completion_tokens == 101


async def test_the_first_listed_model_is_taken_and_its_window_read(
    fault_server: FaultServer, open_engine: Open
) -> None:
    engine = open_engine()
    await engine.create(PROMPT)
    assert engine.model_name == SERVED
    assert engine.window == 2048
    assert fault_server.requests[0]["model"] == SERVED
    assert fault_server.headers[0]["Authorization"] == f"Bearer {KEY}"


async def test_an_unknown_served_name_is_the_users_error_and_lists_what_there_is(open_engine: Open) -> None:
    with pytest.raises(UserError, match=f"no model 'other'; it serves {SERVED}"):
        await open_engine(served_name="other").start()


async def test_a_server_that_is_not_there_is_the_users_error(open_engine: Open) -> None:
    with pytest.raises(UserError, match="no server answers") as caught:
        await open_engine(model="http://127.0.0.1:9").start()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("key", "said"), [("", "wants a key; put it into"), ("wrong-key-12345", "refuses the key in")])
async def test_a_server_that_wants_a_key_names_the_variable_and_never_the_key(
    key: str, said: str, fault_server: FaultServer, open_engine: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault_server.required_key = KEY
    monkeypatch.setenv("RETRACE_TEST_KEY", key)
    with pytest.raises(UserError, match=f"{said} the environment variable RETRACE_TEST_KEY") as caught:
        await open_engine().start()
    assert not key or key not in str(caught.value)


async def test_a_call_starts_the_engine_and_a_closed_engine_stays_closed(open_engine: Open) -> None:
    engine = open_engine()
    assert (await engine.create(PROMPT)).content == "2 + 3 = 5"
    await engine.close()
    await engine.close()
    with pytest.raises(EngineDead, match="closed"):
        await engine.create(PROMPT)
    await engine.start()
    assert (await engine.create(PROMPT)).content == "2 + 3 = 5"


async def test_the_error_leaves_no_key_in_the_log(
    fault_server: FaultServer, open_engine: Open, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    caplog.set_level("DEBUG", logger="engines")  # the command line, tried in this process before, quietens the rooms
    fault_server.default = "401"
    with pytest.raises(EngineRefused):
        await open_engine().create(PROMPT, extra_create_args={"request_id": "strict/j1/0/0"})
    assert "request=strict/j1/0/0" in caplog.text
    assert KEY not in caplog.text
