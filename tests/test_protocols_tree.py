"""Tree search by hand: what is pruned, in which order the walk goes, what is stored, what a real run makes of it."""

import asyncio
import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from generation_material import run_cli, write_problems
from hypothesis import given
from hypothesis import strategies as st

from agents.persona import load_policy
from agents.policy_prompt import PolicyPrompt
from agents.roles import CriticView, Judgement, PolicyView, Proposal
from journeys.draft import Budgets, Draft
from journeys.record import Cost, Journey, Move, Problem, Turn, Verdict, Verification, Voice
from journeys.store import Store
from journeys.tree import Node, Tree, cost_of
from problems.referee import Referee
from protocols.base import Cast, GrowsJourneys
from protocols.best_of_n import BestOfN
from protocols.mcts import MCTS, _Search
from protocols.tree_search import TreeSearch
from protocols.walk import walk

RIGHT = Verification(status="right", given="9", method="text")
PROBLEM = Problem(id="p", question="What is 2 + 3 + 4?", answer="9")


def node(id: int, parent: int | None, *, wrong: str = "", right: bool = False) -> Node:
    return Node(
        id=id,
        parent=parent,
        step=f"step {id}",
        answer="9" if right else None,
        reason=wrong,
        refuted=bool(wrong),
        verification=RIGHT if right else None,
        policy_cost=Cost(completion_tokens=10),
    )


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


# The search


class Written:
    """A policy that knows what to try after each path, and a critic that takes back what it is told to."""

    def __init__(self, tries: Mapping[tuple[str, ...], Sequence[str]], wrong: Mapping[str, str] = {}) -> None:
        self.tries = tries
        self.wrong = wrong
        self.asked: list[str] = []

    async def propose(self, view: PolicyView) -> Proposal:
        self.asked.append(view.journey_id)
        number = int(view.journey_id.rpartition(".")[2])
        return Proposal(
            step=self.tries[tuple(turn.step for turn in view.path)][number], cost=Cost(completion_tokens=10, calls=1)
        )

    async def judge(self, view: CriticView) -> Judgement:
        why = self.wrong.get(view.step)
        move = Move.BACKTRACK if why else Move.CONTINUE
        return Judgement(verdict=Verdict(move=move, critique=why or ""), cost=Cost(completion_tokens=1, calls=1))


TRIES = {
    (): ("2 + 3 = 5", "2 + 4 = 7", "2 + 3 = 5"),
    ("2 + 3 = 5",): ("5 + 4 = 9", "5 + 3 = 8", "5 + 4 = 9"),
    ("2 + 3 = 5", "5 + 4 = 9"): ("Answer: 9", "Answer: 5", "Answer: 9"),
    ("2 + 3 = 5", "5 + 3 = 8"): ("Answer: 8", "Answer: 8", "Answer: 8"),
}


def search(protocol: GrowsJourneys, speaker: Written, **budgets: Any) -> tuple[Tree, Journey, list[Turn]]:
    draft = Draft("p#0", PROBLEM, protocol=protocol.kind, policy=Voice(persona="w", model="w"))
    referee = Referee()
    cast = Cast(policy=speaker, critic=speaker, referee=referee, budgets=Budgets(**budgets))

    async def run() -> list[Any]:
        return [event async for event in protocol.grow(draft, cast)]

    try:
        tree, *turns, journey = asyncio.run(run())
    finally:
        referee.close()
    return tree, journey, turns


def test_what_was_tried_is_judged_pruned_and_told_as_a_journey() -> None:
    speaker = Written(TRIES, wrong={"5 + 3 = 8": "The problem has a 4 left, not a 3."})
    tree, journey, turns = search(TreeSearch(width=3, depth=5, beam=2), speaker)
    assert [(one.step, one.parent, one.refuted) for one in tree.nodes] == [
        ("2 + 3 = 5", None, False),
        ("2 + 4 = 7", None, True),  # a checker says so, whatever the critic thinks
        ("5 + 4 = 9", 0, False),
        ("5 + 3 = 8", 0, True),
        ("Answer: 9", 2, False),
        ("Answer: 5", 2, False),
    ], "siblings that say the same are one"
    assert journey.solved
    assert [(turn.step, turn.verdict.move.value, turn.verdict.critique) for turn in turns] == [
        ("2 + 4 = 7", "backtrack", "2 + 4 is not 7."),
        ("2 + 3 = 5", "continue", ""),
        ("5 + 3 = 8", "backtrack", "The problem has a 4 left, not a 3."),
        ("5 + 4 = 9", "continue", ""),
        ("Answer: 9", "terminate", ""),
    ]
    assert turns[1].replies_to == 0
    assert [(found.kind, found.quote) for found in turns[0].evidence] == [("false_equation", "2 + 4 = 7")]
    assert not any(turn.evidence for turn in turns[1:]), "evidence goes with its own step"
    # Nine steps were written; what twins cost is not lost, and what was never walked counts too.
    assert journey.completion_tokens == cost_of(tree.nodes).completion_tokens == 9 * 11
    assert journey.search_cost.completion_tokens == 11, "`Answer: 5`, which nobody walked to"


