"""Runs against a real HTTP server that misbehaves: they come to their end, and the summary counts every fault."""

import asyncio
import json
import threading
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from aiohttp import web
from fault_server import FaultServer, completion
from generation_material import exported, finished, journeys_of, summary_of, write_problems

import run

T = TypeVar("T")
VERDICT = json.dumps({"critique": "", "quote": "", "move": "continue", "keep": 0})


class TwoVoices(FaultServer):
    """Speaks for both roles, and runs beside the test in a thread of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(timeout=20)

    def end(self) -> None:
        self.wait(self.stop())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()

    async def _behave(self, name: str, request: web.Request) -> web.StreamResponse:
        if name != "ok":
            return await super()._behave(name, request)
        asked = await request.json()
        if "response_format" in asked:
            return web.json_response(completion(VERDICT))
        said = "".join(str(message["content"]) for message in asked["messages"])
        return web.json_response(completion("Answer: 12" if "4 * 3 = 12" in said else "2 + 2 = 4, so 4 * 3 = 12"))


@pytest.fixture
def server() -> Iterator[TwoVoices]:
    server = TwoVoices()
    server.wait(server.start())
    yield server
    server.end()


def argv(folder: Path, server: FaultServer, *more: str, count: int = 6) -> list[str]:
    return [
        *("generate", "--runs-dir", str(folder), "--name", "run", "--problems.source", "file"),
        *("--problems.path", str(write_problems(folder, count)), "--critic.persona", "strict"),
        *("--policy.model", f"{server.url}/v1", "--policy.request-timeout", "0.4", "--concurrency", "1"),
        *more,
    ]


def test_every_fault_is_survived_and_counted(tmp_path: Path, server: TwoVoices) -> None:
    faults = {
        "429": "EngineBusy",
        "429-after": "EngineBusy",
        "500": "EngineUnavailable",
        "503": "EngineUnavailable",
        "html": "EngineUnavailable",
        "close": "EngineUnavailable",
        "close-mid-body": "EngineUnavailable",
        "hang": "EngineTimeout",
        "drip": "EngineTimeout",
        "truncated": "MalformedReply",
        "nested": "MalformedReply",
        "no-choices": "MalformedReply",
        "whitespace-body": "MalformedReply",
    }
    # One conversation at a time: policy, critic, policy, critic; every call meets one fault before its answer.
    for name in faults:
        server.plan(name, "ok")
    assert run.main(argv(tmp_path, server)) == 0
    summary = summary_of(tmp_path / "run")
    expected = {kind: list(faults.values()).count(kind) for kind in set(faults.values())}
    assert summary["engine_faults"] == expected
    assert summary["solved"] == summary["journeys"] == 6
    assert summary["accepted"] == 6
    assert summary["engine_error"] == summary["parse_failures"] == 0


def test_bad_content_is_data_and_counted(tmp_path: Path, server: TwoVoices) -> None:
    server.plan(
        *("empty", "ok"),  # the policy says nothing: an empty step, taken back by evidence
        *("null", "ok"),
        *("length", "ok"),  # it is cut off
        *("ok", "whitespace-content", "empty"),  # the critic's verdict and its repair are both broken
        *("ok", "ok"),
    )
    assert run.main(argv(tmp_path, server, count=1)) == 0
    summary = summary_of(tmp_path / "run")
    counted = {name: summary[name] for name in ("empty_steps", "cut_off_steps", "parse_failures", "solved", "turns")}
    assert counted == {"empty_steps": 2, "cut_off_steps": 1, "parse_failures": 1, "solved": 1, "turns": 5}
    assert summary["engine_faults"] == {}


def test_a_server_that_stays_broken_leaves_journeys_that_the_same_command_completes(
    tmp_path: Path, server: TwoVoices, capsys: pytest.CaptureFixture[str]
) -> None:
    command = argv(tmp_path, server, "--policy.max-retries", "0", "--concurrency", "2", count=4)
    server.plan("ok", "ok", "ok", "ok", "ok")
    server.default = "500"
    assert run.main(command) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("retrace: ")
    assert "EngineUnavailable" in last
    assert "run the same command" in last
    broken = summary_of(tmp_path / "run")
    assert broken["engine_error"] >= 2
    assert broken["engine_faults"]["EngineUnavailable"] >= 2
    held = {journey.id: journey.turns for journey in journeys_of(tmp_path / "run")}
    assert any(held.values()), "what was said before the fault is kept"

    server.default = "ok"
    assert run.main(command) == 0
    journeys = journeys_of(tmp_path / "run")
    assert [journey.stop_reason for journey in journeys] == ["solved"] * 4
    assert len({journey.id for journey in journeys}) == 4
    for journey in journeys:
        assert journey.turns[: len(held.get(journey.id, ()))] == held.get(journey.id, ()), "conversations went on"
    assert summary_of(tmp_path / "run")["engine_error"] == 0


@pytest.mark.parametrize(
    ("protocol", "answered", "lost"),
    [
        # Three solutions of two steps each are asked for side by side: five replies come, the sixth does not.
        (("--protocol.kind", "best-of-n", "--protocol.n", "3"), 5, {"policy": 5}),
        # One turn stands; the second step was written, its verdict is missing.
        ((), 3, {"policy": 1}),
    ],
    ids=["a search", "a turn"],
)
def test_what_was_spent_before_an_engine_gave_out_is_kept(
    tmp_path: Path, server: TwoVoices, protocol: tuple[str, ...], answered: int, lost: dict[str, int]
) -> None:
    command = argv(tmp_path, server, *protocol, "--policy.max-retries", "0", count=1)
    server.plan(*["ok"] * answered)
    server.default = "500"
    run.main(command)
    (broken,) = journeys_of(tmp_path / "run")
    assert broken.outcome == "engine_error"
    assert {speaker: cost.completion_tokens for speaker, cost in broken.lost.items()} == {
        speaker: 5 * replies for speaker, replies in lost.items()
    }, "a reply of this server has five tokens"
    assert broken.completion_tokens == 5 * answered
    told = summary_of(tmp_path / "run")["tokens"]
    assert (told["completion"], told["lost_completion"]) == (5 * answered, 5 * sum(lost.values()))

    server.default = "ok"
    assert run.main(command) == 0
    (mended,) = journeys_of(tmp_path / "run")
    assert mended.solved
    assert mended.lost == broken.lost, "taken up, it is written again and was paid for twice"
    assert summary_of(tmp_path / "run")["tokens"]["lost_completion"] == told["lost_completion"]
    assert run.main([*command, "--name", "calm"]) == 0
    assert finished(tmp_path / "run") == finished(tmp_path / "calm"), "faults are no part of what a journey is"


def test_a_server_that_dies_is_given_up_on_soon(
    tmp_path: Path, server: TwoVoices, capsys: pytest.CaptureFixture[str]
) -> None:
    command = argv(tmp_path, server, "--policy.max-retries", "0", "--concurrency", "4", count=200)
    server.plan(*["ok"] * 40)
    server.default = "503"
    assert run.main(command) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("retrace: the engine gave out: EngineUnavailable")
    assert len(server.requests) < 100, "it is not asked once for each of the 200 problems"
    assert summary_of(tmp_path / "run")["solved"] >= 4
    first = finished(tmp_path / "run")
    server.wait(server.stop())
    assert run.main(command) == 2
    assert "no server answers" in capsys.readouterr().err
    assert finished(tmp_path / "run") == first
    assert exported(tmp_path / "run")["journey_sft"].count(b"\n") == summary_of(tmp_path / "run")["accepted"]
