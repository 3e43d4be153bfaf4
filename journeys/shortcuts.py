"""Further right ways of a search: each is a shortcut beside the one that its journey was told along.

O1 Journey takes every way from the root to a right answer that holds right steps only, several of a tree (methods 1.1,
step 6).
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from journeys.record import Journey, Turn
from journeys.tree import Node, Tree


def other_ways(journey: Journey, tree: Tree, *, most: int) -> Iterator[tuple[int, Journey]]:
    """The right ways that say something else than the journey's path, shortest first, and each in other words.

    Each comes with the id of its last step in the tree, which is one of whole steps, and as a journey that goes
    straight there.
    """
    return islice(_distinct(journey, sorted(tree.shortcuts, key=len)), most)


def _distinct(journey: Journey, ways: Iterable[Sequence[Node]]) -> Iterator[tuple[int, Journey]]:
    seen = {_words(journey.path)}
    for way in ways:
        if (words := _words(way)) not in seen:
            seen.add(words)
            yield way[-1].id, _straight(journey, way)


def _words(steps: Sequence[Node | Turn]) -> tuple[str, ...]:
    return tuple(" ".join(one.step.split()) for one in steps)


def _straight(journey: Journey, way: Sequence[Node]) -> Journey:
    """The journey that takes this way and no other."""
    turns = tuple(
        node.as_turn(
            id=place,
            parent=place - 1 if place else None,
            replies_to=place - 1 if place and way[place - 1].reflection else None,
        )
        for place, node in enumerate(way)
    )
    return journey.model_copy(update={"turns": turns, "verification": way[-1].verification, "lucky": ()})
