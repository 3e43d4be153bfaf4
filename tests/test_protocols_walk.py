"""The walk through a searched tree: in which order it errs, returns and ends."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from search_material import RIGHT, node

from journeys.tree import Node, Tree
from protocols.walk import walk

#      0           1 (no)
#    2   3         two ways from 0: 2 leads to the answer 5, 3 is wrong in its child 4
#    5   4 (no)
TREE = Tree(
    nodes=(
        node(0, None),
        node(1, None, wrong="1 is off."),
        node(2, 0),
        node(3, 0),
        node(4, 3, wrong="4 is off."),
        node(5, 2, right=True),
    )
)


def walked(tree: Tree, **bounds: int) -> list[tuple[int, int | None]]:
    given = {"trials": 2, "most_trips": 9, "most_visits": 30} | bounds
    way = next(iter(tree.solutions))
    return [(visit.node.id, visit.keep) for visit in walk(tree, way, draw=random.Random(0), **given)]


def test_the_walk_errs_once_at_each_step_follows_the_error_to_its_end_and_comes_back() -> None:
    assert walked(TREE) == [(1, 0), (0, None), (3, None), (4, 1), (2, None), (5, None)]


@pytest.mark.parametrize(
    ("bounds", "visits"),
    [
        ({"trials": 1}, [(0, None), (2, None), (5, None)]),
        ({"most_trips": 1}, [(1, 0), (0, None), (2, None), (5, None)]),
        # The trip to 4 takes two visits; there is room for one.
        ({"most_visits": 4}, [(1, 0), (0, None), (2, None), (5, None)]),
        ({"most_visits": 2}, [(0, None), (2, None)]),
    ],
)
def test_trials_trips_and_visits_have_bounds(bounds: dict[str, int], visits: list[tuple[int, int | None]]) -> None:
    assert walked(TREE, **bounds) == visits


def test_no_trip_goes_where_nobody_said_what_is_wrong_or_where_another_answer_lies() -> None:
    unexplained = TREE.nodes[1].model_copy(update={"reason": ""})
    another = TREE.nodes[4].model_copy(update={"refuted": False, "reason": "", "verification": RIGHT, "answer": "9"})
    tree = Tree(nodes=(TREE.nodes[0], unexplained, *TREE.nodes[2:4], another, TREE.nodes[5]))
    assert [way[-1].id for way in tree.solutions] == [4, 5], "every right way is a shortcut"
    assert walked(tree) == [(0, None), (3, None), (4, None)]


def test_a_way_that_ends_in_a_wrong_step_takes_it_once() -> None:
    """Where nothing was solved, the way itself may be one that a judge refuted."""
    tree = Tree(nodes=TREE.nodes[:2])
    visits = walk(tree, (tree.nodes[1],), trials=3, most_trips=9, most_visits=9, draw=random.Random(0))
    assert [visit.node.id for visit in visits] == [1]


@st.composite
def trees(draw: st.DrawFn) -> Tree:
    nodes: list[Node] = []
    for number in range(draw(st.integers(1, 25))):
        open_ones = [None, *(one.id for one in nodes if one.answer is None and not one.refuted)]
        parent = draw(st.sampled_from(open_ones))
        kind = draw(st.sampled_from(["open", "open", "wrong", "mute", "right"]))
        made = node(number, parent, wrong="Off." if kind in ("wrong", "mute") else "", right=kind == "right")
        nodes.append(made.model_copy(update={"reason": ""}) if kind == "mute" else made)
    return Tree(nodes=tuple(nodes))


@given(tree=trees(), trials=st.integers(1, 4), most_trips=st.integers(0, 5), most_visits=st.integers(1, 30))
def test_every_wrong_step_is_followed_by_a_return_and_the_last_step_is_the_answer(
    tree: Tree, trials: int, most_trips: int, most_visits: int
) -> None:
    for way in list(tree.solutions)[:3]:
        draw = random.Random(1)
        visits = list(walk(tree, way, trials=trials, most_trips=most_trips, most_visits=most_visits, draw=draw))
        assert len(visits) <= most_visits
        assert sum(visit.keep is not None for visit in visits) <= most_trips
        standing: list[int] = []
        for visit in visits:
            assert visit.node.parent == (standing[-1] if standing else None), "each step continues what stands"
            standing.append(visit.node.id)
            assert visit.node.refuted == (visit.keep is not None)
            if visit.keep is not None:
                del standing[visit.keep :]
        assert standing == [one.id for one in way[:most_visits]]
        assert len({visit.node.id for visit in visits}) == len(visits), "no step twice"
