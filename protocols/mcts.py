"""Monte Carlo tree search: rollouts that go where rewards were good and visits few; then a journey is walked through.

Source: rStar-Math (methods 3): UCT = Q + c sqrt(ln N / n) with c = 2, depth 16, a terminal reward of +1 or -1 that is
backed up along the rollout, Q = mean reward, unsolved problems given more rollouts; and Marco-o1 (methods 5) for priors
from token confidence, and for going on by pieces of 64 or 32 tokens in place of steps. Rollouts of one problem run side
by side (protocols/rollouts.py).
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Sequence
from typing import Annotated, Literal

from pydantic import Field

from journeys.draft import Draft
from journeys.record import Journey, Turn
from journeys.tree import Node, Tree
from protocols.base import Cast, Role
from protocols.pieces import attempt_piece, over
from protocols.rollouts import Rollout, Rollouts
from protocols.scoring import NEEDS, ScorerName
from protocols.searching import attempt, erring, placed, searched, spent, without_twins
from settings import Settings


class MCTS(Settings):
    """A policy that is asked where it has done well and where it has seldom been."""

    kind: Literal["mcts"] = "mcts"
    rollouts: int = Field(16, ge=1)
    more_rollouts: tuple[int, ...] = (64, 128)
    """For a problem that is not solved yet, rollouts in all, one try after the other; empty gives it up."""
    width: int = Field(4, ge=1)
    """Next steps tried after a step, the first time a rollout comes through it."""
    depth: int = Field(16, ge=1)
    """Steps (or pieces) of the longest rollout."""
    grain: Literal["step"] | Annotated[int, Field(ge=4)] = "step"
    """What a rollout goes on by: a step, or a piece of so many tokens (Marco-o1: 64 or 32), for personas of mode
    monologue. Journeys are told in whole steps in any case."""
    c: float = Field(2.0, ge=0)
    """How much a step that was seldom tried is worth trying."""
    scorer: ScorerName = "checkers"
    """Who judges a step: one that it holds to be wrong ends its rollout."""
    prior: Literal["none", "score"] = "none"
    """`score`: the judge's word counts as a step's first reward (rStar-Math's rounds 3 and 4)."""
    parallel: int = Field(4, ge=1)
    """Rollouts of one problem side by side."""
    virtual_loss: float = Field(1.0, ge=0)
    """What a rollout under way takes off the rewards of the steps that it has gone through."""
    trials: int = Field(2, ge=1)
    """The walk: steps tried after each step on the way, the right one included."""

    @property
    def steps_a_turn(self) -> int:
        """What a dry run reckons with: rollouts share most of their steps."""
        return self.width * max(1, self.rollouts // 4)

    @property
    def roles(self) -> tuple[Role, ...]:
        return ("policy", *NEEDS.get(self.scorer, ()))

    def grow(self, draft: Draft, cast: Cast) -> AsyncIterator[Turn | Journey | Tree]:
        return searched(
            draft,
            cast,
            search=lambda: _Search(self, draft, cast).run(),
            walk=lambda tree: erring(draft, cast, tree, _way(tree), trials=self.trials),
        )


class _Search(Rollouts):
    """The tree while rollouts go through it."""

    def __init__(self, settings: MCTS, draft: Draft, cast: Cast) -> None:
        super().__init__(c=settings.c, virtual_loss=settings.virtual_loss)
        self.settings = settings
        self.draft = draft
        self.cast = cast

    async def run(self) -> Tree:
        for wanted in (self.settings.rollouts, *self.settings.more_rollouts):
            while self.rollouts < wanted and not spent(self.nodes, self.cast.budgets):
                await self.side_by_side(min(self.settings.parallel, wanted - self.rollouts))
            if self.right:
                break
        return Tree(nodes=tuple(self.nodes), rollouts=self.rollouts, right_rollouts=self.right)

    def _descend(self, rollout: Rollout) -> None:
        while not self._ended(rollout) and (below := self.children.get(rollout.head)):
            self.enter(rollout, self.best(below, rollout.head))

    def _prior(self, node: Node) -> float | None:
        return 2 * node.score - 1 if self.settings.prior == "score" and node.score is not None else None

    def _ended(self, rollout: Rollout) -> bool:
        if rollout.head is None:
            return False
        node = self.nodes[rollout.head]
        return node.ends or node.refuted or over(node) or len(rollout.path) >= self.settings.depth

    async def _go_on(self, going: Sequence[Rollout]) -> None:
        await self._expand(list(dict.fromkeys(rollout.head for rollout in going)))

    async def _expand(self, leaves: Sequence[int | None]) -> None:
        """Next steps of each leaf; each is asked for once, also where several rollouts have come to it."""
        tree, numbers = Tree(nodes=tuple(self.nodes)), range(self.settings.width)
        ways = [() if leaf is None else tree.way_to(self.nodes[leaf]) for leaf in leaves]
        tries = await asyncio.gather(*(self._attempt(way, number) for way in ways for number in numbers))
        for node in placed(without_twins(tries), after=len(self.nodes)):
            self.nodes.append(node)
            self.children.setdefault(node.parent, []).append(node.id)

    def _attempt(self, way: Sequence[Node], number: int) -> Awaitable[Node]:
        scorer, grain = self.settings.scorer, self.settings.grain
        if grain == "step":
            return attempt(self.draft, self.cast, way, number, scorer=scorer)
        return attempt_piece(self.draft, self.cast, way, number, scorer=scorer, tokens=grain)

    def _reward(self, rollout: Rollout) -> float:
        """+1 for a right answer, -1 for a wrong one, for a step that is held to be wrong, and for no end at all."""
        return 1.0 if rollout.head is not None and self.nodes[rollout.head].right else -1.0


def _way(tree: Tree) -> tuple[Node, ...]:
    """The right answer whose way has the best mean Q (rStar-Math's choice), else the answer that has, else the way."""
    if not tree.nodes:
        return ()

    def merit(node: Node) -> tuple[bool, bool, float, int]:
        qs = [-1.0 if step.q is None else step.q for step in tree.way_to(node)]
        ends = node.ends and not node.refuted
        return node.right and ends, ends, sum(qs) / len(qs), -node.id

    return tree.way_to(max(tree.nodes, key=merit))
