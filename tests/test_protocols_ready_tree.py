"""PRM800K as a ready tree: what a file becomes, what its ratings mean, and a whole run without a model."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from search_material import events

import run
from agents.roles import CriticView, Judgement, PolicyView, Proposal
from engines.contract import Engine, EngineSettings
from evaluation.judging.labelled import read_labelled
from generation.command import generate
from generation.settings import GenerateSettings
from journeys.draft import Budgets, Draft
from journeys.record import Cost, Journey, Move, Problem, Verdict, Voice
from journeys.store import Store
from journeys.tree import Tree
from problems.prm800k import Place, Try, labelled_ways, places
from problems.sources import ProblemSettings, load_problems
from protocols.ready_tree import RATED_WRONG, ReadyTree, rated_steps
from settings import UserError

PEARS = "Ida has 4 baskets with 3 pears each and eats 2 pears. How many pears are left?"


def step(*tries: tuple[str, int | None], chosen: int | None = 0, human: str | None = None) -> dict[str, Any]:
    return {
        "completions": [{"text": text, "rating": rating, "flagged": False} for text, rating in tries],
        "human_completion": None if human is None else {"text": human, "rating": None, "source": "human"},
        "chosen_completion": chosen,
    }


def line(question: str, answer: str | None, *steps: dict[str, Any], finish: str = "solution") -> dict[str, Any]:
    asked = {"problem": question, "ground_truth_answer": answer, "pre_generated_steps": None}
    return {"labeler": "x", "question": asked, "label": {"steps": list(steps), "finish_reason": finish}}


FIRST = line(
    PEARS,
    "10",
    step(("I add baskets and pears.", -1), ("They hold 4 * 3 = 13 pears.", -1), chosen=None, human="4 * 3 = 12"),
    step(("12 + 2 = 14, since she eats them too.", -1), ("12 - 2 = 10", 1), ("12 - 2 = 10 pears.", 0), chosen=1),
    step(("So 10 are left.\n\n# Answer\n\n10", 1)),
)  # fmt: skip
SECOND = line(
    PEARS,
    "10",
    step(("4 * 3 = 12", 1), ("3 * 4 = 12", 1), chosen=1),
    step(("12 - 2 = 10", 1)),
    step(("Left are 10.\n\n# Answer\n\n10", 1)),
)
ERRING = line("What is 5 + 6 + 7?", "18", step(("5 + 6 = 11", 1)), step(("11 + 6 = 17", -1)), finish="found_error")
BAD = line("What?", "1", step(("Hm.", 0)), finish="bad_problem")


def written(folder: Path, *lines: dict[str, Any]) -> Path:
    path = folder / "prm.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in lines))
    return path


def problems(folder: Path, *lines: dict[str, Any]) -> list[Problem]:
    settings = ProblemSettings(source="prm800k", path=str(written(folder, *lines)))
    return load_problems(settings, count=None, seed=0)


class Objector:
    """A critic that says of every step what it was told to say."""

    def __init__(self, verdict: Verdict) -> None:
        self.verdict = verdict
        self.judged: list[CriticView] = []

    async def judge(self, view: CriticView) -> Judgement:
        self.judged.append(view)
        return Judgement(verdict=self.verdict, cost=Cost(completion_tokens=7, calls=1))

    async def propose(self, view: PolicyView) -> Proposal:
        raise AssertionError("nobody is asked to write")


def grown(problem: Problem, protocol: ReadyTree, critic: Objector | None = None) -> tuple[Tree, Journey]:
    draft = Draft("p#0", problem, protocol=protocol.kind, policy=Voice(persona="none", model="prm800k"))
    silent = Objector(Verdict(move=Move.CONTINUE))
    tree, *_, journey = events(protocol, draft, policy=silent, critic=critic, budgets=Budgets())
    return tree, journey


# The file


def test_lines_of_a_question_are_one_problem_wherever_they_stand(tmp_path: Path) -> None:
    first, second = problems(tmp_path, FIRST, ERRING, BAD, SECOND)
    assert (first.question, first.answer, first.id, first.family) == (PEARS, "10", "prm-0", "prm800k")
    assert [len(ways) for ways in (labelled_ways(first), labelled_ways(second))] == [2, 1]


def test_a_step_that_a_labeller_wrote_is_right_and_is_gone_on_with() -> None:
    place, *_ = places(FIRST["label"])
    assert place.chosen == 2
    assert [(one.text, one.rating) for one in place.tries][1:] == [
        ("They hold 4 * 3 = 13 pears.", -1),
        ("4 * 3 = 12", 1),
    ]


def test_the_heading_over_an_answer_becomes_the_label_that_policies_write() -> None:
    *_, last = places(FIRST["label"])
    assert last.tries == (Try(text="So 10 are left.\nAnswer: 10", rating=1),)


def way(*texts: tuple[str, int], beside: Sequence[tuple[str, int]] = ()) -> list[Place]:
    """A labelled solution; `beside` was tried in its first place too."""
    made = [Place(tries=(Try(text=text, rating=rating),), chosen=0) for text, rating in texts]
    others = tuple(Try(text=text, rating=rating) for text, rating in beside)
    return [made[0].model_copy(update={"tries": (*made[0].tries, *others)}), *made[1:]]


def test_solutions_share_what_they_begin_with_and_labellers_who_disagree_say_nothing() -> None:
    steps = rated_steps(
        [way(("a", 1), ("b", -1)), way(("c", 1), ("b", 1), beside=[("a", -1)]), way(("a", 1), ("b", 0))]
    )
    assert [(one.text, one.parent, one.rating, one.chosen) for one in steps] == [
        ("a", None, 0, True),  # right, wrong and right again
        ("b", 0, -1, True),  # wrong and neutral
        ("c", None, 1, True),
        ("b", 2, 1, True),
    ]


@pytest.mark.parametrize(
    ("row", "named"),
    [
        ({"question": "x", "answer": "1"}, ["line 1", "PRM800K", "label"]),
        (line(PEARS, "10", step(("a", 1), chosen=3)), ["line 1", "step 3 of 1 is chosen"]),
        (line(PEARS, "10", step(("a", 5))), ["line 1", "rating"]),
        (line(PEARS, None, step(("a", 1))), ["line 1", "the answer is missing", "problems.invalid: drop"]),
        (BAD, ["there is no problem in it"]),
    ],
)
def test_a_file_of_another_shape_is_one_line(tmp_path: Path, row: dict[str, Any], named: list[str]) -> None:
    with pytest.raises(UserError) as refused:
        problems(tmp_path, row)
    assert "\n" not in str(refused.value)
    for part in named:
        assert part in str(refused.value)


# The tree and the walk


def test_ratings_are_scores_and_a_wrong_step_is_doubted_with_what_is_known_of_it(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, FIRST)
    tree, journey = grown(problem, ReadyTree(trials=3))
    assert [(node.parent, node.score, node.refuted, node.kept, node.reason) for node in tree.nodes] == [
        (None, 0.0, True, False, RATED_WRONG),
        (None, 0.0, True, False, "4 * 3 is not 13."),  # a checker knows why
        (None, 1.0, False, True, ""),
        (2, 0.0, True, False, RATED_WRONG),
        (2, 1.0, False, True, ""),
        (2, 0.5, False, False, ""),
        (4, 1.0, False, True, ""),
    ]
    assert journey.solved
    assert [turn.step for turn in journey.path] == ["4 * 3 = 12", "12 - 2 = 10", "So 10 are left.\nAnswer: 10"]
    assert sorted(turn.verdict.critique for turn in journey.turns if turn.removes) == sorted(
        ["4 * 3 is not 13.", RATED_WRONG, RATED_WRONG]
    )
    assert journey.completion_tokens == 0


@pytest.mark.parametrize(
    ("verdict", "reason"),
    [
        (Verdict(move=Move.BACKTRACK, critique="Baskets are not pears."), "Baskets are not pears."),
        (Verdict(move=Move.REFLECT, critique="Are baskets pears?"), "Are baskets pears?"),
        (Verdict(move=Move.CONTINUE, critique="Fine."), RATED_WRONG),
        (Verdict(move=Move.BACKTRACK, critique="It must be 4 * 3 = 15."), RATED_WRONG),
    ],
)
def test_a_critic_may_say_why_where_no_checker_can(tmp_path: Path, verdict: Verdict, reason: str) -> None:
    (problem,) = problems(tmp_path, FIRST)
    critic = Objector(verdict)
    tree, _ = grown(problem, ReadyTree(reasons="critic"), critic)
    assert [node.reason for node in tree.nodes if node.refuted] == [reason, "4 * 3 is not 13.", reason]
    assert len(critic.judged) == 2, "right steps and those that a checker explains are not asked about"
    assert critic.judged[1].path[0].step == "4 * 3 = 12"
    assert all("10" not in view.question for view in critic.judged)
    assert sum(node.cost.completion_tokens for node in tree.nodes) == 14


def test_a_solution_that_ends_in_an_error_is_not_solved(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, ERRING)
    _, journey = grown(problem, ReadyTree())
    assert not journey.solved
    assert journey.answer is None


# A run


def no_engine(settings: EngineSettings) -> Engine:
    raise AssertionError(f"an engine was opened: {settings.model}")


def test_a_run_needs_no_model_and_exports_journeys_and_every_shortcut(tmp_path: Path) -> None:
    path = written(tmp_path, FIRST, ERRING, SECOND)
    settings = GenerateSettings.model_validate({
        "runs_dir": str(tmp_path / "runs"),
        "protocol": "ready-tree",
        "problems": {"source": "prm800k", "path": str(path)},
        "export": {"shortcuts": "all"},
    })  # fmt: skip
    outcome = asyncio.run(generate(settings, open_engine=no_engine))
    assert (outcome.summary["accepted"], outcome.summary["journeys"]) == (1, 2)
    exports = tmp_path / "runs" / "run" / "exports"
    (told,) = [json.loads(row) for row in (exports / "journey_sft.jsonl").read_text().splitlines()]
    assert told["num_backtracks"] == 2
    assert told["completion"][0]["content"].endswith("Answer: 10")
    shortcuts = [json.loads(row) for row in (exports / "shortcut_sft.jsonl").read_text().splitlines()]
    assert len(shortcuts) == 2, "the told way, and the other labeller's"
    assert "3 * 4 = 12" in shortcuts[1]["completion"][0]["content"]
    with Store(tmp_path / "runs" / "run" / "journeys.db", read_only=True) as store:
        voices = {(journey.policy.persona, journey.policy.model) for journey in store.journeys()}
    assert voices == {("none", "prm800k")}
    again = asyncio.run(generate(settings, open_engine=no_engine))
    assert again.summary == outcome.summary, "the same command changes nothing"


def test_step_labels_are_what_people_said_of_every_step_walked_or_not(tmp_path: Path) -> None:
    settings = GenerateSettings.model_validate({
        "runs_dir": str(tmp_path / "runs"),
        "protocol": "ready-tree",
        "problems": {"source": "prm800k", "path": str(written(tmp_path, FIRST, ERRING, SECOND))},
    })  # fmt: skip
    asyncio.run(generate(settings, open_engine=no_engine))
    folder = tmp_path / "runs" / "run"
    rows = [json.loads(row) for row in (folder / "exports" / "step_labels.jsonl").read_text().splitlines()]
    pears = [row for row in rows if row["question"] == PEARS]
    assert {source for row in rows for source in row["sources"]} == {"labeller"}
    assert [(row["steps"], row["ratings"]) for row in pears] == [
        (["I add baskets and pears."], [-1]),
        (["They hold 4 * 3 = 13 pears."], [-1]),
        (["4 * 3 = 12", "12 + 2 = 14, since she eats them too."], [1, -1]),
        (["4 * 3 = 12", "12 - 2 = 10", "So 10 are left.\nAnswer: 10"], [1, 1, 1]),
        (["3 * 4 = 12", "12 - 2 = 10", "Left are 10.\nAnswer: 10"], [1, 1, 1]),
    ], "of what was rated neutral nothing is known"
    assert [row["completions"] for row in pears][2:] == [
        ["4 * 3 = 12", "12 + 2 = 14, since she eats them too."],
        ["12 - 2 = 10", "So 10 are left.\nAnswer: 10"],
        ["3 * 4 = 12", "12 - 2 = 10", "Left are 10.\nAnswer: 10"],
    ], "a step is learnt once, and stands in the prompt of its other ways"
    assert pears[1]["whys"] == ["4 * 3 is not 13."], "a checker knows why"
    assert pears[0]["whys"] == [""], "people did not say"
    (erring,) = [row for row in rows if row["question"] != PEARS]
    assert (erring["ratings"], erring["outcome"]) == ([1, -1], "exhausted"), "nothing else would have known"
    solutions = {solution.steps: solution for solution in read_labelled([str(folder)])}
    assert solutions["5 + 6 = 11", "11 + 6 = 17"].ratings == (1, -1)
    assert solutions["They hold 4 * 3 = 13 pears.",].whys == ("4 * 3 is not 13.",)
    walked = [turn for row in pears for turn in row["turns"]]
    assert {0, 1, 2, 3} <= {turn for turn in walked if turn is not None}
    assert None in walked, "nobody walked into every try"


def test_a_ready_tree_needs_problems_that_bring_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path, FIRST)
    argv = ["generate", "--config", "configs/prm800k.yaml", "--runs-dir", str(tmp_path), "--problems.path", str(path)]
    assert run.main([*argv, "--problems.source", "file"]) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert "problems.source: prm800k" in said[0]
    assert run.main([*argv, "--dry-run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["estimate"]["calls"] == [0, 0]
