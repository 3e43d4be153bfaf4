"""An engine whose replies are written down beforehand: for tests, demos and measuring everything but the model.

A reply is chosen by the request's id, `<persona>/<journey>/<turn>/<try>`, so concurrency cannot reorder a script:

    latency: 0.05                      # optional, seconds per call
    replies:
      "policy/*/0/*": "2 + 2 = 5"      # a request id, or a pattern as in file names; the most literal match wins
      "critic/*/0/*": {move: backtrack, critique: "2 + 2 is 4."}    # a mapping is sent as JSON
      "policy/*/1/*": ["2 + 2 = 4", "It is 4."]                      # a list: one per try
      "policy/*/2/*": {fault: EngineBusy}                            # raised
    fallback: "Answer: 4"              # for all other requests
"""

import asyncio
import fnmatch
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from autogen_core import CancellationToken
from autogen_core.models import LLMMessage, RequestUsage
from autogen_core.tools import Tool, ToolSchema
from pydantic import BaseModel

from engines import errors
from engines.contract import Engine, Reply
from engines.errors import EngineError
from settings import UserError, read_yaml

Script = Callable[[Sequence[LLMMessage], str], str | EngineError]
"""From the messages and the request id to a reply, or to a fault that is raised."""


class ScriptedEngine(Engine):
    """Answers from `script`; one constant text makes it as cheap as an engine can be.

    Args:
        script: the reply, or a callable `(messages, request_id) -> reply`.
        latency: seconds each call takes.
        model_name: the name in records.
    """

    def __init__(self, script: str | Script, *, latency: float = 0.0, model_name: str = "scripted") -> None:
        super().__init__(model_name)
        self.script = script
        self.latency = latency
        self._constant = _reply(script, prompt_tokens=0) if isinstance(script, str) else None

    async def create(
        self,
        messages: Sequence[LLMMessage],
        *,
        tools: Sequence[Tool | ToolSchema] = [],
        tool_choice: Tool | Literal["auto", "required", "none"] = "auto",
        json_output: bool | type[BaseModel] | None = None,
        extra_create_args: Mapping[str, Any] = {},
        cancellation_token: CancellationToken | None = None,
    ) -> Reply:
        if self._constant is not None:
            if self.latency:
                await asyncio.sleep(self.latency)
            return self.record(self._constant)
        assert callable(self.script)
        request_id = str(extra_create_args.get("request_id", ""))
        if self.latency:
            pause = asyncio.ensure_future(asyncio.sleep(self.latency))
            if cancellation_token is not None:
                cancellation_token.link_future(pause)
            await pause
        answer = self.script(messages, request_id)
        if isinstance(answer, EngineError):
            self.faults[type(answer).__name__] += 1
            raise answer
        text = _before_stop(answer, extra_create_args.get("stop") or ())
        return self.record(_reply(text, prompt_tokens=self.count_tokens(messages)))

    def count_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Tool | ToolSchema] = []) -> int:
        """Words, by blanks."""
        return sum(str(message.content).count(" ") + 1 for message in messages)


def scripted_from_file(path: Path) -> ScriptedEngine:
    """The engine of a script file (format above). Raises UserError naming the file and key at fault."""
    script = read_yaml(path)
    if unknown := script.keys() - {"replies", "fallback", "latency"}:
        raise UserError(f"{path}: {sorted(unknown)[0]}: unknown key; a script has replies, fallback and latency")
    replies, latency = script.get("replies") or {}, script.get("latency", 0.0)
    if not isinstance(replies, dict):
        raise UserError(f"{path}: replies: expected request ids with their replies, found {type(replies).__name__}")
    if isinstance(latency, bool) or not isinstance(latency, int | float) or latency < 0:
        raise UserError(f"{path}: latency: expected seconds, got {latency!r}")
    known = {str(pattern): _texts(path, str(pattern), entry) for pattern, entry in replies.items()}
    if "fallback" in script:
        known.setdefault("*", _texts(path, "fallback", script["fallback"]))
    # The pattern with most literal characters speaks for the request, whatever the order in the file.
    ordered = sorted(known, key=lambda pattern: (len(pattern.replace("*", "").replace("?", "")), pattern), reverse=True)

    def answer(messages: Sequence[LLMMessage], request_id: str) -> str | EngineError:
        for pattern in ordered:
            if request_id == pattern or fnmatch.fnmatchcase(request_id, pattern):
                texts = known[pattern]
                attempt = request_id.rpartition("/")[2]
                return texts[min(int(attempt), len(texts) - 1) if attempt.isdecimal() else 0]
        return errors.EngineRefused(f"{path}: no reply for request {request_id!r}, and no fallback")

    return ScriptedEngine(answer, latency=float(latency), model_name=path.name)


def _texts(path: Path, key: str, entry: Any) -> list[str | EngineError]:
    """One reply for each try."""
    entries = entry if isinstance(entry, list) else [entry]
    if not entries:
        raise UserError(f"{path}: {key}: an empty list; give at least one reply")
    return [_text(path, key, one) for one in entries]


def _text(path: Path, key: str, entry: Any) -> str | EngineError:
    if isinstance(entry, dict) and set(entry) == {"fault"}:
        kind = getattr(errors, str(entry["fault"]), None)
        if not (isinstance(kind, type) and issubclass(kind, EngineError)):
            raise UserError(f"{path}: {key}: fault: {entry['fault']!r} is no engine error; see engines/errors.py")
        return kind("scripted")
    if isinstance(entry, dict):
        return json.dumps(entry)
    if isinstance(entry, str):
        return entry
    raise UserError(f"{path}: {key}: expected text, a mapping or a list, found {type(entry).__name__}; quote numbers")


def _before_stop(text: str, stop: Sequence[str]) -> str:
    return text[: min((place for string in stop if (place := text.find(string)) >= 0), default=len(text))]


def _reply(text: str, *, prompt_tokens: int) -> Reply:
    return Reply(
        finish_reason="stop",
        content=text,
        usage=RequestUsage(prompt_tokens, len(text.split())),
        cached=False,
    )
