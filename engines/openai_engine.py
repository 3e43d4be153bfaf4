"""Any OpenAI-compatible server as an engine, on aiohttp: 0.2 ms CPU a call where the vendor's SDK takes 4.

The key is read from the environment when the engine starts, goes into one request header, and into nothing else:
every message of the server passes `_redact` before it becomes an error.
"""

import asyncio
import os
import re
import weakref
from collections.abc import Awaitable, Mapping, Sequence
from time import perf_counter
from typing import Any, Literal, TypeVar, cast

import aiohttp
from autogen_core import CancellationToken
from autogen_core.models import LLMMessage
from autogen_core.tools import Tool, ToolSchema
from pydantic import BaseModel
from yarl import URL

from engines.contract import Engine, EngineSettings, Reply, RequestArgs
from engines.errors import EngineDead, EngineError, EngineRefused, EngineTimeout, EngineUnavailable, MalformedReply
from engines.openai_wire import read_fault, read_models, read_reply, request_body
from engines.retry import with_retries
from settings import UserError

T = TypeVar("T")
START_SECONDS = 30.0
"""How long a server may take to list its models."""
KEEPALIVE_SECONDS = 3.0
"""Less than the 5 s after which uvicorn (vLLM) drops an idle connection, else a request may meet the closing socket."""
MAX_REPLY_BYTES = 1 << 20
MAX_TOKEN_BYTES = 256
MAX_TOKEN_BYTES_LOGPROBS = 4096
"""A body is cut off at MAX_REPLY_BYTES plus this for each token asked for."""
LOOPBACK = ("localhost", "127.0.0.1", "::1")


class OpenAIEngine(Engine):
    """A chat-completion server that someone else runs.

    `max_batch` requests are in flight at once; the others wait here, where waiting does not count as a try's time.
    """

    def __init__(self, settings: EngineSettings) -> None:
        super().__init__(settings.served_name or settings.model)
        self.settings = settings
        self.window: int | None = settings.max_model_len
        """The context window in tokens, where known."""
        self._base = base_url(settings.model)
        self._chat = self._base / "chat" / "completions"
        self._served = ""
        self._key = ""
        self._session: aiohttp.ClientSession | None = None
        self._closed = False
        self._slots = asyncio.Semaphore(settings.max_batch)
        self._starting = asyncio.Lock()

    async def start(self) -> None:
        """Open the connections and find the model's name.

        Raises:
            UserError: nobody answers, the server wants a key, or it has no such model.
        """
        async with self._starting:
            if self._session is not None:
                return
            self._closed = False
            self._key = api_key(self.settings.api_key_env)
            session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEPALIVE_SECONDS),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"Content-Type": "application/json", "Accept-Encoding": "identity"}
                | ({"Authorization": f"Bearer {self._key}"} if self._key else {}),
                timeout=aiohttp.ClientTimeout(total=None),
                trust_env=self._base.host not in LOOPBACK,
            )
            try:
                self._served = self.model_name = await self._find_model(session)
            except BaseException:
                await session.close()
                raise
            self._session = session

    async def close(self) -> None:
        self._closed = True
        session, self._session = self._session, None
        if session is not None:
            await session.close()

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
        """One completion. Cancelling the task or the token closes the request's connection at once.

        Raises:
            EngineError: once retries are spent.
            ValueError: tools, images or unknown keys; the caller's own mistake.
        """
        if tools:
            raise ValueError("tools: this engine speaks text only")
        if self._session is None and not self._closed:
            await self.start()
        args = cast(RequestArgs, extra_create_args)
        body = request_body(self._served, messages, args, json_output)
        began = perf_counter()

        async def attempt() -> Reply:
            return await self._attempt(body, args, began)

        return await cancellable(
            with_retries(
                attempt,
                max_retries=self.settings.max_retries,
                deadline=self.settings.deadline,
                faults=self.faults,
                name=args.get("request_id", ""),
            ),
            cancellation_token,
        )

    def remaining_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Tool | ToolSchema] = []) -> int:
        window = 1_000_000 if self.window is None else self.window
        return window - self.count_tokens(messages)

    async def _attempt(self, body: bytes, args: RequestArgs, began: float) -> Reply:
        session = self._session
        if session is None:
            raise EngineDead(f"{self._chat}: this engine is closed")
        token_bytes = MAX_TOKEN_BYTES_LOGPROBS if args.get("logprobs") else MAX_TOKEN_BYTES
        limit = MAX_REPLY_BYTES + token_bytes * args.get("max_tokens", 4096)
        async with self._slots:
            raw = await self._exchange(session, "POST", self._chat, body, self.settings.request_timeout, limit)
        continues = args.get("continue_final_message", False)
        try:
            reply = read_reply(raw, seconds=perf_counter() - began, continues=continues)
        except MalformedReply as error:
            raise MalformedReply(self._redact(f"{self._chat}: {error}")) from None
        return self.record(reply)

    async def _exchange(
        self, session: aiohttp.ClientSession, method: str, url: URL, body: bytes | None, seconds: float, limit: int
    ) -> bytes:
        """One request and its whole body, at most `limit` bytes of it; everything else is an EngineError."""
        try:
            async with (
                asyncio.timeout(seconds),
                session.request(method, url, data=body, allow_redirects=False) as response,
            ):
                raw = await _read(response.content, limit)
                if response.status == 200:
                    return raw
                if 300 <= response.status < 400:
                    raise EngineRefused(f"HTTP {response.status}: redirects to {response.headers.get('Location')}")
                raise read_fault(
                    response.status, raw, sent=body or b"", retry_after=response.headers.get("Retry-After")
                )
        except EngineError as error:
            error.args = (self._redact(f"{url}: {error}"),)
            raise error from None
        except TimeoutError:
            raise EngineTimeout(f"{url}: no complete answer in {seconds:g} s") from None
        except (aiohttp.ClientError, OSError) as error:
            reason = str(error) or "the connection was closed"
            raise EngineUnavailable(self._redact(f"{url}: {type(error).__name__}: {reason}")) from None

    async def _find_model(self, session: aiohttp.ClientSession) -> str:
        """The served name, checked against the server's list where it has one."""
        url, wanted = self._base / "models", self.settings.served_name

        async def listing() -> bytes:
            return await self._exchange(session, "GET", url, None, START_SECONDS, 16 * MAX_REPLY_BYTES)

        retries = min(2, self.settings.max_retries)
        try:
            raw = await with_retries(listing, max_retries=retries, deadline=START_SECONDS, faults=self.faults)
        except EngineRefused as error:
            if re.search(r"HTTP 40[13]", str(error)):
                key = "refuses the key in" if self._key else "wants a key; put it into"
                variable = self.settings.api_key_env
                raise UserError(f"model: the server {key} the environment variable {variable}: {error}") from None
            if wanted:
                return wanted  # it lists nothing; the first call will tell
            raise UserError(f"model: the server lists no models; name one with served_name: {error}") from None
        except EngineError as error:
            raise UserError(f"model: no server answers; start it or correct the URL: {error}") from None
        served = read_models(raw)
        if not served and not wanted:
            raise UserError(f"model: {url} lists no models; name one with served_name")
        name = wanted or next(iter(served))
        if served and name not in served:
            raise UserError(f"served_name: {url} has no model {name!r}; it serves {', '.join(list(served)[:8])}")
        if self.window is None:
            self.window = served.get(name)
        return name

    def _redact(self, text: str) -> str:
        """`text` without the key, and without what looks like one."""
        if self._key:
            text = text.replace(self._key, "***")
        return re.sub(r"(?i)(bearer\s+|\bsk-)[\w.~+/=*-]{6,}", r"\1***", text)


