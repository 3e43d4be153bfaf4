"""One sandbox seen from outside: started, asked, ended. What comes out of it is bytes, believed in nothing."""

import asyncio
import os
import platform
import signal
import time
from contextlib import suppress
from typing import Literal, Self, cast

from pydantic import BaseModel, ConfigDict

from sandbox.inside import DETAIL_BYTES, READY, REPLY, REQUEST, VERDICTS
from sandbox.isolation import check_namespaces, command, output_bytes, refusal
from sandbox.seccomp import worker_filter
from sandbox.settings import SandboxSettings

START_SECONDS = 120.0
GRACE_SECONDS = 1.0
"""A worker ends a run that is late by itself and goes on; past this, the whole sandbox is ended from outside."""
END_SECONDS = 30.0
"""Nothing outlives its kill but what the kernel itself holds up; no close waits for that."""
INFO_BYTES = 4096

Verdict = Literal["ok", "error", "timeout", "memory", "killed"]


class Outcome(BaseModel):
    """What came of one run."""

    model_config = ConfigDict(frozen=True)

    verdict: Verdict
    """ok: ran to its end; error: an exception, or an exit with a failure; timeout: CPU or wall; memory: MemoryError;
    killed: anything else that ended it."""
    output: str
    """What it printed, cut at `output_chars`."""
    detail: str = ""
    """What went wrong, in one line: `line 3: ZeroDivisionError: division by zero`; empty where nothing did."""
    cut: bool = False
    """Whether there was more output."""
    seconds: float = 0.0
    """From asking to the answer, by the clock; waiting for a worker does not count."""


class Worker:
    """A sandbox that stands ready. After a run `sound` says whether another one may use it."""

    def __init__(self, process: asyncio.subprocess.Process, settings: SandboxSettings) -> None:
        if process.stdin is None or process.stdout is None:
            raise ValueError("a worker speaks by its pipes")
        self._process = process
        self._settings = settings
        self._stdin, self._stdout = process.stdin, process.stdout
        self._handle: int | None = None
        with suppress(ProcessLookupError):
            self._handle = os.pidfd_open(process.pid)  # asyncio's kill() may reap what its own watcher waits for
        self._in_use = asyncio.Lock()
        self._sound = True
        self.runs = 0

    @classmethod
    async def start(cls, bubblewrap: str, settings: SandboxSettings) -> Self:
        """A worker that has imported its packages. Raises UserError where it cannot be isolated."""
        process, info = await _launched(bubblewrap, settings)
        worker, report = cls(process, settings), b""
        try:
            if not await worker._ready():
                raise refusal(await worker._complaint())
            with suppress(BlockingIOError):
                report = os.read(info, INFO_BYTES)
            check_namespaces(report)
        except BaseException:
            await worker.end()
            raise
        finally:
            os.close(info)
        return worker

    @property
    def sound(self) -> bool:
        """False once anything about it was odd, and when it has had its share of runs."""
        return self._sound and self._process.returncode is None and self.runs < self._settings.runs_per_worker

    async def run(self, code: str) -> Outcome:
        """Run `code` as a program of its own. Cancelled, it leaves a worker that is not sound."""
        self.runs += 1
        started = time.perf_counter()
        sound, self._sound = self._sound, False
        try:
            async with self._in_use, asyncio.timeout(self._settings.wall_seconds + GRACE_SECONDS):
                outcome, clean = await self._exchange(code)
        except TimeoutError:
            outcome, clean = Outcome(verdict="timeout", output="", detail="the sandbox gave no answer in time"), False
        except (EOFError, OSError):
            outcome, clean = Outcome(verdict="killed", output="", detail="the sandbox ended with it"), False
        except _Malformed as odd:
            outcome, clean = Outcome(verdict="killed", output="", detail=f"the sandbox gave {odd}"), False
        self._sound = sound and clean
        return outcome.model_copy(update={"seconds": time.perf_counter() - started})

    async def end(self) -> None:
        """End every process in it; safe to call twice."""
        self._sound = False
        if self._handle is not None:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._handle, signal.SIGKILL)  # bubblewrap's end is the end of all inside
            os.close(self._handle)
            self._handle = None
        self._stdin.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(END_SECONDS), self._in_use:
                while await self._stdout.read(65536):  # ends when the last process inside has let go of it
                    pass
        await self._process.wait()

    async def _exchange(self, code: str) -> tuple[Outcome, bool]:
        number = os.urandom(8)
        source = code.encode("utf-8", "surrogatepass")
        self._stdin.write(REQUEST.pack(number, len(source)) + source)
        await self._stdin.drain()
        answered, verdict, traces, detail_size, output_size = REPLY.unpack(await self._stdout.readexactly(REPLY.size))
        if answered != number:
            raise _Malformed("an answer to another question")
        limit = output_bytes(self._settings)
        if verdict >= len(VERDICTS) or traces > 1 or detail_size > DETAIL_BYTES or output_size > limit:
            raise _Malformed("an answer that breaks the rules")
        detail = (await self._stdout.readexactly(detail_size)).decode("utf-8", "replace")
        output = (await self._stdout.readexactly(output_size)).decode("utf-8", "replace")
        kept = self._settings.output_chars
        outcome = Outcome(
            verdict=cast(Verdict, VERDICTS[verdict]),
            output=output[:kept],
            detail=" ".join(detail.split()),
            cut=len(output) > kept,
        )
        return outcome, traces == 0 and outcome.verdict != "killed"

    async def _ready(self) -> bool:
        with suppress(TimeoutError, EOFError):
            async with asyncio.timeout(START_SECONDS):
                return await self._stdout.readexactly(len(READY)) == READY
        return False

    async def _complaint(self) -> str:
        """The last thing that bubblewrap or the interpreter said."""
        await self.end()
        said = await self._process.stderr.read(65536) if self._process.stderr else b""
        lines = said.decode("utf-8", "replace").strip().splitlines()
        return lines[-1].strip() if lines else "no word from bwrap"


class _Malformed(Exception):
    """A reply that our own program does not give."""


async def _launched(bubblewrap: str, settings: SandboxSettings) -> tuple[asyncio.subprocess.Process, int]:
    """The process, and a descriptor to read bubblewrap's report from."""
    filter_from, filter_to = os.pipe()
    info_from, info_to = os.pipe()
    os.set_blocking(info_from, False)
    try:
        os.write(filter_to, worker_filter(platform.machine()))  # under 64 KiB: a pipe takes it at once
        os.close(filter_to)
        process = await asyncio.create_subprocess_exec(
            *command(bubblewrap, settings, filter_from=filter_from, info_to=info_to),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            pass_fds=(filter_from, info_to),
            env={},
            cwd="/",
            start_new_session=True,  # Ctrl-C is for the run, which then closes its sandboxes
        )
    except BaseException:
        os.close(info_from)
        raise
    finally:
        os.close(filter_from)
        os.close(info_to)
    return process, info_from
