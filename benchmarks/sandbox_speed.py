"""What it costs to run a step's code in the sandbox: warm checks, a step of a journey, a cold start, checks a second.

    python benchmarks/sandbox_speed.py [--runs 300] [--workers 1 2 4]

The reference is the plainest way to run code elsewhere: a fresh interpreter for each step, which isolates nothing.
"""

import argparse
import asyncio
import os
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from journeys.code import fenced
from journeys.record import Move, Turn, Verdict
from problems.referee import CheckerSettings, Referee
from sandbox import Sandbox, SandboxSettings

ARITHMETIC = """
# Nine of the dozen eggs are left.
eggs = 12 - 3
# Four make a pan, so two pans, and one egg is over.
pans, over = divmod(eggs, 4)
assert pans * 4 + over == eggs
print(pans)
"""
ALGEBRA = """
import sympy
# The two numbers have the sum 7 and the product 12.
x = sympy.Symbol("x")
print(sympy.solve(x * (7 - x) - 12, x))
"""
STEPS = {"arithmetic": ARITHMETIC, "sympy": ALGEBRA}
TIMED = "import time\nstarted = time.perf_counter()\n{code}\nprint(1000 * (time.perf_counter() - started))"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=300, help="checks that each figure is taken from")
    parser.add_argument("--pause", type=float, default=0.02, help="seconds between two warm checks")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    options = parser.parse_args()
    load = os.getloadavg()[0]
    print(f"{os.cpu_count()} cores, load {load:.1f}, {options.runs} runs")
    asyncio.run(measure(options.runs, options.pause, options.workers))


async def measure(runs: int, pause: float, workers: list[int]) -> None:
    print(f"\n{'ms':<44}{'min':>8}{'median':>8}{'p95':>8}{'max':>8}")
    for name, modules in (("bare", ()), ("with sympy", SandboxSettings().modules)):
        row(f"cold start, {name}", [await cold(SandboxSettings(workers=1, modules=modules)) for _ in range(7)])
    for name, code in STEPS.items():
        async with Sandbox(SandboxSettings(workers=1)) as sandbox:
            row(f"warm check, {name}", [await check(sandbox, code, pause) for _ in range(runs)])
            row(f"warm check, {name}, no pause between", [await check(sandbox, code, 0) for _ in range(runs)])
            row(f"of a warm check, the code's own, {name}", [await own(sandbox, code, pause) for _ in range(runs)])
        row(f"reference: fresh interpreter, {name}", [await interpreter(code) for _ in range(max(10, runs // 20))])
    async with Referee(CheckerSettings(code=True, sandbox=SandboxSettings(workers=1))) as referee:
        row("step check, eighth piece of a program", [await eighth(referee, pause) for _ in range(runs)])
    print(f"\n{'checks a second':<44}{'workers':>8}{'rate':>8}")
    for count in workers:
        async with Sandbox(SandboxSettings(workers=count)) as sandbox:
            started = time.perf_counter()
            outcomes = await asyncio.gather(*(sandbox.run(ARITHMETIC) for _ in range(runs)))
            rate = runs / (time.perf_counter() - started)
        assert all(outcome.verdict == "ok" for outcome in outcomes)
        print(f"{'arithmetic':<44}{count:>8}{rate:>8.0f}")


async def cold(settings: SandboxSettings) -> float:
    """From nothing to a pool that has been probed and takes code."""
    started = time.perf_counter()
    async with Sandbox(settings):
        return 1000 * (time.perf_counter() - started)


async def check(sandbox: Sandbox, code: str, pause: float) -> float:
    await asyncio.sleep(pause)
    started = time.perf_counter()
    outcome = await sandbox.run(code)
    assert outcome.verdict == "ok", outcome
    return 1000 * (time.perf_counter() - started)


PATH = [
    Turn(id=n, parent=n - 1 if n else None, step=fenced(ARITHMETIC.strip()), verdict=Verdict(move=Move.CONTINUE))
    for n in range(7)
]


async def eighth(referee: Referee, pause: float) -> float:
    """Everything that a protocol waits for before a step is judged: all checkers, and seven pieces run before this."""
    await asyncio.sleep(pause)
    started = time.perf_counter()
    found = await referee.check(question="?", path=PATH, step=fenced(f"pans += 1{ARITHMETIC}"), abandoned=())
    assert [one.kind for one in found] == ["code_output"], found
    return 1000 * (time.perf_counter() - started)


async def own(sandbox: Sandbox, code: str, pause: float) -> float:
    """What the code itself takes inside, by its own clock."""
    await asyncio.sleep(pause)
    outcome = await sandbox.run(TIMED.format(code=code))
    return float(outcome.output.splitlines()[-1])


async def interpreter(code: str) -> float:
    started = time.perf_counter()
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.DEVNULL)
    assert await process.wait() == 0
    return 1000 * (time.perf_counter() - started)


def row(name: str, values: list[float]) -> None:
    ordered = sorted(values)
    p95 = ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]
    print(f"{name:<44}{ordered[0]:>8.1f}{statistics.median(ordered):>8.1f}{p95:>8.1f}{ordered[-1]:>8.1f}")


if __name__ == "__main__":
    main()
