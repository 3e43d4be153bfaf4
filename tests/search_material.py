"""Protocols by hand: what comes of one journey, with a policy and critic whose replies are written down."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from agents.roles import CriticView, Judgement, PolicyView, Proposal
from journeys.draft import Budgets, Draft
from journeys.record import Cost, Journey, Move, Problem, Turn, Verdict, Verification, Voice
from journeys.tree import Node, Tree
from problems.referee import Referee
from protocols.base import Cast, GrowsJourneys

PROBLEM = Problem(id="p", question="What is 2 + 3 + 4?", answer="9")
RIGHT = Verification(status="right", given="9", method="text")


def node(id: int, parent: int | None, *, wrong: str = "", right: bool = False) -> Node:
    return Node(
        id=id,
        parent=parent,
        step=f"step {id}",
        answer="9" if right else None,
        reason=wrong,
        refuted=bool(wrong),
        verification=RIGHT if right else None,
        policy_cost=Cost(completion_tokens=10),
    )


class Written:
    """A policy that knows what to try after each path, and a critic that takes back what it is told to."""

    def __init__(self, tries: Mapping[tuple[str, ...], Sequence[str]], wrong: Mapping[str, str] = {}) -> None:
        self.tries = tries
        self.wrong = wrong
        self.asked: list[str] = []

    async def propose(self, view: PolicyView) -> Proposal:
        self.asked.append(view.journey_id)
        number = int(view.journey_id.rpartition(".")[2])
        return Proposal(
            step=self.tries[tuple(turn.step for turn in view.path)][number], cost=Cost(completion_tokens=10, calls=1)
        )

    async def judge(self, view: CriticView) -> Judgement:
        why = self.wrong.get(view.step)
        move = Move.BACKTRACK if why else Move.CONTINUE
        return Judgement(verdict=Verdict(move=move, critique=why or ""), cost=Cost(completion_tokens=1, calls=1))


TRIES = {
    (): ("2 + 3 = 5", "2 + 4 = 7", "2 + 3 = 5"),
    ("2 + 3 = 5",): ("5 + 4 = 9", "5 + 3 = 8", "5 + 4 = 9"),
    ("2 + 3 = 5", "5 + 4 = 9"): ("Answer: 9", "Answer: 5", "Answer: 9"),
    ("2 + 3 = 5", "5 + 3 = 8"): ("Answer: 8", "Answer: 8", "Answer: 8"),
}


def events(protocol: GrowsJourneys, draft: Draft, **cast: Any) -> list[Any]:
    """All that comes of growing one journey, under a referee of its own; the journey is the last."""
    referee = Referee()

    async def grown() -> list[Any]:
        return [event async for event in protocol.grow(draft, Cast(referee=referee, **cast))]

    try:
        return asyncio.run(grown())
    finally:
        referee.close()


def search(protocol: GrowsJourneys, speaker: Written, **budgets: Any) -> tuple[Tree, Journey, list[Turn]]:
    draft = Draft("p#0", PROBLEM, protocol=protocol.kind, policy=Voice(persona="w", model="w"))
    tree, *turns, journey = events(protocol, draft, policy=speaker, critic=speaker, budgets=Budgets(**budgets))
    return tree, journey, turns
