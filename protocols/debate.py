"""Debate: two policies propose the next step side by side, a critic judges both, and what it refutes is a wrong turn.

Source: multi-agent debate as O1 Journey names it (methods 1.3) and leaves it open; the rules are ours.

    both write the same      one step, judged as in a dialogue
    one is refuted           it becomes a turn that was taken back, with the critic's reason; the other one stands
    both are refuted         two turns taken back; both policies have read why when they try again
    neither is               a draw from the journey's seed says whose stands the first time, then they take turns

A step that nobody refuted may not be told as a mistake: where it does not go on it is kept beside the turn that does
(`Turn.rival`), and so is the other step of a round for which the budgets have room for one turn only.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar, Literal

from journeys.draft import Budgets, Draft
from journeys.record import Author, Cost, Journey, Move, Rival, Turn, Verification, seed_for
from journeys.stitching.prose import normal
from protocols.base import Cast, Role
from protocols.conversation import Considered, add_turn, ask_critic, consider, ended, propose, verified
from settings import Settings


class Debate(Settings):
    """Two policies and a critic."""

    kind: Literal["debate"] = "debate"
    roles: ClassVar[tuple[Role, ...]] = ("policy", "second", "critic")
    steps_a_turn: ClassVar[int] = 2
    """What a dry run reckons with."""

    async def grow(self, draft: Draft, cast: Cast) -> AsyncIterator[Turn | Journey]:
        head = draft.head
        if head and head.verdict.move is Move.TERMINATE:  # interrupted between its last turn and its end
            yield ended(draft, cast, await cast.referee.verify(draft.problem, head.answer or ""))
            return
        while True:
            halfway = _halfway(draft)
            if not halfway and (spent := draft.spent(cast.budgets)) is not None:
                yield draft.finish(spent)
                return
            # A round that was interrupted between its two turns is held again: from the same state the same comes out.
            before = draft.until(len(draft.turns) - 1) if halfway else draft
            told, verification = await _round(before, cast)
            for one in told[1 if halfway else 0 :]:
                yield add_turn(draft, one.considered, by=one.by, rival=one.rival, second_cost=one.second_cost)
            if verification is not None:
                yield ended(draft, cast, verification)
                return


@dataclass(frozen=True)
class _Side:
    """A step in a round, by whom, and what else was written in its place."""

    by: Author
    considered: Considered
    rival: Rival | None = None
    second_cost: Cost | None = None
    """Of what writing took here, the second policy's share."""

    @property
    def refuted(self) -> bool:
        return self.considered.verdict.move is Move.BACKTRACK


async def _round(draft: Draft, cast: Cast) -> tuple[tuple[_Side, ...], Verification | None]:
    """The turns that a round leaves, in order, and the verifier's word where it ends the journey."""
    first, second = await asyncio.gather(propose(draft, cast), propose(draft, cast, "second"))
    if _said(first.step) == _said(second.step):
        shared = first.model_copy(update={"cost": first.cost.plus(second.cost)})
        considered = await consider(draft, cast, shared, judge=ask_critic, trust=cast.trust)
        agreed = _Side("both", considered, second_cost=second.cost)
        stands, verification = await _verified(draft, cast, agreed)
        return (stands,), verification
    judged = await asyncio.gather(
        consider(draft, cast, first, judge=ask_critic, trust=cast.trust),
        consider(draft, cast, second, judge=partial(ask_critic, by="second"), trust=cast.trust),
    )
    mine, other = _Side("policy", judged[0]), _Side("second", judged[1], second_cost=second.cost)
    if mine.refuted != other.refuted:
        lost, stands = (mine, other) if mine.refuted else (other, mine)
    else:
        lost, stands = (mine, other) if _whose_turn(draft) == "second" else (other, mine)
    stands, verification = await _verified(draft, cast, stands)
    if not lost.refuted or not _room_for_two(draft, cast.budgets, both_go=stands.refuted):
        return (_beside(stands, lost),), verification
    return (_alone(lost, draft), stands), verification


async def _verified(draft: Draft, cast: Cast, side: _Side) -> tuple[_Side, Verification | None]:
    considered, verification = await verified(draft, cast, side.considered, trust=cast.trust)
    return replace(side, considered=considered), verification


def _said(step: str) -> str:
    """A step's words, by which two are the same: case, spacing, signs and closing punctuation do not count."""
    return normal(step).rstrip(" .!")


def _whose_turn(draft: Draft) -> Author:
    """Whose step stands where the critic does not say."""
    drawn = seed_for(draft.seed, draft.id, "debate")
    contested = sum(turn.rival is not None for turn in draft.turns)
    return "second" if (drawn + contested) % 2 else "policy"


def _room_for_two(draft: Draft, budgets: Budgets, *, both_go: bool) -> bool:
    turns_left = budgets.max_turns - len(draft.turns)
    backtracks_left = budgets.max_backtracks + 1 - draft.backtracks  # the one that is too many ends the journey
    return turns_left >= 2 and backtracks_left >= 1 + both_go


def _alone(side: _Side, draft: Draft) -> _Side:
    """A refuted step that takes no earlier one with it: the step that follows was written for the same place."""
    verdict, rulings = side.considered.ruled
    if verdict.keep == len(draft.path):
        return side
    kept = verdict.model_copy(update={"keep": len(draft.path)})
    return replace(side, considered=replace(side.considered, ruled=(kept, (*rulings, "keep_clamped"))))


def _beside(stands: _Side, other: _Side) -> _Side:
    """The standing step with the other one at its side, which costs what both did."""
    mine, lost = stands.considered, other.considered
    rival = Rival(
        step=lost.proposal.step,
        by=other.by,
        verdict=lost.verdict,
        evidence=lost.evidence,
        answer=lost.answer,
        finish=lost.proposal.finish,
        confidence=lost.proposal.confidence,
    )
    proposal = mine.proposal.model_copy(update={"cost": mine.proposal.cost.plus(lost.proposal.cost)})
    judgement = mine.judgement.model_copy(update={"cost": mine.judgement.cost.plus(lost.judgement.cost)})
    both = replace(mine, proposal=proposal, judgement=judgement)
    return replace(stands, considered=both, rival=rival, second_cost=stands.second_cost or other.second_cost)


def _halfway(draft: Draft) -> bool:
    """Whether the last turn is the first of a round's two. Rounds of one turn are marked, as agreed or with a rival."""
    return sum(turn.by != "both" and turn.rival is None for turn in draft.turns) % 2 == 1
