"""The OpenAI chat-completion protocol as pure functions: request bytes out, a `Reply` or an `EngineError` in.

Dialects read here: vLLM's `reasoning` and the older `reasoning_content`, `<think>` left inside the content, usage that
is missing, null content, errors wrapped in `{"error": ...}` or `{"detail": ...}`. No network, no state.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from email.utils import parsedate_to_datetime
from functools import lru_cache
from time import time
from typing import Any

from autogen_core.models import (
    AssistantMessage,
    ChatCompletionTokenLogprob,
    LLMMessage,
    RequestUsage,
    SystemMessage,
    TopLogprob,
    UserMessage,
)
from pydantic import BaseModel

from engines.contract import Reply, RequestArgs
from engines.errors import (
    EngineBusy,
    EngineError,
    EngineRefused,
    EngineTimeout,
    EngineUnavailable,
    MalformedReply,
    PromptTooLong,
)
from journeys.record import FinishReason

SENT_AS_IS = ("temperature", "top_p", "max_tokens", "stop", "seed")
SENT_IF_SET = ("top_k", "min_p")
"""vLLM, SGLang and llama.cpp take these at the top level; OpenAI itself refuses them, so 0 ("off") is not sent."""
NOT_SENT = ("continue_final_message", "logprobs", "request_id")
ROLES: dict[type, str] = {SystemMessage: "system", UserMessage: "user", AssistantMessage: "assistant"}
TOP_LOGPROBS = 5
FINISH: dict[Any, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "function_calls",
    "function_call": "function_calls",
    "content_filter": "content_filter",
}
MAX_TRAILING_WHITESPACE = 256
SHOWN = 300
"""Characters of a server's own words that an error message repeats."""


def request_body(
    model: str, messages: Sequence[LLMMessage], args: RequestArgs, json_output: bool | type[BaseModel] | None = None
) -> bytes:
    """The POST body. Text that is not valid Unicode (lone surrogates from a model) is sent with `?` in its place.

    Raises:
        ValueError: an unknown key in `args`, or a message that is not text.
    """
    unknown = args.keys() - {*SENT_AS_IS, *SENT_IF_SET, *NOT_SENT}
    if unknown:
        raise ValueError(f"extra_create_args: unknown {sorted(unknown)}; see engines/contract.py")
    body: dict[str, Any] = {"model": model, "messages": [_message(message) for message in messages]}
    body.update((key, args[key]) for key in SENT_AS_IS if key in args)  # type: ignore[literal-required]
    body.update((key, args[key]) for key in SENT_IF_SET if args.get(key))  # type: ignore[literal-required]
    if not body.get("stop", True):
        del body["stop"]  # OpenAI refuses an empty list
    if args.get("continue_final_message"):
        body["continue_final_message"] = True
        body["add_generation_prompt"] = False
    if args.get("logprobs"):
        body["logprobs"] = True
        body["top_logprobs"] = TOP_LOGPROBS
    text = json.dumps(body, ensure_ascii=False)
    if json_output:
        form = '{"type":"json_object"}' if json_output is True else _schema_format(json_output)
        text = f'{text[:-1]},"response_format":{form}}}'
    return text.encode("utf-8", "replace")


@lru_cache(maxsize=64)
def _schema_format(kind: type[BaseModel]) -> str:
    """The `response_format` of a type as JSON text, made once: servers cache the compiled grammar by this text."""
    from engines.structured import json_schema

    return f'{{"type":"json_schema","json_schema":{{"name":{json.dumps(kind.__name__)},"schema":{json_schema(kind)}}}}}'


def _message(message: LLMMessage) -> dict[str, str]:
    role, content = ROLES.get(type(message)), message.content
    if role is None or not isinstance(content, str):
        raise ValueError(f"{type(message).__name__} that is not plain text cannot be sent by this engine")
    return {"role": role, "content": content}


