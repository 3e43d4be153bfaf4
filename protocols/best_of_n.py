"""Best of n: several solutions side by side, one of them told. What every search has to beat.

`select: verifier` is rejection sampling, STILL-2's explore (methods 2: up to 20 solutions a problem, those with the
right answer are kept): the shortest right one is told. `select: score` takes the one that a judge thinks best of, and
the function that chooses is given scores and nothing else, so the reference answer has no way into it.
`select: consistency` takes the one whose answer a second policy comes to as well (rStar; protocols/consistency.py).
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Literal

from pydantic import Field

from journeys.code import code_failed
from journeys.draft import Draft
from journeys.record import Journey, Turn
from journeys.tree import Node, Tree
from protocols.base import Cast, Role
from protocols.consistency import Consistency, Solution, by_consistency
from protocols.scoring import NEEDS, ScorerName
from protocols.searching import attempt, searched, spent
from protocols.walk import Visit
from settings import Settings


class BestOfN(Settings):
    """A policy that solves the problem n times."""

    kind: Literal["best-of-n"] = "best-of-n"
    n: int = Field(20, ge=1)
    """Solutions of each problem."""
    select: Literal["score", "verifier", "consistency"] = "verifier"
    """Who says which is told: a judge, the verifier (rejection sampling), or a second policy's agreement."""
    consistency: Consistency = Consistency()
    """How the second policy is asked."""
    scorer: ScorerName = "checkers"
    """Who judges the steps; see protocols/scoring.py."""
    aggregate: Literal["mean", "min", "last"] = "min"
    """What of its steps' scores a solution is judged by."""

    @property
    def steps_a_turn(self) -> int:
        """What a dry run reckons with."""
        return self.n * (1 + self.consistency.cuts if self.select == "consistency" else 1)

    @property
    def roles(self) -> tuple[Role, ...]:
        second: tuple[Role, ...] = ("second",) if self.select == "consistency" else ()
        return ("policy", *second, *NEEDS.get(self.scorer, ()))

    def grow(self, draft: Draft, cast: Cast) -> AsyncIterator[Turn | Journey | Tree]:
        return searched(draft, cast, search=lambda: self._search(draft, cast), walk=self._walk)

    async def _search(self, draft: Draft, cast: Cast) -> Tree:
        tree = _joined(await asyncio.gather(*(self._solution(draft, cast, number) for number in range(self.n))))
        if self.select == "consistency":
            return await by_consistency(draft, cast, tree, [Solution.of(way) for way in _ways(tree)], self.consistency)
        return tree

    def _walk(self, tree: Tree) -> Iterator[Visit]:
        chosen = self._chosen(_ways(tree)) if tree.chosen is None else tree.way_to(tree.nodes[tree.chosen])
        return map(Visit, chosen)

    async def _solution(self, draft: Draft, cast: Cast, number: int) -> list[Node]:
        """One solution to its answer, or to where the budgets of a journey end it."""
        way: list[Node] = []
        while len(way) < cast.budgets.max_turns and (not way or not (way[-1].ends or code_failed(way[-1].evidence))):
            # No two solutions share an id: speakers remember what they wrote down for a turn by its id alone.
            id = number * cast.budgets.max_turns + len(way)
            node = await attempt(draft, cast, way, id, scorer=self.scorer)
            way.append(node.model_copy(update={"id": id}))
            if spent(way * self.n, cast.budgets):  # as if all solutions took what this one does
                break
        return way

    def _chosen(self, ways: Sequence[Sequence[Node]]) -> Sequence[Node]:
        """The solution to tell: one with an answer, if there is one."""
        if self.select == "verifier" and (right := [way for way in ways if way[-1].right]):
            return min(right, key=len)
        ended = [way for way in ways if way[-1].ends] or ways
        return ended[self._best([[node.score or 0.0 for node in way] for way in ended])]

    def _best(self, scores: Sequence[Sequence[float]]) -> int:
        """The first of those that are judged best, by the scores of each solution's steps."""
        merits = [self._merit(of_one) for of_one in scores]
        return merits.index(max(merits))

    def _merit(self, scores: Sequence[float]) -> float:
        match self.aggregate:
            case "mean":
                return sum(scores) / len(scores)
            case "min":
                return min(scores)
            case "last":
                return scores[-1]


def _ways(tree: Tree) -> list[tuple[Node, ...]]:
    """The solutions, in the order in which they were drawn."""
    return [tree.way_to(node) for node in tree.nodes if node.id not in tree.children]


def _joined(solutions: Sequence[Sequence[Node]]) -> Tree:
    """The solutions as one tree, without merging what they share: each was drawn by itself."""
    nodes: list[Node] = []
    for solution in solutions:
        for place, node in enumerate(solution):
            parent = len(nodes) - 1 if place else None
            nodes.append(node.model_copy(update={"id": len(nodes), "parent": parent}))
    return Tree(nodes=tuple(nodes))
