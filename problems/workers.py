"""Worker processes that can be killed: sympy may spin inside C, where no Python timeout reaches.

A worker is `python -m problems.grading` with JSON lines on its pipes, so nothing is forked from a process that has
loaded torch, nothing is pickled, and the end of the pipe ends the worker even when its parent was killed. The time
limit is CPU time, kept by the kernel inside the worker: a busy machine does not make a right answer unparsed.
"""

import asyncio
import contextlib
import json
import os
import sys
from pathlib import Path
from typing import Any

START_SECONDS = 120.0
LINE_LIMIT = 8_000_000
ROOT = str(Path(__file__).resolve().parents[1])


class WorkerDied(Exception):
    """The worker was stopped by its time limit, or broke."""


class Workers:
    """A few warm workers. Use it from one event loop at a time; a new loop gets new workers."""

    def __init__(self, *, timeout: float, size: int | None = None) -> None:
        self.timeout = timeout
        self.size = size or max(1, min(4, (os.cpu_count() or 2) // 2))
        self._loop: asyncio.AbstractEventLoop | None = None
        self._free: asyncio.Queue[asyncio.subprocess.Process | None] = asyncio.Queue()
        self._alive: set[asyncio.subprocess.Process] = set()

    async def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """One answer from one worker. Raises WorkerDied past the time limit; waiting for a worker does not count."""
        self._adopt_loop()
        worker = await self._free.get()
        free = None
        try:
            if worker is None or worker.returncode is not None:
                worker = await self._start()
            reply = await self._exchange(worker, request)
            free = worker
            return reply
        finally:
            if free is None and worker is not None:
                self._kill(worker)
            self._free.put_nowait(free)

    async def warm(self) -> None:
        """Start the first worker now, so that the first verdict need not wait for sympy's import."""
        await self.ask({"kind": "ping"})

    def close(self) -> None:
        """End all workers; safe to call twice, and from no loop at all."""
        for worker in list(self._alive):
            self._kill(worker)
        self._loop = None

    def _adopt_loop(self) -> None:
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self.close()
            self._loop = loop
            self._free = asyncio.Queue()
            for _ in range(self.size):
                self._free.put_nowait(None)

    async def _start(self) -> asyncio.subprocess.Process:
        paths = [ROOT, *filter(None, [os.environ.get("PYTHONPATH")])]
        worker = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "problems.grading",
            str(self.timeout),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(paths),
                "OMP_NUM_THREADS": "1",
                "OPENBLAS_NUM_THREADS": "1",
            },
            limit=LINE_LIMIT,
            start_new_session=True,  # Ctrl-C is for the run, which then closes its workers
        )
        self._alive.add(worker)
        return worker

    async def _exchange(self, worker: asyncio.subprocess.Process, request: dict[str, Any]) -> dict[str, Any]:
        assert worker.stdin
        assert worker.stdout
        try:
            async with asyncio.timeout(START_SECONDS + 10 * self.timeout):  # the kernel's limit comes long before
                worker.stdin.write(json.dumps(request).encode() + b"\n")
                await worker.stdin.drain()
                line = await worker.stdout.readline()
        except (OSError, ValueError, TimeoutError) as error:
            raise WorkerDied(f"no reply: {type(error).__name__}") from None
        if not line:
            raise WorkerDied(f"stopped after {self.timeout:g} s of CPU time")
        reply: dict[str, Any] = json.loads(line)
        return reply

    def _kill(self, worker: asyncio.subprocess.Process) -> None:
        self._alive.discard(worker)
        with contextlib.suppress(ProcessLookupError, RuntimeError):
            if worker.returncode is None:
                worker.kill()
