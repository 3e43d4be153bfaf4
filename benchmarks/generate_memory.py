"""Memory and speed of whole runs, scripted agents, from 1,000 to 100,000 journeys: is it flat?

    python benchmarks/generate_memory.py                     # 1,000 10,000 100,000; about ten minutes on two cores
    python benchmarks/generate_memory.py --journeys 1000 20000

Each size is `python run.py generate` in a process of its own: problems read, journeys of four turns grown (one of them
taken back), stored, stitched, exported, counted. Peak memory is the kernel's own figure for that process.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = """
replies:
  "stepwise/*/0/0": "I start with the sum: 2 + 2 = 5"
  "stepwise/*/1/0": "That was off. 2 + 2 = 4"
  "stepwise/*/2/0": "Then 4 * 3 = 12"
fallback: "Answer: 12"
"""


@dataclass(frozen=True)
class Measured:
    """One run."""

    journeys: int
    peak_mib: float
    seconds: float
    cpu_seconds: float

    @property
    def per_second(self) -> float:
        return self.journeys / self.seconds


def measure(journeys: int, folder: Path, *more: str) -> Measured:
    """Run `journeys` scripted journeys in a fresh process and folder."""
    problems, script = folder / "problems.jsonl", folder / "script.yaml"
    script.write_text(SCRIPT)
    with problems.open("w") as file:
        for number in range(journeys):
            file.write(json.dumps({"question": f"What is (2 + 2) * 3, for time {number}?", "answer": "12"}) + "\n")
    argv = [
        *("generate", "--runs-dir", str(folder), "--name", f"run-{journeys}"),
        *("--problems.source", "file", "--problems.path", str(problems)),
        *("--policy.engine", "scripted", "--policy.script", str(script), *more),
    ]
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "run.py", *argv], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"the run of {journeys} journeys ended with exit code {process.returncode}")
    return Measured(journeys, usage.ru_maxrss / 1024, seconds, usage.ru_utime + usage.ru_stime)


def main(sizes: Sequence[int]) -> None:
    """Print one line for each size."""
    print(f"{'journeys':>10} {'peak RSS':>10} {'seconds':>9} {'journeys/s':>11} {'CPU ms a journey':>17}")
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            run = measure(size, Path(folder))
        cpu = run.cpu_seconds / run.journeys * 1000
        print(
            f"{size:>10,} {run.peak_mib:>6.0f} MiB {run.seconds:>9.1f} {run.per_second:>11.0f} {cpu:>17.2f}", flush=True
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--journeys", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    main(parser.parse_args().journeys)
