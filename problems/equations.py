"""Equations in prose, checked by exact arithmetic. No eval; what cannot be read with certainty is left alone.

A text is cut into tokens, tokens into *runs* (expressions of plain numbers, units allowed), and two runs around a
relation sign are an equation. An equation is false only when every sensible reading of it is: a percent sign may mean a
hundredth or nothing, a dash before a line may be a bullet, `3 + 4 = 7 + 2 = 9` may be a running total. A false alarm
would poison the data, a missed error would not, so variables, unit conversions and retractions are skipped.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from problems.arithmetic import Unreadable
from problems.doubts import doubtful
from problems.expressions import Expression, value_of
from problems.runs import Run, run_after, run_before
from problems.tokens import Kind, Token, tokenize


@dataclass(frozen=True, slots=True)
class Equation:
    """One relation between two readable expressions, as it stands in the text."""

    quote: str
    """Verbatim from the text."""
    left: str
    right: str
    value: Fraction
    """What the left side comes to."""
    stated: Fraction
    """What the right side comes to."""
    operated: bool
    """Whether the left side computes something; `20 = 20` does not."""
    holds: bool


MAX_EQUATIONS = 200


@lru_cache(maxsize=65_536)
def equations(text: str) -> tuple[Equation, ...]:
    """Every equation of `text` that can be read with certainty, in order, true and false ones."""
    if "=" not in text and "≈" not in text and " is " not in text and " equals " not in text and "approx" not in text:
        return ()
    found: list[Equation] = []
    for line in _lines(text):
        found += _equations_in(line)
        if len(found) >= MAX_EQUATIONS:
            break
    return tuple(found)


def false_equations(text: str) -> list[Equation]:
    """The equations of `text` that hold under no sensible reading."""
    return [equation for equation in equations(text) if not equation.holds]


def _lines(text: str) -> Iterator[str]:
    for line in re.split(r"\n|\u2028", text):
        if len(line) <= 20_000 and re.search(r"[=≈]|\bis\b|\bequals\b|approx", line):
            yield line


def _equations_in(line: str) -> list[Equation]:
    tokens = tokenize(line)
    relations = [index for index, token in enumerate(tokens) if token.kind is Kind.RELATION]
    found = []
    computed = False
    """Whether something was computed earlier in this chain of equals signs."""
    for place, index in enumerate(relations):
        before = relations[place - 1] if place else -1
        after = relations[place + 1] if place + 1 < len(relations) else len(tokens)
        if tokens[index].text not in _EQUALS:
            continue
        chained = before >= 0 and tokens[before].text in _EQUALS
        computed = any(token.kind is Kind.OPERATOR for token in tokens[before + 1 : index]) or (chained and computed)
        left = run_before(tokens, before + 1, index)
        right = run_after(tokens, index + 1, after)
        if left is None or right is None:
            continue
        whole_left = chained and computed and (left.first, left.last) == (before + 1, index - 1)
        if not left.expression.operated and not (whole_left and not right.expression.operated):
            continue  # "Step 3 = 4", "1 hour = 60 minutes", "total 20 = 4 * 5": no computation on the left to judge
        if tokens[index].text == "is" and (right.expression.operated or not _computes(tokens, left)):
            continue  # "4/15 is 4/15 * 75", "the reciprocal of 2/3 is 3/2"
        equation = _judge(line, tokens, left, index, right, ends_at=after)
        if equation is not None:
            found.append(equation)
    return found


_EQUALS = frozenset(("=", "==", "≈", "\\approx", "is", "equals", "makes", "gives"))


def _computes(tokens: list[Token], run: Run) -> bool:
    """Whether a run does more than write a fraction."""
    operators = [number for number in range(run.first, run.last) if tokens[number].kind is Kind.OPERATOR]
    spaced = any(tokens[number - 1].end < tokens[number].start for number in operators)
    return spaced or any(tokens[number].text != "/" for number in operators)


def _judge(line: str, tokens: list[Token], left: Run, relation: int, right: Run, *, ends_at: int) -> Equation | None:
    """The equation between two runs, or None when no certain reading exists."""
    try:
        value, stated = value_of(left.expression), value_of(right.expression)
        holds = _agree(value, stated, left, right, loose=tokens[relation].text in ("≈", "\\approx"))
        if not holds:
            holds = _agree_otherwise(left, right, continues=ends_at < len(tokens))
    except Unreadable:
        return None
    if not holds and doubtful(line, tokens, left, right, value=value, stated=stated):
        return None
    start, end = tokens[left.first].start, tokens[right.last].end
    return Equation(
        quote=line[start:end],
        left=line[start : tokens[left.last].end],
        right=line[tokens[right.first].start : end],
        value=value,
        stated=stated,
        operated=left.expression.operated,
        holds=holds,
    )


def _agree(value: Fraction, stated: Fraction, left: Run, right: Run, *, loose: bool) -> bool:
    if value == stated:
        return True
    places = right.expression.places
    if right.expression.operated:
        return False
    if loose:  # "about": any rounding to two digits or so
        return abs(value - stated) <= max(abs(value) / 20, Fraction(1, 2 * 10**places))
    # 10/3 = 3.33 states the value to the digits shown, rounded or cut; 17/4 = 4 does not. 100/3 = 33 is a rounding.
    endless = places == 0 and _endless(value) and abs(value) >= 10
    if places > 0 or endless:
        unit = Fraction(1, 10**places)
        cut = value - value % unit if value >= 0 else -(-value - -value % unit)
        if abs(value - stated) <= unit / 2 or stated == cut:
            return True
    # 3.33 * 3 = 10: an operand that was itself rounded carries its error along.
    slack = left.expression.slack
    return slack > 0 and abs(value - stated) <= slack * abs(value)


def _endless(value: Fraction) -> bool:
    """Whether the decimal expansion never ends."""
    rest = value.denominator
    for prime in (2, 5):
        while rest % prime == 0:
            rest //= prime
    return rest != 1


def _agree_otherwise(left: Run, right: Run, *, continues: bool) -> bool:
    """Whether a less literal reading holds."""
    lefts = list(_readings(left.expression))
    rights = list(_readings(right.expression))
    if right.expression.head is not None and (continues or right.expression.shares):
        rights.append((right.expression.head, 0))  # 3 + 4 = 7 + 2 = 9, and 3/3 - 2/3 = 1/3 of 150
    for a, _ in lefts:
        for b, places in rights:
            if a == b or (places > 0 and abs(a - b) <= Fraction(1, 2 * 10**places)):
                return True
    return False


def _readings(expression: Expression) -> Iterator[tuple[Fraction, int]]:
    for percent in (Fraction(1, 100), Fraction(1)) if expression.percent else (Fraction(1, 100),):
        for bullet in (False, True) if expression.bullet else (False,):
            try:
                yield value_of(expression, percent=percent, bullet=bullet), expression.places
            except Unreadable:
                continue
