"""A reward model behind vLLM's pooling endpoint (`vllm serve MODEL --runner pooling`).

Token ids are sent, so that a served model is shown what the same one in this process would be. The server is asked for
the bare number and the sigmoid is taken here: servers differ in what they do to it.
"""

import asyncio
import json
import math
from collections.abc import Sequence
from typing import Any

from engines.checkpoint import first_line, resolve
from engines.errors import EngineDead, EngineError, MalformedReply
from engines.openai_engine import MAX_REPLY_BYTES, OpenAIEngine
from engines.retry import with_retries
from engines.rewards.checkpoint import layout_of
from engines.rewards.contract import RewardEngine, RewardSettings
from engines.rewards.layouts import Chain, Renders, renderer
from settings import UserError

TOKEN_BYTES = 64
"""Of the reply, for each token that was sent."""


class ServedReward(RewardEngine):
    """Models with a linear head: our own `ppm`, and `skywork` where the server has its plug-in."""

    def __init__(self, settings: RewardSettings) -> None:
        super().__init__(settings)
        if settings.tokenizer is None:
            raise UserError("reward.tokenizer: a served model needs its folder or hub id here, to make token ids with")
        if settings.layout == "math-shepherd":
            raise UserError(
                "reward.layout: math-shepherd has no head to serve; name its folder or hub id as reward.model"
            )
        self._server = _Pooling(settings)
        self._layout: Renders | None = None

    async def start(self) -> None:
        if self._layout is None:
            self._layout = await asyncio.to_thread(self._open)
            await self._server.start()

    async def close(self) -> None:
        self._layout = None
        await self._server.close()

    async def _read(self, question: str, steps: Sequence[str]) -> tuple[list[float], int]:
        if self._layout is None:
            raise EngineDead("the reward model was not started; call `await reward.start()` first")
        chain = self._layout.chain(question, steps)
        told = await self._ask(chain.ids)
        if (values := at_marks(told, chain)) is not None:
            return values, len(chain.ids)
        # The server reads the last token alone: each step is asked for at the end of its own beginning.
        before = await asyncio.gather(*(self._ask(chain.ids[: mark + 1]) for mark in chain.marks[:-1]))
        read = len(chain.ids) + sum(mark + 1 for mark in chain.marks[:-1])
        return [_sigmoid(rows[-1]) for rows in (*before, told)], read

    async def _ask(self, ids: list[int]) -> list[float]:
        return await self._server.ask(ids, faults=self.faults)

    def _open(self) -> Renders:
        from transformers import AutoTokenizer

        place = resolve(str(self.settings.tokenizer))
        layout = layout_of(place, self.settings)
        try:
            tokenizer: Any = AutoTokenizer.from_pretrained(place, trust_remote_code=False)
        except (OSError, ValueError, KeyError, ImportError) as error:
            raise UserError(f"reward.tokenizer: {place}: cannot be opened: {first_line(error)}") from None
        return renderer(layout, tokenizer, self.settings)


class _Pooling(OpenAIEngine):
    """The connections, the key and the faults of an OpenAI-compatible server, asked at another address."""

    async def ask(self, ids: list[int], *, faults: Any) -> list[float]:
        """What the server says of the tokens: a number for each, or one for all."""
        url = self._base.with_path("/pooling")
        body = json.dumps({"model": self._served, "input": ids, "use_activation": False}).encode()
        limit = MAX_REPLY_BYTES + TOKEN_BYTES * len(ids)

        async def attempt() -> list[float]:
            session = self._session
            if session is None:
                raise EngineDead(f"{url}: the reward model was closed")
            async with self._slots:
                return read_rows(await self._exchange(session, "POST", url, body, self.settings.request_timeout, limit))

        settings = self.settings
        return await with_retries(attempt, max_retries=settings.max_retries, deadline=settings.deadline, faults=faults)


def read_rows(raw: bytes) -> list[float]:
    """The numbers in a reply of `/pooling`. Raises MalformedReply for anything else."""
    try:
        data = json.loads(raw)["data"][0]["data"]
        rows = [row[0] if isinstance(row, list) and len(row) == 1 else row for row in data]
        return [float(row) for row in rows]
    except (ValueError, KeyError, IndexError, TypeError):
        raise MalformedReply(
            "the reply of /pooling is no list of numbers; was it started with --runner pooling?"
        ) from None


def at_marks(rows: Sequence[float], chain: Chain) -> list[float] | None:
    """The scores of the steps, where the server told one for each token; None where it told the last one's alone.

    Raises:
        EngineError: neither, so that nobody knows which number is whose.
    """
    if len(rows) == len(chain.ids):
        return [_sigmoid(rows[mark]) for mark in chain.marks]
    if len(rows) == 1:
        return None if len(chain.marks) > 1 else [_sigmoid(rows[0])]
    raise EngineError(
        f"/pooling gave {len(rows)} numbers for {len(chain.ids)} tokens; it must give one, or one for each"
    )


def _sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value)) if value >= 0 else math.exp(value) / (1 + math.exp(value))
