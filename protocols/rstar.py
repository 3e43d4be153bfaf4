"""rStar: rollouts over five human-like actions; the trajectory that a second policy comes to as well is told.

Source: rStar (methods 4). A rollout goes, at each step, into a child that is not written yet, drawn at random, else
where UCT says; its reward is the share of an answer's samples that agree with it; a second policy then judges the
solutions (protocols/consistency.py). No reward and no choice looks at the reference answer.

    step         A1  one more step                            then step, finish
    finish       A2  all that remains                         an end
    subquestion  A3  the next sub-question with its answer    then step, finish, subquestion, reanswer
    reanswer     A4  the last sub-question answered anew      then step, finish, subquestion
    rephrase     A5  the question as a list of conditions     then step, finish, subquestion; only at the beginning

Ours: a child is written when a rollout first goes to it, where rStar writes all of a node's children at once; every
action that ends in an answer is sampled `votes` times; and a step that the scorer refutes ends its rollout at 0, which
gives the walk branches to err into.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Literal, Self

from pydantic import Field, model_validator

from journeys.draft import Draft
from journeys.record import Cost, Journey, Turn
from journeys.tree import Node, Tree
from protocols.base import Cast, Role
from protocols.consistency import Consistency, Solution, by_consistency, numbered
from protocols.rollouts import Rollout, Rollouts
from protocols.scoring import NEEDS, ScorerName
from protocols.searching import attempt, erring, searched, spent
from settings import Settings

ActionName = Literal["step", "finish", "subquestion", "reanswer", "rephrase"]
FOLLOW: Mapping[str, tuple[ActionName, ...]] = {
    "": ("step", "finish", "subquestion", "rephrase"),
    "rephrase": ("step", "finish", "subquestion"),
    "subquestion": ("step", "finish", "subquestion", "reanswer"),
    "reanswer": ("step", "finish", "subquestion"),
    "step": ("step", "finish"),
    "finish": (),
}
"""What may come after what; the key '' is the beginning."""

Slot = tuple[ActionName, int]
"""A child that may be written: its action, and which of the node's children by that action it is."""


