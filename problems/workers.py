"""Worker processes that can be killed: sympy may spin inside C, where no Python timeout reaches.

A worker is `python -m problems.grading` with JSON lines on its pipes, so nothing is forked from a process that has
loaded torch, nothing is pickled, and the end of the pipe ends the worker even when its parent was killed. The time
limit is CPU time, kept by the kernel inside the worker: a busy machine does not make a right answer unparsed.
"""

import asyncio
import json
import os
import select
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

START_SECONDS = 120.0
ROOT = str(Path(__file__).resolve().parents[1])

Process = subprocess.Popen[bytes]


class WorkerDied(Exception):
    """The worker was stopped by its time limit, or broke."""


class Workers:
    """A few warm workers, each behind one thread that waits for it. Any event loop may ask."""

    def __init__(self, *, timeout: float, size: int | None = None) -> None:
        self.timeout = timeout
        self.size = size or max(1, min(4, (os.cpu_count() or 2) // 2))
        self._threads = ThreadPoolExecutor(self.size, thread_name_prefix="verifier")
        self._mine = threading.local()
        self._alive: set[Process] = set()
        self._lock = threading.Lock()
        self._closed = False

    async def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """One answer from one worker; waiting for a free one does not count. Raises WorkerDied past the time limit."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._ask, request)

    def close(self) -> None:
        """End all workers, the busy ones too; safe to call twice."""
        with self._lock:
            self._closed = True
            workers = list(self._alive)
        for worker in workers:
            self._end(worker)
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        worker: Process | None = getattr(self._mine, "worker", None)
        if worker is None or worker.poll() is not None:
            worker = self._mine.worker = self._start()
        try:
            line = _exchange(worker, json.dumps(request).encode() + b"\n", START_SECONDS + 10 * self.timeout)
        except OSError as error:
            self._end(worker)
            raise WorkerDied(f"gave no reply: {type(error).__name__}") from None
        if not line.endswith(b"\n"):
            self._end(worker)
            raise WorkerDied(f"stopped after {self.timeout:g} s of CPU time")
        reply: dict[str, Any] = json.loads(line)
        return reply

    def _start(self) -> Process:
        with self._lock:
            if self._closed:
                raise WorkerDied("closed")
            worker = subprocess.Popen(
                [sys.executable, "-m", "problems.grading", str(self.timeout)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={
                    **os.environ,
                    "PYTHONPATH": os.pathsep.join(filter(None, [ROOT, os.environ.get("PYTHONPATH")])),
                    "OMP_NUM_THREADS": "1",
                    "OPENBLAS_NUM_THREADS": "1",
                },
                start_new_session=True,  # Ctrl-C is for the run, which then closes its workers
            )
            self._alive.add(worker)
            return worker

    def _end(self, worker: Process) -> None:
        with self._lock:
            self._alive.discard(worker)
        worker.kill()
        worker.wait()
        for pipe in (worker.stdin, worker.stdout):
            if pipe is not None:
                with suppress(OSError, ValueError):
                    pipe.close()


def _exchange(worker: Process, request: bytes, wall_seconds: float) -> bytes:
    """The reply line; empty or cut when the worker ended first. The kernel's CPU limit comes long before the wall's."""
    if worker.stdin is None or worker.stdout is None:
        raise BrokenPipeError
    try:
        worker.stdin.write(request)
        worker.stdin.flush()
        ready, _, _ = select.select([worker.stdout], [], [], wall_seconds)
        return worker.stdout.readline() if ready else b""
    except ValueError:  # the pipe was closed under our hands
        raise BrokenPipeError from None