def read_reply(raw: bytes, *, seconds: float, continues: bool = False) -> Reply:
    """A complete body as a `Reply`.

    A tail of endless whitespace is cut and the reply marked `length`: the model ran in a loop, as structured output is
    known to do. When the reply `continues` an unfinished message, `<think>` tags belong to that message and stay.

    Raises:
        MalformedReply: not JSON, or not a chat completion.
    """
    try:
        body = json.loads(raw)
        choice = body["choices"][0]
        message = choice["message"]
        content = message.get("content") or ""
        thought = message.get("reasoning") or message.get("reasoning_content") or None
        usage = body.get("usage") or {}
        finish = FINISH.get(choice.get("finish_reason"), "unknown")
        if not isinstance(content, str) or not isinstance(thought, str | None):
            raise TypeError("content is not text")
        kept = content.rstrip()
        if len(content) - len(kept) > MAX_TRAILING_WHITESPACE:
            content, finish = kept, "length"
        if not continues and thought is None:
            thought, content = split_thought(content)
        return Reply(
            finish_reason=finish,
            content=content,
            usage=_usage(usage, content, thought),
            cached=False,
            logprobs=_logprobs(choice.get("logprobs")),
            thought=thought,
            cached_tokens=(usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0,
            seconds=seconds,
        )
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        raise MalformedReply(f"not a chat completion: {_words(raw)}") from None


def read_models(raw: bytes) -> dict[str, int | None]:
    """What GET /v1/models lists, each name with its context window where told; empty when it is not such a list."""
    try:
        return {str(row["id"]): row.get("max_model_len") for row in json.loads(raw)["data"]}
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return {}


def split_thought(content: str) -> tuple[str | None, str]:
    """`<think>a</think>b` -> ("a", "b"); also `a</think>b`, where the chat template had opened the tag.

    Tags elsewhere in the text are text. An opening tag that is never closed makes all of it thought.
    """
    before, opened, after = content.partition("<think>")
    if opened and not before.strip():
        inner, _, answer = after.partition("</think>")
        return inner.strip(), answer.lstrip()
    inner, closed, answer = content.partition("</think>")
    if closed and "<think>" not in inner:
        return inner.strip(), answer.lstrip()
    return None, content


def _usage(usage: Mapping[str, Any], content: str, thought: str | None) -> RequestUsage:
    """Token counts; four characters a token where the server counts nothing, so that token budgets still end."""
    estimate = (len(content) + len(thought or "")) // 4 + 1
    counted = usage.get("completion_tokens")
    return RequestUsage(
        prompt_tokens=int(usage.get("prompt_tokens") or 0),
        completion_tokens=estimate if counted is None else int(counted),
    )


def _logprobs(given: Mapping[str, Any] | None) -> list[ChatCompletionTokenLogprob] | None:
    if not given or given.get("content") is None:
        return None
    # Built without validation: float() is the only check they need, and there may be thousands.
    return [
        ChatCompletionTokenLogprob.model_construct(
            token=str(token["token"]),
            logprob=float(token["logprob"]),
            bytes=token.get("bytes"),
            top_logprobs=[
                TopLogprob(logprob=float(other["logprob"]), bytes=other.get("bytes"))
                for other in token.get("top_logprobs") or ()
            ],
        )
        for token in given["content"]
    ]


def read_fault(status: int, raw: bytes, *, sent: bytes = b"", retry_after: str | None = None) -> EngineError:
    """The error that a reply other than 200 stands for; a refusal names the request's key that it is about."""
    words = _words(raw)
    said = f"HTTP {status}: {words}"
    if status == 429 and "insufficient_quota" not in words:
        return EngineBusy(said, _seconds(retry_after))
    if status == 503 and retry_after:
        return EngineBusy(said, _seconds(retry_after))
    if status == 408:
        return EngineTimeout(said)
    if status >= 500:
        return EngineUnavailable(said)
    if status == 413 or re.search(r"context[ _](length|window)|max_model_len|prompt is too long", words, re.I):
        return PromptTooLong(said)
    if status in (400, 422) and (keys := _keys_named(words, sent)):
        return EngineRefused(f"{said}; the server does not take {', '.join(keys)}: leave it out")
    return EngineRefused(said)


def _keys_named(words: str, sent: bytes) -> list[str]:
    """Which keys of the request a refusal is about."""
    optional = (*SENT_AS_IS, *SENT_IF_SET, *NOT_SENT, "add_generation_prompt", "response_format", "top_logprobs")
    return [key for key in optional if f'"{key}":'.encode() in sent and re.search(rf"\b{key}\b", words)]


def _words(raw: bytes) -> str:
    """What the server said, in one short line: the error's message if it is JSON, else the text without its markup."""
    text = raw[:20_000].decode("utf-8", "replace")
    try:
        body = json.loads(raw[:20_000])
        error = body.get("error", body.get("detail", body)) if isinstance(body, dict) else body
        if isinstance(error, dict):
            code = error.get("code")
            text = f"{error.get('message', error)}" + (f" ({code})" if isinstance(code, str) else "")
        else:
            text = str(error)
    except (ValueError, RecursionError):
        text = re.sub(r"<(script|style)\b.*?</\1>|<[^>]{0,1000}>", " ", text, flags=re.S | re.I)
    text = " ".join(text.split())
    return f"{text[:SHOWN]}..." if len(text) > SHOWN else text or "(empty body)"


def _seconds(retry_after: str | None) -> float | None:
    """`Retry-After` in seconds or as an HTTP date; None where it says nothing usable."""
    try:
        wait = float(retry_after or "")
    except ValueError:
        try:
            wait = parsedate_to_datetime(retry_after or "").timestamp() - time()
        except ValueError:
            return None
    return max(wait, 0.0) if math.isfinite(wait) else None
