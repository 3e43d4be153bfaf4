"""A real vLLM server on the embedded model: what the engine promises, a run over HTTP, and two deaths.

One start serves all; the tests stand in the order in which they use it up.
"""

import asyncio
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from time import monotonic

import psutil
import pytest
import pytest_asyncio
from autogen_core.models import AssistantMessage, LLMMessage, SystemMessage, UserMessage
from pydantic import BaseModel, ConfigDict, Field

from engines.contract import EngineSettings
from engines.errors import EngineDead, EngineUnavailable, PromptTooLong
from engines.vllm_server import VLLMServerEngine
from generation.command import generate
from generation.settings import GenerateSettings
from journeys.record import Journey
from journeys.store import Store

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200), pytest.mark.asyncio(loop_scope="module")]

PREFIX: list[LLMMessage] = [
    SystemMessage(content="You add numbers, one small step at a time. " * 12),
    UserMessage(content="What is 2 + 3?", source="user"),
]
DRAWN = {"temperature": 0.9, "top_k": 40, "max_tokens": 24, "seed": 11}


class SmallVerdict(BaseModel):
    model_config = ConfigDict(extra="forbid")
    move: str = Field(max_length=20)
    critique: str = Field(max_length=60)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine() -> AsyncIterator[VLLMServerEngine]:
    """The server, ready. Compiling takes most of a start on a CPU and changes nothing that is tried here."""
    pytest.importorskip("vllm")
    lines: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VLLM_CPU_KVCACHE_SPACE", "1")
        settings = EngineSettings(
            engine="vllm-server", model="embedded", max_model_len=2048, max_batch=16, enforce_eager=True
        )
        started = VLLMServerEngine(settings, lines.append)
        try:
            await started.start()
            assert lines
            yield started
        finally:
            began = monotonic()
            await started.close()
            assert monotonic() - began < 20
    with pytest.raises(EngineUnavailable):
        await started.prefix_cache()


def pid_of(engine: VLLMServerEngine) -> int:
    assert engine._server is not None
    assert engine._server._process is not None
    return engine._server._process.pid


async def test_the_engine_keeps_its_contract_on_a_real_server(engine: VLLMServerEngine) -> None:
    assert engine.window == 2048
    first = await engine.create(PREFIX, extra_create_args=DRAWN)
    again = await engine.create(PREFIX, extra_create_args=DRAWN)
    other = await engine.create(PREFIX, extra_create_args=DRAWN | {"seed": 12})
    assert first.content
    assert first.content == again.content
    assert first.content != other.content
    assert again.cached_tokens > 100
    assert 0 < again.usage.completion_tokens <= 24

    unfinished = [*PREFIX, AssistantMessage(content="Step 1: 2 + 3 =", source="policy")]
    greedy = {"temperature": 0.0, "max_tokens": 8, "stop": ["\n"], "continue_final_message": True, "logprobs": True}
    rest = await engine.create(unfinished, extra_create_args=greedy)
    assert str(rest.content).strip().startswith("5")
    assert rest.logprobs is not None
    assert rest.logprobs[0].top_logprobs is not None
    assert len(rest.logprobs[0].top_logprobs) == 5

    verdict = await engine.create(
        PREFIX, json_output=SmallVerdict, extra_create_args={"temperature": 0.7, "max_tokens": 128, "seed": 1}
    )
    SmallVerdict.model_validate_json(str(verdict.content))

    with pytest.raises(PromptTooLong):
        await engine.create([UserMessage(content="one two " * 2000, source="user")])

    queried, hit = await engine.prefix_cache()
    assert queried > hit > 100


async def test_seeded_prompts_that_exceed_one_batch_together_do_not_end_the_server(engine: VLLMServerEngine) -> None:
    """On a CPU vLLM 0.32 dies of a prompt that it reads in pieces (engines/vllm_command.py, CPU_OPTIONS)."""
    long = [[UserMessage(content=f"{number} and " * 250, source="user")] for number in range(8)]
    replies = await asyncio.gather(*(engine.create(prompt, extra_create_args=DRAWN) for prompt in long))
    assert sum(reply.usage.prompt_tokens for reply in replies) > 3000
    assert engine.faults["EngineDead"] == 0


async def test_a_dialogue_with_a_model_critic_becomes_a_dataset_over_http(
    engine: VLLMServerEngine, tmp_path: Path
) -> None:
    assert engine._server is not None
    settings = GenerateSettings.model_validate(
        {
            "name": "talk",
            "runs_dir": str(tmp_path),
            "num_problems": 12,
            "problems": {
                "tasks": [{"name": "chain_sum", "config": {"max_terms": 2, "max_digits": 1, "min_digits": 1}}]
            },
            "policy": {"persona": "arithmetic", "model": f"http://127.0.0.1:{engine._server.port}/v1"},
            "critic": {"persona": "strict"},
            "budgets": {"max_turns": 6},
        }
    )
    outcome = await generate(settings)
    with Store(outcome.folder.database, read_only=True) as store:
        journeys = list(store.journeys())
    summary = outcome.summary
    assert summary["journeys"] == len(journeys) == 12
    assert {journey.outcome for journey in journeys} <= {"solved", "wrong", "unparsed", "exhausted"}
    assert summary["engine_faults"] == {}
    assert not judged(journeys)["parse_failure"], "the server enforces the verdict's schema"
    assert judged(journeys)["read at once"] >= 0.9 * summary["turns"]
    assert summary["moves"]["backtrack"] + summary["moves"]["reflect"] > 0
    assert summary["tokens"]["cached"] > 0.5 * summary["tokens"]["prompt"]
    assert {journey.critic.model for journey in journeys if journey.critic} == {"retrace"}

    import datasets  # type: ignore[import-untyped]

    assert summary["accepted"] > 0
    for name, rows in summary["exports"].items():
        if rows:
            for kind, file in (("json", f"{name}.jsonl"), ("parquet", f"{name}.parquet")):
                read = datasets.load_dataset(kind, data_files=str(outcome.folder.exports / file), split="train")
                assert len(read) == rows, file


def judged(journeys: list[Journey]) -> Counter[str]:
    """How the critic's words could be read, in turns."""
    counted: Counter[str] = Counter()
    for turn in (turn for journey in journeys for turn in journey.turns):
        counted.update(turn.rulings)
        counted["read at once"] += not {"repaired", "parse_failure"} & set(turn.rulings)
    return counted


async def test_calls_outlive_one_death_of_the_real_server_and_not_two(engine: VLLMServerEngine) -> None:
    workers = psutil.Process(pid_of(engine)).children(recursive=True)
    call = asyncio.create_task(engine.create(PREFIX, extra_create_args=DRAWN | {"max_tokens": 200}))
    await asyncio.sleep(0.3)
    os.kill(pid_of(engine), signal.SIGKILL)
    assert (await call).content
    assert engine.faults["EngineDead"] == 1
    assert not [worker for worker in workers if worker.is_running()], "the dead server's workers are gone"

    os.kill(pid_of(engine), signal.SIGKILL)
    with pytest.raises(EngineDead, match="died twice"):
        await engine.create(PREFIX)
