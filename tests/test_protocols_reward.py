"""Searches under a reward model: what it is asked, what its word does, and the whole loop from search to search."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from generation_material import journeys_of, summary_of, write_problems
from search_material import events
from training_material import one_thread, tiny_model  # noqa: F401  (an autouse fixture)

import run
from agents.roles import CriticView, PolicyView, Proposal
from engines.rewards.contract import Reading
from generation.settings import GenerateSettings
from journeys.costs import costs_of
from journeys.draft import Budgets, Draft
from journeys.record import Cost, Evidence, Journey, Problem, Voice
from journeys.tree import Tree
from problems.referee import Referee
from protocols.base import Cast, GrowsJourneys
from protocols.best_of_n import BestOfN
from protocols.scoring import by_reward
from protocols.tree_search import TreeSearch
from settings import UserError, load

PROBLEM = Problem(id="p", question="What is 2 + 3 + 4?", answer="9")


class Table:
    """A reward model that knows the last step's score by heart."""

    def __init__(self, values: dict[str, float]) -> None:
        self.values = values
        self.asked: list[tuple[str, ...]] = []

    async def score(self, question: str, steps: Sequence[str]) -> Reading:
        assert question == PROBLEM.question
        self.asked.append(tuple(steps))
        return Reading([self.values[step] for step in steps], Cost(prompt_tokens=7 * len(steps), calls=1))


class Said:
    """A policy with one list of lines for each try."""

    def __init__(self, *tries: Sequence[str]) -> None:
        self.tries = tries

    async def propose(self, view: PolicyView) -> Proposal:
        before = [turn.step for turn in view.path]
        number = int(view.journey_id.rpartition(".")[2])
        fitting = [lines for lines in self.tries if list(lines[: len(before)]) == before]
        way = fitting[number % len(fitting)] if not before else fitting[0]
        return Proposal(step=way[len(before)])


def grown(protocol: GrowsJourneys, policy: Said, reward: Table, **keys: Any) -> tuple[Tree, Journey]:
    draft = Draft("p#0", PROBLEM, protocol=protocol.kind, policy=Voice(persona="", model=""), reward="table")
    tree, *_, journey = events(protocol, draft, policy=policy, budgets=Budgets(max_turns=7), reward=reward, **keys)
    return tree, journey


LEFT, RIGHT = ("2 + 3 = 5", "5 + 4 = 9", "Answer: 9"), ("3 + 4 = 7", "7 + 4 = 11", "Answer: 11")
VALUES = dict(zip((*LEFT, *RIGHT), (0.7, 0.6, 0.9, 0.8, 0.3, 0.95), strict=True))


@pytest.mark.parametrize(("aggregate", "told"), [("last", "11"), ("min", "9"), ("mean", "9")])
def test_best_of_n_tells_the_solution_that_the_reward_model_thinks_best_of(aggregate: Any, told: str) -> None:
    protocol = BestOfN(n=2, select="score", scorer="reward", aggregate=aggregate)
    table = Table(VALUES)
    _, journey = grown(protocol, Said(RIGHT, LEFT), table)
    assert journey.path[-1].answer == told
    assert max(map(len, table.asked)) == 3, "each step is scored behind those before it"


def test_below_the_threshold_a_branch_ends_and_no_doubt_is_told_of_it() -> None:
    protocol = TreeSearch(width=2, depth=4, beam=4, scorer="reward")
    tree, journey = grown(protocol, Said(LEFT, RIGHT), Table(VALUES), refuted_below=0.35)
    refuted = [node for node in tree.nodes if node.refuted]
    assert [(node.step, node.reason, node.kept) for node in refuted] == [("7 + 4 = 11", "", False)]
    assert [turn.step for turn in journey.turns] == list(LEFT), "nobody said what is wrong with the other branch"
    free, _ = grown(protocol, Said(LEFT, RIGHT), Table(VALUES))
    assert not any(node.refuted for node in free.nodes), "without a threshold it only prefers"


def test_what_a_reward_model_read_is_told_of_it_and_is_no_generated_token() -> None:
    protocol = BestOfN(n=2, select="score", scorer="reward", aggregate="min")
    table = Table(VALUES)
    _, journey = grown(protocol, Said(RIGHT, LEFT), table)
    costs = costs_of(journey)
    assert costs["reward"].prompt_tokens == 7 * sum(map(len, table.asked)) == 7 * 12
    assert costs["reward"].calls == 6
    assert "critic" not in costs
    assert journey.completion_tokens == 0


