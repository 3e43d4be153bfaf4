"""What a run gives back, and how workers come and go."""

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import isolation_here
import psutil
import pytest
import pytest_asyncio

from sandbox import Sandbox, SandboxSettings

isolated = pytest.mark.skipif(bool(isolation_here.lacking()), reason=isolation_here.lacking())
shared = pytest.mark.asyncio(loop_scope="module")

SMALL = SandboxSettings(memory_mb=256, cpu_seconds=1, wall_seconds=2, output_chars=1000, modules=(), workers=1)
ROOT = Path(__file__).resolve().parents[1]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox(SandboxSettings(cpu_seconds=1, wall_seconds=60, output_chars=1000)) as opened:
        yield opened


Inhabitants = Callable[[], list[psutil.Process]]


@pytest.fixture
def inhabitants() -> Inhabitants:
    """What has been started since the test began, and what that started."""
    before = set(psutil.Process().children(recursive=True))
    return lambda: [child for child in psutil.Process().children(recursive=True) if child not in before]


def gone(processes: list[psutil.Process]) -> bool:
    """Whether all end within seconds; a zombie has ended, and waits for the machine's first process to count it."""
    deadline = time.monotonic() + 20
    while any(not ended(process) for process in processes):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def ended(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


ENDINGS = [
    ("print(1 + 1)", "ok", "2\n", ""),
    ("", "ok", "", ""),
    ("x = 3\nassert x * 2 == 6", "ok", "", ""),
    ("if __name__ == '__main__': print('main')", "ok", "main\n", ""),
    ("print('a', end='')\nexit()", "ok", "a", ""),
    ("print('é 数')", "ok", "é 数\n", ""),
    ("def f():\n    return x\nx = 5\nprint(f())", "ok", "5\n", ""),
    ("print('so far')\n1 / 0", "error", "so far\n", "line 2: ZeroDivisionError: division by zero"),
    ("# 3 + 4 = 8\nassert 3 + 4 == 8", "error", "", "line 2: AssertionError"),
    ("import json\njson.loads('')", "error", "", "line 2: JSONDecodeError: Expecting value: line 1 column 1 (char 0)"),
    ("x = = 1", "error", "", "line 1: SyntaxError: invalid syntax"),
    ("raise ValueError('first\\nlast')", "error", "", "line 1: ValueError: last"),
    ("import sys\nsys.exit('no')", "error", "", "line 2: SystemExit: no"),
    ("input()", "error", "", "line 1: EOFError: EOF when reading a line"),
    ("bytearray(1 << 40)", "memory", "", "MemoryError"),
    ("print(1)\nwhile True: pass", "timeout", "1\n", "used more than 1 s of CPU time"),
]


@isolated
@shared
@pytest.mark.parametrize(("code", "verdict", "output", "detail"), ENDINGS)
async def test_a_run_ends_in_its_verdict(sandbox: Sandbox, code: str, verdict: str, output: str, detail: str) -> None:
    outcome = await sandbox.run(code)
    assert (outcome.verdict, outcome.output, outcome.detail) == (verdict, output, detail)


@isolated
@shared
async def test_the_code_so_far_and_one_more_step_run_as_one_program(sandbox: Sandbox) -> None:
    steps = ["# 12 eggs, 3 broken\neggs = 12 - 3", "# 4 a pan\npans = eggs // 4", "# so far 2\nprint(pans)"]
    verdicts = [(await sandbox.run("\n".join(steps[:number]))).verdict for number in (1, 2, 3)]
    assert verdicts == ["ok", "ok", "ok"]
    wrong = await sandbox.run("\n".join([*steps, "# per person\nprint(pans / people)"]))
    assert (wrong.verdict, wrong.output) == ("error", "2\n")
    assert wrong.detail == "line 8: NameError: name 'people' is not defined"


@isolated
@shared
async def test_mathematics_is_at_hand(sandbox: Sandbox) -> None:
    code = "import math, fractions, sympy\nx = sympy.Symbol('x')\nprint(sympy.factor(x**2 - 1), math.comb(5, 2))"
    assert (await sandbox.run(code)).output == "(x - 1)*(x + 1) 10\n"


@isolated
@shared
async def test_long_output_is_cut_and_said_to_be(sandbox: Sandbox) -> None:
    assert (await sandbox.run("print('é' * 999)")).cut is False
    long = await sandbox.run("print('é' * 1000)")
    assert (long.verdict, long.output, long.cut) == ("ok", "é" * 1000, True)


CHANCE = """
import random, numpy, sympy.core.random
print(random.random(), numpy.random.random(), sympy.core.random.rng.random(), hash("a"), {"a", "b", "c"})
"""


@isolated
async def test_chance_is_the_same_in_every_worker() -> None:
    async with Sandbox(SandboxSettings(modules=("mpmath", "numpy", "sympy"), workers=2)) as own:
        outcomes = await asyncio.gather(*(own.run(CHANCE) for _ in range(6)))
    assert [outcome.detail for outcome in outcomes] == [""] * 6
    assert len({outcome.output for outcome in outcomes}) == 1


@isolated
@shared
async def test_many_runs_at_once_each_get_their_own_answer(sandbox: Sandbox) -> None:
    outcomes = await asyncio.gather(*(sandbox.run(f"print({n} * {n})") for n in range(40)))
    assert [outcome.output for outcome in outcomes] == [f"{n * n}\n" for n in range(40)]


LEFT_BEHIND = {
    "a name": ("kept = 1", "print('kept' in globals())"),
    "a changed module": ("import math\nmath.pi = 3", "import math\nprint(math.pi == 3)"),
    "a changed builtin": ("import builtins\nbuiltins.kept = 1", "import builtins\nprint(hasattr(builtins, 'kept'))"),
    "a file": ("open('kept', 'w').write('1')", "import os\nprint('kept' in os.listdir())"),
    "a setting": ("import sys\nsys.setrecursionlimit(77)", "import sys\nprint(sys.getrecursionlimit() == 77)"),
    "the code itself": (
        "kept = 'A secret ' + 'of the first run'",
        "import gc\nword = 'terces A'[::-1]\nprint(any(word in str(x) for x in gc.get_objects() if type(x) is tuple))",
    ),
}


@isolated
@pytest.mark.parametrize("what", LEFT_BEHIND)
async def test_a_run_finds_nothing_that_the_one_before_left(what: str) -> None:
    first, second = LEFT_BEHIND[what]
    async with Sandbox(SMALL) as own:
        assert (await own.run(first)).verdict == "ok"
        assert (await own.run(second)).output == "False\n"


@isolated
async def test_a_worker_is_replaced_after_its_share_of_runs(inhabitants: Inhabitants) -> None:
    async with Sandbox(SMALL.model_copy(update={"runs_per_worker": 3})) as own:
        seen = set()
        for _ in range(6):
            seen.add(min(process.pid for process in inhabitants()))
            assert (await own.run("print(1 + 1)")).output == "2\n"
        assert len(seen) >= 2


@isolated
async def test_closing_leaves_no_process_behind(inhabitants: Inhabitants) -> None:
    assert inhabitants() == []
    async with Sandbox(SMALL.model_copy(update={"workers": 3})) as own:
        busy = [asyncio.create_task(own.run("while True: pass")) for _ in range(5)]
        await asyncio.sleep(0.2)
        there = inhabitants()
        assert len(there) >= 9
    assert gone(there)
    assert inhabitants() == []
    for error in await asyncio.gather(*busy, return_exceptions=True):
        assert isinstance(error, RuntimeError), error
    with pytest.raises(RuntimeError, match="closed"):
        await own.run("print(1)")
    await own.close()


@isolated
async def test_closing_while_a_worker_starts_leaves_no_process_behind(inhabitants: Inhabitants) -> None:
    async with Sandbox(SMALL) as own:
        inhabitants()[0].kill()
        await asyncio.sleep(0.3)
        run = asyncio.create_task(own.run("print(1)"))
        await asyncio.sleep(0.03)
        assert inhabitants()
    with pytest.raises(RuntimeError, match="closed"):
        await run
    assert inhabitants() == []


@isolated
async def test_a_cancelled_run_ends_and_the_next_one_is_answered(inhabitants: Inhabitants) -> None:
    async with Sandbox(SMALL) as own:
        for pause in (0.0, 0.01, 0.3):
            run = asyncio.create_task(own.run("import time\ntime.sleep(60)"))
            await asyncio.sleep(pause)
            run.cancel()
            with pytest.raises(asyncio.CancelledError):
                await run
            there = inhabitants()
            assert (await own.run("print(1 + 1)")).output == "2\n"
    assert gone(there)
    assert inhabitants() == []


async def settled(inhabitants: Inhabitants) -> list[psutil.Process]:
    """The processes once none comes or goes any more: some live for a moment while a worker starts."""
    before: list[psutil.Process] = []
    while not (now := inhabitants()) or now != before:
        before = now
        await asyncio.sleep(0.15)
    return now


@isolated
@pytest.mark.parametrize("which", [0, -1])
async def test_a_worker_killed_while_idle_is_replaced_unseen(inhabitants: Inhabitants, which: int) -> None:
    async with Sandbox(SMALL) as own:
        (await settled(inhabitants))[which].kill()
        await asyncio.sleep(0.1)
        outcomes = [await own.run("print(1 + 1)") for _ in range(2)]
        assert "2\n" in [outcome.output for outcome in outcomes]
        assert outcomes[-1].verdict == "ok"


@isolated
async def test_a_sandbox_that_no_longer_keeps_time_is_ended_from_outside(inhabitants: Inhabitants) -> None:
    async with Sandbox(SMALL) as own:
        run = asyncio.create_task(own.run("while True: pass"))
        await asyncio.sleep(0.2)
        stopped = await settled(inhabitants)
        for process in stopped:
            process.suspend()
        outcome = await asyncio.wait_for(run, 20)
        assert (outcome.verdict, outcome.detail) == ("timeout", "the sandbox gave no answer in time")
        assert (await own.run("print(1 + 1)")).output == "2\n"
        assert gone(stopped)


HOST = """
import asyncio
from sandbox import Sandbox, SandboxSettings
async def main():
    async with Sandbox(SandboxSettings(modules=(), workers=1)) as own:
        print("open", flush=True)
        await own.run("import time; time.sleep(60)")
asyncio.run(main())
"""


@isolated
def test_a_host_that_is_killed_takes_its_sandboxes_with_it() -> None:
    with subprocess.Popen([sys.executable, "-c", HOST], stdout=subprocess.PIPE, text=True, cwd=ROOT) as host:
        assert host.stdout is not None
        assert host.stdout.readline() == "open\n"
        inside_it = psutil.Process(host.pid).children(recursive=True)
        assert len(inside_it) >= 3
        host.send_signal(signal.SIGKILL)
    assert gone(inside_it)
