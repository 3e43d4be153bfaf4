"""Judges on labelled steps: three shapes read, figures by hand, each step judged as if it were said in a run."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pytest
from generation_material import run_cli, scripted
from hypothesis import given
from hypothesis import strategies as st

import run
from agents.roles import CriticView, Judgement
from engines.contract import Engine, EngineSettings
from engines.errors import EngineDead
from engines.open import open_engine
from evaluation.judging.command import judge, write_rows
from evaluation.judging.labelled import Solution, read_labelled
from evaluation.judging.scores import f1, mcc, precision, recall, scored
from evaluation.judging.settings import JudgingSettings
from evaluation.judging.verdicts import Judged, VerdictFile, judge_all, steps_to_judge, view_of
from journeys.record import Cost, Move, Verdict
from problems.referee import Referee
from settings import UserError

SUM = Solution("What is 2 + 3 + 4?", ("2 + 3 = 5", "5 + 4 = 8", "The answer is 8."), (1, -1, 0), ("", "5 + 4 is 9", ""))
GOOD = Solution("What is 1 + 1?", ("1 + 1 = 2", "The answer is 2."), (1, 1))
MISSED = Solution("What is 7 + 1 + 1?", ("7 + 1 = 8", "The answer is 8."), (1, -1))


def as_row(solution: Solution) -> dict[str, Any]:
    refused = ["the verifier refused this answer" if rating < 0 else "" for rating in solution.ratings]
    source = "evidence" if solution.whys else "outcome"
    return {
        "question": solution.question,
        "steps": solution.steps,
        "ratings": solution.ratings,
        "whys": solution.whys or refused,
        "sources": [source] * len(solution.steps),
    }


def write(file: Path, rows: Sequence[Any]) -> str:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(file)


# What is read


def test_mr_gsm8k_is_right_before_its_first_error_and_unknown_behind_it(tmp_path: Path) -> None:
    steps = ["Step 1: 2 + 3 = 5", "Step 2: 5 + 4 = 8", "Step 3: So 8."]
    rows = [
        {"problem": "q", "steps": steps, "solution_correct": False, "first_error_step": 2, "question_type": "original"},
        {
            "question": "q",
            "model_output_steps": steps,
            "model_output_solution_correctness": "correct",
            "model_output_solution_first_error_step": "N/A",
        },
    ]
    wrong, right = read_labelled([write(tmp_path / "mr.jsonl", rows)])
    assert wrong.steps == ("2 + 3 = 5", "5 + 4 = 8", "So 8.")
    assert (wrong.ratings, wrong.first_error, wrong.family) == ((1, -1, 0), 1, "original")
    assert (right.ratings, right.first_error) == ((1, 1, 1), -1)


def test_prm800k_is_its_chosen_way_and_each_other_completion(tmp_path: Path) -> None:
    def said(text: str, rating: int | None) -> dict[str, Any]:
        return {"text": text, "rating": rating, "flagged": False}

    row = {
        "question": {"problem": "q"},
        "label": {
            "steps": [
                {"completions": [said("a", 1)], "human_completion": None, "chosen_completion": 0},
                {
                    "completions": [said("b", -1), said("c", 0)],
                    "human_completion": {"text": "d", "rating": None},
                    "chosen_completion": None,
                },
                {"completions": [said("e", -1), said("f", 1)], "human_completion": None, "chosen_completion": 0},
            ]
        },
    }
    way, *others = read_labelled([write(tmp_path / "prm.jsonl", [row])])
    assert (way.steps, way.ratings, way.first_error) == (("a", "d", "e"), (1, 1, -1), 2)
    assert [(one.steps, one.ratings) for one in others] == [(("a", "b"), (0, -1)), (("a", "d", "f"), (0, 0, 1))]
    assert others[0].first_error is None, "what stands before it was rated elsewhere"


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([], "no step in it is labelled"),
        ([{"question": "q", "steps": ["a"], "ratings": [0]}], "no step in it is labelled"),
        ([{"question": "q", "answer": "a"}], "row 1: no labelled steps (columns answer, question)"),
        ([{"question": "q", "steps": ["a"], "ratings": [1, 1]}], "row 1: cannot be read (ValueError: 1 steps and 2"),
        ([{"problem": "q", "steps": ["a"], "solution_correct": False, "first_error_step": 3}], "first error at step 3"),
        ([[1]], "line 1: expected an object, found list"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, rows: list[Any], said: str) -> None:
    with pytest.raises(UserError, match=r"bad\.jsonl") as caught:
        read_labelled([write(tmp_path / "bad.jsonl", rows)])
    assert said in str(caught.value)


def test_a_step_that_two_ways_share_is_judged_once() -> None:
    twin = Solution(SUM.question, (SUM.steps[0], "5 + 4 = 9"), (1, 1))
    assert [(one.question, place) for one, place, _ in steps_to_judge([SUM, twin, SUM])] == [
        (SUM.question, 0),
        (SUM.question, 1),
        (SUM.question, 1),
    ]
    assert SUM.key(1) != twin.key(1)


# What is made of it


def verdicts(solutions: Sequence[Solution], flagged: set[str]) -> dict[str, Judged]:
    found = {}
    for solution, place, key in steps_to_judge(solutions):
        move = Move.BACKTRACK if solution.steps[place] in flagged else Move.CONTINUE
        found[key] = Judged(
            judge="j", key=key, move=move, verdict=Verdict(move=move), parse="ok", prompt_tokens=10,
            completion_tokens=2, seconds=0.5,
        )  # fmt: skip
    return found


def test_figures_are_those_of_the_counts() -> None:
    solutions = [SUM, GOOD, MISSED]
    settings = JudgingSettings(resamples=200)
    found = scored(
        solutions,
        {"j": verdicts(solutions, {"5 + 4 = 8", "1 + 1 = 2"}), "k": verdicts(solutions, {"5 + 4 = 8"})},
        settings,
    )
    assert (found["steps"], found["wrong"], found["questions"]) == (6, 2, 3)
    first, second = found["judges"]
    assert first["confusion"] == {"tp": 1, "fp": 1, "fn": 1, "tn": 3}
    assert [first[name]["value"] for name in ("precision", "recall", "f1")] == [0.5, 0.5, 0.5]
    assert first["mcc"]["value"] == pytest.approx(0.25)
    assert second["precision"]["value"] == 1
    assert first["first_error"]["value"] == 0.5, "of SUM found, of MISSED not"
    assert first["right_passed"]["value"] == 0
    assert second["right_passed"]["value"] == 1
    assert (first["completion_tokens"], first["seconds"]) == (2, 0.5)
    assert found["comparisons"][0]["f1"]["value"] == pytest.approx(2 / 3 - 0.5)
    for one in found["judges"]:
        for name in ("precision", "recall", "f1", "mcc"):
            assert one[name]["low"] <= one[name]["value"] <= one[name]["high"]


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60))
def test_mcc_is_the_correlation_of_labels_and_flags(pairs: list[tuple[bool, bool]]) -> None:
    wrong, flagged = (np.array(side, dtype=float) for side in zip(*pairs, strict=True))
    counts = np.array(
        [(wrong * flagged).sum(), ((1 - wrong) * flagged).sum(), (wrong * (1 - flagged)).sum(),
         ((1 - wrong) * (1 - flagged)).sum()]
    )  # fmt: skip
    if wrong.std() and flagged.std():
        assert float(mcc(counts)) == pytest.approx(float(np.corrcoef(wrong, flagged)[0, 1]))
    else:
        assert float(mcc(counts)) == 0
    p, r = float(precision(counts)), float(recall(counts))
    assert float(f1(counts)) == pytest.approx(2 * p * r / (p + r) if p + r else 0)


# How a judge is asked


async def test_a_step_is_shown_with_its_own_path_and_evidence_and_without_its_label() -> None:
    view = await view_of(SUM, 1, Referee())
    assert [turn.step for turn in view.path] == ["2 + 3 = 5"]
    assert [found.kind for found in view.evidence] == ["false_equation"]
    assert (await view_of(SUM, 2, Referee())).answer == "8"
    assert "5 + 4 is 9" not in view.model_dump_json()


async def test_rows_for_a_critic_ask_as_its_persona_does(tmp_path: Path) -> None:
    data = write(tmp_path / "steps.jsonl", [as_row(one) for one in (SUM, GOOD, MISSED)])
    settings = JudgingSettings.model_validate({"data": data, "judges": "strict"})
    assert await write_rows(settings, tmp_path / "rows.jsonl") == 6
    rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    asked = [row["prompt"][-1]["content"] for row in rows]
    assert [row["prompt"][0]["role"] for row in rows] == ["system"] * 6
    # Steps of other solutions must not stand in a prompt: a critic remembers the path of one journey.
    assert "1. 1 + 1 = 2\n2. The answer is 2." in asked[3]
    assert "7 + 1 = 8" not in asked[3]
    assert "This much is certain: 5 + 4 is not 8." in asked[1]
    forms = [json.loads(row["completion"][0]["content"]) for row in rows]
    assert [form["move"] for form in forms] == [
        *("continue", "backtrack"),
        *("continue", "terminate"),
        *("continue", "backtrack"),
    ]
    assert forms[1] == {"critique": "5 + 4 is 9", "quote": "5 + 4 = 8", "move": "backtrack", "keep": 1}
    assert forms[5]["critique"] == "This does not follow from what stands before it.", "who refused it is no reason"


async def test_rows_are_asked_of_a_persona_that_asks(tmp_path: Path) -> None:
    data = write(tmp_path / "steps.jsonl", [as_row(SUM)])
    with pytest.raises(UserError, match="of kind 'evidence' and asks no model"):
        await write_rows(JudgingSettings.model_validate({"data": data, "judges": "evidence"}), tmp_path / "rows.jsonl")


SCRIPT = """
replies:
  "strict/*/1/*": {move: backtrack, critique: "No.", quote: "", keep: 1}
  "lenient/*/0/*": "no JSON"
