"""Number games: which questions are one, when a try misses, and when nothing may be said."""

import re
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import pytest

from journeys.record import Problem
from problems import gym
from problems.checkers import CHECKERS, Scene
from problems.number_games import NumberGame, number_game, outcome
from problems.sources import ProblemSettings, TaskSettings, load_problems
from problems.worked_games import tries

QUESTION = "Use all the numbers 8, 19, 9 to make 323."
COUNTDOWN = TaskSettings(
    name="countdown", config={"min_numbers": 3, "max_numbers": 4, "max_value": 20, "min_target": 10, "max_target": 99}
)


def drawn(task: TaskSettings, count: int = 60) -> list[Problem]:
    return load_problems(ProblemSettings(tasks=(task,)), count=count, seed=5)


def cut_in_two(line: str) -> bool:
    """`20 + 3 = 23, 209 - 23 = 186` may speak of 23,209: a line that is left alone."""
    return any(first != second for first, second in re.findall(r"(\d+), (\d{3})\b", line))


def found(step: str, path: Sequence[str] = (), *, question: str = QUESTION) -> dict[str, str]:
    """What every checker says, by kind."""
    scene = Scene(question=question, path=tuple(path), step=step, abandoned=())
    return {evidence.kind: evidence.detail for checker in CHECKERS.values() for evidence in checker(scene)}


@pytest.mark.parametrize("task", [COUNTDOWN, TaskSettings(name="puzzle24")])
def test_reasoning_gym_s_own_words_are_read(task: TaskSettings) -> None:
    for problem in drawn(task):
        metadata: Any = problem.metadata["entry"]["metadata"]  # type: ignore[index,call-overload]
        game = number_game(problem.question)
        assert game == NumberGame(tuple(metadata["numbers"]), metadata.get("target", 24)), problem.question


def test_the_usual_words_of_others_are_read_and_sums_are_no_game() -> None:
    asked = "Using the numbers [19, 36, 55, 7], create an equation that equals 65. Each number can only be used once."
    assert number_game(asked) == NumberGame((19, 36, 55, 7), 65)
    sums = number_game("Use all the numbers 8, 19, 9 with + and - to make 18.")
    assert sums == NumberGame((8, 19, 9), 18, "+-")
    assert not [one for one in tries(sums) if "*" in one.line]
    for other in (
        "Calculate 26 + 80 - 51.",
        "Make 10 using the numbers 2 and 3 as often as you like.",
        "Find the greatest common divisor of these numbers: 12, 18.",
        "How many ways are there to make 24 cents?",
        "Tom can make 24 cups using 3 molds a day. How many days?",
    ):
        assert number_game(other) is None, other


@pytest.mark.parametrize("index", range(12))
def test_every_try_is_judged_as_the_task_s_scorer_judges_it(index: int) -> None:
    problem = drawn(COUNTDOWN, 12)[index]
    game = number_game(problem.question)
    assert game is not None
    task, config, entry = (problem.metadata[key] for key in ("task", "config", "entry"))
    every = list(tries(game))
    hits = [one for one in every if one.value == game.target]
    for one in [*hits[:3], *every[:: max(1, len(every) // 25)]]:
        right = gym.score(task, config, entry, one.expression) == 1.0  # type: ignore[arg-type]
        assert right == (one.value == game.target)
        line = found(one.line, question=problem.question)
        answered = found(f"Answer: {one.expression}", [one.line], question=problem.question)
        assert {*answered} == (set() if right else {"missed_target"}), one
        if cut_in_two(one.line):
            assert not line, one
            continue
        assert {*line} == (set() if right else {"missed_target"}), one


@pytest.mark.parametrize(
    ("path", "step", "said"),
    [
        ((), "8 + 9 = 17, 17 + 19 = 36", {"missed_target": "36 is not 323."}),
        ((), "Wait. 36 is not 323. Let me try again: 19 - 9 = 10, 10 * 8 = 80", {"missed_target": "80 is not 323."}),
        (("8 + 9 = 17",), "19 - 17 = 2", {"missed_target": "2 is not 323."}),
        (("8 + 9 = 17",), "8 * 9 = 72, 72 + 19 = 91", {"missed_target": "91 is not 323."}),
        ((), "8 + 9 + 19 = 36", {"missed_target": "36 is not 323."}),
        ((), "Answer: (8 + 9) + 19", {"missed_target": "(8 + 9) + 19 is not 323."}),
        ((), "Answer: 8 + 9", {"missed_target": "That does not use each number once."}),
        ((), "8 + 9 = 17, 17 * 8 = 136", {"unavailable_number": "8 is used up."}),
        ((), "Once more: 7 + 9 = 16, 16 * 8 = 128", {"unavailable_number": "There is no 7."}),
        ((), "Hmm, that is not right. 7 + 9 = 16, 16 * 8 = 128", {"unavailable_number": "There is no 7."}),
        ((), "8 + 9 = 18, 18 + 19 = 37", {"false_equation": "8 + 9 is not 18."}),
    ],
)
def test_a_try_that_misses_is_named_without_a_number_that_was_not_written(
    path: Sequence[str], step: str, said: dict[str, str]
) -> None:
    assert found(step, path) == said
    written = f"{QUESTION} {' '.join(path)} {step}"
    assert all(word.strip(".()") in written for text in said.values() for word in text.split() if word[0].isdigit())


@pytest.mark.parametrize(
    ("path", "step"),
    [
        ((), "8 + 9 = 17"),
        (("8 + 9 = 17",), "17 * 19 = 323"),
        ((), "(8 + 9) * 19 = 323"),
        (("8 + 9 = 17, 17 * 19 = 323",), "So (8 + 9) * 19 = 323."),
        ((), "323 / 19 = 17"),
        ((), "I need 17 * 19 = 323, so I look for a 17."),
        ((), "The numbers add up to 36, which is too small."),
        ((), "Answer: 323"),
        ((), "Answer: none"),
        (("8 + 9 = 17, 17 * 19 = 323",), "Answer: (8 + 9) * 19"),
        (("8 + 9 = 17, 17 * 19 = 323",), "Answer: (8 + 9) * 19 = 323"),
    ],
)
def test_where_more_may_follow_or_a_line_works_back_nothing_is_said(path: Sequence[str], step: str) -> None:
    assert found(step, path) == {}


def test_tries_use_each_number_once_and_write_what_they_calculate() -> None:
    game = NumberGame((2, 3, 3, 7), 24)
    every = list(tries(game))
    assert len(every) == len({(one.line, one.expression) for one in every}) or len(set(game.numbers)) < 4
    for one in every[::17]:
        assert one.line.endswith(f"= {one.value}")
        end = outcome(game, (), one.line)
        assert end is not None
        assert end.value == Fraction(one.value) >= 1
    assert any(one.value == 24 for one in every)
    assert list(tries(NumberGame(tuple(range(1, 9)), 24))) == [], "too many to go through"
