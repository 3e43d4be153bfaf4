"""What a model call over HTTP costs the client: our OpenAI engine beside AutoGen's own client, in the same run.

    python benchmarks/http_overhead.py
    python benchmarks/http_overhead.py --calls 500 --steps 48        # a long prompt

The server is another process and answers after 50 ms with a 600-character step (or a verdict as JSON). Measured is the
processor time of this process, user and system, divided by the calls; the connections are opened before.
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import statistics
import sys
import time
import warnings
from collections.abc import Awaitable, Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from autogen_core.models import AssistantMessage, LLMMessage, ModelInfo, SystemMessage, UserMessage
from autogen_ext.models.openai import OpenAIChatCompletionClient
from pydantic import BaseModel, ConfigDict, Field

from engines.contract import EngineSettings
from engines.openai_engine import OpenAIEngine

STEP = "First I add the two numbers, carefully, and I write the sum down before going on. " * 8
REPLY_SECONDS = 0.05

Call = Callable[[list[LLMMessage], type[BaseModel] | None], Awaitable[object]]


class BenchVerdict(BaseModel):
    """Shaped like a critic's verdict."""

    model_config = ConfigDict(extra="forbid")
    critique: str = Field(max_length=400)
    move: str
    quote: str
    keep: int


VERDICT = BenchVerdict(critique=STEP[:200], move="continue", quote="", keep=0).model_dump_json()


def serve(pipe: Connection) -> None:
    """The server's process: a fixed answer after a fixed time."""
    from aiohttp import web

    def reply(content: str) -> bytes:
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": content}}
        usage = {"prompt_tokens": 400, "completion_tokens": 120, "total_tokens": 520}
        body = {"id": "b", "object": "chat.completion", "created": 1, "model": "bench"}
        return json.dumps(body | {"choices": [choice], "usage": usage}).encode()

    text, verdict = reply(STEP), reply(VERDICT)

    async def chat(request: web.Request) -> web.Response:
        structured = b'"response_format"' in await request.read()
        await asyncio.sleep(REPLY_SECONDS)
        return web.Response(body=verdict if structured else text, content_type="application/json")

    async def models(_: web.Request) -> web.Response:
        return web.json_response({"data": [{"id": "bench"}]})

    async def main() -> None:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", chat)
        app.router.add_get("/v1/models", models)
        runner = web.AppRunner(app, access_log=None, keepalive_timeout=600)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, backlog=2048).start()
        pipe.send(runner.addresses[0][1])
        await asyncio.Event().wait()

    asyncio.run(main())


async def measure(call: Call, *, calls: int, in_flight: int, steps: int, schema: type[BaseModel] | None) -> list[float]:
    """[CPU milliseconds a call, calls a second]."""
    prompt: list[LLMMessage] = [
        SystemMessage(content="You solve problems step by step."),
        UserMessage(content="2+3?", source="user"),
    ]
    for _ in range(steps):
        prompt += [AssistantMessage(content=STEP, source="policy"), UserMessage(content="Go on.", source="critic")]
    left = calls

    async def worker() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            await call(prompt, schema)

    await asyncio.gather(*(call(prompt, schema) for _ in range(in_flight)))
    cpu, clock = time.process_time(), time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(in_flight)))
    return [(time.process_time() - cpu) / calls * 1e3, calls / (time.perf_counter() - clock)]


async def run(url: str, options: argparse.Namespace) -> None:
    ours = OpenAIEngine(EngineSettings(engine="openai", model=url, max_batch=options.in_flight))
    await ours.start()
    info = ModelInfo(vision=False, function_calling=False, json_output=True, family="unknown", structured_output=True)
    warnings.filterwarnings("ignore", module="pydantic")  # the SDK's own, about its parsed replies
    theirs = OpenAIChatCompletionClient(model="bench", base_url=f"{url}/v1", api_key="none", model_info=info)

    async def call_ours(prompt: list[LLMMessage], schema: type[BaseModel] | None) -> object:
        arguments: dict[str, Any] = {"temperature": 0.7, "max_tokens": 256, "seed": 1}
        return await ours.create(prompt, json_output=schema, extra_create_args=arguments)

    async def call_theirs(prompt: list[LLMMessage], schema: type[BaseModel] | None) -> object:
        arguments = {"temperature": 0.7, "max_tokens": 256, "seed": 1}
        return await theirs.create(prompt, json_output=schema, extra_create_args=arguments)

    print(f"calls={options.calls} in_flight={options.in_flight} steps_in_prompt={options.steps}", end=" ")
    print(f"repeats={options.repeats} cpus={os.cpu_count()} load={os.getloadavg()[0]:.1f}")
    print(f"{'client':34} {'reply':10} {'CPU ms a call: min / median / max':>34} {'calls/s':>9}")
    for name, call in (("retrace OpenAIEngine", call_ours), ("AutoGen OpenAIChatCompletionClient", call_theirs)):
        for kind, schema in (("text", None), ("structured", BenchVerdict)):
            figures = [
                await measure(
                    call, calls=options.calls, in_flight=options.in_flight, steps=options.steps, schema=schema
                )
                for _ in range(options.repeats)
            ]
            cpu = sorted(figure[0] for figure in figures)
            rate = statistics.median(figure[1] for figure in figures)
            spread = f"{cpu[0]:.3f} / {statistics.median(cpu):.3f} / {cpu[-1]:.3f}"
            print(f"{name:34} {kind:10} {spread:>34} {rate:9.0f}", flush=True)
    await ours.close()
    await theirs.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--in-flight", type=int, default=256)
    parser.add_argument("--steps", type=int, default=6, help="earlier steps in the prompt")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    server = context.Process(target=serve, args=(there,), daemon=True)
    server.start()
    asyncio.run(run(f"http://127.0.0.1:{here.recv()}", options))
    server.terminate()


if __name__ == "__main__":
    main()
