"""Grow journeys until all are finished: many at once, each turn on record, interruptible at any moment."""

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from engines.errors import EngineDead, EngineError
from generation.cast import Company
from generation.settings import GenerateSettings
from journeys.draft import Draft
from journeys.record import Journey, Turn
from journeys.store import Store
from protocols.team import TreeMessage, TurnMessage

logger = logging.getLogger(__name__)

FLUSH_SECONDS = 0.5
"""The most a killed process can lose of conversations in progress; finished work is never doubled."""


class Watcher(Protocol):
    """Told of everything that happens; the progress view is one."""

    def turn(self, journey_id: str, turn: Turn) -> None: ...

    def journey(self, journey: Journey) -> None: ...


@dataclass
class Ending:
    """How a run stopped."""

    interrupted: bool = False
    fault: str = ""
    """Why no more journeys were begun, if the engine gave out."""
    last_error: str = ""


async def grow_all(
    settings: GenerateSettings, *, store: Store, company: Company, watcher: Watcher, work: Iterator[Draft] | None = None
) -> Ending:
    """Grow every journey that the store does not hold finished, or those of `work`; broken and half-grown ones first.

    The store's problems must be complete. Ctrl-C (or SIGTERM) cancels the conversations in flight; their turns are
    kept and the next call goes on from them.
    """
    ending = Ending()
    work = work or _work(settings, store, company)
    patience = _Patience(limit=max(8, settings.concurrency))

    async def grow_until_done() -> None:
        for draft in work:
            if ending.fault:
                return
            await asyncio.sleep(0)  # an engine that answers at once would keep signals and flushes waiting
            try:
                async for event in _grow(draft, store=store, company=company):
                    if isinstance(event, Journey):
                        watcher.journey(event)
                        patience.good()
                    else:
                        watcher.turn(draft.id, event)
            except EngineError as error:
                journey = draft.finish("engine_error", error=f"{type(error).__name__}: {error}")
                store.finish(journey)
                watcher.journey(journey)
                ending.last_error = journey.error
                if isinstance(error, EngineDead) or patience.lost():
                    ending.fault = journey.error

    workers = [asyncio.create_task(grow_until_done()) for _ in range(settings.concurrency)]
    flusher = asyncio.create_task(_flush_regularly(store))
    with _cancelled_by_signals(workers, ending):
        try:
            await asyncio.gather(*workers)
        except asyncio.CancelledError:
            if not ending.interrupted:
                raise
        finally:
            for task in (*workers, flusher):
                task.cancel()
            await asyncio.gather(*workers, flusher, return_exceptions=True)
            store.flush()
    return ending


async def _grow(draft: Draft, *, store: Store, company: Company) -> AsyncIterator[Turn | Journey]:
    """One journey to its end, every turn stored as it is made."""
    team = company.team()
    team.continue_from(draft)
    store.begin(draft)
    async for event in team.run_stream():
        if isinstance(event, TurnMessage):
            store.add_turn(draft.id, event.content)
            yield event.content
        elif isinstance(event, TreeMessage):
            store.add_tree(draft.id, event.content)
    if team.journey is not None:
        store.finish(team.journey)
        yield team.journey


def _work(settings: GenerateSettings, store: Store, company: Company) -> Iterator[Draft]:
    """Drafts to grow: what an interrupted run left, then what was never begun, in the order of the problems."""
    known = store.ids()
    yield from store.growing()
    policy, critic = company.voices
    for problem in store.problems():
        for attempt in range(settings.journeys_per_problem):
            journey_id = f"{problem.id}#{attempt}"
            if journey_id not in known:
                yield Draft(
                    journey_id,
                    problem,
                    attempt=attempt,
                    seed=settings.seed,
                    protocol=settings.protocol.kind,
                    policy=policy,
                    critic=critic,
                    second=company.second_voice,
                )


class _Patience:
    """Gives up on an engine after `limit` journeys in a row were lost to it."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lost_in_a_row = 0

    def good(self) -> None:
        self._lost_in_a_row = 0

    def lost(self) -> bool:
        self._lost_in_a_row += 1
        return self._lost_in_a_row >= self._limit


async def _flush_regularly(store: Store) -> None:
    while True:
        await asyncio.sleep(FLUSH_SECONDS)
        store.flush()


@contextlib.contextmanager
def _cancelled_by_signals(workers: Sequence[asyncio.Task[None]], ending: Ending) -> Iterator[None]:
    """Let SIGINT and SIGTERM end the run in order, and a second one end it at once: what is stored is safe anyway."""
    loop = asyncio.get_running_loop()
    caught = (signal.SIGINT, signal.SIGTERM)

    def stop() -> None:
        ending.interrupted = True
        for number in caught:
            loop.remove_signal_handler(number)
            signal.signal(number, _leave_at_once)
        for worker in workers:
            worker.cancel()

    for number in caught:
        loop.add_signal_handler(number, stop)
    try:
        yield
    finally:
        if not ending.interrupted:
            for number in caught:
                loop.remove_signal_handler(number)


def _leave_at_once(number: int, frame: object) -> None:
    """No clean-up: the store survives `kill -9`, servers and workers end with us. Shows the cursor that a bar hid."""
    cursor = b"\x1b[?25h" if sys.stderr.isatty() else b""
    os.write(2, cursor + b"\nretrace: stopped at once; run the same command to go on where it was\n")
    os._exit(128 + signal.SIGINT)
