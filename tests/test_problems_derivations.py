"""Sums whose lines are all true: do they add up the question's numbers? No legitimate way may be called luck."""

import random
import time
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from journeys.record import Problem
from problems.checkers import lucky_reasons
from problems.derivations import terms_of
from problems.worked_sums import reduced

OTHERS = "the numbers that were added up are not those of the question"


def reasons(question: str, *lines: str, answer: int) -> tuple[str, ...]:
    problem = Problem(id="p", question=question, answer=str(answer))
    return lucky_reasons(problem, [*lines, f"Answer: {answer}"], str(answer))


@pytest.mark.parametrize(
    ("question", "terms"),
    [
        ("Calculate 26 + 80 + 51.", (26, 80, 51)),
        ("State the final answer to the following arithmetic problem: 205 - 838 + 505 =", (205, -838, 505)),
        ("Calculate 2 - -1.", (2, 1)),
        ("Calculate -5 + 3.", (-5, 3)),
        ("Calculate 2 * 3 + 4.", None),
        ("Calculate ( 56 + -33 ) - 84.", None),
        ("Calculate 1.5 + 2.", None),
        ("Calculate 1,200 + 3.", None),
        ("Ann has 4 bags. What is 2 + 3?", None),
        ("How many legs have 13 beetles and 8 tigers?", None),
        ("Calculate 7.", None),
    ],
)
def test_which_questions_are_plain_sums(question: str, terms: tuple[int, ...] | None) -> None:
    assert terms_of(question) == terms


@pytest.mark.parametrize(
    ("question", "lines"),
    [
        ("Calculate 63 + 48.", ("60 + 40 = 100", "3 + 8 = 11", "100 + 11 = 111")),
        ("Calculate 63 + 48.", ("63 + 50 = 113", "113 - 2 = 111")),
        ("Calculate 63 + 48.", ("48 + 63 = 111",)),
        ("Calculate 63 + 48.", ("63 + 48 = 60 + 51 = 111",)),
        ("Calculate 26 + 80 + 51.", ("26 + 80 = 106", "106 + 50 = 156", "156 + 1 = 157")),
        ("Calculate 26 + 80 + 51.", ("80 + 51 + 26 = 157",)),
        ("Calculate 26 + 80 + 51.", ("26 and 80 make 106.", "106 + 51 = 157")),
        ("Calculate 26 + 80 + 51.", ("106 + 51 = 157",)),  # neighbours in the head
        ("Calculate 12 + 35 + 47.", ("47 + 47 = 94",)),  # 12 + 35 is 47
        ("Calculate 26 + 51 + 80.", ("26 and 80 make 106, and so", "106 + 51 = 157")),
        ("Calculate 30 + 20 + 50.", ("30 + 20 = 50", "50 + 50 = 100")),
        ("Calculate 25 + 25 + 50.", ("25 + 25 = 50", "50 + 50 = 100")),
        ("Calculate 25 + 25 + 25.", ("25 + 25 = 50", "50 + 25 = 75")),
        ("Calculate 14 - 7 + 7 + 2.", ("14 + 2 = 16",)),
        ("Calculate 5 + 0 + 3.", ("5 + 3 = 8",)),
        ("Calculate 98 + 47.", ("98 + 2 = 100", "47 - 2 = 45", "100 + 45 = 145")),
        ("Calculate 10 - 3 - 4.", ("3 + 4 = 7", "10 - 7 = 3")),
        ("Calculate 5 - 8 - 6.", ("5 - 8 = -3", "-3 - 6 = -9")),
        ("Calculate 25 + 25 + 25.", ("25 * 3 = 75", "70 + 5 = 75")),  # whoever multiplies is not followed
        ("Calculate 26 + 80 + 51.", ("26 + 80 = 106", "100 - 20 = 80", "106 + 51 = 157")),  # a check by the way
        ("What is 2 + 3?", ("2 apples + 3 apples = 5 apples",)),
    ],
)
def test_another_way_to_add_is_no_luck(question: str, lines: Sequence[str]) -> None:
    terms = terms_of(question)
    assert terms is not None
    assert reasons(question, *lines, answer=sum(terms)) == ()


@pytest.mark.parametrize(
    ("question", "lines"),
    [
        ("Calculate 20 + 50 + 40.", ("20 + 60 = 80", "80 + 30 = 110")),  # two slips that cancel
        ("Calculate 20 + 30 + 40 + 10.", ("20 + 40 = 60", "60 + 40 = 100")),  # one twice, two left out
        ("Calculate 12 + 47 + 35.", ("47 + 47 = 94",)),  # two left out and one taken twice
        ("Calculate 90 + 32 + 89.", ("90 + 30 = 120", "120 + 2 = 122", "202 + 9 = 211")),  # a line is missing
        ("Calculate 10 - 3 - 4.", ("10 - 5 = 5", "5 - 2 = 3")),
    ],
)
def test_other_numbers_are_luck(question: str, lines: Sequence[str]) -> None:
    terms = terms_of(question)
    assert terms is not None
    assert reasons(question, *lines, answer=sum(terms)) == (OTHERS,)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(1, 199), min_size=2, max_size=6), st.randoms(use_true_random=False))
def test_sums_in_any_order_and_by_their_digits_are_no_luck(terms: list[int], draw: random.Random) -> None:
    question = f"Calculate {' + '.join(map(str, terms))}."
    by_digits, total = reduced(" + ".join(map(str, terms)))
    assert reasons(question, *by_digits, answer=total) == ()
    left, lines = list(terms), []
    while len(left) > 1:
        draw.shuffle(left)
        one, other = left.pop(), left.pop()
        lines.append(f"{one} + {other} = {one + other}")
        left.append(one + other)
    assert reasons(question, *lines, answer=total) == ()


def test_lines_that_could_be_read_in_very_many_ways_are_left_alone_soon() -> None:
    began = time.process_time()
    doubled = [f"{2**n} + {2**n} = {2 ** (n + 1)}" for n in range(20)]
    assert reasons(f"Calculate {2**19} + {2**19}.", *doubled, answer=2**20) == ()
    ones = ["1 + 1 + 1 + 1 + 1 = 5", *["5 - 4 = 1"] * 15, "5 + 5 + 5 = 15"]
    reasons("Calculate 2 + 3 + 4 + 2 + 3 + 1.", *ones, answer=15)
    assert time.process_time() - began < 2
