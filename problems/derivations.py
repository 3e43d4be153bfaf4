"""Whether a sum's steps add up the question's own numbers: a right result of others is luck, though every line holds.

`Calculate 20 + 50 + 40.` answered by `20 + 60 = 80`, `80 + 30 = 110` is right by two slips that cancel. Where the
question is one sum of whole numbers this can be told. The numbers in the line that comes to the answer, and in the
lines whose results it uses, must be those of the question: in any order, in parts (60 + 40 before 3 + 8), or several
taken together without a line, where they are neighbours or words name their sum ("26 and 80 make 106"). A number may be
one of the question or an equal result of an earlier line. Where any reading accounts for all of them nothing is said,
nor where a line does more than add and subtract.
"""

import re
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

from problems.equations import equations

MOST_TERMS, MOST_LINES, MOST_PARTS, MOST_READINGS = 6, 24, 10, 64
"""Beyond any of these nothing is said: the readings of a line, and the ways to group its parts, grow fast."""

_SUM = r"-?\d+(?:\s*[-+]\s*-?\d+)+"
_IN_QUESTION = re.compile(rf"(?<![\w.])({_SUM})(?!\w|[.,]\d)")
_TERM = re.compile(r"([-+])\s*(-?\d+)")


@dataclass(frozen=True, slots=True)
class _Line:
    terms: tuple[int, ...]
    result: int


class _Unclear(Exception):
    """More than is looked at."""


def terms_of(question: str) -> tuple[int, ...] | None:
    """The signed numbers of a question that is one sum and names no other number; None for any other question."""
    found = _IN_QUESTION.search(question)
    if found is None or re.search(r"[*/^×÷%()]|\d", question[: found.start()] + question[found.end() :]):
        return None
    return _terms(found[1])


def adds_up(terms: Sequence[int], steps: Sequence[str], answer: Fraction) -> bool:
    """Whether the steps may have come to the answer by just these numbers; True where nobody can tell.

    Args:
        terms: the numbers of the question, signed.
        steps: what stands, in order, without a false equation.
    """
    read: list[_Line] = []
    said: set[int] = set()
    for step in steps:
        words = step
        for line in equations(step):
            words = words.replace(line.quote, " ")
            left = line.left.strip()
            if line.operated and (not re.fullmatch(_SUM, left) or line.value != line.stated):
                return True
            if line.operated:
                read.append(_Line(_terms(left), int(line.value)))
        said |= {int(number) for number in re.findall(r"\d{1,9}", words)}
    ends = [number for number, line in enumerate(read) if line.result == answer]
    if not ends or len(terms) > MOST_TERMS or len(read) > MOST_LINES or sum(terms) != answer:
        return True
    try:
        seen: set[tuple[int, ...]] = set()
        for end in ends:
            for parts in _readings(read, end):
                if _grouped(parts, terms, said):
                    return True
                seen.add(parts)
                if len(seen) > MOST_READINGS:
                    return True
    except _Unclear:
        return True
    return False


def _terms(text: str) -> tuple[int, ...]:
    return tuple(-int(number) if sign == "-" else int(number) for sign, number in _TERM.findall(f"+{text}"))


def _readings(lines: Sequence[_Line], end: int) -> Iterator[tuple[int, ...]]:
    """The numbers that went into a line: each of its terms is what it is, or the result of an earlier line."""

    def written(term: int, before: int) -> Iterator[tuple[int, ...]]:
        for number, line in enumerate(lines[:before]):
            for sign in {term // line.result} if line.result and abs(term) == abs(line.result) else ():
                for parts in summed(line.terms, number):
                    yield tuple(sign * part for part in parts)
        yield (term,)

    def summed(terms: Sequence[int], before: int) -> Iterator[tuple[int, ...]]:
        if not terms:
            yield ()
            return
        for first in written(terms[0], before):
            for rest in summed(terms[1:], before):
                if len(first) + len(rest) > MOST_PARTS:
                    raise _Unclear
                yield (*first, *rest)

    yield from summed(lines[end].terms, end)


def _grouped(parts: Sequence[int], terms: Sequence[int], said: Set[int]) -> bool:
    """Whether some parts make each term, or one part makes several; terms that cancel may be left out.

    One part makes several terms where these are neighbours, which may be added in the head, or words name their sum.
    """
    sums_of_parts, sums_of_terms = _sums(parts), _sums(terms)

    @cache
    def covers(parts_left: int, terms_left: int) -> bool:
        """The same of those that are left, as bits."""
        if not parts_left or not terms_left:
            return not parts_left and sums_of_terms[terms_left] == 0
        first = terms_left & -terms_left
        rest = terms_left ^ first
        if any(
            sums_of_parts[group] == sums_of_terms[first] and covers(parts_left ^ group, rest)
            for group in _choices(parts_left)
        ):
            return True
        return any(taken_together(parts_left, terms_left, first | more) for more in (0, *_choices(rest)))

    def taken_together(parts_left: int, terms_left: int, group: int) -> bool:
        together, others = sums_of_terms[group], terms_left ^ group
        if together == 0 and covers(parts_left, others):
            return True
        in_a_row = group + (group & -group)
        neighbours = in_a_row & (in_a_row - 1) == 0
        return (neighbours or abs(together) in said) and any(
            part == together and covers(parts_left ^ 1 << place, others)
            for place, part in enumerate(parts)
            if parts_left >> place & 1
        )

    return covers((1 << len(parts)) - 1, (1 << len(terms)) - 1)


def _sums(numbers: Sequence[int]) -> list[int]:
    """The sum of every choice of the numbers, a choice being the bits of its place in the list."""
    sums = [0]
    for number in numbers:
        sums += [total + number for total in sums]
    return sums


def _choices(bits: int) -> Iterator[int]:
    """Every choice of some of these bits, all included and none not."""
    chosen = bits
    while chosen:
        yield chosen
        chosen = (chosen - 1) & bits
