"""From a tree to a journey: a depth-first walk that errs on the way as a person would, and comes back.

O1 Journey's three rules (methods 1.1, step 7): from a step on the way one trip into a wrong branch may be made; off the
way one child is chosen at random and the trip ends at a leaf; at most `trials` steps are tried after each step on the
way, the last of them the right one. A trip goes only where a judge said what is wrong at its end: a branch that was
given up because the verifier refused its answer would end in a doubt that nobody had.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from journeys.tree import Node, Tree


@dataclass(frozen=True)
class Visit:
    """A step of the walk."""

    node: Node
    keep: int | None = None
    """Where the walk turns back after it: how many steps of the way stay. None: it goes on."""


def walk(
    tree: Tree, way: Sequence[Node], *, trials: int, most_trips: int, most_visits: int, draw: random.Random
) -> Iterator[Visit]:
    """The visits, in order, that end with the last step of `way`.

    Args:
        way: from the beginning to a leaf.
        trials: steps tried after each step on the way, the right one included; 1 makes no trip.
        most_trips: trips in all.
        most_visits: steps in all; where there is no room for a trip it is left out, and the end of a longer way too.
    """
    trips, room = most_trips, most_visits - len(way)
    for depth, node in enumerate(way[:most_visits]):
        others = [child for child in tree.children.get(node.parent, ()) if child is not node]
        wrong = [trip for child in others if (trip := _trip(tree, child, draw))]
        draw.shuffle(wrong)
        for trip in [trip for trip in wrong if len(trip) <= room][: trials - 1]:
            if trips == 0 or len(trip) > room:
                break
            trips, room = trips - 1, room - len(trip)
            yield from (Visit(step) for step in trip[:-1])
            yield Visit(trip[-1], keep=depth)
        yield Visit(node)


def _trip(tree: Tree, child: Node, draw: random.Random) -> list[Node]:
    """From a child off every solution to a leaf that a judge refuted with a reason; empty where there is no such."""
    if child.id in tree.on_solution:
        return []
    trip = [child]
    while not trip[-1].refuted and (below := tree.children.get(trip[-1].id, ())):
        trip.append(draw.choice(below))
    return trip if trip[-1].refuted and trip[-1].reason else []
