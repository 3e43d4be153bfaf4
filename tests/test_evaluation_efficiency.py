"""Outcome and process efficiency, and signs of reflection."""

import pytest

from evaluation.efficiency import by_operations, outcome_efficiency, process_efficiency, solutions_of, spans
from evaluation.reflection import reflection_in

PUBLISHED = (39, 109, 39, 29, 29, 19, 59)
"""Tokens of the seven solutions that try something new in the published example: 323 of 901 (methods 12, 15.3)."""


def test_the_published_example() -> None:
    repeats = [901 - 323 - 5 * 90, 90, 90, 90, 90, 90]
    tokens = [*PUBLISHED, *repeats]
    strategies = [*range(7), 0, 1, 2, 3, 4, 5]
    assert sum(tokens) == 901
    assert outcome_efficiency(tokens, [True] * 13, 901) == 39 / 901 == pytest.approx(0.043, abs=5e-4)
    assert process_efficiency(tokens, strategies, 901) == 323 / 901 == pytest.approx(0.358, abs=5e-4)


def test_outcome_efficiency_counts_through_the_first_correct_solution() -> None:
    assert outcome_efficiency([10, 30, 60], [False, True, True], 100) == 0.4
    assert outcome_efficiency([10, 30], [False, False], 100) == 0
    assert outcome_efficiency([10], [True], 40) == 0.25, "what follows the last answer counts as well"


@pytest.mark.parametrize(
    "text",
    [
        "34 + 25 = 59\nAnswer: 59",
        "<think>\n34 + 25 = 59\nThe answer is 59.\n</think>\n\nAnswer: 59",
        "<Thought>\n34 + 25 = 59\n</Thought>\n\n<Output>\nAnswer: 59\n</Output>",
        "I cannot say what comes out",
    ],
)
def test_a_text_of_one_solution_is_fully_efficient(text: str) -> None:
    solutions = solutions_of(text)
    assert len(solutions) == 1
    assert spans(solutions) == [len(text)]


def test_a_check_is_a_solution_of_its_own_but_no_new_strategy() -> None:
    text = (
        "<think>\n34 + 25 = 59. The answer is 59.\nLet me check that: 34 + 25 = 59. The answer is 59.\n"
        "Or by tens: 30 + 20 = 50, 4 + 5 = 9, 50 + 9 = 59. The answer is 59.\n</think>\n\nAnswer: 59"
    )
    solutions = solutions_of(text)
    assert len(solutions) == 3
    assert sum(spans(solutions)) == len(text)
    assert by_operations([one.text for one in solutions]) == [0, 0, 2]


def test_solutions_without_calculations_are_told_apart_by_their_words() -> None:
    red = "The hat must be red because the box of the blue one is closed. Answer: red"
    again = "So the hat must be red because the box of the blue one is closed. Answer: red"
    other = "Nobody who wears green may sit beside her, which leaves a single colour. Answer: red"
    assert by_operations([red, again, other]) == [0, 0, 2]


def test_a_calculation_taken_back_and_done_right_is_a_repair() -> None:
    text = (
        "29 + 49 = 88.\nHang on, that is not right: 29 + 49 is not 88. 29 + 49 = 83.\n"
        "Wait, 29 + 49 is not 83. I'll do that part again. 29 + 49 = 78. The answer is 78."
    )
    found = reflection_in(text)
    assert (found.calculations, found.stated_false, found.repaired, found.broken) == (1, 1, 1, 0)
    assert found.doubts
    assert found.markers["wait"] == 2


def test_a_true_calculation_made_false_is_broken_and_a_false_one_left_is_neither() -> None:
    found = reflection_in("2 + 2 = 4\nHmm, no. 2 + 2 = 5\n3 + 3 = 7\n4 * 5 = 20")
    assert (found.calculations, found.stated_false, found.repaired, found.broken) == (3, 1, 0, 1)


def test_checking_is_no_doubt() -> None:
    found = reflection_in("7 * 8 = 56. Let me check: 56 / 8 = 7. Answer: 56")
    assert found.markers == {"check": 1}
    assert not found.doubts


ORDINARY = [
    "",
    "The waiter waits in the waiting room.",
    "She has to download the file and to wait for the update: 40 minutes.",
    "After the final wait, Paul has waited a total of 30 minutes.",
    "It was then turned off for 2 hours. That is not wrong.",
    "A man owns 3 checks and an offer.",
]


@pytest.mark.parametrize("text", ORDINARY)
def test_words_that_only_look_like_markers_do_not_count(text: str) -> None:
    assert reflection_in(text).markers == {}


@pytest.mark.parametrize(
    "text",
    [
        "Wait, 3 + 4 is 7.",
        "3 + 4 = 8. Wait. That gives too much.",
        "Then 8\nHold on, that cannot be right.",
        "Oh wait, I forgot one.",
        "Hmm, not so fast.",
        "No, that's off. Once more: 3 + 4 = 7",
        "That is not right.",
        "I made an arithmetic mistake there.",
        "Let me redo that.",
    ],
)
def test_the_ways_to_doubt_that_thoughts_use_are_seen(text: str) -> None:
    assert reflection_in(text).doubts
