"""A run that is killed at any moment and started again ends as if nothing had happened."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from generation_material import ROOT, exported, finished, forking_runs, journeys_of, run_cli, scripted, summary_of

KILLS = 100
PROBLEMS = 30


def test_a_hundred_kills_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    more = ("--concurrency", "6")
    with forking_runs() as runs:
        # Twice, because the first run in a fork warms what the second's time is measured with.
        for name in ("warm", "undisturbed"):
            began = time.monotonic()
            runs.start(scripted(tmp_path, *more, count=PROBLEMS, latency=0.002, name=name))
            assert runs.wait() == 0
            usual = time.monotonic() - began
        want, digests = exported(tmp_path / "runs" / "undisturbed"), finished(tmp_path / "runs" / "undisturbed")
        assert len(digests) == PROBLEMS
        wanted = timeless(tmp_path / "runs" / "undisturbed")

        draw = random.Random(7)
        kills = resumed = 0
        for number in range(KILLS):  # runs; each is killed several times before it gets to its end
            folder = tmp_path / "runs" / f"killed-{number}"
            argv = scripted(tmp_path, *more, count=PROBLEMS, latency=0.002, name=folder.name)
            held: dict[str, str] = {}
            code = -1
            while code != 0:
                pid = runs.start(argv)
                if kills < KILLS:
                    time.sleep(
                        usual * draw.random() ** 2
                    )  # early ones more often: late ones leave little to go on with
                    os.kill(pid, signal.SIGKILL)
                code = runs.wait()
                assert code in (0, -signal.SIGKILL), f"run {number} ended with {code} after {kills} kills"
                kills += code != 0
                resumed += bool(held) and code != 0
                now = finished(folder)
                assert held.items() <= now.items(), "a finished journey was lost or changed"
                held = now
            assert held == digests
            assert exported(folder) == want
            assert timeless(folder) == wanted
            if kills >= KILLS:
                break
    assert kills >= KILLS
    assert resumed >= KILLS // 10, "the kills came too early to test going on"


def timeless(run: Path) -> dict[str, object]:
    """The summary without what time decides."""
    of_time = ("seconds", "model_seconds", "engine_faults")
    return {key: value for key, value in summary_of(run).items() if key not in of_time}


@pytest.mark.slow
def test_a_run_of_the_real_model_survives_three_kills(tmp_path: Path) -> None:
    """The embedded model is slow enough that each kill finds conversations in the middle."""
    argv = [
        *("generate", "--config", "configs/embedded.yaml", "--runs-dir", str(tmp_path), "--name", "run"),
        *("--num-problems", "4", "--concurrency", "2", "--budgets.max-turns", "6"),
    ]
    held: dict[str, str] = {}
    turns_held = 0
    for _ in range(3):
        process = start(argv)
        wait_for_turns(tmp_path / "run", more_than=turns_held, process=process, seconds=120)
        process.kill()
        process.wait()
        assert turns_in(tmp_path / "run") >= turns_held
        turns_held = turns_in(tmp_path / "run")
        now = finished(tmp_path / "run")
        assert held.items() <= now.items()
        held = now
    assert run_cli(argv, timeout=240).returncode == 0
    journeys = journeys_of(tmp_path / "run")
    assert len({journey.problem.id for journey in journeys}) == len(journeys) == 4
    assert held.items() <= finished(tmp_path / "run").items()
    assert summary_of(tmp_path / "run")["journeys"] == 4


def start(argv: Sequence[str]) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "run.py", *argv], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def wait_for_turns(run: Path, *, more_than: int, process: "subprocess.Popen[bytes]", seconds: float) -> None:
    """Until the store holds more turns, or the run has come to its end."""
    deadline = time.monotonic() + seconds
    while turns_in(run) <= more_than and process.poll() is None:
        assert time.monotonic() < deadline, "no turn was stored"
        time.sleep(0.02)


def turns_in(run: Path) -> int:
    try:
        with sqlite3.connect(f"file:{run}/journeys.db?mode=ro", uri=True) as db:
            return int(db.execute("SELECT COUNT(*) FROM turns").fetchone()[0])
    except sqlite3.Error:
        return 0
