"""Does the engine keep the model busy? Conversations through the engine beside the raw engine on the same prompts.

    python benchmarks/saturation.py --engine transformers
    python benchmarks/saturation.py --engine vllm --requests 64 --tokens 64 --repeats 3

Both sides sample the same prompts at the same settings; what is compared is tokens up to each text's end, a second.
Each repeat times raw, engine, raw: the ratio is the engine's speed over the mean of the two around it, and the two raw
ones over each other show how much the machine itself drifts. Front-end CPU is this process alone; vLLM's model runs in
another. The promise is a ratio of at least 0.95.
"""

import argparse
import asyncio
import statistics
import sys
import time
from collections.abc import Awaitable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from autogen_core.models import LLMMessage, SystemMessage, UserMessage

from engines.contract import Engine, EngineSettings
from engines.open import open_engine

SYSTEM = "You solve problems in small steps. Write one short step at a time, then stop. " * 6


def conversations(count: int) -> list[list[LLMMessage]]:
    """Prompts that share a system text and differ in their problem."""
    return [
        [
            SystemMessage(content=SYSTEM),
            UserMessage(content=f"What is {17 + i} + {23 + 7 * i} + {5 + 3 * i}?", source="user"),
        ]
        for i in range(count)
    ]


async def through_engine(engine: Engine, prompts: Sequence[Sequence[LLMMessage]], tokens: int) -> float:
    """Tokens a second of all prompts sent at once."""
    began = time.perf_counter()
    replies = await asyncio.gather(
        *(
            engine.create(prompt, extra_create_args={"temperature": 0.7, "max_tokens": tokens, "seed": seed})
            for seed, prompt in enumerate(prompts)
        )
    )
    return sum(reply.usage.completion_tokens for reply in replies) / (time.perf_counter() - began)


async def raw_transformers(engine: Any, prompts: Sequence[Sequence[LLMMessage]], tokens: int) -> float:
    """Tokens a second of one `model.generate` over all prompts, as a careful user would call it."""
    import torch

    model, tokenizer = raw_model(engine)
    tokenizer.padding_side = "left"
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    ids = [engine.chat.ids(prompt) for prompt in prompts]
    batch = tokenizer.pad({"input_ids": ids}, return_tensors="pt").to(model.device)

    def generate() -> int:
        with torch.inference_mode():
            out = model.generate(**batch, max_new_tokens=tokens, do_sample=True, temperature=0.7, top_p=0.95, top_k=0)
        fresh = out[:, batch["input_ids"].shape[1] :]
        ended = fresh == tokenizer.eos_token_id
        lengths = torch.where(ended.any(1), ended.int().argmax(1) + 1, fresh.shape[1])
        return int(lengths.sum())

    began = time.perf_counter()
    made = await asyncio.to_thread(generate)
    return made / (time.perf_counter() - began)


_RAW: list[Any] = []


def raw_model(engine: Any) -> tuple[Any, Any]:
    """The same checkpoint under transformers' own attention; opened once."""
    if not _RAW:
        from engines.checkpoint import open_model

        _RAW.extend(open_model(engine.settings, attention="sdpa"))
    return _RAW[0], _RAW[1]


async def raw_vllm(engine: Any, prompts: Sequence[Sequence[LLMMessage]], tokens: int) -> float:
    """Tokens a second of vLLM's own asynchronous engine."""
    from vllm.sampling_params import RequestOutputKind, SamplingParams

    async def one(number: int, ids: list[int]) -> int:
        params = SamplingParams(
            temperature=0.7, top_p=0.95, max_tokens=tokens, seed=number, output_kind=RequestOutputKind.FINAL_ONLY
        )
        count = 0
        async for output in engine.engine.generate({"prompt_token_ids": ids}, params, f"raw-{time.time_ns()}-{number}"):
            count = len(output.outputs[0].token_ids)
        return count

    ids = [engine.chat.ids(prompt) for prompt in prompts]
    began = time.perf_counter()
    counts = await asyncio.gather(*(one(number, prompt) for number, prompt in enumerate(ids)))
    return sum(counts) / (time.perf_counter() - began)


class Timed(NamedTuple):
    speed: float
    """Tokens a second."""
    cpu: float
    """Seconds this process computed meanwhile."""


async def timed(run: Awaitable[float]) -> Timed:
    began = time.process_time()
    speed = await run
    return Timed(speed, time.process_time() - began)


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", choices=("transformers", "vllm"), default="transformers")
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--requests", type=int, default=64, help="conversations at once")
    parser.add_argument("--tokens", type=int, default=48, help="tokens each may generate")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()

    engine = open_engine(
        EngineSettings(engine=options.engine, model=options.model, max_batch=options.requests, max_model_len=2048)
    )
    await engine.start()
    raw = raw_transformers if options.engine == "transformers" else raw_vllm
    prompts = conversations(options.requests)
    # Both sides once over everything first: whoever came first would otherwise fill the prefix cache for the other.
    await through_engine(engine, prompts, options.tokens)
    await raw(engine, prompts, options.tokens)
    ours, theirs = [], []
    for _ in range(options.repeats):
        before = await timed(raw(engine, prompts, options.tokens))
        ours.append(await timed(through_engine(engine, prompts, options.tokens)))
        theirs.append((before, await timed(raw(engine, prompts, options.tokens))))
    await engine.close()
    print(f"{options.requests} conversations x {options.tokens} tokens, {options.model}, {options.repeats} repeats")
    print(f"{'':14}{'min':>9}{'median':>9}{'max':>9}")
    for name, values in (
        ("engine tok/s", [mine.speed for mine in ours]),
        ("raw tok/s", [raw.speed for pair in theirs for raw in pair]),
        ("ratio", [2 * mine.speed / (a.speed + b.speed) for mine, (a, b) in zip(ours, theirs, strict=True)]),
        ("raw / raw", [b.speed / a.speed for a, b in theirs]),
        ("engine CPU s", [mine.cpu for mine in ours]),
        ("raw CPU s", [raw.cpu for pair in theirs for raw in pair]),
    ):
        print(f"{name:14}{min(values):9.2f}{statistics.median(values):9.2f}{max(values):9.2f}")


if __name__ == "__main__":
    asyncio.run(main())
