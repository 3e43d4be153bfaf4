"""An evaluation taken up again: nothing is drawn twice, what is torn or changed is noticed."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from autogen_core.models import LLMMessage
from evaluation_material import DRAWN, evaluated, half_right, recipe, right, samples_of, summand

from engines.errors import EngineBusy, EngineDead, EngineError
from settings import UserError


async def test_a_second_call_draws_nothing_again_and_gives_the_same_bytes(tmp_path: Path) -> None:
    settings = recipe(tmp_path, **DRAWN)
    outcome = await evaluated(settings, half_right)
    before = {file.name: file.read_bytes() for file in outcome.folder.path.glob("*.*")}
    again = await evaluated(settings)  # no script: an engine would fail to open
    assert again.result == outcome.result
    assert {file.name: file.read_bytes() for file in outcome.folder.path.glob("*.*")} == before


async def test_a_torn_last_line_is_dropped_and_drawn_again(tmp_path: Path) -> None:
    settings = recipe(tmp_path, count=6)
    outcome = await evaluated(settings, half_right)
    file = outcome.folder.path / "samples.jsonl"
    whole = file.read_bytes()
    file.write_bytes(whole[:-40])
    calls: list[str] = []

    def counting(messages: Sequence[LLMMessage], request_id: str) -> str:
        calls.append(request_id)
        return half_right(messages, request_id)

    again = await evaluated(settings, counting)
    assert len(calls) == 1
    assert again.result == outcome.result


async def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    settings = recipe(tmp_path)
    outcome = await evaluated(settings, half_right)
    file = outcome.folder.path / "samples.jsonl"
    lines = file.read_text().splitlines()
    file.write_text("\n".join([lines[0], lines[1][:-9], *lines[2:]]) + "\n")
    with pytest.raises(UserError, match=r"samples\.jsonl: line 2 is no sample"):
        await evaluated(settings, half_right)


async def test_more_samples_and_more_models_are_added_to_what_is_there(tmp_path: Path) -> None:
    calls: list[str] = []

    def counting(messages: Sequence[LLMMessage], request_id: str) -> str:
        calls.append(request_id)
        return right(messages, request_id)

    await evaluated(recipe(tmp_path, sampling={"temperature": 1.0}, samples=2), counting)
    grown = recipe(tmp_path, sampling={"temperature": 1.0}, samples=3, models=["one", "two"])
    outcome = await evaluated(grown, counting, counting)
    assert len(calls) == 8 + 4 + 12
    assert len(samples_of(outcome)) == 24
    fewer = await evaluated(recipe(tmp_path, sampling={"temperature": 1.0}, samples=1, models=["two"]))
    assert fewer.result
    assert fewer.result["models"][0]["scores"]["samples"] == 4


@pytest.mark.parametrize(
    ("change", "shown"),
    [
        ({"seed": 1}, "seed: 0 -> 1"),
        ({"sampling": {"max_tokens": 99}}, "sampling.max_tokens: 1024 -> 99"),
        ({"engine": {"engine": "scripted", "dtype": "float32"}}, "one: dtype: 'auto' -> 'float32'"),
        ({"persona": "arithmetic"}, "one: persona: 'monologue' -> 'arithmetic'"),
        ({"models": [{"model": "two", "label": "one"}]}, "one: model: 'one' -> 'two'"),
    ],
)
async def test_another_recipe_is_refused_with_the_difference(
    tmp_path: Path, change: dict[str, Any], shown: str
) -> None:
    await evaluated(recipe(tmp_path), right)
    with pytest.raises(UserError) as refused:
        await evaluated(recipe(tmp_path, **change), right)
    assert shown in str(refused.value)
    assert "--name OTHER" in str(refused.value)


async def test_what_only_concerns_scoring_may_change(tmp_path: Path) -> None:
    await evaluated(recipe(tmp_path, **DRAWN), right)
    outcome = await evaluated(recipe(tmp_path, **DRAWN, k=[1, 3], best_of=["shortest"], confidence=0.9))
    assert outcome.result
    assert [*outcome.result["models"][0]["scores"]["pass_at"]] == ["1", "3"]
    assert [*outcome.result["models"][0]["scores"]["best_of"]] == ["shortest"]


async def test_a_lost_sample_is_drawn_by_the_next_run(tmp_path: Path) -> None:
    def failing(messages: Sequence[LLMMessage], request_id: str) -> str | EngineError:
        return EngineBusy("queue full") if summand(messages) == 2 else right(messages, request_id)

    outcome = await evaluated(recipe(tmp_path), failing)
    assert (outcome.lost, outcome.last_error) == (1, "EngineBusy: queue full")
    assert outcome.result is None
    assert not outcome.folder.result.exists(), "figures without a problem would be other figures"
    again = await evaluated(recipe(tmp_path), right)
    assert again.result
    assert again.result["models"][0]["scores"]["accuracy"]["value"] == 1


async def test_a_dead_engine_ends_the_pass(tmp_path: Path) -> None:
    calls = 0

    def dying(messages: Sequence[LLMMessage], request_id: str) -> str | EngineError:
        nonlocal calls
        calls += 1
        return EngineDead("gone") if calls > 5 else right(messages, request_id)

    outcome = await evaluated(recipe(tmp_path, count=400, engine={"engine": "scripted", "max_batch": 2}), dying)
    assert outcome.lost >= 1
    assert calls < 20
    assert len(samples_of(outcome)) == 5


async def test_two_processes_cannot_write_one_evaluation(tmp_path: Path) -> None:
    settings = recipe(tmp_path)
    started = asyncio.Event()

    def clashing(messages: Sequence[LLMMessage], request_id: str) -> str:
        started.set()
        return right(messages, request_id)

    from journeys.database import hold_writer_lock

    folder = settings.folder(None)
    folder.mkdir(parents=True)
    lock = hold_writer_lock(folder / "samples.jsonl")
    with pytest.raises(UserError, match="another process is writing"):
        await evaluated(settings, clashing)
    assert not started.is_set()
    lock.close()
    assert (await evaluated(settings, clashing)).result
