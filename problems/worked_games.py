"""Tries at a number game, as a person writes them: the calculations one after another, until no number is left."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

from problems.number_games import NumberGame

MAX_NUMBERS = 5
"""Beyond it there are too many tries to go through."""


@dataclass(frozen=True, slots=True)
class Try:
    """All numbers used once."""

    line: str
    """`8 + 9 = 17, 17 * 19 = 323`."""
    expression: str
    """`(8 + 9) * 19`."""
    value: int


def tries(game: NumberGame) -> Iterator[Try]:
    """Every try with the game's signs and without results below 1, the larger numbers taken first."""
    if len(game.numbers) <= MAX_NUMBERS:
        yield from _tries([(number, str(number)) for number in sorted(game.numbers, reverse=True)], (), game.signs)


def _tries(terms: list[tuple[int, str]], said: tuple[str, ...], signs: str) -> Iterator[Try]:
    if len(terms) == 1:
        value, expression = terms[0]
        yield Try(", ".join(said), expression.removeprefix("(").removesuffix(")"), value)
        return
    for first, second in combinations(range(len(terms)), 2):
        rest = [term for place, term in enumerate(terms) if place not in (first, second)]
        for sign in signs:
            if joined := _joined(terms[first], sign, terms[second]):
                value, expression, line = joined
                yield from _tries([(value, expression), *rest], (*said, line), signs)


def _joined(one: tuple[int, str], sign: str, other: tuple[int, str]) -> tuple[int, str, str] | None:
    """Two terms made into one: its value, how it is written in full, and the calculation. None below 1."""
    (left, left_text), (right, right_text) = sorted((one, other), reverse=True) if sign == "-" else (one, other)
    value = {"*": left * right, "+": left + right, "-": left - right}[sign]
    if value < 1:
        return None
    return value, f"({left_text} {sign} {right_text})", f"{left} {sign} {right} = {value}"
