"""vLLM in this process, on the embedded model; one start serves all assertions."""

import asyncio
from typing import Any, Literal

import pytest
from autogen_core import CancellationToken
from autogen_core.models import AssistantMessage, LLMMessage, SystemMessage, UserMessage
from pydantic import BaseModel

from engines.contract import EngineSettings, Reply
from engines.errors import EngineDead, PromptTooLong
from engines.vllm_engine import VLLMEngine

pytest.importorskip("vllm")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.filterwarnings("ignore")]

LONG = "You solve sums in small steps and never skip one. " * 30


class Remark(BaseModel):
    move: Literal["continue", "backtrack"]
    critique: str


def ask(text: str) -> list[LLMMessage]:
    return [SystemMessage(content=LONG), UserMessage(content=text, source="user")]


async def test_vllm_in_process_keeps_the_contract() -> None:
    engine = VLLMEngine(EngineSettings(engine="vllm", max_model_len=2048, enforce_eager=True))

    async def say(messages: list[LLMMessage], **extra: Any) -> Reply:
        return await engine.create(messages, extra_create_args={"max_tokens": 12, "temperature": 0.0, **extra})

    with pytest.raises(EngineDead, match="start"):
        await say(ask("hi"))
    await engine.start()
    try:
        first = await say(ask("What is 12 + 9?"))
        assert first.content
        assert first.usage.completion_tokens <= 12
        assert (await say(ask("What is 3 + 4?"))).cached_tokens > 0

        one, same, other = await asyncio.gather(
            *(say(ask("Tell me about the sea."), temperature=1.0, seed=seed) for seed in (7, 7, 8))
        )
        assert one.content == same.content != other.content

        stopped = await say(ask("Count to ten."), stop=(" ",))
        assert stopped.finish_reason == "stop"
        assert " " not in str(stopped.content)

        open_message = [*ask("What is 2 + 3?"), AssistantMessage(content="2 + 3 =", source="policy")]
        assert "5" in str((await say(open_message, continue_final_message=True, max_tokens=3)).content)

        verdict = await engine.create(
            ask("Is 2 + 2 = 5 right?"), json_output=Remark, extra_create_args={"max_tokens": 400, "temperature": 0.0}
        )
        Remark.model_validate_json(str(verdict.content))

        known = (await say(ask("What is 12 + 9?"), logprobs=True, max_tokens=3)).logprobs
        assert known is not None
        assert len(known) == 3
        assert len(known[0].top_logprobs or []) == 5

        with pytest.raises(PromptTooLong):
            await say(ask("sum " * 3000))

        token = CancellationToken()
        call = asyncio.ensure_future(
            engine.create(ask("A long story."), extra_create_args={"max_tokens": 1000}, cancellation_token=token)
        )
        await asyncio.sleep(0.5)
        token.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert (await say(ask("hi"))).usage.completion_tokens > 0
    finally:
        await engine.close()
    with pytest.raises(EngineDead):
        await say(ask("hi"))