fallback: '{"move": "continue", "critique": "", "quote": "", "keep": 0}'
"""


def scripted_judges(folder: Path, **more: Any) -> JudgingSettings:
    (folder / "script.yaml").write_text(SCRIPT)
    return JudgingSettings.model_validate(
        {
            "name": "j",
            "outputs_dir": str(folder),
            "data": write(folder / "steps.jsonl", [as_row(one) for one in (SUM, GOOD, MISSED)]),
            "judges": ["evidence", "strict", "lenient"],
            "engine": {"engine": "scripted", "script": str(folder / "script.yaml")},
            "resamples": 100,
        }
        | more
    )


async def test_judges_are_asked_and_compared_and_a_second_run_asks_only_for_what_is_missing(tmp_path: Path) -> None:
    outcome = await judge(scripted_judges(tmp_path))
    assert outcome.result is not None
    evidence, strict, lenient = outcome.result["judges"]
    assert evidence["confusion"] == {"tp": 1, "fp": 0, "fn": 1, "tn": 4}
    assert strict["confusion"] == {"tp": 2, "fp": 1, "fn": 0, "tn": 3}, "it takes back every second step"
    assert (lenient["confusion"]["tp"], lenient["unreadable"]) == (0, 0.5)
    assert strict["first_error"]["value"] == 1
    file = tmp_path / "j" / "verdicts.jsonl"
    lines = file.read_text().splitlines(keepends=True)
    assert len(lines) == 18
    file.write_text("".join(lines[:9]) + lines[9][:20])
    again = await judge(scripted_judges(tmp_path))
    assert again.result is not None
    for figures in (*again.result["judges"], *outcome.result["judges"]):
        del figures["seconds"]
    assert again.result == outcome.result
    assert file.read_text().splitlines(keepends=True)[:9] == lines[:9]
    assert len(file.read_text().splitlines()) == 18


async def test_verdicts_of_another_recipe_are_refused_and_another_judge_may_join(tmp_path: Path) -> None:
    await judge(scripted_judges(tmp_path, judges=["evidence", "strict"]))
    joined = await judge(scripted_judges(tmp_path))
    assert joined.result is not None
    assert len(joined.result["judges"]) == 3
    with pytest.raises(UserError, match="asked for by another recipe"):
        await judge(scripted_judges(tmp_path, judges=["evidence", {"persona": "strict", "sampling": {"top_p": 0.5}}]))
    with pytest.raises(UserError, match="limit"):
        await judge(scripted_judges(tmp_path, limit=2))


async def test_an_engine_that_gives_out_loses_no_verdict_and_gives_no_figures(tmp_path: Path) -> None:
    def open_faulty(settings: EngineSettings) -> Engine:
        engine = open_engine(settings)
        answer, asked = engine.create, [0]

        async def create(*args: Any, **options: Any) -> Any:
            asked[0] += 1
            if asked[0] > 2:
                raise EngineDead("the engine died")
            return await answer(*args, **options)

        engine.create = create  # type: ignore[method-assign]
        return engine

    outcome = await judge(scripted_judges(tmp_path, judges=["strict"]), open_engine=open_faulty)
    assert (outcome.result, outcome.lost, outcome.last_error) == (None, 4, "the engine died")
    assert len((tmp_path / "j" / "verdicts.jsonl").read_text().splitlines()) == 2
    assert (await judge(scripted_judges(tmp_path, judges=["strict"]))).result is not None


async def test_seconds_a_step_are_those_of_the_pass_though_many_wait_at_once(tmp_path: Path) -> None:
    class Slow:
        async def judge(self, _: CriticView) -> Judgement:
            await asyncio.sleep(0.05)
            return Judgement(verdict=Verdict(move=Move.CONTINUE), cost=Cost(seconds=0.05))

    class Silent:
        def verdict(self, judged: Judged) -> None: ...

    file = VerdictFile(tmp_path / "verdicts.jsonl")
    file.open()
    work = list(steps_to_judge([SUM, GOOD, MISSED]))
    began = perf_counter()
    async with Referee() as referee:
        await judge_all("slow", Slow, work, referee=referee, file=file, watcher=Silent(), at_once=6, seed=0)
    passed = perf_counter() - began
    told = [json.loads(row)["seconds"] for row in (tmp_path / "verdicts.jsonl").read_text().splitlines()]
    assert len(told) == 6
    assert 0.05 <= sum(told) <= passed, "six calls of 0.05 s that wait together, not one after the other"


# As a user


def test_a_runs_own_labels_are_judged_from_the_command_line(tmp_path: Path) -> None:
    assert run_cli(scripted(tmp_path, count=10)).returncode == 0
    told = run_cli(
        [
            *("judge", "--judge", "evidence", "--judge", "silent"),
            *("--data", str(tmp_path / "runs" / "run"), write(tmp_path / "more.jsonl", [as_row(GOOD)])),
            *("--outputs-dir", str(tmp_path), "--name", "j", "--resamples", "100"),
        ]
    )
    assert told.returncode == 0, told.stderr
    assert "first error found" in told.stdout
    assert "silent - evidence" in told.stdout
    figures = json.loads((tmp_path / "j" / "judging.json").read_text())["judges"][0]
    assert figures["precision"]["value"] == 1
    # Journey p-7 gave a wrong answer that no checker could see through.
    assert figures["confusion"]["fn"] >= 1
    assert (tmp_path / "j" / "table.md").read_text().startswith("## Judges")


def test_a_mistake_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for argv, said in (
        (["--judge", "evidence"], "data: nothing to judge"),
        (["--data", str(tmp_path)], "no exports/step_labels.jsonl in this folder"),
        (["--data", "x", "--judge", "nobody"], "no persona 'nobody'"),
        (["--data", "x", "--judge", "silent", "--judge", "silent"], "'silent' is there twice"),
    ):
        assert run.main(["judge", "--outputs-dir", str(tmp_path / "out"), *argv]) == 2
        told = capsys.readouterr().err
        assert said in told
        assert told.count("\n") == 1


@pytest.mark.slow
async def test_the_embedded_model_judges(tmp_path: Path) -> None:
    """What it says is worth little; that it is asked, read and counted is what is shown."""
    engine = {"engine": "transformers", "model": "embedded"}
    outcome = await judge(scripted_judges(tmp_path, judges=["strict"], engine=engine))
    assert outcome.result is not None
    judged = outcome.result["judges"][0]
    assert sum(judged["confusion"].values()) == 6
    assert judged["prompt_tokens"] > 100
    assert judged["completion_tokens"] > 5
