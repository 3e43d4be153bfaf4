"""A search tree as an outline: a step a line, branches further in and folded, the walked ones open.

A search may have tried thousands of steps. A drawing of all would be a wall; what is folded costs the browser nothing.
Steps that follow each other without a fork stand below each other, so that the outline is as deep as there are forks.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from journeys.pieces import whole_steps
from journeys.record import Turn
from journeys.tree import Node, Tree


@dataclass(frozen=True)
class Line:
    """A step of the outline, or the end of a fold."""

    kind: Literal["step", "fold", "end"]
    """`fold`: a step with all that follows it inside, until its `end`."""
    node: Node | None = None
    turn: int | None = None
    """The turn of the journey that took this step."""
    below: int = 0
    """Steps that follow it, however far."""
    open: bool = False

    @property
    def state(self) -> str:
        """What became of the step, as the journey's own drawing names it."""
        if self.node is None:
            return ""
        if self.node.right:
            return "answer"
        if self.node.ends or self.node.refuted:
            return "refuted"
        return "stands" if self.turn is not None else "dropped" if not self.node.kept else "repeated"


@dataclass(frozen=True)
class Outline:
    """What the page of a search shows."""

    tree: Tree
    """In whole steps."""
    pieces: bool
    """Whether it was searched by pieces of text."""
    lines: tuple[Line, ...]
    right: int
    """Ways to a right answer."""


def outline(tree: Tree, turns: Sequence[Turn], *, unfolded: bool = False) -> Outline:
    """The outline of a search and of the journey that was walked through it.

    Args:
        unfolded: whether all folds are open, not only those that the journey went into.
    """
    steps = whole_steps(tree)
    lines = _lines(steps, walked(steps, turns), unfolded=unfolded)
    return Outline(steps, steps is not tree, tuple(lines), sum(node.right for node in steps.nodes))


def walked(tree: Tree, turns: Sequence[Turn]) -> dict[int, int]:
    """For each step of the tree that the journey took, the turn that took it."""
    at: dict[int | None, int | None] = {None: None}
    taken: dict[int, int] = {}
    for turn in turns:
        if turn.parent not in at:
            continue
        beside = tree.children.get(at[turn.parent], ())
        node = next((one for one in beside if one.step == turn.step and one.id not in taken), None)
        if node is not None:
            at[turn.id], taken[node.id] = node.id, turn.id
    return taken


def _lines(tree: Tree, taken: dict[int, int], *, unfolded: bool) -> Iterator[Line]:
    below = _below(tree)
    waiting: list[Node | None] = list(reversed(tree.children.get(None, ())))
    """What is still to come, the next last; None ends a fold."""
    forked = {child.id for children in tree.children.values() if len(children) > 1 for child in children}
    while waiting:
        node = waiting.pop()
        if node is None:
            yield Line("end")
            continue
        turn, children = taken.get(node.id), tree.children.get(node.id, ())
        folds = bool(children) and node.id in forked
        yield Line("fold" if folds else "step", node, turn, below[node.id], unfolded or turn is not None)
        if folds:
            waiting.append(None)
        waiting += reversed(children)


def _below(tree: Tree) -> dict[int, int]:
    """How many steps follow each; children come after their parents in a tree's list."""
    below = dict.fromkeys((node.id for node in tree.nodes), 0)
    for node in reversed(tree.nodes):
        if node.parent is not None:
            below[node.parent] += 1 + below[node.id]
    return below
