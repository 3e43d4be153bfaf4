"""Tree search and best of n by hand: what is pruned, what is told, what a real run makes of it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from generation_material import run_cli, write_problems
from search_material import TRIES, Written, events, search

from agents.persona import load_policy
from agents.policy_prompt import PolicyPrompt
from agents.roles import PolicyView, Proposal
from journeys.draft import Budgets, Draft
from journeys.record import Cost
from journeys.store import Store
from journeys.tree import cost_of
from protocols.best_of_n import BestOfN
from protocols.mcts import MCTS
from protocols.tree_search import TreeSearch


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
    searching = TreeSearch(width=2, scorer="checkers")
    *turns, whole = events(searching, again, policy=speaker, budgets=Budgets())
    assert speaker.asked == [], "nothing is searched again"
    assert len(turns) == len(journey.turns) - 1
    assert whole.solved