def test_what_a_checker_refutes_is_not_asked_about() -> None:
    view = CriticView(
        journey_id="j",
        question=PROBLEM.question,
        path=(),
        turns=(),
        step="2 + 3 = 6",
        evidence=(Evidence(kind="false_equation", quote="2 + 3 = 6", detail="2 + 3 is 5."),),
        answer=None,
        seed=0,
    )
    table = Table({})
    cast = Cast(policy=Said(), referee=Referee(), budgets=Budgets(), reward=table)
    score = asyncio.run(by_reward(view, Proposal(step=view.step), cast))
    cast.referee.close()  # type: ignore[attr-defined]
    assert (score.value, score.refuted, score.reason) == (0.0, True, "2 + 3 is 5.")
    assert table.asked == []


def test_a_recipe_without_a_reward_model_is_refused_before_anything_loads(tmp_path: Path) -> None:
    recipe = {"protocol": {"kind": "mcts", "scorer": "reward"}}
    with pytest.raises(UserError, match=r"protocol\.scorer: reward needs reward\.model"):
        load(GenerateSettings, None, recipe)
    with_one = load(GenerateSettings, None, recipe | {"reward": {"model": "outputs/ppm", "max_batch": 8}})
    assert "max_batch" not in with_one.binding()["reward"]
    assert "reward" not in GenerateSettings().binding(), "older runs go on"


SEARCH = """
replies:
  "stepwise/*~root.0/*": "2 + 2 = 4"
  "stepwise/*~root.1/*": "2 * 3 = 6"
  "stepwise/*~0.?/*": "4 * 3 = 12"
  "stepwise/*~2.?/*": "Answer: 12"
  "stepwise/*~1.?/*": "6 + 2 = 8"
  "stepwise/*~4.?/*": "Answer: 8"
"""
SAMPLES = """
replies:
  "stepwise/*~root.0/*": "2 * 3 = 6"
  "stepwise/*~0.1/*": "6 + 2 = 8"
  "stepwise/*~1.2/*": "Answer: 8"
  "stepwise/*~root.4/*": "2 + 2 = 4"
  "stepwise/*~4.5/*": "4 * 3 = 12"
  "stepwise/*~5.6/*": "Answer: 12"
"""


def test_what_a_search_taught_chooses_among_samples(tmp_path: Path) -> None:
    """mcts, train ppm, best-of-n: only the policies are scripted."""
    problems = str(write_problems(tmp_path, 4))
    (tmp_path / "search.yaml").write_text(SEARCH)
    (tmp_path / "samples.yaml").write_text(SAMPLES)

    def generate(name: str, *more: str) -> Path:
        argv = ["generate", "--runs-dir", str(tmp_path), "--name", name, "--policy.engine", "scripted"]
        argv += ["--problems.source", "file", "--problems.path", problems, "--export.tree-pairs.distance", "1"]
        assert run.main([*argv, *more]) == 0
        return tmp_path / name

    mcts = ("--protocol.kind", "mcts", "--protocol.width", "2", "--protocol.rollouts", "6", "--protocol.parallel", "1")
    searched = generate("searched", "--policy.script", str(tmp_path / "search.yaml"), *mcts)
    rows = [json.loads(line) for line in (searched / "exports" / "ppm.jsonl").read_text().splitlines()]
    assert {(row["chosen"][0]["content"], row["kind"]) for row in rows} == {
        ("2 + 2 = 4", "step"),
        ("2 + 2 = 4\n4 * 3 = 12\nAnswer: 12", "solution"),
    }
    tiny = tiny_model(tmp_path / "tiny")
    argv = ["train", "ppm", "--data", str(searched), "--model", str(tiny), "--outputs-dir", str(tmp_path)]
    argv += ["--max-steps", "30", "--learning-rate", "1e-2", "--precision", "float32", "--held-out", "0"]
    assert run.main([*argv, "--name", "ppm", "--plot", "false"]) == 0

    best: tuple[str, ...] = ("--protocol.kind", "best-of-n", "--protocol.n", "2", "--protocol.select", "score")
    best += ("--protocol.scorer", "reward", "--protocol.aggregate", "last", "--budgets.max-turns", "4")
    best += ("--policy.script", str(tmp_path / "samples.yaml"))
    judged = generate("best", *best, "--reward.model", str(tmp_path / "ppm"), "--reward.dtype", "float32")
    told = journeys_of(judged)
    assert [journey.path[-1].answer for journey in told] == ["12"] * 4
    costs = [costs_of(journey) for journey in told]
    assert {journey.reward for journey in told} == {str(tmp_path / "ppm")}
    summary = summary_of(judged)
    read = summary["reward_model"]
    assert read["calls"] == 4 * 6, "four problems, two solutions of three steps"
    assert read["tokens_read"] == sum(cost["reward"].prompt_tokens for cost in costs) > 4 * 6 * 10
    assert summary["tokens"]["prompt"] == summary["tokens"]["policy_prompt"], "what it read is not among these"
    assert summary["tokens"]["critic_completion"] == 0
    blind = journeys_of(generate("blind", *best, "--protocol.scorer", "checkers"))
    assert [journey.path[-1].answer for journey in blind] == ["8"] * 4, "checkers see nothing wrong, so the first wins"