def test_hard_pruning_goes_on_with_nothing_refuted_and_soft_with_the_best() -> None:
    wrong = {"5 + 4 = 9": "No.", "5 + 3 = 8": "No."}
    _, hard, _ = search(TreeSearch(width=3, depth=5), Written(TRIES, wrong))
    assert hard.stop_reason == "exhausted:turns"
    tree, soft, _ = search(TreeSearch(width=3, depth=5, prune="soft", beam=1), Written(TRIES, wrong))
    assert [one.step for one in tree.nodes if one.kept][:2] == ["2 + 3 = 5", "5 + 4 = 9"], "of equals the first"
    assert soft.solved


def test_depth_and_tokens_end_the_search() -> None:
    shallow, journey, _ = search(TreeSearch(width=1, depth=2), Written(TRIES))
    assert [one.step for one in shallow.nodes] == ["2 + 3 = 5", "5 + 4 = 9"]
    assert journey.stop_reason == "exhausted:turns"
    _, poor, _ = search(TreeSearch(width=1, depth=9), Written(TRIES), max_tokens=11)
    assert poor.stop_reason == "exhausted:tokens"


def test_a_wrong_answer_is_told_as_it_is() -> None:
    tries = {(): ("2 + 3 = 5",), ("2 + 3 = 5",): ("Answer: 5",)}
    _, journey, turns = search(TreeSearch(width=1), Written(tries))
    assert (journey.stop_reason, journey.answer) == ("wrong", "5")
    assert not any(turn.removes for turn in turns)


# Best of n

SUMS = {
    (): ("2 + 3 = 5", "2 + 3 = 6", "Answer: 9", "3 + 4 = 7"),
    ("2 + 3 = 5",): ("Answer: 5",),
    ("2 + 3 = 6",): ("Answer: 9",),
    ("3 + 4 = 7",): ("7 + 2 = 9",),
    ("3 + 4 = 7", "7 + 2 = 9"): ("Answer: 9",),
}


