"""Warm sandboxes, one per run at a time; one on which anything was odd is replaced by a fresh one."""

import asyncio
from types import TracebackType
from typing import Self

from sandbox.isolation import find_bubblewrap
from sandbox.probe import check
from sandbox.settings import SandboxSettings
from sandbox.worker import Outcome, Worker
from settings import UserError

CLOSED = "the sandbox was closed"


class Sandbox:
    """Runs Python that nobody vouches for.

        async with Sandbox() as sandbox:
            outcome = await sandbox.run("print(1 + 1)")

    Any number of runs may be asked for at once; they wait for a free worker. It serves the event loop it was opened in.
    """

    def __init__(self, settings: SandboxSettings | None = None) -> None:
        self.settings = settings or SandboxSettings()
        self._bubblewrap = ""
        self._alive: set[Worker] = set()
        self._idle: asyncio.Queue[Worker | None] = asyncio.Queue()
        """One entry for each place; None where a worker could not be started and the next run is to try again."""
        self._renewals: set[asyncio.Task[None]] = set()
        self._closed = False

    async def __aenter__(self) -> Self:
        """Start the workers and try to break out of one. Raises UserError where code cannot be isolated here."""
        self._bubblewrap = find_bubblewrap()
        try:
            async with asyncio.TaskGroup() as group:
                starts = [group.create_task(self._started()) for _ in range(self.settings.workers)]
            workers = [start.result() for start in starts]
            await check(workers[0], self.settings)
        except BaseExceptionGroup as failed:
            await self.close()
            raise failed.exceptions[0] from None  # one worker's complaint is every worker's
        except BaseException:
            await self.close()
            raise
        for worker in workers:
            self._idle.put_nowait(worker)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def run(self, code: str) -> Outcome:
        """Run `code` by itself: no state is left from an earlier run, and none is left behind.

        Raises:
            UserError: a worker had to be replaced and cannot be isolated any more.
            RuntimeError: the sandbox is closed, or was meanwhile.
        """
        worker = await self._idle.get()
        try:
            if worker is not None and not worker.sound:  # it died while nobody asked it
                await self._retired(worker)
                worker = None
            if worker is None and not self._closed:
                worker = await self._started()
            if worker is not None:
                outcome = await worker.run(code)
        finally:
            if worker is None or worker.sound or self._closed:
                self._idle.put_nowait(worker)
            else:
                renewal = asyncio.create_task(self._renewed(worker))
                self._renewals.add(renewal)
                renewal.add_done_callback(self._renewals.discard)
        if self._closed:
            raise RuntimeError(CLOSED)
        return outcome

    async def close(self) -> None:
        """End every worker, the busy ones too; safe to call twice."""
        self._closed = True
        self._idle.put_nowait(None)  # whoever waits is told, and tells the next
        for renewal in self._renewals:
            renewal.cancel()
        await asyncio.gather(*self._renewals, return_exceptions=True)
        await asyncio.gather(*(self._retired(worker) for worker in tuple(self._alive)))

    async def _started(self) -> Worker:
        worker = await Worker.start(self._bubblewrap, self.settings)
        if self._closed:
            await worker.end()
            raise RuntimeError(CLOSED)
        self._alive.add(worker)
        return worker

    async def _retired(self, worker: Worker) -> None:
        await worker.end()
        self._alive.discard(worker)

    async def _renewed(self, worker: Worker) -> None:
        """Put a fresh worker in the place of one that is spent, away from any run that waits."""
        fresh: Worker | None = None
        try:
            await self._retired(worker)
            fresh = await self._started()
        except (UserError, OSError):
            pass  # the next run tries again, and has somebody to tell
        finally:
            self._idle.put_nowait(fresh)
