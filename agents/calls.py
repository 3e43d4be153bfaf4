"""One model call on behalf of an agent: sampling in, text and cost out."""

import math
from collections.abc import Mapping, Sequence
from time import perf_counter
from typing import Any

from autogen_core import CancellationToken
from autogen_core.models import ChatCompletionClient, ChatCompletionTokenLogprob, CreateResult, LLMMessage
from pydantic import BaseModel

from engines.contract import Sampling
from journeys.record import Cost

TOP = 5
"""Alternatives per token that enter the confidence (Marco-o1 v1)."""


def request_args(sampling: Sampling, *, seed: int, request_id: str, **more: Any) -> dict[str, Any]:
    """`extra_create_args` for one call; only what differs from 'off' is sent, for servers that know fewer keys."""
    args: dict[str, Any] = {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "max_tokens": sampling.max_tokens,
        "seed": seed,
        "request_id": request_id,
    }
    if sampling.top_k:
        args["top_k"] = sampling.top_k
    if sampling.min_p:
        args["min_p"] = sampling.min_p
    if sampling.stop:
        args["stop"] = sampling.stop
    return args | more


async def call(
    client: ChatCompletionClient,
    messages: Sequence[LLMMessage],
    args: Mapping[str, Any],
    *,
    schema: type[BaseModel] | None = None,
    cancellation_token: CancellationToken | None = None,
) -> tuple[CreateResult, Cost]:
    """Ask once. Works with any AutoGen client; ours also tell cached tokens."""
    started = perf_counter()
    reply = await client.create(
        messages, json_output=schema, extra_create_args=args, cancellation_token=cancellation_token
    )
    cost = Cost(
        prompt_tokens=reply.usage.prompt_tokens,
        completion_tokens=reply.usage.completion_tokens,
        cached_tokens=getattr(reply, "cached_tokens", 0),
        seconds=perf_counter() - started,
        calls=1,
    )
    return reply, cost


def text_of(reply: CreateResult) -> str:
    """What the model wrote, as text that can be stored: half a surrogate pair, which UTF-8 cannot hold, becomes '?'."""
    text = str(reply.content)
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def confidence(logprobs: Sequence[ChatCompletionTokenLogprob] | None) -> float | None:
    """Mean over tokens of exp(logp) / sum of the top five's exp(logp), in (0, 1]. Source: Marco-o1 v1 (methods 5)."""
    if not logprobs:
        return None
    shares = []
    for token in logprobs:
        top = [entry.logprob for entry in (token.top_logprobs or [])[:TOP]] or [token.logprob]
        shares.append(math.exp(token.logprob) / max(sum(map(math.exp, top)), math.exp(token.logprob)))
    mean = sum(shares) / len(shares)
    return mean if math.isfinite(mean) else None
