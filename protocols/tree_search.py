"""Tree search: next steps are tried side by side, judged, pruned layer by layer; then a journey is walked through it.

Source: O1 Journey's first attempt (methods 1.1): w next steps to depth D, a judge that prunes to the best K of a layer
(soft), or to at most K that it holds to be right (hard), and the constrained depth-first walk of protocols/walk.py. The
report leaves K open; width and depth are its own example's.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Literal

from pydantic import Field

from journeys.code import code_failed
from journeys.draft import Draft
from journeys.record import Journey, Turn
from journeys.tree import Node, Tree
from protocols.base import Cast, Role
from protocols.scoring import NEEDS, ScorerName
from protocols.searching import attempt, erring, placed, searched, spent, without_twins
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

    def grow(self, draft: Draft, cast: Cast) -> AsyncIterator[Turn | Journey | Tree]:
        return searched(
            draft,
            cast,
            search=lambda: self._search(draft, cast),
            walk=lambda tree: erring(draft, cast, tree, best_way(tree), trials=self.trials),
        )

    async def _search(self, draft: Draft, cast: Cast) -> Tree:
        """Layer by layer, until nothing is left to go on with or a budget is spent."""
        nodes: list[Node] = []
        frontier: list[Node | None] = [None]
        for _ in range(self.depth):
            tree = Tree(nodes=tuple(nodes))
            ways = [() if node is None else tree.way_to(node) for node in frontier]
            tries = [
                attempt(draft, cast, way, number, scorer=self.scorer) for way in ways for number in range(self.width)
            ]
            layer = self._pruned(placed(without_twins(await asyncio.gather(*tries)), after=len(nodes)))
            nodes += layer
            frontier = [node for node in layer if node.kept and not node.ends]
            if not frontier or spent(nodes, cast.budgets):
                break
        return Tree(nodes=tuple(nodes))

    def _pruned(self, layer: Sequence[Node]) -> list[Node]:
        """The layer with its losers marked. Of equal scores the first written is kept."""
        failing = {node.id for node in layer if code_failed(node.evidence)}
        standing = [node for node in layer if node.id not in failing and not (self.prune == "hard" and node.refuted)]
        kept = {node.id for node in sorted(standing, key=lambda node: -(node.score or 0.0))[: self.beam]}
        return [node if node.id in kept else node.model_copy(update={"kept": False}) for node in layer]


def best_way(tree: Tree) -> tuple[Node, ...]:
    """Where the walk shall end: the right answer that the judge thought best of, else the best answer, else the way
    that it thought best of. Which of several answers is right the verifier says once the search is over."""
    if not tree.nodes:
        return ()

    def merit(node: Node) -> tuple[bool, bool, bool, float, int]:
        scores = [step.score or 0.0 for step in tree.way_to(node)]
        ends = node.ends and not node.refuted
        return node.right and ends, ends, node.kept, sum(scores) / len(scores), -node.id

    return tree.way_to(max(tree.nodes, key=merit))
