"""Tree search: next steps are tried side by side, judged, pruned layer by layer; then a journey is walked through it.

Source: O1 Journey's first attempt (methods 1.1): w next steps to depth D, a judge that prunes to the best K of a layer
(soft), or to at most K that it holds to be right (hard), and the constrained depth-first walk of protocols/walk.py. The
report leaves K open; width and depth are its own example's.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from typing import Literal

from pydantic import Field

from agents.roles import CriticView, PolicyView
from journeys.draft import Draft
from journeys.record import Journey, Move, Turn, Verdict, seed_for
from journeys.tree import Node, Tree, cost_of
from protocols.base import Cast, Role
from protocols.conversation import ended
from protocols.scoring import NEEDS, SCORERS, ScorerName
from protocols.walk import Visit, walk
from settings import Settings


class TreeSearch(Settings):
    """A policy that tries several next steps, and a judge that says which to go on with."""

    kind: Literal["tree-search"] = "tree-search"
    width: int = Field(3, ge=1)
    """Next steps tried after each step that is kept (w)."""
    depth: int = Field(10, ge=1)
    """Steps of the longest way (D)."""
    beam: int = Field(4, ge=1)
    """Steps kept in a layer (K)."""
    prune: Literal["soft", "hard"] = "hard"
    """`soft` keeps the best of a layer; `hard` the best of those that the judge does not hold to be wrong."""
    scorer: ScorerName = "critic"
    """Who judges a step; see protocols/scoring.py."""
    trials: int = Field(2, ge=1)
    """The walk: steps tried after each step on the way, the right one included."""

    @property
    def steps_a_turn(self) -> int:
        """Steps written in a layer: what a dry run reckons with."""
        return self.width * self.beam

    @property
    def roles(self) -> tuple[Role, ...]:
        return ("policy", *NEEDS.get(self.scorer, ()))

    async def grow(self, draft: Draft, cast: Cast) -> AsyncIterator[Turn | Journey | Tree]:
        if draft.tree is None:
            draft.keep(await self._search(draft, cast))
            assert draft.tree is not None
            yield draft.tree
        tree = draft.tree
        way = _way(tree)
        visits = list(
            walk(
                tree,
                way,
                trials=self.trials,
                most_trips=cast.budgets.max_backtracks,
                most_visits=cast.budgets.max_turns,
                draw=random.Random(f"{draft.seed} {draft.id} walk"),
            )
        )
        for visit in visits[len(draft.turns) :]:
            turn = _turn(draft, visit)
            draft.add(turn)
            yield turn
        yield self._end(draft, cast, way)

    async def _search(self, draft: Draft, cast: Cast) -> Tree:
        """Layer by layer, until nothing is left to go on with or a budget is spent."""
        nodes: list[Node] = []
        frontier: list[Node | None] = [None]
        for _ in range(self.depth):
            tree = Tree(nodes=tuple(nodes))
            ways = [() if node is None else tree.way_to(node) for node in frontier]
            tries = [self._try(draft, cast, way, number) for way in ways for number in range(self.width)]
            layer = self._pruned(_without_twins(await asyncio.gather(*tries)))
            layer = [node.model_copy(update={"id": len(nodes) + place}) for place, node in enumerate(layer)]
            nodes += layer
            frontier = [node for node in layer if node.kept and node.answer is None]
            if not frontier or cost_of(nodes).completion_tokens >= cast.budgets.max_tokens:
                break
        return Tree(nodes=tuple(nodes))

    async def _try(self, draft: Draft, cast: Cast, way: Sequence[Node], number: int) -> Node:
        """One next step, checked, judged and, where it answers, verified. Its place is given later."""
        path = _as_turns(way)
        parent = way[-1].id if way else None
        # Siblings are told apart by the name under which they are asked for: scripts and seeds depend on it.
        name = f"{draft.id}~{'root' if parent is None else parent}.{number}"
        seed = seed_for(draft.seed, name, "policy")
        question = draft.problem.question
        proposal = await cast.policy.propose(
            PolicyView(journey_id=name, question=question, path=path, turns=path, seed=seed)
        )
        evidence = cast.referee.check(question=question, path=path, step=proposal.step, abandoned=())
        answer = cast.referee.answer_in(proposal.step)
        view = CriticView(
            journey_id=name,
            question=question,
            path=path,
            turns=path,
            step=proposal.step,
            evidence=evidence,
            answer=answer,
            seed=seed_for(draft.seed, name, "critic"),
        )
        score = await SCORERS[self.scorer](view, proposal, cast)
        return Node(
            id=0,
            parent=parent,
            step=proposal.step,
            answer=answer,
            evidence=evidence,
            score=score.value,
            reason=score.reason,
            refuted=score.refuted,
            verification=None if answer is None else await cast.referee.verify(draft.problem, answer),
            finish=proposal.finish,
            confidence=proposal.confidence,
            policy_cost=proposal.cost,
            judge_cost=score.cost,
        )

    def _pruned(self, layer: Sequence[Node]) -> list[Node]:
        """The layer with its losers marked. Of equal scores the first written is kept."""
        standing = [node for node in layer if not (self.prune == "hard" and node.refuted)]
        best = sorted(standing, key=lambda node: -(node.score or 0.0))[: self.beam]
        kept = {id(node) for node in best}
        return [node if id(node) in kept else node.model_copy(update={"kept": False}) for node in layer]

    def _end(self, draft: Draft, cast: Cast, way: Sequence[Node]) -> Journey:
        head = draft.head
        if way and head and head.verdict.move is Move.TERMINATE and (verification := way[-1].verification):
            return ended(draft, cast, verification)
        spent = draft.tokens >= cast.budgets.max_tokens
        return draft.finish("exhausted:tokens" if spent else "exhausted:turns")


def _way(tree: Tree) -> tuple[Node, ...]:
    """Where the walk shall end: the right answer that the judge thought best of, else the best answer, else the way
    that it thought best of. Which of several answers is right the verifier says once the search is over."""
    if not tree.nodes:
        return ()

    def merit(node: Node) -> tuple[bool, bool, bool, float, int]:
        way = tree.way_to(node)
        mean = sum(step.score or 0.0 for step in way) / len(way)
        ends = node.answer is not None and not node.refuted
        return node.right and ends, ends, node.kept, mean, -node.id

    return tree.way_to(max(tree.nodes, key=merit))


def _turn(draft: Draft, visit: Visit) -> Turn:
    """A visited step as a turn of the journey, with the verdict that the walk gives it."""
    node, awaiting = visit.node, draft.awaiting_reply
    if visit.keep is not None:
        quote = next((found.quote for found in node.evidence if found.fatal), "")
        verdict = Verdict(move=Move.BACKTRACK, critique=node.reason, quote=quote, keep=visit.keep)
    else:
        verdict = Verdict(move=Move.CONTINUE if node.answer is None else Move.TERMINATE)
    return Turn(
        id=len(draft.turns),
        parent=draft.head.id if draft.head else None,
        step=node.step,
        verdict=verdict,
        evidence=node.evidence,
        replies_to=awaiting.id if awaiting else None,
        answer=node.answer,
        finish=node.finish,
        confidence=node.confidence,
        policy_cost=node.policy_cost,
        critic_cost=node.judge_cost,
    )


def _as_turns(way: Sequence[Node]) -> tuple[Turn, ...]:
    """A way through the tree as the path that speakers are shown. Ids are the nodes' own: they fix all ancestors."""
    return tuple(
        Turn(id=node.id, parent=node.parent, step=node.step, verdict=Verdict(move=Move.CONTINUE)) for node in way
    )


def _without_twins(layer: Sequence[Node]) -> list[Node]:
    """Siblings that say the same, as one that cost what all did: going on with each would show nothing new."""
    found: dict[tuple[int | None, str], Node] = {}
    for node in layer:
        key = (node.parent, " ".join(node.step.split()))
        if twin := found.get(key):
            node = twin.model_copy(
                update={
                    "policy_cost": twin.policy_cost.plus(node.policy_cost),
                    "judge_cost": twin.judge_cost.plus(node.judge_cost),
                }
            )
        found[key] = node
    return list(found.values())
