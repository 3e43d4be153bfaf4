"""Pairs of steps out of a search, for a process preference model (rStar-Math, methods 3.7).

Where some rollouts through a node came right and others wrong, the children that did best stand against those that did
worst. A step that states the final answer seldom has a sibling that states another, so there whole solutions are
compared. Q speaks of rollouts: a tree that was grown without them gives no pairs.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from pydantic import Field

from journeys.tree import Node, Tree
from settings import Settings


class TreePairSettings(Settings):
    """Which steps of a search make a pair."""

    margin: float = Field(0.5, gt=0, le=2)
    """What the better step's Q (from -1 to 1) must have over the other's."""
    distance: int = Field(20, ge=1)
    """Characters that must change to make one out of the other. Policies that write short lines need a smaller one."""
    per_side: int = Field(2, ge=1)
    """Steps taken on either side of a node; where one side has a single one, up to twice as many of the other."""


@dataclass(frozen=True)
class TreePair:
    """What to prefer and what to it, after the same steps."""

    before: tuple[Node, ...]
    """The way to the node; empty where whole solutions are compared."""
    better: tuple[Node, ...]
    """One step, or all of a solution."""
    worse: tuple[Node, ...]
    weight: float
    """All pairs of a node together weigh no more than 1."""

    @property
    def margin(self) -> float:
        """The difference in Q, of whole solutions in their mean Q."""
        return _mean(self.better) - _mean(self.worse)


def tree_pairs(tree: Tree, settings: TreePairSettings) -> Iterator[TreePair]:
    """The pairs of a search, from the root down, whole solutions last; none where all came right or all wrong."""
    if not tree.rollouts:
        return
    right = [tree.way_to(node) for node in tree.nodes if _reward(tree, node) == 1]
    wrong = [tree.way_to(node) for node in tree.nodes if _reward(tree, node) == -1]
    if not right or not wrong:
        return
    best = {node: max(means) for node, means in _continuations(right).items()}
    worst = {node: min(means) for node, means in _continuations(wrong).items()}
    for parent in (None, *(node.id for node in tree.nodes if node.id in best and node.id in worst)):
        below = [node for node in tree.children.get(parent, ()) if not node.ends]
        before = () if parent is None else tree.way_to(tree.nodes[parent])
        better = sorted((node for node in below if node.id in best), key=lambda node: (-_q(node), node.id))
        worse = sorted((node for node in below if node.id in worst), key=lambda node: (_q(node), node.id))
        for one, other, weight in _crossed([(node,) for node in better], [(node,) for node in worse], settings):
            if best[one[0].id] > worst[other[0].id]:
                yield TreePair(before, one, other, weight)
    right.sort(key=lambda way: (-_mean(way), way[-1].id))
    wrong = [way for way in wrong if way[-1].ends]
    wrong.sort(key=lambda way: (_mean(way), way[-1].id))
    for one, other, weight in _crossed(right, wrong, settings):
        yield TreePair((), one, other, weight)


def differ(one: str, other: str, *, by: int) -> bool:
    """Whether it takes at least `by` insertions, deletions or replacements to make one text out of the other.

    Only cells within `by` of the diagonal are looked at: whether two long texts are far apart is soon known.
    """
    if abs(len(one) - len(other)) >= by:
        return True
    before = [min(place, by) for place in range(len(other) + 1)]
    for row, sign in enumerate(one, 1):
        costs = [by] * (len(other) + 1)
        costs[0] = min(row, by)
        for column in range(max(1, row - by), min(len(other), row + by) + 1):
            replaced = before[column - 1] + (sign != other[column - 1])
            costs[column] = min(before[column] + 1, costs[column - 1] + 1, replaced, by)
        if min(costs) >= by:
            return True
        before = costs
    return before[-1] >= by


def _crossed(
    better: Sequence[tuple[Node, ...]], worse: Sequence[tuple[Node, ...]], settings: TreePairSettings
) -> Iterator[tuple[tuple[Node, ...], tuple[Node, ...], float]]:
    """Each of the first on one side against each of the first on the other, where they are far enough apart."""
    few, many = settings.per_side, 2 * settings.per_side
    taken = better[: many if len(worse) == 1 else few]
    against = worse[: many if len(better) == 1 else few]
    for one, other in product(taken, against):
        apart = _q(one[-1]) - _q(other[-1]) >= settings.margin and _mean(one) > _mean(other)
        if apart and differ(_text(one), _text(other), by=settings.distance):
            yield one, other, 1 / (len(taken) * len(against))


def _reward(tree: Tree, node: Node) -> int | None:
    """1 or -1 where a solution ended, and nobody can go on; None in the middle, and where nobody knows."""
    if node.ends and node.verification and node.verification.status in ("right", "wrong"):
        return 1 if node.right else -1
    ended = node.visits and node.id not in tree.children
    return -1 if ended else None


def _continuations(ways: Sequence[tuple[Node, ...]]) -> Mapping[int, list[float]]:
    """For each step the mean Q of every way from it to an end, itself included."""
    found: dict[int, list[float]] = {}
    for way in ways:
        for depth, node in enumerate(way):
            found.setdefault(node.id, []).append(_mean(way[depth:]))
    return found


def _q(node: Node) -> float:
    """The mean reward; an answer that no rollout came to has been verified all the same."""
    return node.q if node.q is not None else 1.0 if node.right else -1.0


def _mean(way: Sequence[Node]) -> float:
    return sum(map(_q, way)) / len(way)


def _text(way: Sequence[Node]) -> str:
    return "\n".join(node.step for node in way)
