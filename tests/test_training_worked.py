"""Cold-start rows: right where the loss falls, wrong only in the prompt, in the words in which it will be asked."""

import re
from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from journeys.formats import TAG_STYLES
from problems.equations import equations
from problems.number_games import missed, number_game, outcome
from problems.sources import TaskSettings
from problems.worked import Worked
from settings import UserError
from training.rows import SFTRow
from training.worked import WorkedSettings, behind_a_slip, worked_rows

TAGS = TAG_STYLES["think"]
DOUBTS = ("Wait, that was wrong. $left =", "Hmm. $critique I'll redo it:")
MIXED = (
    TaskSettings(name="chain_sum", config={"min_terms": 2, "max_terms": 4, "min_digits": 1, "max_digits": 2}),
    TaskSettings(name="leg_counting", config={"min_animals": 2, "max_animals": 3, "max_instances": 9}),
    TaskSettings(name="prime_factorization", config={"min_value": 4, "max_value": 900}),
)


def rows(**changes: Any) -> list[SFTRow]:
    settings = WorkedSettings(**({"count": 120, "seed": 3, "tasks": MIXED, "doubts": DOUBTS} | changes))
    return worked_rows(settings, tags=TAGS)


def begun(row: SFTRow) -> str:
    return row.prompt[-1].content if row.prompt[-1].role == "assistant" else ""


def test_the_same_settings_make_the_same_rows_and_another_seed_others() -> None:
    assert rows() == rows()
    assert len({row.prompt[0] for row in rows()} & {row.prompt[0] for row in rows(seed=4)}) < 20


def test_a_row_that_is_read_whole_is_a_thought_in_tags_with_its_answer() -> None:
    for row in rows():
        whole = begun(row) + row.completion
        assert re.fullmatch(rf"<think>\n(?:.+\n)+</think>\n\nAnswer: {re.escape(row.answer or '?')}", whole), whole


def test_loss_falls_on_true_lines_only_and_every_slip_is_false_and_doubted() -> None:
    slips = 0
    for row in rows(retries=1.0):
        assert all(equation.holds for equation in equations(begun(row).rpartition("\n")[2] + row.completion))
        said = begun(row).splitlines()[1:]
        wrong = [line for line in said[:-1] if any(not equation.holds for equation in equations(line))]
        doubts = [line for line in said if line.startswith(("Wait", "Hmm"))]
        assert len(wrong) == len(doubts)
        slips += len(wrong)
    assert slips > 100


def test_the_share_of_retries_is_the_one_asked_for() -> None:
    assert not any(begun(row) for row in rows(retries=0.0))
    some = [bool(begun(row)) for row in rows(retries=0.5)]
    assert 0.35 < sum(some) / len(some) < 0.65


def test_a_mended_line_goes_on_from_the_doubt_without_a_gap() -> None:
    solution = Worked(("3 spiders: 3 * 8 = 24", "24 + 4 = 28"), "28")
    told = {behind_a_slip(solution, Random(seed), doubts=DOUBTS) for seed in range(60)}
    texts = {said + rest for said, rest in (pair for pair in told if pair)}
    assert any(
        re.search(r"3 spiders: 3 \* 8 = (?!24)\d+\nWait, that was wrong\. 3 \* 8 = 24\n24 \+ 4 = 28$", t) for t in texts
    )
    assert any(re.search(r"\nHmm\. 24 \+ 4 is not \d+\. I'll redo it: 24 \+ 4 = 28$", t) for t in texts)


def test_a_solution_that_calculates_nothing_cannot_slip() -> None:
    assert behind_a_slip(Worked(("61 is a prime.",), "61"), Random(0), doubts=DOUBTS) is None


def test_a_number_game_learns_its_tries_and_reads_the_doubts_between_them() -> None:
    game = TaskSettings(
        name="countdown",
        question="Use all the numbers $numbers to make $target.",
        config={"min_numbers": 3, "max_numbers": 3, "max_value": 20, "min_target": 10, "max_target": 99},
    )
    doubts = ("Wait. $critique Let me try again:", "No. $critique Once more:")
    behind = 0
    for row in rows(tasks=(game,), retries=0.8, count=60, doubts=doubts):
        asked = number_game(row.prompt[0].content)
        assert asked is not None
        (_, *misses, hit), answer = row.completion.split(TAGS.close)[0].split("\n"), row.answer or ""
        assert all(missed(asked, (), line) for line in misses)
        end = outcome(asked, (), hit)
        assert end is not None
        assert end.value == asked.target
        assert missed(asked, (), f"Answer: {answer}") is None
        unlearnt = [row.completion[start:stop] for start, stop in row.gone]
        assert len(unlearnt) == len(misses)
        for before, doubt in zip(misses, unlearnt, strict=True):
            assert re.fullmatch(rf"(?:Wait|No)\. \d+ is not {asked.target}\. .+:", doubt), doubt
            assert doubt.split()[1] == before.split()[-1]
        behind += bool(misses)
    assert 35 < behind < 58


def test_a_task_without_worked_solutions_is_one_clear_line() -> None:
    with pytest.raises(
        UserError, match=r"^worked.tasks: no worked solutions for 'letter_counting'; there are some for "
    ):
        rows(tasks=[{"name": "letter_counting"}])


def test_a_doubt_with_a_slot_that_nothing_fills_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"the slots of a doubt are \$left and \$critique"):
        WorkedSettings(doubts=("Wait, $quote is wrong. $left =",))


@pytest.mark.parametrize("name", ["cold-start", "cold-start-countdown", "cold-start-products"])
def test_the_recipe_s_doubts_are_the_persona_s_words(name: str) -> None:
    configs = Path(__file__).parent.parent / "configs"
    recipe = yaml.safe_load((configs / f"{name}.yaml").read_text("utf-8"))
    persona = yaml.safe_load(
        (configs / "personas/policy" / f"{recipe.get('persona', 'tuned')}.yaml").read_text("utf-8")
    )
    assert set(recipe["worked"]["doubts"]) == {*persona.get("recompute", ()), *persona["backtrack"]}
