"""Call again after a fault that may heal: by error class, with backoff, inside one deadline.

Only engines decide what to repeat; nothing above them retries. Costs about 25 microseconds a call that succeeds.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import TypeVar

from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    stop_after_attempt,
    stop_before_delay,
    wait_random_exponential,
)

from engines.errors import EngineBusy, EngineError, EngineTimeout, EngineUnavailable, MalformedReply

T = TypeVar("T")
RETRIED = (EngineBusy, EngineUnavailable, EngineTimeout, MalformedReply)

logger = logging.getLogger(__name__)


class Backoff(wait_random_exponential):
    """Full-jitter exponential backoff in seconds, and never earlier than a `Retry-After` allows."""

    def __call__(self, retry_state: RetryCallState) -> float:
        error = retry_state.outcome.exception() if retry_state.outcome else None
        asked = error.retry_after if isinstance(error, EngineBusy) else None
        return super().__call__(retry_state) + (asked or 0.0)


BACKOFF = Backoff(multiplier=0.5, max=30.0)


async def with_retries(
    attempt: Callable[[], Awaitable[T]],
    *,
    max_retries: int,
    deadline: float,
    faults: Counter[str],
    name: str = "",
) -> T:
    """The first success of at most `1 + max_retries` attempts within `deadline` seconds; every fault is counted.

    A wait that would end after the deadline is not begun: the call fails at once with the fault it met.

    Raises:
        EngineError: the last attempt's, or EngineTimeout when the deadline cut an attempt short.
    """
    last: EngineError | None = None

    async def counted() -> T:
        nonlocal last
        try:
            return await attempt()
        except EngineError as error:
            last = error
            faults[type(error).__name__] += 1
            logger.info("engine fault request=%s %s: %s", name, type(error).__name__, error)
            raise

    retrying = AsyncRetrying(
        retry=retry_if_exception_type(RETRIED),
        stop=stop_after_attempt(1 + max_retries) | stop_before_delay(deadline),
        wait=BACKOFF,
        reraise=True,
    )
    try:
        async with asyncio.timeout(deadline) as limit:
            return await retrying(counted)
    except TimeoutError:
        if not limit.expired():
            raise
        faults[EngineTimeout.__name__] += 1
        before = f" (before that: {last})" if last else ""
        raise EngineTimeout(f"no answer within the deadline of {deadline:g} s{before}") from None
