"""A request while it is in the batch: its tokens, and when and how its text ends."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from autogen_core.models import ChatCompletionTokenLogprob, FinishReasons

from engines.batch_attention import Trunk
from engines.contract import Sampling
from engines.errors import EngineError


@dataclass(frozen=True)
class Completion:
    """What became of a request."""

    text: str
    finish_reason: FinishReasons
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    logprobs: list[ChatCompletionTokenLogprob] | None


@dataclass(eq=False)
class Request:
    """A prompt, how to go on from it, and whom to tell."""

    ids: list[int]
    sampling: Sampling
    seed: int | None
    done: Callable[[Completion | EngineError], None]
    logprobs: bool = False
    grammar: Any = None
    """An xgrammar matcher, or None for free text."""
    cancelled: bool = False


@dataclass(eq=False)
class Row:
    """A running request; its number is its place in the batch's list and in the row buffers."""

    request: Request
    random: random.Random
    trunk: Trunk | None = None
    base: int = 0
    """Tokens in the trunk."""
    length: int = 0
    """Tokens in the row buffer."""
    cached: int = 0
    out: list[int] = field(default_factory=list)
    logprobs: list[ChatCompletionTokenLogprob] = field(default_factory=list)

    @property
    def ids(self) -> list[int]:
        return self.request.ids + self.out


class Endings:
    """Decides after each token whether a row is finished.

    Args:
        model, tokenizer: name the tokens that end a text.
    """

    def __init__(self, model: Any, tokenizer: Any) -> None:
        named = [getattr(model.generation_config, "eos_token_id", None), tokenizer.eos_token_id]
        ids = [token for entry in named for token in (entry if isinstance(entry, list) else [entry])]
        self.tokens = frozenset(token for token in ids if token is not None)
        self.tokenizer = tokenizer

    def push(self, row: Row, token: int) -> Completion | None:
        """Append a token; the completion if it was the last."""
        request, sampling = row.request, row.request.sampling
        row.out.append(token)
        grammar = request.grammar
        if grammar is not None and not grammar.is_terminated():
            grammar.accept_token(token)
        if token in self.tokens:
            return _completion(row, self._text(row.out[:-1]), "stop")
        if sampling.stop and (cut := self._before_stop(row.out, sampling.stop)) is not None:
            return _completion(row, cut, "stop")
        if grammar is not None and grammar.is_terminated():
            return _completion(row, self._text(row.out), "stop")
        if len(row.out) >= sampling.max_tokens:
            return _completion(row, self._text(row.out).rstrip("\N{REPLACEMENT CHARACTER}"), "length")
        return None

    def _before_stop(self, out: list[int], stop: tuple[str, ...]) -> str | None:
        """The text before the first stop string, once one has appeared. Only the tail is decoded at each token."""
        reach = max(len(text.encode()) for text in stop) + 4  # a token is at least one byte
        tail = self._text(out[-reach:])
        if not any(text in tail for text in stop):
            return None
        whole = self._text(out)
        places = [place for text in stop if (place := whole.find(text)) >= 0]
        return whole[: min(places)] if places else None

    def _text(self, ids: list[int]) -> str:
        return str(self.tokenizer.decode(ids, skip_special_tokens=True))


def _completion(row: Row, text: str, reason: FinishReasons) -> Completion:
    logprobs = row.logprobs if row.request.logprobs else None
    return Completion(text, reason, len(row.request.ids), len(row.out), row.cached, logprobs)
