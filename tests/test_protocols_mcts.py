"""Monte Carlo tree search by hand: where rollouts go, what is backed up, when it ends."""

import asyncio
import random

import pytest
from search_material import PROBLEM, Written, node, search

from agents.roles import PolicyView, Proposal
from journeys.draft import Budgets, Draft
from journeys.record import Voice
from problems.referee import Referee
from protocols.base import Cast
from protocols.mcts import MCTS, _Search

#   A: 2 + 3 = 5        B: 3 + 4 = 7
#   right    wrong      wrong
FORK = {
    (): ("2 + 3 = 5", "3 + 4 = 7"),
    ("2 + 3 = 5",): ("Answer: 9", "Answer: 5"),
    ("3 + 4 = 7",): ("Answer: 7", "Answer: 7"),
}


def test_rollouts_go_where_uct_says_and_rewards_are_backed_up() -> None:
    # By hand, c = 2: after one visit each A has 1 + 2 sqrt(ln 2) and B -1 + 2 sqrt(ln 2). B's turn comes again in the
    # ninth rollout, when A (7 visits, Q 5/7) has 0.714 + 2 sqrt(ln 8 / 7) = 1.804 and B -1 + 2 sqrt(ln 8) = 1.884.
    for rollouts, visits in ((1, (1, 0)), (2, (1, 1)), (3, (2, 1)), (8, (7, 1)), (9, (7, 2))):
        settings = MCTS(rollouts=rollouts, more_rollouts=(), width=2, parallel=1)
        tree, journey, _ = search(settings, Written(FORK), max_tokens=10**6)
        assert tuple(tree.nodes[place].visits for place in (0, 1)) == visits, rollouts
        assert tree.rollouts == rollouts
        assert journey.solved
    by_step = {one.step: one for one in tree.nodes}
    assert (by_step["2 + 3 = 5"].value, by_step["2 + 3 = 5"].q) == (5, 5 / 7)
    assert (by_step["Answer: 9"].q, by_step["Answer: 5"].q, by_step["Answer: 7"].q) == (1, -1, -1)
    assert (tree.right_rollouts, tree.difficulty) == (6, "medium")


def test_a_rollout_under_way_counts_as_lost_so_that_the_next_goes_elsewhere() -> None:
    one_by_one, _, _ = search(MCTS(rollouts=4, more_rollouts=(), width=2, parallel=1), Written(FORK))
    together, _, _ = search(MCTS(rollouts=4, more_rollouts=(), width=2, parallel=4), Written(FORK))
    assert [one.visits for one in one_by_one.nodes[:2]] == [3, 1]
    assert [one.visits for one in together.nodes[:2]] == [2, 2]


@pytest.mark.parametrize(("virtual_loss", "q"), [(0, 3 / 4), (1, 2 / 4), (3, 0)])
def test_what_a_rollout_under_way_takes_off_is_a_key(virtual_loss: float, q: float) -> None:
    """A step with three right rollouts and one under way: four visits, of which the fourth is held to be lost."""
    draft = Draft("p#0", PROBLEM, protocol="mcts", policy=Voice(persona="w", model="w"))
    cast = Cast(policy=Written(FORK), referee=Referee(), budgets=Budgets())
    searching = _Search(MCTS(virtual_loss=virtual_loss, c=0), draft, cast)
    searching.nodes = [node(0, None).model_copy(update={"visits": 3, "value": 3.0})]
    searching.children, searching.under_way = {None: [0]}, {0: 1}
    assert searching.uct(searching.nodes[0], None) == pytest.approx(q)


class Slow(Written):
    """Replies come in an order of their own."""

    def __init__(self, seed: int) -> None:
        super().__init__(FORK)
        self.draw = random.Random(seed)

    async def propose(self, view: PolicyView) -> Proposal:
        proposal = await super().propose(view)
        await asyncio.sleep(self.draw.random() / 200)
        return proposal


def test_which_reply_comes_first_changes_nothing() -> None:
    settings = MCTS(rollouts=12, more_rollouts=(), width=2, parallel=4)
    first, second = (search(settings, Slow(seed))[0] for seed in (1, 2))
    assert first == second


def test_an_unsolved_problem_gets_more_rollouts_and_is_hard() -> None:
    wrong = {(): ("2 + 3 = 5",), ("2 + 3 = 5",): ("Answer: 5",)}
    tree, journey, _ = search(MCTS(rollouts=2, more_rollouts=(4, 7), width=1), Written(wrong))
    assert (tree.rollouts, tree.difficulty, journey.stop_reason) == (7, "hard", "wrong")
    solved, _, _ = search(MCTS(rollouts=2, more_rollouts=(4, 7), width=2), Written(FORK))
    assert solved.rollouts == 2


def test_a_judges_word_counts_as_a_first_reward() -> None:
    """B is sent back by the critic: without a prior it is tried all the same, with one A is tried first and again."""
    wrong = {"3 + 4 = 7": "That leaves the 2 out."}
    plain, _, _ = search(MCTS(rollouts=2, more_rollouts=(), width=2, parallel=1, scorer="critic"), Written(FORK, wrong))
    assert [one.visits for one in plain.nodes[:2]] == [1, 1]
    led = MCTS(rollouts=2, more_rollouts=(), width=2, parallel=1, scorer="critic", prior="score")
    tree, _, turns = search(led, Written(FORK, wrong))
    assert [one.visits for one in tree.nodes[:2]] == [2, 0]
    assert [turn.step for turn in turns] == ["3 + 4 = 7", "2 + 3 = 5", "Answer: 9"], "the walk errs, and says why"
    assert turns[0].verdict.critique == "That leaves the 2 out."
