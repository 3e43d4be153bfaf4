"""Number games: make a target from given numbers, each used once (reasoning-gym's `countdown` and `puzzle24`).

Here a dead end can be seen from the text alone: once all numbers are used up, what is left is the target or it is not.
The checkers of this module say so. As all checkers they are silent wherever a step can be read in two ways: a line that
works back from the target, a line whose equations do not hold, an equation among words that say more.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from problems.answers import final_answer
from problems.equations import Equation, equations

TASKS = frozenset(("countdown", "puzzle24"))
"""reasoning-gym's number games; any question in their words counts as one."""

_NUMBERS = r"\[?(?P<numbers>\d+(?:,? (?:and )?\d+)+)\]?"
_ASKED = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"\bnumbers:? {_NUMBERS},? (?:with \+ and - )?(?:create an (?:expression|equation) that equals|to make|make) "
        r"(?P<target>\d+)\b",
        rf"\b(?:make|calculate) (?P<target>\d+) using (?:all of |all )?(?:these numbers:|the numbers)? ?{_NUMBERS}",
    )
)
_EACH_ONCE = re.compile(r"\bonce\b|\ball (?:the|of (?:the|these)) numbers\b", re.IGNORECASE)
SIGNS = "*+-"
_SUMS_ONLY = re.compile(r"\bwith \+ and -(?! and|,)")
_PLAIN = re.compile(r"[\d\s().+\-*/×÷−]+")
_WORDS_END = re.compile(r"[.:!?]\s")
"""Behind words that open a line: "Once more: 8 + 9 = 17", "That is not right. 8 + 9 = 17"."""
_BARE = re.compile(r"[\d\s().,;+\-*/×÷−=]+")


@dataclass(frozen=True, slots=True)
class NumberGame:
    """What a question of this kind gives and wants."""

    numbers: tuple[int, ...]
    target: int
    signs: str = SIGNS
    """The operations worth trying, without division, which rarely comes out whole; fewer where the question says so."""

    @property
    def whole(self) -> Counter[Fraction]:
        """All the numbers, as many of each as there are."""
        return Counter(map(Fraction, self.numbers))


@lru_cache(maxsize=4096)
def number_game(question: str) -> NumberGame | None:
    """The game that a question asks for; None for any other question, one that leaves out how often among them."""
    for asked in _ASKED:
        if (found := asked.search(question)) and _EACH_ONCE.search(question):
            numbers = tuple(map(int, re.findall(r"\d+", found["numbers"])))
            signs = "+-" if _SUMS_ONLY.search(question) else SIGNS
            return NumberGame(numbers, int(found["target"]), signs)
    return None


def missed(game: NumberGame, path: Sequence[str], step: str) -> tuple[str, str] | None:
    """Where a step uses up the numbers and misses the target: the words that show it, and what is wrong in a sentence.

    Args:
        path: the steps that stand.
        step: what is said after them: calculations that go on from theirs or begin anew, or the final answer.
    """
    answer = final_answer(step)
    if answer is not None:
        return _answer_misses(game, answer)
    end = outcome(game, path, step)
    if end is None or end.value == game.target:
        return None
    return end.quote, f"{end.value} is not {game.target}."


def outcome(game: NumberGame, path: Sequence[str], step: str) -> Equation | None:
    """The calculation with which a step uses up the last of the numbers; None where some are left, or nobody can tell.

    It may go on from the path, or begin anew.
    """
    now = equations(step)
    before = [equation for said in path for equation in equations(said)]
    for calculated in ([*before, *now], now):
        left = _left_over(game, calculated)
        if left is not None and now:
            return now[-1] if left == Counter([now[-1].value]) else None
    return None


def unavailable(game: NumberGame, path: Sequence[str], step: str) -> tuple[str, str] | None:
    """The first equation of a bare line that takes a number which is not there, or not any more."""
    line = _WORDS_END.split(step)[-1]
    now = equations(line)
    if final_answer(step) is not None or not now or not _BARE.fullmatch(line) or _partly_read(line, now):
        return None
    if any(not equation.holds or Fraction(game.target) in _operands(equation) for equation in now):
        return None
    before = [equation for said in path for equation in equations(said)]
    if any(_left_over(game, calculated) is not None for calculated in ([*before, *now], now)):
        return None
    left = game.whole
    for equation in now:
        for number in _operands(equation):
            if not left[number]:
                known = number in game.whole or any(number == earlier.value for earlier in (*before, *now))
                return equation.quote, f"{number} is used up." if known else f"There is no {number}."
            left[number] -= 1
        left[equation.value] += 1
    return None


def _partly_read(line: str, read: Sequence[Equation]) -> bool:
    """Whether a line holds numbers beside the equations that could be read."""
    for equation in read:
        line = line.replace(equation.quote, " ", 1)
    return re.search(r"\d", line) is not None


def _answer_misses(game: NumberGame, answer: str) -> tuple[str, str] | None:
    """An expression given as the answer; a plain number, or words, are for the verifier."""
    expression = answer.partition("=")[0].strip()
    if not _PLAIN.fullmatch(expression) or not re.search(r"\d\s*\)*\s*[-+*/×÷−]", expression):
        return None
    if Counter(map(Fraction, re.findall(r"\d+", expression))) != game.whole:
        return answer, "That does not use each number once."
    read = equations(f"{expression} = {game.target}")
    return (answer, f"{expression} is not {game.target}.") if read and not read[0].holds else None


def _left_over(game: NumberGame, calculated: Sequence[Equation]) -> Counter[Fraction] | None:
    """The numbers that are left after these calculations; None where they do not take them one by one."""
    left = game.whole
    for line in calculated:
        if not line.operated or not line.holds or line.value != line.stated or not _PLAIN.fullmatch(line.left):
            return None
        for number in _operands(line):
            if not left[number]:
                return None
            left[number] -= 1
        left[line.value] += 1
    return +left


def _operands(line: Equation) -> list[Fraction]:
    return [Fraction(number) for number in re.findall(r"\d+", line.left)]
