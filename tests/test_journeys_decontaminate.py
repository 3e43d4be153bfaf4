"""Problems that stand in an evaluation set are found, however they are dressed, and others are not."""

import pytest

from journeys.decontaminate import contaminated
from journeys.record import Problem

LONG = (
    "A baker makes 24 loaves in the morning and sells 3 of them to each of 5 neighbours before noon; "
    "how many loaves are left for the market in the afternoon?"
)


def found(question: str, *against: str, ngram: int = 13) -> dict[str, str]:
    return contaminated([Problem(id="p", question=question)], against, ngram=ngram)


def test_the_same_question_is_found_under_other_case_spacing_and_punctuation() -> None:
    assert found(LONG.upper().replace(" ", "\n "), LONG)
    assert found("What is 3 + 4?", "  what is 3+4 ")
    assert found("Ｗhat is 3 + 4?", "What is 3 + 4?")  # a full-width letter


def test_thirteen_words_in_a_row_are_enough_and_the_match_is_shown() -> None:
    shared = " ".join(LONG.split()[2:15])
    assert found(f"Other words. {shared} and another ending", LONG) == {
        "p": "makes 24 loaves in the morning and sells 3 of them to each"
    }


def test_twelve_words_in_a_row_are_not_enough() -> None:
    shared = " ".join(LONG.split()[2:14])
    assert found(f"Other words. {shared} xyz", LONG) == {}
    assert found(f"Other words. {shared} xyz", LONG, ngram=8)


def test_operators_do_not_count_as_words_in_a_row() -> None:
    sum_of_ten = " + ".join(str(n) for n in range(10, 20))
    assert found(f"Add these: {sum_of_ten}", f"Sum up: {sum_of_ten}") == {}
    assert found(f"Add these: {sum_of_ten}", f"Sum up: {sum_of_ten}", ngram=10)


@pytest.mark.parametrize("other", ["What is 3 - 4?", "What is 4 + 3?", "What is 3 + 4.5?", "What is 3 + 4 now?", ""])
def test_a_short_question_must_be_the_same_as_a_whole(other: str) -> None:
    assert found("What is 3 + 4?", other) == {}


def test_nothing_to_compare_with_finds_nothing() -> None:
    assert found(LONG) == {}
    assert found("", "") == {}
    assert found("?!", "...") == {}


def test_evaluation_questions_and_problems_may_be_streams() -> None:
    problems = (Problem(id=str(n), question=f"What is {n} + {n}?") for n in range(100))
    against = (f"What is {n} + {n}?" for n in range(90, 110))
    assert sorted(contaminated(problems, against)) == [str(n) for n in range(90, 100)]
