"""A real OpenAI-compatible server on 127.0.0.1 that misbehaves to order, one behaviour a request.

In tests:    from fault_server import fault_server  # noqa: F401; then, in a test,  fault_server.plan("429", "ok")
By hand:     python tests/fault_server.py --port 8123 --plan 429,truncated,ok
"""

import argparse
import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiohttp import web

SERVED = "fault-model"
ENDLESS_CHUNK = b" " * 65536


def completion(content: str | None = "2 + 3 = 5", **changes: Any) -> dict[str, Any]:
    """A well-formed reply; `changes` replace top-level keys, or the choice's and the message's own."""
    message = {"role": "assistant", "content": content} | changes.pop("message", {})
    choice = {"index": 0, "message": message, "finish_reason": "stop"} | changes.pop("choice", {})
    usage = {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}
    return {"id": "x", "object": "chat.completion", "model": SERVED, "choices": [choice], "usage": usage} | changes


def _error(status: int, message: str, **headers: str) -> web.Response:
    body = {"error": {"message": message, "type": "error", "code": status}}
    return web.json_response(body, status=status, headers=headers)


class FaultServer:
    """Behaviours in the order planned, then `default` for ever.

    429 429-after 429-quota 500 503 401 404 html hang drip close close-mid-body truncated nested whitespace-body
    whitespace-content huge empty null no-usage no-choices length refuse-top_k too-long echo-key redirect ok
    """

    def __init__(self, *, delay: float = 0.0, models: tuple[str, ...] = (SERVED,), reply: Any = None) -> None:
        self.default = "ok"
        self.delay = delay
        self.models = models
        self.reply = reply or completion()
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.given_up = 0
        """Requests whose client went away before it had its answer."""
        self.in_flight = 0
        self.most_in_flight = 0
        self.required_key = ""
        self.url = ""
        self._plan: deque[str] = deque()
        self._runner: web.AppRunner | None = None

    def plan(self, *behaviours: str) -> None:
        self._plan.extend(behaviours)

    async def start(self, port: int = 0) -> None:
        app = web.Application(client_max_size=1 << 28)
        app.router.add_get("/v1/models", self._list)
        app.router.add_get("/health", self._health)
        app.router.add_post("/v1/chat/completions", self._chat)
        self._runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        if self._runner:
            await self._runner.cleanup()
            self._runner = None

    async def until(self, condition: Callable[[], bool], *, seconds: float = 5.0) -> None:
        """Wait for something that the server sees, such as a client that goes away."""
        async with asyncio.timeout(seconds):
            while not condition():  # noqa: ASYNC110
                await asyncio.sleep(0.005)

    async def _health(self, _: web.Request) -> web.StreamResponse:
        return web.Response()

    async def _list(self, request: web.Request) -> web.StreamResponse:
        if self.required_key and request.headers.get("Authorization") != f"Bearer {self.required_key}":
            return _error(401, f"Incorrect API key provided: {request.headers.get('Authorization')}")
        return web.json_response({"data": [{"id": name, "max_model_len": 2048} for name in self.models]})

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            self.requests.append(await request.json())
            self.headers.append(dict(request.headers))
            await asyncio.sleep(self.delay)
            return await self._behave(self._plan.popleft() if self._plan else self.default, request)
        except (asyncio.CancelledError, ConnectionError):
            self.given_up += 1
            raise
        finally:
            self.in_flight -= 1

    async def _behave(self, name: str, request: web.Request) -> web.StreamResponse:
        match name:
            case "ok":
                return web.json_response(self.reply)
            case "429":
                return _error(429, "slow down")
            case "429-after":
                return _error(429, "slow down", **{"Retry-After": "0.3"})
            case "429-late":
                return _error(429, "slow down", **{"Retry-After": "3600"})
            case "429-quota":
                body = {"error": {"message": "You exceeded your quota", "code": "insufficient_quota"}}
                return web.json_response(body, status=429)
            case "500" | "503":
                return _error(int(name), "the engine stumbled")
            case "401":
                return _error(401, f"bad key {request.headers.get('Authorization')}")
            case "404":
                return _error(404, "The model `other` does not exist.")
            case "html":
                text = "<html><style>p{color:red}</style><body><h1>502 Bad Gateway</h1></body></html>"
                return web.Response(status=502, text=text, content_type="text/html")
            case "html-200":
                return web.Response(text="<html><body>Welcome to the proxy</body></html>", content_type="text/html")
            case "redirect":
                return web.Response(status=301, headers={"Location": "https://elsewhere.example/v1"})
            case "hang":
                await asyncio.sleep(3600)
                return web.Response()
            case "close":
                self._cut(request)
                return web.Response()
            case "refuse-top_k":
                return _error(400, "Unrecognized request argument supplied: top_k")
            case "too-long":
                return _error(400, "This model's maximum context length is 2048 tokens. However, you requested 3000.")
            case "empty":
                return web.json_response(completion(""))
            case "null":
                return web.json_response(completion(None))
            case "length":
                return web.json_response(completion("2 + 3 =", choice={"finish_reason": "length"}))
            case "no-usage":
                return web.json_response(completion("x" * 400, usage=None))
            case "no-choices":
                return web.json_response(completion(choices=[]))
            case "whitespace-content":
                return web.json_response(completion('{"move": "continue"' + "\n" * 20_000))
            case "truncated":
                return web.Response(body=json.dumps(completion()).encode()[:-20], content_type="application/json")
            case "nested":
                return web.Response(body=b"[" * 200_000, content_type="application/json")
            case "huge" | "whitespace-body" | "drip" | "close-mid-body":
                return await self._stream(name, request)
        raise ValueError(f"unknown behaviour {name!r}")

    async def _stream(self, name: str, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        await response.prepare(request)
        await response.write(b'{"choices": [{"message": {"content": "')
        if name == "close-mid-body":
            self._cut(request)
        while name == "drip":
            await response.write(b"x")
            await asyncio.sleep(0.05)
        while name in ("huge", "whitespace-body"):
            await response.write(b"x" * 65536 if name == "huge" else ENDLESS_CHUNK)
        return response

    @staticmethod
    def _cut(request: web.Request) -> None:
        if request.transport:
            request.transport.abort()


@pytest.fixture
async def fault_server() -> AsyncIterator[FaultServer]:
    server = FaultServer()
    await server.start()
    yield server
    await server.stop()


async def _serve(port: int, plan: list[str], default: str, delay: float, model: str) -> None:
    server = FaultServer(delay=delay, models=(model,))
    server.default = default
    server.plan(*plan)
    await server.start(port)
    print(server.url, flush=True)  # noqa: T201
    await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=8123)
    parser.add_argument("--plan", default="", help="behaviours of the first requests, with commas between")
    parser.add_argument("--default", default="ok", help="behaviour of all later requests")
    parser.add_argument("--delay", type=float, default=0.0, help="seconds before each answer")
    parser.add_argument("--model", default=SERVED, help="the name it serves")
    options = parser.parse_args()
    plan = list(filter(None, options.plan.split(",")))
    asyncio.run(_serve(options.port, plan, options.default, options.delay, options.model))
