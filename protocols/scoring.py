"""Step scorers: what is thought of a step that a search might go on with, from 0 (wrong) to 1.

checkers     1, or 0 where a checker found the step false
critic       the critic's verdict: continue or terminate 1, reflect 0.5, backtrack 0; what a checker refutes stays 0
confidence   the mean share of the written token among the five likeliest (Marco-o1, methods 5)
reward       what a reward model says of the step after those before it; what a checker refutes stays 0

A reward model gives no reason. A step that it refutes ends its branch, and no doubt is told of it (protocols/walk.py).
"""

from collections.abc import Awaitable, Callable
from typing import Literal

from agents.roles import CriticView, Proposal
from journeys.record import Cost, Evidence, Move, Record
from protocols.base import Cast, Role
from settings import UserError

ScorerName = Literal["checkers", "critic", "confidence", "reward"]


class Score(Record):
    """A judge's word on a step."""

    value: float
    reason: str = ""
    """What it has against the step."""
    refuted: bool = False
    """Whether it holds the step to be wrong, not merely worse than another."""
    cost: Cost = Cost()


StepScorer = Callable[[CriticView, Proposal, Cast], Awaitable[Score]]
"""(what a critic would see, the step as written, who takes part) -> score. The view holds no reference answer."""


async def by_checkers(view: CriticView, proposal: Proposal, cast: Cast) -> Score:
    found = _fatal(view)
    return Score(value=0.0, reason=found.detail, refuted=True) if found else Score(value=1.0)


async def by_critic(view: CriticView, proposal: Proposal, cast: Cast) -> Score:
    if cast.critic is None:
        raise ValueError("scorer 'critic' needs a critic in the cast")
    judgement = await cast.critic.judge(view)
    verdict, found = judgement.verdict, _fatal(view) if cast.trust != "critic" else None
    if found is None and cast.trust == "evidence" and verdict.move is Move.BACKTRACK:
        return Score(
            value=VALUES[Move.REFLECT], reason=verdict.critique, cost=judgement.cost
        )  # its word alone moves nobody
    if found is not None and verdict.move is not Move.BACKTRACK:
        return Score(value=0.0, reason=found.detail, refuted=True, cost=judgement.cost)
    refuted = verdict.move is Move.BACKTRACK
    return Score(value=VALUES[verdict.move], reason=verdict.critique, refuted=refuted, cost=judgement.cost)


async def by_confidence(view: CriticView, proposal: Proposal, cast: Cast) -> Score:
    if not proposal.step:
        return Score(value=0.0)
    if proposal.confidence is None:
        raise UserError("protocol.scorer: the policy's engine gives no log-probabilities; use another scorer")
    return Score(value=proposal.confidence)


async def by_reward(view: CriticView, proposal: Proposal, cast: Cast) -> Score:
    if cast.reward is None:
        raise ValueError("scorer 'reward' needs a reward model in the cast")
    if found := _fatal(view):
        return Score(value=0.0, reason=found.detail, refuted=True)
    if not proposal.step:
        return Score(value=0.0)
    reading = await cast.reward.score(view.question, [*(turn.step for turn in view.path), proposal.step])
    value = reading.scores[-1]
    refuted = cast.refuted_below is not None and value < cast.refuted_below
    return Score(value=value, refuted=refuted, cost=reading.cost)


VALUES = {Move.CONTINUE: 1.0, Move.TERMINATE: 1.0, Move.REFLECT: 0.5, Move.BACKTRACK: 0.0}
SCORERS: dict[ScorerName, StepScorer] = {
    "checkers": by_checkers,
    "critic": by_critic,
    "confidence": by_confidence,
    "reward": by_reward,
}
NEEDS: dict[ScorerName, tuple[Role, ...]] = {"critic": ("critic",), "reward": ("reward",)}
"""Speakers that a scorer needs besides the policy."""


def _fatal(view: CriticView) -> Evidence | None:
    return next((found for found in view.evidence if found.fatal), None)
