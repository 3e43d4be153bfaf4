"""What a search grew before a journey was walked through it: every step that was tried, taken or not.

A journey is a walk, one step after the other; a search looks at many steps at once. The tree keeps them all, with what
was thought of each, so that nothing a model wrote is lost: pairs of siblings, other right solutions, steps that a judge
refused and nobody ever walked into.
"""

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Literal

from journeys.record import Cost, Evidence, FinishReason, Move, Record, Ruling, Turn, Verdict, Verification


class Node(Record):
    """One step in its place."""

    id: int
    """Its place in the tree's list, from 0, in the order in which steps were written."""
    parent: int | None
    """The step it continues; None where it begins the solution."""
    step: str
    lines: tuple[str, ...] | None = None
    """Where a search goes on by pieces of text, `step` is a piece, to the letter, and these are the whole steps that
    end in it; what is said below of a step is said of the last of them. None: it is a step. See journeys/pieces.py."""
    answer: str | None = None
    """The final answer written in it, if any: then it is a leaf, unless a reflection follows."""
    reflection: str = ""
    """The recipe's line that was put after it, whatever it said, to have the thought looked over again."""
    evidence: tuple[Evidence, ...] = ()
    score: float | None = None
    """What the judge thought of it, from 0 to 1; None where nobody was asked."""
    reason: str = ""
    """What the judge had against it."""
    refuted: bool = False
    """Whether the judge holds it to be wrong."""
    kept: bool = True
    """Whether the search went on with it."""
    verification: Verification | None = None
    """The verifier's word on `answer`."""
    lucky: tuple[str, ...] = ()
    """Why a right answer does not follow from the way to it; empty when it does."""
    visits: int = 0
    """Rollouts that went through it."""
    value: float = 0.0
    """Sum of their rewards, each from -1 to 1."""
    action: str = ""
    """What the policy was asked for, where a search asks for more than steps (rStar, methods 4)."""
    votes: tuple[str, ...] = ()
    """Further samples of the step; `score` is the share of all of them that gave its answer."""
    finish: FinishReason = "stop"
    confidence: float | None = None
    policy_cost: Cost = Cost()
    judge_cost: Cost = Cost()

    @property
    def q(self) -> float | None:
        """The mean reward of its rollouts; None where none went through it."""
        return self.value / self.visits if self.visits else None

    @property
    def ends(self) -> bool:
        """Whether its answer ends the solution."""
        return self.answer is not None and not self.reflection

    @property
    def right(self) -> bool:
        """Whether it ends in a right answer."""
        return self.ends and self.verification is not None and self.verification.status == "right"

    @property
    def cost(self) -> Cost:
        return self.policy_cost.plus(self.judge_cost)

    @property
    def doubted(self) -> bool:
        """Whether a judge or a checker holds it to be wrong."""
        return self.refuted or any(found.fatal for found in self.evidence)

    @property
    def verdict(self) -> Verdict:
        """The verdict under which it stands."""
        if self.reflection:
            return Verdict(move=Move.REFLECT, critique=self.reflection)
        return Verdict(move=Move.TERMINATE if self.ends else Move.CONTINUE)

    @property
    def rulings(self) -> tuple[Ruling, ...]:
        return ("forced_reflection",) if self.reflection else ()

    def as_turn(
        self, *, id: int, parent: int | None, verdict: Verdict | None = None, replies_to: int | None = None
    ) -> Turn:
        """The step as a turn of a journey, standing or under the verdict that the journey gives it."""
        return Turn(
            id=id,
            parent=parent,
            step=self.step,
            verdict=verdict or self.verdict,
            rulings=() if verdict else self.rulings,
            evidence=self.evidence,
            replies_to=replies_to,
            answer=self.answer,
            finish=self.finish,
            confidence=self.confidence,
            policy_cost=self.policy_cost,
            critic_cost=self.judge_cost,
        )


class Completion(Record):
    """What a second policy made of the beginning of a solution (mutual consistency, methods 4)."""

    leaf: int
    """The last step of that solution."""
    shown: tuple[str, ...]
    """The beginning that it was shown, in pieces."""
    steps: tuple[str, ...]
    """What it wrote."""
    answer: str | None = None
    agrees: bool = False
    """Whether it came to the solution's answer."""
    cost: Cost = Cost()


class Tree(Record):
    """A search over one problem."""

    schema_version: Literal[1] = 1
    nodes: tuple[Node, ...] = ()
    rollouts: int = 0
    right_rollouts: int = 0
    """Of `rollouts`, those that came to a right answer."""
    completions: tuple[Completion, ...] = ()
    """What a second policy wrote to judge solutions by."""
    chosen: int | None = None
    """The last step of the way to be told, where the search itself says which."""

    @property
    def cost(self) -> Cost:
        """What all that was written for it took."""
        total = cost_of(self.nodes)
        for completion in self.completions:
            total = total.plus(completion.cost)
        return total

    @property
    def difficulty(self) -> Literal["easy", "medium", "hard"] | None:
        """rStar-Math's classes (methods 3): every rollout came right, some did, none did; None without rollouts."""
        if not self.rollouts:
            return None
        return "hard" if not self.right_rollouts else "easy" if self.right_rollouts == self.rollouts else "medium"

    @cached_property
    def children(self) -> dict[int | None, tuple[Node, ...]]:
        """By parent, in the order in which they were written; the key None holds the beginnings."""
        found: dict[int | None, list[Node]] = {}
        for node in self.nodes:
            found.setdefault(node.parent, []).append(node)
        return {parent: tuple(nodes) for parent, nodes in found.items()}

    def way_to(self, node: Node) -> tuple[Node, ...]:
        """From the beginning to the node, itself included."""
        way = [node]
        while way[-1].parent is not None:
            way.append(self.nodes[way[-1].parent])
        return tuple(reversed(way))

    @property
    def solutions(self) -> Iterator[tuple[Node, ...]]:
        """Every way to a right answer."""
        return (self.way_to(node) for node in self.nodes if node.right)

    @property
    def shortcuts(self) -> Iterator[tuple[Node, ...]]:
        """Solutions of right steps alone from which the answer follows (O1 Journey, methods 1.1, step 6)."""
        return (way for way in self.solutions if not way[-1].lucky and not any(node.doubted for node in way))

    @cached_property
    def on_solution(self) -> frozenset[int]:
        """Steps from which a right answer was reached."""
        return frozenset(node.id for way in self.solutions for node in way)


def cost_of(nodes: Sequence[Node]) -> Cost:
    """What writing and judging all these steps took."""
    total = Cost()
    for node in nodes:
        total = total.plus(node.cost)
    return total
