"""What replies took, as they come: an engine that gives out leaves some that became neither a turn nor a tree."""

from collections.abc import Sequence

from engines.rewards.contract import Reading
from journeys.costs import Costs, together
from journeys.record import Cost, Speaker
from protocols.base import RewardModel


class Bill:
    """The costs of every reply since it was last cleared, by speaker."""

    def __init__(self) -> None:
        self.costs: Costs = {}

    def add(self, speaker: Speaker, cost: Cost) -> None:
        self.costs = together(self.costs, {speaker: cost})

    def clear(self) -> None:
        self.costs = {}


class BilledReward:
    """A reward model whose readings go on the bill."""

    def __init__(self, reward: RewardModel, bill: Bill) -> None:
        self._reward = reward
        self._bill = bill

    async def score(self, question: str, steps: Sequence[str]) -> Reading:
        reading = await self._reward.score(question, steps)
        self._bill.add("reward", reading.cost)
        return reading