async def _read(content: aiohttp.StreamReader, limit: int) -> bytes:
    """The whole body. Raises MalformedReply past `limit` bytes: a server that never stops must not fill our memory."""
    chunks: list[bytes] = []
    size = 0
    while chunk := await content.readany():
        chunks.append(chunk)
        size += len(chunk)
        if size > limit:
            raise MalformedReply(f"cut off after {limit} bytes: the reply does not end")
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


async def cancellable(call: Awaitable[T], token: CancellationToken | None) -> T:
    """`call`, given up when the token is cancelled. The token keeps only a weak reference to it."""
    if token is None:
        return await call
    task = asyncio.ensure_future(call)
    reference = weakref.ref(task)
    del call

    def cancel() -> None:
        running = reference()
        if running is not None:
            running.cancel()

    token.add_callback(cancel)
    return await task


def base_url(model: str) -> URL:
    """The URL under which `/chat/completions` lies: `http://host:8000` and `.../v1/chat/completions` mean the same.

    Raises:
        UserError: not an http(s) URL, or one that holds a secret.
    """
    try:
        url = URL(model)
    except ValueError:
        url = URL()
    if url.scheme not in ("http", "https") or not url.host:
        raise UserError(f"model: {model!r} is not the URL of a server, as in http://localhost:8000/v1")
    if url.user or url.password or url.query:
        shown = URL.build(scheme=url.scheme, host=url.host, port=url.explicit_port, path=url.path)
        raise UserError(f"model: {shown}: a key belongs in the environment (api_key_env), not in the URL")
    path = re.sub(r"(/chat/completions|/models)?/*$", "", url.path)
    versioned = any(re.match(r"v\d", part) for part in path.split("/"))
    return url.with_path(path if versioned else f"{path}/v1")


def api_key(variable: str) -> str:
    """The key in an environment variable, or "". Raises UserError for one that no header can carry."""
    key = os.environ.get(variable, "").strip()
    if not (key.isascii() and key.isprintable()):
        raise UserError(f"api_key_env: the value of {variable} has characters that a key cannot have")
    return key
