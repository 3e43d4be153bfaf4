"""Pairs out of a hand-made search: which steps stand against which, with what weight, and what becomes of them."""

import json
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from journeys.draft import Draft
from journeys.exports import ExportSettings, Provenance, export
from journeys.record import Problem, Verification, Voice
from journeys.store import Store
from journeys.tree import Node, Tree
from journeys.tree_pairs import TreePairSettings, differ, tree_pairs

CLOSE = TreePairSettings(distance=1)


def node(id: int, parent: int | None, *, visits: int, wins: int, answer: str | None = None, step: str = "") -> Node:
    status = "right" if answer == "9" else "wrong"
    return Node(
        id=id,
        parent=parent,
        step=step or f"step {id}",
        answer=answer,
        verification=None if answer is None else Verification(status=status, given=answer, method="text"),
        visits=visits,
        value=2.0 * wins - visits,
    )


#          0 (6 of 8)                  1 (0 of 4)        2 (1 of 4)      3 (never visited)
#    4 (5 of 5)   5 (1 of 3)           6 wrong           7 right, 8 wrong
#    9 right      10 right, 11 wrong
NODES = (
    *(node(0, None, visits=8, wins=6), node(1, None, visits=4, wins=0), node(2, None, visits=4, wins=1)),
    node(3, None, visits=0, wins=0),
    *(node(4, 0, visits=5, wins=5), node(5, 0, visits=3, wins=1), node(6, 1, visits=4, wins=0, answer="8")),
    *(node(7, 2, visits=1, wins=1, answer="9"), node(8, 2, visits=3, wins=0, answer="7")),
    *(node(9, 4, visits=5, wins=5, answer="9"), node(10, 5, visits=1, wins=1, answer="9")),
    node(11, 5, visits=2, wins=0, answer="1"),
)
TREE = Tree(nodes=NODES, rollouts=16, right_rollouts=7)


def shown(tree: Tree, settings: TreePairSettings = CLOSE) -> list[tuple[list[int], list[int], list[int], float]]:
    return [
        (*([one.id for one in part] for part in (pair.before, pair.better, pair.worse)), pair.weight)  # type: ignore[misc]
        for pair in tree_pairs(tree, settings)
    ]


def test_the_best_two_stand_against_the_worst_two_and_where_one_side_has_one_against_more() -> None:
    # The root: 0 (Q 0.5) and 2 (-0.5) lead to right answers, 1 (-1), 2 and 0 to wrong ones. 2 is not put against
    # itself, and 0 would be worse than nothing. Below 0: 4 (Q 1) against 5 (-1/3), and 5 not against itself.
    assert shown(TREE)[:4] == [
        ([], [0], [1], 0.25),
        ([], [0], [2], 0.25),
        ([], [2], [1], 0.25),
        ([0], [4], [5], 0.5),
    ]


def test_the_final_step_compares_whole_solutions_the_best_right_ones_with_the_worst_wrong_ones() -> None:
    # Mean Q of the right: 0 4 9 (0.83), 0 5 10 (0.39), 2 7 (0.25); of the wrong: 1 6 (-1), 2 8 (-0.75), 0 5 11.
    assert shown(TREE)[4:] == [
        ([], [0, 4, 9], [1, 6], 0.25),
        ([], [0, 4, 9], [2, 8], 0.25),
        ([], [0, 5, 10], [1, 6], 0.25),
        ([], [0, 5, 10], [2, 8], 0.25),
    ]


def test_one_on_a_side_is_put_against_up_to_four() -> None:
    wrong = [node(n, None, visits=1, wins=0) for n in range(1, 7)]
    tree = Tree(nodes=(node(0, None, visits=2, wins=2), *wrong, node(7, 0, visits=2, wins=2, answer="9")), rollouts=8)
    assert [pair[1:] for pair in shown(tree)] == [([0], [n], 0.25) for n in (1, 2, 3, 4)]


@pytest.mark.parametrize(
    ("keys", "left"),
    [
        ({"margin": 1.2}, [([], [0], [1]), ([0], [4], [5])]),
        ({"margin": 1.4}, [([], [0], [1])]),
        ({"per_side": 1}, [([], [0], [1]), ([0], [4], [5])]),
        ({"distance": 2}, []),
    ],
)
def test_margin_distance_and_number_are_bounds(keys: dict[str, float], left: list[tuple[list[int], ...]]) -> None:
    settings = TreePairSettings.model_validate({"distance": 1} | keys)
    assert [pair[:3] for pair in shown(TREE, settings) if len(pair[1]) == len(pair[2]) == 1] == left


