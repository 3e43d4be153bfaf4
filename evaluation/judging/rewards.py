"""A reward model among judges of steps."""

from typing import Any

from agents.roles import CriticView, Judgement
from engines.rewards.contract import RewardEngine, RewardSettings
from evaluation.settings import MACHINE_KEYS
from journeys.record import Move, Verdict

THRESHOLD = 0.5
"""Below it a step is taken back, unless the recipe says otherwise."""


class RewardJudge:
    """Takes a step back that scores below the threshold. It is shown no evidence: a reward model reads steps alone."""

    def __init__(self, reward: RewardEngine) -> None:
        self._reward = reward
        self._threshold = threshold_of(reward.settings)

    async def judge(self, view: CriticView) -> Judgement:
        """Raises EngineError where the model does not answer."""
        reading = await self._reward.score(view.question, [*(turn.step for turn in view.path), view.step])
        score = reading.scores[-1]
        right = Move.CONTINUE if view.answer is None else Move.TERMINATE
        verdict = Verdict(move=Move.BACKTRACK if score < self._threshold else right)
        return Judgement(verdict=verdict, score=score, cost=reading.cost)


def threshold_of(settings: RewardSettings) -> float:
    return THRESHOLD if settings.threshold is None else settings.threshold


def binding(settings: RewardSettings) -> dict[str, Any]:
    """What decides a reward model's scores and verdicts, for a resumed comparison to compare."""
    told = settings.model_dump(mode="json")
    return {key: value for key, value in told.items() if key not in MACHINE_KEYS} | {
        "threshold": threshold_of(settings)
    }
