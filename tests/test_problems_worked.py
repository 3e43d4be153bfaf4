"""Worked solutions: made from the question alone, accepted by the task's own scorer, true line by line."""

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

import pytest

from journeys.record import Problem
from problems import gym
from problems.checkers import CHECKERS, Scene
from problems.equations import equations
from problems.sources import ProblemSettings, TaskSettings, load_problems
from problems.worked import MAX_LINES, TASKS, Worked, worked

CONFIGS: Mapping[str, Mapping[str, Any]] = {
    "basic_arithmetic": {
        "operators": ["+", "-", "*"],
        "min_terms": 2,
        "max_terms": 3,
        "min_digits": 1,
        "max_digits": 2,
    },
    "chain_sum": {"min_terms": 2, "max_terms": 4, "min_digits": 1, "max_digits": 2},
    "countdown": {"min_numbers": 3, "max_numbers": 4, "max_value": 20, "min_target": 10, "max_target": 99},
    "fraction_simplification": {"min_value": 1, "max_value": 12, "min_factor": 2, "max_factor": 12},
    "gcd": {"min_numbers": 2, "max_numbers": 2, "min_value": 4, "max_value": 60},
    "leg_counting": {"min_animals": 2, "max_animals": 4, "max_instances": 9},
    "prime_factorization": {"min_value": 4, "max_value": 900},
    "products": {"min_terms": 2, "max_terms": 2, "min_digits": 2, "max_digits": 2},
    "simple_equations": {"min_value": 1, "max_value": 20, "min_terms": 2, "max_terms": 2},
}


@cache
def problems(task: str) -> tuple[Problem, ...]:
    settings = ProblemSettings(tasks=(TaskSettings(name=task, config=dict(CONFIGS[task])),))
    return tuple(load_problems(settings, count=250, seed=11))


def asked(question: str, *, family: str) -> Worked | None:
    return worked(Problem(id="one", question=question, answer=None, family=family, verifier="reasoning_gym"))


def test_every_task_is_tried_here() -> None:
    assert set(CONFIGS) == set(TASKS)


@pytest.mark.parametrize("task", TASKS)
def test_most_problems_have_a_solution_and_the_scorer_of_the_task_accepts_it(task: str) -> None:
    accepted = solutions = 0
    for problem in problems(task):
        if (solution := worked(problem)) is None:
            continue
        solutions += 1
        entry: Any = problem.metadata["entry"]
        accepted += gym.score(task, CONFIGS[task], entry, solution.answer) == 1.0
    assert solutions >= 175
    assert accepted == solutions


@pytest.mark.parametrize("task", TASKS)
def test_every_line_calculates_truly_and_no_checker_objects_to_it(task: str) -> None:
    for problem in problems(task):
        lines = (worked(problem) or Worked((), "")).lines
        assert len(lines) <= MAX_LINES
        for place, line in enumerate(lines):
            scene = Scene(question=problem.question, path=lines[:place], step=line, abandoned=())
            assert not [found for check in CHECKERS.values() for found in check(scene)], (problem.question, lines)
            claims = [equation for equation in equations(line) if equation.operated]
            assert len(claims) == line.count(" = "), line
            assert claims or line.endswith("is a prime."), line


@pytest.mark.parametrize("task", TASKS)
def test_the_reference_answer_is_never_read(task: str) -> None:
    for problem in problems(task)[:40]:
        blind = problem.model_copy(update={"answer": None, "metadata": {}})
        assert worked(blind) == worked(problem)


@pytest.mark.parametrize(
    ("family", "question", "lines", "answer"),
    [
        ("chain_sum", "problem: 5 - 8 + 12 =", ["5 - 8 = -3", "-3 + 10 = 7", "7 + 2 = 9"], "9"),
        ("basic_arithmetic", "Calculate 2 + 3 * 4.", ["3 * 4 = 12", "2 + 10 = 12", "12 + 2 = 14"], "14"),
        ("basic_arithmetic", "Calculate ( 2 + 3 ) * 4.", ["2 + 3 = 5", "5 * 4 = 20"], "20"),
        (
            "products",
            "multiplication: 43 * 4. Give",
            ["40 * 4 = 160", "3 * 4 = 12", "160 + 10 = 170", "170 + 2 = 172"],
            "172",
        ),
        (
            "leg_counting",
            "if you have 3 spiders, 1 dog?",
            ["3 spiders: 3 * 8 = 24", "1 dog: 1 * 4 = 4", "24 + 4 = 28"],
            "28",
        ),
        ("simple_equations", "Solve for d: 5 - 5*d = -50", ["5 + 50 = 55", "55 / 5 = 11"], "11"),
        ("countdown", "Use all the numbers 8, 19, 9 to make 323.", ["9 + 8 = 17, 17 * 19 = 323"], "(9 + 8) * 19"),
        ("gcd", "numbers: 12, 18. Give", ["18 - 12 = 6", "12 - 6 = 6"], "6"),
        ("prime_factorization", "factorization of 63. Write", ["63 / 3 = 21", "21 / 3 = 7"], "3 × 3 × 7"),
        ("prime_factorization", "factorization of 61. Write", ["61 is a prime."], "61"),
        ("fraction_simplification", "the fraction 6/9 to", ["6 / 3 = 2", "9 / 3 = 3"], "2/3"),
    ],
)
def test_solutions_read_as_a_person_would_write_them(family: str, question: str, lines: list[str], answer: str) -> None:
    assert asked(question, family=family) == Worked(tuple(lines), answer)


@pytest.mark.parametrize(
    ("family", "question"),
    [
        ("letter_counting", 'How many times does the letter "s" appear in the text: "me see"?'),
        ("chain_sum", "problem: 7 - 0 - 0 + 0 ="),
        ("chain_sum", "problem: 99999 + 1 ="),
        ("products", "multiplication: 143 * 214. Give"),
        ("basic_arithmetic", "Calculate ( 2 + 3."),
        ("basic_arithmetic", "Calculate 2 ) + 3."),
        ("leg_counting", "how many legs are there in total if you have 3 unicorns, 2 dogs?"),
        ("simple_equations", "Solve for x: 3*x*x = 12"),
        ("prime_factorization", "Find the prime factorization of nothing."),
        ("countdown", "Use all the numbers 2, 3 to make 99."),
        ("countdown", "Use what you like to make 99."),
        ("fraction_simplification", "Simplify the fraction 4/0 to"),
    ],
)
def test_what_has_no_short_honest_solution_gets_none(family: str, question: str) -> None:
    assert asked(question, family=family) is None


def test_a_file_s_problem_gets_none_even_if_it_names_a_known_family() -> None:
    problem = problems("chain_sum")[0].model_copy(update={"verifier": "math"})
    assert worked(problem) is None


def test_answers_follow_from_the_last_line_where_the_task_is_a_calculation() -> None:
    for problem in problems("chain_sum"):
        if solution := worked(problem):
            assert re.fullmatch(rf".* = {re.escape(solution.answer)}", solution.lines[-1])
