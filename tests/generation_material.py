"""Runs of `python run.py generate` with scripted agents, in a process of their own where a test wants to harm it."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from journeys.record import Journey
from journeys.store import Store
from settings import UserError

ROOT = Path(__file__).parent.parent
EXPORTS = ("journey_sft", "shortcut_sft", "preferences", "step_labels")

SCRIPT = """
latency: {latency}
replies:
  "stepwise/*/0/*": "I start inside the brackets: 2 + 2 = 5"
  "stepwise/*/1/*": "That was off. 2 + 2 = 4"
  "stepwise/*/2/*": "Then three of those: 4 * 3 = 12"
  "stepwise/*/3/*": "Answer: 12"
  "stepwise/p-*7#0/3/*": "Answer: 13"
  "strict/*/0/*": {{move: backtrack, critique: "2 + 2 is not 5.", quote: "2 + 2 = 5", keep: 0}}
  "strict/*/2/*": {{move: reflect, critique: "Is that all that was asked?", quote: "", keep: 0}}
  "strict/p-*3#0/1/*": ["no JSON at all", {{move: continue, critique: "", quote: "", keep: 0}}]
  "strict/p-*4#0/1/*": "no JSON at all"
fallback: '{{"move": "continue", "critique": "", "quote": "", "keep": 0}}'
"""


def write_script(folder: Path, *, latency: float = 0.0, text: str = SCRIPT) -> Path:
    path = folder / "script.yaml"
    path.write_text(text.format(latency=latency))
    return path


def write_problems(folder: Path, count: int, *, name: str = "p.jsonl") -> Path:
    path = folder / name
    rows = ({"question": f"How much is (2 + 2) * 3, asked for time {n}?", "answer": "12"} for n in range(count))
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def scripted(folder: Path, *more: str, count: int = 20, latency: float = 0.0, name: str = "run") -> list[str]:
    """The arguments of a run that calls no model; `more` come last and win."""
    script, problems = write_script(folder, latency=latency), write_problems(folder, count)
    return [
        *("generate", "--runs-dir", str(folder / "runs"), "--name", name),
        *("--problems.source", "file", "--problems.path", str(problems)),
        *("--policy.engine", "scripted", "--policy.script", str(script), "--critic.persona", "strict"),
        *more,
    ]


def run_cli(argv: Sequence[str], *, timeout: float = 120, **options: Any) -> "subprocess.CompletedProcess[str]":
    """`python run.py ...` as a user runs it."""
    return subprocess.run(
        [sys.executable, "run.py", *argv], cwd=ROOT, capture_output=True, text=True, timeout=timeout, **options
    )


def exported(run: Path) -> dict[str, bytes]:
    """The bytes of every exported row."""
    return {name: (run / "exports" / f"{name}.jsonl").read_bytes() for name in EXPORTS}


def summary_of(run: Path) -> dict[str, Any]:
    summary: dict[str, Any] = json.loads((run / "summary.json").read_text())
    return summary


def finished(run: Path) -> dict[str, str]:
    """The digest of each journey that a run's store holds finished; nothing while there is no store yet."""
    try:
        with Store(run / "journeys.db", read_only=True) as store:
            return {journey.id: journey.digest() for journey in store.journeys()}
    except UserError:  # killed before the store had its tables
        return {}


def journeys_of(run: Path) -> list[Journey]:
    with Store(run / "journeys.db", read_only=True) as store:
        return list(store.journeys())


FORKING = """
import os, sys, json
import pyarrow.parquet, pandas
import run, generation.command, generation.report, generation.run, engines.scripted, engines.structured
generation.run.FLUSH_SECONDS = 0.03
print("ready", flush=True)
for line in sys.stdin:
    pid = os.fork()
    if not pid:
        devnull = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(devnull, number)
        code = 70
        try:
            code = run.main(json.loads(line))
        finally:
            os._exit(code)
    print(pid, flush=True)
    sys.stdin.readline()  # until then a run that has ended keeps its process id, so that no other can be hit
    print(os.waitpid(pid, 0)[1], flush=True)
"""
"""A process that has imported everything and forks for each run. Reads arguments and "wait" in turns."""


class Runs:
    """Starts runs, one at a time, in processes that may be killed."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def start(self, argv: Sequence[str]) -> int:
        """Begin a run and return its process id."""
        return int(self._ask(json.dumps(list(argv))))

    def wait(self) -> int:
        """The exit code of the run that was started last; the signal's number, negative, where one ended it."""
        return os.waitstatus_to_exitcode(int(self._ask("wait")))

    def _ask(self, line: str) -> str:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        return self._process.stdout.readline()


@contextmanager
def forking_runs() -> Iterator[Runs]:
    """Like `run_cli`, in about 30 ms."""
    process = subprocess.Popen(
        [sys.executable, "-c", FORKING], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        yield Runs(process)
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
