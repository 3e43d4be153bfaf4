"""Worked solutions: how a person would do some of reasoning-gym's tasks on paper, one operation a line.

A solution is made from the question alone, as a solver would make it, and never from the reference answer; whether the
task's own scorer agrees is for the caller to ask (`basic_arithmetic` states wrong references for some questions). Each
line is a true equation that the checkers can read, and no two lines of one solution say the same.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from math import gcd

from journeys.record import Problem
from problems.checkers import normalised
from problems.number_games import number_game
from problems.worked_games import tries
from problems.worked_sums import Unworked, operation, product_lines, reduced, sum_lines

MAX_LINES = 12


@dataclass(frozen=True, slots=True)
class Worked:
    """The lines of a solution, and the answer that follows from them."""

    lines: tuple[str, ...]
    answer: str


def worked(problem: Problem) -> Worked | None:
    """The solution of a reasoning-gym problem; None where the task is unknown here or the problem asks for too much.

    Too much: a product or quotient beyond the tables, more than MAX_LINES lines, or a line that would repeat another.
    """
    solve = TASKS.get(problem.family)
    if problem.verifier != "reasoning_gym" or solve is None:
        return None
    try:
        solution = solve(problem.question)
    except Unworked:
        return None
    distinct = {normalised(line) for line in solution.lines}
    if not 1 <= len(solution.lines) <= MAX_LINES or len(distinct) < len(solution.lines):
        return None
    return solution


def _expression(question: str) -> Worked:
    """chain_sum, basic_arithmetic, products: brackets, then products, then sums, from left to right."""
    written = re.search(r"(?:Calculate|problem:|multiplication:)\s*([-+*() \d]+)", question)
    if written is None:
        raise Unworked(question)
    lines, value = reduced(written[1])
    return Worked(tuple(lines), str(value))


def _legs(question: str) -> Worked:
    """leg_counting: the legs of each kind of animal, then their sum."""
    _, _, listed = question.partition("if you have ")
    kinds = re.findall(r"(\d+) ([a-z ]+?)(?=[,?])", listed)
    lines, counts = [], []
    for count, animals in kinds:
        made = product_lines(int(count), _legs_of(animals))
        lines += [f"{count} {animals}: {made[0]}", *made[1:]]
        counts.append(int(count) * _legs_of(animals))
    return Worked((*lines, *_running_total(counts)), str(sum(counts)))


@cache
def _leg_table() -> dict[str, int]:
    from reasoning_gym.arithmetic.leg_counting import ANIMALS  # type: ignore[import-untyped]

    return {name: legs for animal, legs in ANIMALS.items() for name in (animal, f"{animal}s", f"{animal[:-1]}ies")}


def _legs_of(animals: str) -> int:
    if animals not in _leg_table():
        raise Unworked(animals)
    return _leg_table()[animals]


def _running_total(numbers: Sequence[int]) -> Iterator[str]:
    total = numbers[0]
    for number in numbers[1:]:
        yield from sum_lines(total, "+", number)
        total += number


def _equation(question: str) -> Worked:
    """simple_equations: undo the sum, then the product."""
    side, _, result = question.rpartition(": ")[2].rpartition(" = ")
    found = _LINEAR.fullmatch(side)
    if found is None or (found["first"] and found["second"]):
        raise Unworked(question)
    value, lines = int(result), list[str]()
    if found["second"]:
        undo = "-" if found["then"] == "+" else "+"
        lines += sum_lines(value, undo, int(found["second"]))
        value += int(found["second"]) * (1 if undo == "+" else -1)
    elif found["first"]:
        first = int(found["first"])
        left, right = (value, first) if found["sign"] == "+" else (first, value)
        lines += sum_lines(left, "-", right)
        value = left - right
    if found["factor"]:
        lines.append(operation(value, "/", int(found["factor"])))
        value //= int(found["factor"])
    return Worked(tuple(lines), str(value))


_LINEAR = re.compile(
    r"(?:(?P<first>\d+) (?P<sign>[-+]) )?(?:(?P<factor>\d+)\*)?[a-z](?: (?P<then>[-+]) (?P<second>\d+))?"
)
"""`84*t + 4370`, `5 - 2*e`, `h + 10`, `22*k`."""


def _gcd(question: str) -> Worked:
    """gcd: take the smaller from the larger until both are the same (Euclid)."""
    numbers = _numbers_after(question, "numbers:")
    if len(numbers) != 2 or 0 in numbers:
        raise Unworked(question)
    low, high = sorted(numbers)
    lines = []
    while low != high:
        lines.append(operation(high, "-", low))
        low, high = sorted((high - low, low))
        if low == 1 or len(lines) > MAX_LINES:
            break
    return Worked(tuple(lines) or (f"{high} - {low} = 0",), str(low))


def _prime_factors(question: str) -> Worked:
    """prime_factorization: divide by the smallest prime that goes into it until a prime is left."""
    number = _numbers_after(question, "factorization of")[0]
    lines, factors = [], []
    while (prime := _smallest_prime(number)) < number:
        lines.append(operation(number, "/", prime))
        factors.append(prime)
        number //= prime
    return Worked(tuple(lines) or (f"{number} is a prime.",), " × ".join(map(str, [*factors, number])))


def _fraction(question: str) -> Worked:
    """fraction_simplification: divide top and bottom by a prime they share, until they share none."""
    found = re.search(r"(\d+)(?:/|\}\{)(\d+)", question)
    if found is None or found[2] == "0":
        raise Unworked(question)
    top, bottom = int(found[1]), int(found[2])
    lines = []
    while (shared := gcd(top, bottom)) > 1:
        prime = _smallest_prime(shared)
        lines += [operation(top, "/", prime), operation(bottom, "/", prime)]
        top, bottom = top // prime, bottom // prime
    return Worked(tuple(lines), f"{top}/{bottom}")


def _countdown(question: str) -> Worked:
    """countdown: the first try, in a fixed order, that comes to the target."""
    game = number_game(question)
    found = next((one for one in tries(game) if one.value == game.target), None) if game else None
    if found is None:
        raise Unworked(question)
    return Worked((found.line,), found.expression)


def _smallest_prime(number: int) -> int:
    return next((divisor for divisor in range(2, int(number**0.5) + 1) if number % divisor == 0), number)


def _numbers_after(question: str, words: str) -> list[int]:
    """The numbers of the sentence that follows `words`."""
    found = re.search(rf"{re.escape(words)} ([\d, ]*\d)", question)
    if found is None:
        raise Unworked(question)
    return [int(number) for number in re.findall(r"\d+", found[1])]


TASKS: dict[str, Callable[[str], Worked]] = {
    "basic_arithmetic": _expression,
    "chain_sum": _expression,
    "countdown": _countdown,
    "fraction_simplification": _fraction,
    "gcd": _gcd,
    "leg_counting": _legs,
    "prime_factorization": _prime_factors,
    "products": _expression,
    "simple_equations": _equation,
}
"""By the name that reasoning-gym gives the task; each takes the question."""
