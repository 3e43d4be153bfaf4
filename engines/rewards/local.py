"""A reward model in this process; questions that arrive together share a batch."""

import asyncio
from collections.abc import Sequence
from typing import Any

from engines.errors import EngineDead, EngineError, PromptTooLong
from engines.rewards.checkpoint import Opened, open_reward_model
from engines.rewards.contract import RewardEngine, RewardSettings
from engines.rewards.layouts import Chain


class LocalReward(RewardEngine):
    """Runs anywhere torch runs. A chain is read whole each time; at most `max_batch` at once."""

    def __init__(self, settings: RewardSettings) -> None:
        super().__init__(settings)
        self._opened: Opened | None = None
        self._waiting: list[tuple[Chain, asyncio.Future[list[float]]]] = []
        self._worker: asyncio.Task[None] | None = None

    async def start(self) -> None:
        if self._opened is None:
            self._opened = await asyncio.to_thread(open_reward_model, self.settings)

    async def close(self) -> None:
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.cancel()
            await asyncio.gather(worker, return_exceptions=True)
        self._fail(EngineDead("the reward model was closed"))
        self._opened = None

    async def _read(self, question: str, steps: Sequence[str]) -> tuple[list[float], int]:
        if self._opened is None:
            raise EngineDead("the reward model was not started; call `await reward.start()` first")
        chain = self._opened.layout.chain(question, steps)
        if len(chain.ids) > self._opened.window:
            raise PromptTooLong(f"{len(chain.ids)} tokens of steps, the reward model reads {self._opened.window}")
        answer: asyncio.Future[list[float]] = asyncio.get_running_loop().create_future()
        self._waiting.append((chain, answer))
        if self._worker is None:
            self._worker = asyncio.create_task(self._work(self._opened))
        return await answer, len(chain.ids)

    async def _work(self, opened: Opened) -> None:
        """Batch after batch, until nobody waits."""
        try:
            while self._waiting:
                await asyncio.sleep(0)  # whoever is about to ask may still come in
                self._waiting.sort(key=lambda one: len(one[0].ids))  # like lengths together
                batch = self._waiting[: self.settings.max_batch]
                self._waiting = self._waiting[self.settings.max_batch :]
                asked = [(chain, answer) for chain, answer in batch if not answer.done()]
                try:
                    scores = await asyncio.to_thread(forward, opened, [chain for chain, _ in asked])
                except Exception as error:  # whatever it was, nobody may be left waiting
                    self.faults[type(error).__name__] += 1
                    self._waiting += asked
                    self._fail(EngineError(f"reward model: {type(error).__name__}: {error}"))
                    continue
                for (_, answer), values in zip(asked, scores, strict=True):
                    if not answer.done():
                        answer.set_result(values)
        finally:
            self._worker = None

    def _fail(self, error: EngineError) -> None:
        waiting, self._waiting = self._waiting, []
        for _, answer in waiting:
            if not answer.done():
                answer.set_exception(error)


def forward(opened: Opened, chains: Sequence[Chain]) -> list[list[float]]:
    """The scores of every chain's steps. Padding stands behind a chain, where a causal model does not see it."""
    import torch

    if not chains:
        return []
    device = opened.weight.device
    width = max(len(chain.ids) for chain in chains)
    ids = torch.full((len(chains), width), opened.pad_id, dtype=torch.long, device=device)
    mask = torch.zeros_like(ids)
    for row, chain in enumerate(chains):
        ids[row, : len(chain.ids)] = torch.tensor(chain.ids, device=device)
        mask[row, : len(chain.ids)] = 1
    with torch.inference_mode():
        hidden: Any = opened.trunk(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state
        rewards = torch.sigmoid(hidden.float() @ opened.weight + opened.bias).cpu()
    return [rewards[row, chain.marks].tolist() for row, chain in enumerate(chains)]