def test_a_mean_continuation_that_is_no_better_makes_no_pair() -> None:
    """0 has the better Q, but its best way on has a mean of 0.17, and the worst of 1 one of 0.3."""
    good, bad = node(0, None, visits=4, wins=3), node(1, None, visits=4, wins=1)
    way = (node(2, 0, visits=9, wins=0), node(3, 2, visits=1, wins=1, answer="9"))
    other = [node(n, n - 1 if n > 4 else 1, visits=9, wins=9) for n in (4, 5, 6)]
    other.append(node(7, 6, visits=3, wins=0, answer="1"))
    tree = Tree(nodes=(good, bad, *way, *other), rollouts=8)
    assert not [pair for pair in shown(tree) if pair[1] == [0]]


def test_problems_that_are_all_right_or_all_wrong_and_trees_without_rollouts_give_nothing() -> None:
    right = (node(0, None, visits=1, wins=1), node(1, 0, visits=1, wins=1, answer="9"))
    wrong = (node(0, None, visits=1, wins=0), node(1, 0, visits=1, wins=0, answer="8"))
    assert shown(Tree(nodes=right, rollouts=1)) == shown(Tree(nodes=wrong, rollouts=1)) == []
    assert shown(Tree(nodes=NODES)) == []


def test_a_step_that_rollouts_gave_up_at_is_a_wrong_end_and_one_that_none_came_to_is_not() -> None:
    given_up, unvisited = node(1, None, visits=3, wins=0), node(2, None, visits=0, wins=0)
    right = (node(0, None, visits=2, wins=2), node(3, 0, visits=2, wins=2, answer="9"))
    tree = Tree(nodes=(right[0], given_up, unvisited, right[1]), rollouts=5)
    assert shown(tree) == [([], [0], [1], 1.0)]


def levenshtein(one: str, other: str) -> int:
    rows = [list(range(len(other) + 1))]
    for place, sign in enumerate(one, 1):
        row = [place]
        for column, (left, right) in enumerate(pairwise(rows[-1])):
            row.append(min(row[-1] + 1, right + 1, left + (sign != other[column])))
        rows.append(row)
    return rows[-1][-1]


@given(one=st.text("ab ", max_size=12), other=st.text("ab ", max_size=12), by=st.integers(1, 8))
def test_texts_differ_by_their_edit_distance(one: str, other: str, by: int) -> None:
    assert differ(one, other, by=by) == (levenshtein(one, other) >= by)


def test_a_margin_beyond_what_q_can_differ_is_refused() -> None:
    with pytest.raises(ValidationError, match="margin"):
        TreePairSettings(margin=2.5)


def test_a_run_exports_its_pairs_for_a_reward_model_and_its_steps_for_dpo(tmp_path: Path) -> None:
    problem = Problem(id="p", question="What is 2 + 3 + 4?", answer="9")
    nodes = (
        node(0, None, visits=3, wins=2, step="2 + 3 = 5"),
        node(1, 0, visits=1, wins=0, step="5 + 5 = 10"),
        node(2, 0, visits=2, wins=2, step="5 + 4 = 9"),
        node(3, 1, visits=1, wins=0, answer="10", step="Answer: 10"),
        node(4, 2, visits=2, wins=2, answer="9", step="Answer: 9"),
    )
    with Store(tmp_path / "run.db") as store:
        store.add_problems([problem])
        draft = Draft("p#0", problem, protocol="mcts", policy=Voice(persona="", model=""))
        store.begin(draft)
        store.add_tree(draft.id, Tree(nodes=nodes, rollouts=3, right_rollouts=2))
        store.finish(draft.finish("exhausted:turns"))
        voice = Voice(persona="", model="")
        run = Provenance(name="r", protocol="mcts", policy=voice, problems="", num_problems=1, seed=0, digest="0")
        settings = ExportSettings(tree_pairs=CLOSE, layout="lines", system="Think.")
        counts = export(store, tmp_path / "exports", settings, run=run)
    ppm, dpo = (
        [json.loads(line) for line in (tmp_path / "exports" / f"{name}.jsonl").read_text().splitlines()]
        for name in ("ppm", "preferences")
    )
    assert counts.rows["ppm"] == 2
    user, begun = {"role": "user", "content": problem.question}, {"role": "assistant", "content": "2 + 3 = 5\n"}
    assert ppm[0]["prompt"] == [user, begun]
    assert (ppm[0]["chosen"][0]["content"], ppm[0]["rejected"][0]["content"]) == ("5 + 4 = 9", "5 + 5 = 10")
    assert (ppm[0]["weight"], ppm[0]["margin"], ppm[0]["kind"]) == (1.0, 2.0, "step")
    assert ppm[1]["chosen"][0]["content"] == "2 + 3 = 5\n5 + 4 = 9\nAnswer: 9"
    assert (ppm[1]["prompt"], ppm[1]["kind"]) == ([user], "solution")
    (step,) = dpo
    assert step["prompt"][-1] == {"role": "assistant", "content": "<think>\n2 + 3 = 5\n5 +"}
    assert (step["chosen"][0]["content"], step["rejected"][0]["content"]) == (" 4 = 9", " 5 = 10")
    assert (step["kind"], step["why"]) == ("step", "search: Q +2.00")