class Rollouts(Written):
    """Each rollout goes its own way."""

    async def propose(self, view: PolicyView) -> Proposal:
        self.views.append(view)
        number = int(view.journey_id.rpartition(".")[2])
        tries = self.tries[tuple(turn.step for turn in view.path)]
        return Proposal(step=tries[number // 24 if not view.path else 0], cost=Cost(completion_tokens=10, calls=1))

    def __init__(self, wrong: Mapping[str, str] = {}) -> None:
        super().__init__(SUMS, wrong)
        self.views: list[PolicyView] = []


@pytest.mark.parametrize(
    ("settings", "wrong", "told"),
    [
        ({}, {}, ["Answer: 9"]),  # the shortest right one
        ({"select": "score"}, {}, ["2 + 3 = 5", "Answer: 5"]),  # of equals the first; a false line is judged worst
        ({"select": "score", "scorer": "critic"}, {"Answer: 5": "No.", "Answer: 9": "No."}, ["2 + 3 = 5", "Answer: 5"]),
        (
            {"select": "score", "scorer": "critic", "aggregate": "mean"},
            {"Answer: 5": "No.", "Answer: 9": "No."},
            ["3 + 4 = 7", "7 + 2 = 9", "Answer: 9"],
        ),
        (
            {"select": "score", "scorer": "critic", "aggregate": "last"},
            {"2 + 3 = 5": "No.", "3 + 4 = 7": "No.", "Answer: 5": "No."},
            ["2 + 3 = 6", "Answer: 9"],
        ),
    ],
)
def test_the_best_of_n_is_told(settings: dict[str, Any], wrong: dict[str, str], told: list[str]) -> None:
    tree, journey, turns = search(BestOfN(n=4, **settings), Rollouts(wrong))
    assert [turn.step for turn in turns] == told
    assert len(list(tree.solutions)) == 3
    assert journey.completion_tokens == cost_of(tree.nodes).completion_tokens


def test_no_speaker_mistakes_one_solution_for_another() -> None:
    """Prompts are remembered by the ids of turns: every id must stand for one step only."""
    speaker = Rollouts()
    search(BestOfN(n=4), speaker)
    remembering = PolicyPrompt(load_policy("stepwise"))
    for view in speaker.views:
        fresh = PolicyPrompt(load_policy("stepwise"))
        assert remembering.messages(view) == fresh.messages(view)


# Monte Carlo tree search

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


def test_seconds_end_a_search_too() -> None:
    class Late(Written):
        async def propose(self, view: PolicyView) -> Proposal:
            proposal = await super().propose(view)
            return proposal.model_copy(update={"cost": proposal.cost.model_copy(update={"seconds": 4.0})})

    for protocol in (TreeSearch(width=1, depth=9), BestOfN(n=1)):
        tree, journey, _ = search(protocol, Late(TRIES), max_seconds=3)
        assert (len(tree.nodes), journey.stop_reason) == (1, "exhausted:seconds"), protocol.kind
    tree, _, _ = search(MCTS(rollouts=9, width=1, parallel=1), Late(TRIES), max_seconds=3)
    assert tree.rollouts == 1, "a rollout that was begun is ended"


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


# In a run

SCRIPT = """
replies:
  "stepwise/*~root.0/*": "I start inside the brackets: 2 + 2 = 5"
  "stepwise/*~root.1/*": "2 + 2 = 4"
  "stepwise/*~1.0/*": "4 * 3 = 12"
  "stepwise/*~1.1/*": "4 + 3 = 7"
  "stepwise/*~2.?/*": "Answer: 12"
fallback: "Answer: 0"
"""


def test_a_run_searches_stores_its_trees_exports_and_goes_on(tmp_path: Path) -> None:
    (tmp_path / "script.yaml").write_text(SCRIPT)
    argv = [
        *("generate", "--runs-dir", str(tmp_path / "runs"), "--name", "run"),
        *("--problems.source", "file", "--problems.path", str(write_problems(tmp_path, 6))),
        *("--policy.engine", "scripted", "--policy.script", str(tmp_path / "script.yaml")),
        *("--protocol.kind", "tree-search", "--protocol.width", "2", "--protocol.scorer", "checkers"),
    ]
    told = run_cli([*argv, "--json"])
    assert told.returncode == 0, told.stderr
    summary = json.loads(told.stdout)
    assert (summary["accepted"], summary["accepted_with_error_removed"]) == (6, 6)
    assert summary["tokens"]["search_completion"] > 0
    run = tmp_path / "runs" / "run"
    rows = [json.loads(line) for line in (run / "exports" / "journey_sft.jsonl").read_text().splitlines()]
    assert all("2 + 2 = 5" in row["completion"][0]["content"] for row in rows)
    with Store(run / "journeys.db") as store:
        journey = next(store.journeys())
        tree = store.tree(journey.id)
        assert tree is not None
        assert [one.step for one in tree.nodes][:2] == ["I start inside the brackets: 2 + 2 = 5", "2 + 2 = 4"]
        assert journey.completion_tokens == cost_of(tree.nodes).completion_tokens
        # A run that was killed in the middle of a walk goes on with the tree that it had.
        draft = Draft(
            "p-0#9", journey.problem, attempt=9, protocol="tree-search", policy=journey.policy, turns=(), tree=tree
        )
        draft.add(journey.turns[0])
        store.begin(draft)
        store.add_tree(draft.id, tree)
        store.flush()
        again = store.draft(draft.id)
    assert again.tree == tree
    assert again.tokens == cost_of(tree.nodes).completion_tokens
    speaker = Written({})
    cast = Cast(policy=speaker, referee=Referee(), budgets=Budgets())

    async def finish() -> list[Any]:
        return [event async for event in TreeSearch(width=2, scorer="checkers").grow(again, cast)]

    *turns, whole = asyncio.run(finish())
    cast.referee.close()  # type: ignore[attr-defined]
    assert speaker.asked == [], "nothing is searched again"
    assert len(turns) == len(journey.turns) - 1
    assert whole.solved