class RStar(Settings):
    """A policy with five ways to go on, and a second one that judges where they led."""

    kind: Literal["rstar"] = "rstar"
    rollouts: int = Field(32, ge=1)
    depth: int = Field(5, ge=1)
    """Actions of the longest rollout; 8 for MATH."""
    c: float = Field(2.0, ge=0)
    """How much an action that was seldom tried is worth trying."""
    steps: int = Field(3, ge=1)
    """Children of a node by action `step`."""
    subquestions: int = Field(3, ge=1)
    """Children of a node by action `subquestion`."""
    votes: int = Field(10, ge=1)
    """Samples of an action that ends in an answer; the majority's is taken and their share is the reward."""
    actions: tuple[ActionName, ...] = ("step", "finish", "subquestion", "reanswer", "rephrase")
    """What the policy may do. All but `step` need a text in its persona (`actions`)."""
    scorer: ScorerName = "checkers"
    """Who judges a step: one that it holds to be wrong ends its rollout."""
    parallel: int = Field(4, ge=1)
    """Rollouts of one problem side by side."""
    virtual_loss: float = Field(1.0, ge=0)
    """What a rollout under way takes off the rewards of the steps that it has gone through."""
    consistency: Consistency = Consistency()
    """How the second policy is asked which solution to tell."""
    trials: int = Field(2, ge=1)
    """The walk: steps tried after each step on the way, the chosen one included."""

    @model_validator(mode="after")
    def _something_always_follows(self) -> Self:
        if not {"step", "finish"} & set(self.actions):
            raise ValueError("actions: name step, finish or both; after the others nothing else may follow")
        return self

    @property
    def steps_a_turn(self) -> int:
        """What a dry run reckons with: rollouts share steps, answers are sampled and completed."""
        return max(1, self.rollouts // 4) * (self.votes + self.consistency.cuts) // 4 + 1

    @property
    def roles(self) -> tuple[Role, ...]:
        return ("policy", "second", *NEEDS.get(self.scorer, ()))

    def grow(self, draft: Draft, cast: Cast) -> AsyncIterator[Turn | Journey | Tree]:
        return searched(
            draft,
            cast,
            search=lambda: _Search(self, draft, cast).run(),
            walk=lambda tree: erring(draft, cast, tree, _way(tree), trials=self.trials),
        )


class _Search(Rollouts):
    """The tree while rollouts go through it."""

    def __init__(self, settings: RStar, draft: Draft, cast: Cast) -> None:
        super().__init__(c=settings.c, virtual_loss=settings.virtual_loss)
        self.settings = settings
        self.draft = draft
        self.cast = cast
        self.slots: dict[int | None, list[Slot]] = {}
        """Children of a node that no rollout has gone to yet."""
        self.taken: dict[int, Slot] = {}
        """By rollout: the child that it is about to write."""

    async def run(self) -> Tree:
        while self.rollouts < self.settings.rollouts and not spent(self.nodes, self.cast.budgets):
            await self.side_by_side(min(self.settings.parallel, self.settings.rollouts - self.rollouts))
        tree = Tree(nodes=tuple(self.nodes), rollouts=self.rollouts, right_rollouts=self.right)
        ends = [node for node in self.nodes if node.answer is not None]
        ends = [node for node in ends if not node.refuted] or ends
        solutions = [Solution.of(tree.way_to(node), confidence=node.score or 0.0) for node in ends]
        return await by_consistency(self.draft, self.cast, tree, solutions, self.settings.consistency)

    def open(self, head: int | None) -> list[Slot]:
        """What may still be written after a step."""
        if head not in self.slots:
            last = "" if head is None else self.nodes[head].action
            several = {"step": self.settings.steps, "subquestion": self.settings.subquestions}
            allowed = [action for action in FOLLOW[last] if action in self.settings.actions]
            self.slots[head] = [(action, n) for action in allowed for n in range(several.get(action, 1))]
        return self.slots[head]

    def _descend(self, rollout: Rollout) -> None:
        """To a child that is not written yet, drawn at random; through nodes that have none of these by UCT."""
        while not self._ended(rollout):
            if slots := self.open(rollout.head):
                draw = random.Random(f"{self.draft.seed} {self.draft.id} {rollout.number} {len(rollout.path)}")
                self.taken[rollout.number] = slots.pop(draw.randrange(len(slots)))
                return
            if not (below := self.children.get(rollout.head)):
                return  # rollouts beside this one are about to write them
            self.enter(rollout, self.best(below, rollout.head))

    def _ended(self, rollout: Rollout) -> bool:
        if rollout.head is None:
            return False
        node = self.nodes[rollout.head]
        over = node.action == "finish" or node.answer is not None or node.refuted
        return over or len(rollout.path) >= self.settings.depth

    async def _go_on(self, going: Sequence[Rollout]) -> None:
        tree = Tree(nodes=tuple(self.nodes))
        writing = [rollout for rollout in going if rollout.number in self.taken]
        ways = [() if one.head is None else tree.way_to(self.nodes[one.head]) for one in writing]
        slots = [self.taken.pop(rollout.number) for rollout in writing]
        written = await asyncio.gather(*(self._write(way, *slot) for way, slot in zip(ways, slots, strict=True)))
        for rollout, node in zip(writing, written, strict=True):
            self.enter(rollout, self._placed(node))

    async def _write(self, way: Sequence[Node], action: ActionName, number: int) -> Node:
        """A child. What ends in an answer is sampled until there are `votes` of it."""
        votes, scorer = self.settings.votes, self.settings.scorer

        async def samples(first: int, last: int) -> list[Node]:
            numbers = range(number * votes + first, number * votes + last)
            tries = (attempt(self.draft, self.cast, way, n, scorer=scorer, action=action) for n in numbers)
            return await asyncio.gather(*tries)

        drawn = await samples(0, votes if action == "finish" else 1)
        if action != "finish" and drawn[0].answer is not None:
            drawn += await samples(1, votes)
        if all(sample.answer is None for sample in drawn):
            return _taking(drawn, drawn[0], score=drawn[0].score)
        return await self._majority(drawn)

    async def _majority(self, drawn: Sequence[Node]) -> Node:
        """The sample that speaks for the answer most samples give; one that is not refuted, if any."""

        async def same(first: str, second: str) -> bool:
            return await self.cast.referee.same(self.draft.problem, first, second)

        answers = await numbered([sample.answer for sample in drawn], same)
        given = [answer for answer in answers if answer is not None]
        most = max(given, key=given.count)
        alike = [sample for sample, answer in zip(drawn, answers, strict=True) if answer == most]
        taken = next((sample for sample in alike if not sample.refuted), alike[0])
        return _taking(drawn, taken, score=len(alike) / len(drawn))

    def _placed(self, node: Node) -> int:
        """Its place; a step that says what a sibling says is that sibling, which costs what both did."""
        for place in self.children.get(node.parent, ()):
            twin = self.nodes[place]
            if twin.action == node.action and node.answer is None and twin.step == node.step:
                cost, judge_cost = twin.policy_cost.plus(node.policy_cost), twin.judge_cost.plus(node.judge_cost)
                self.nodes[place] = twin.model_copy(update={"policy_cost": cost, "judge_cost": judge_cost})
                return place
        return self.place(node)

    def _reward(self, rollout: Rollout) -> float:
        """The share of its samples that gave the answer; 0 where there is none, or where it is held to be wrong."""
        node = None if rollout.head is None else self.nodes[rollout.head]
        return 0.0 if node is None or node.answer is None or node.refuted else node.score or 0.0


def _taking(drawn: Sequence[Node], taken: Node, *, score: float | None) -> Node:
    """One sample for all: their cost is its cost, and their words are kept beside its own."""
    cost, judge_cost = Cost(), Cost()
    for sample in drawn:
        cost, judge_cost = cost.plus(sample.policy_cost), judge_cost.plus(sample.judge_cost)
    votes = tuple(sample.step for sample in drawn if sample is not taken)
    return taken.model_copy(update={"score": score, "votes": votes, "policy_cost": cost, "judge_cost": judge_cost})


def _way(tree: Tree) -> tuple[Node, ...]:
    """The chosen trajectory; where no rollout came to an answer, the way that went best."""
    if tree.chosen is not None:
        return tree.way_to(tree.nodes[tree.chosen])
    if not tree.nodes:
        return ()
    standing = [node for node in tree.nodes if not node.refuted] or list(tree.nodes)
    return tree.way_to(max(standing, key=lambda node: (node.q or 0.0, len(tree.way_to(node)), -node.id)))
