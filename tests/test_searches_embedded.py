"""The shipped searching recipes on the embedded model, as a user runs them: searched, verified, told, exported."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

import run
from journeys.record import Journey
from journeys.store import Store
from journeys.tree import Tree, cost_of
from problems.referee import Referee

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

PROBLEMS = 2
RECIPES = {"rejection": ("--protocol.n", "3"), "tree-search": (), "mcts": ("--protocol.rollouts", "8")}
"""Two of them smaller than they are shipped, so that all three are done in a minute."""


@pytest.fixture(scope="module", params=list(RECIPES))
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of the recipe."""
    runs = tmp_path_factory.mktemp("searches")
    argv = ["generate", "--config", f"configs/{request.param}.yaml", "--runs-dir", str(runs)]
    assert run.main([*argv, "--num-problems", str(PROBLEMS), *RECIPES[request.param]]) == 0
    return runs / str(request.param)


def told(folder: Path) -> list[tuple[Journey, Tree]]:
    with Store(folder / "journeys.db", read_only=True) as store:
        found = [(journey, store.tree(journey.id)) for journey in store.journeys()]
    return [(journey, tree) for journey, tree in found if tree is not None]


def rows(folder: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "exports" / f"{name}.jsonl").read_text().splitlines()]


def test_a_searching_recipe_searches_verifies_tells_and_exports(folder: Path) -> None:
    searched = told(folder)
    assert len(searched) == PROBLEMS, "every journey ended, and its tree is in the store"
    referee = Referee()
    try:
        for journey, tree in searched:
            assert journey.completion_tokens == cost_of(tree.nodes).completion_tokens > 0
            assert {turn.step for turn in journey.turns} <= {node.step for node in tree.nodes}
            word = asyncio.run(referee.verify(journey.problem, journey.answer)) if journey.answer else None
            assert journey.solved == (word is not None and word.status == "right")
            right = [node for node in tree.nodes if node.right]
            assert any(not node.refuted for node in right) <= journey.solved <= bool(right), "what was found is told"
            if journey.protocol == "mcts":
                assert tree.rollouts >= 8
                assert sum(node.visits for node in tree.children[None]) == tree.rollouts
                assert (tree.difficulty == "hard") == (not journey.solved)
    finally:
        referee.close()
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["solved"] == sum(journey.solved for journey, _ in searched) > 0, "too hard a problem was drawn"
    accepted = [row["journey_id"] for row in rows(folder, "journey_sft")]
    assert len(accepted) == summary["accepted"] > 0
    assert accepted == [row["journey_id"] for row in rows(folder, "shortcut_sft")]
    answers = {journey.id: journey.answer for journey, _ in searched}
    for row in rows(folder, "journey_sft"):
        assert row["completion"][0]["content"].rstrip().endswith(f"Answer: {answers[row['journey_id']]}")
