"""Evidence about steps: the four checkers, luck, and the referee that holds them together."""

import asyncio
from collections.abc import Iterator

import pytest

from journeys.record import Move, Problem, Turn, Verdict
from problems.checkers import CHECKERS, lucky_reasons
from problems.referee import CheckerSettings, Referee


@pytest.fixture(scope="module")
def referee() -> Iterator[Referee]:
    shared = Referee()
    yield shared
    shared.close()


def turns(*steps: str) -> list[Turn]:
    return [
        Turn(id=n, parent=n - 1 if n else None, step=step, verdict=Verdict(move=Move.CONTINUE))
        for n, step in enumerate(steps)
    ]


def kinds(
    referee: Referee,
    step: str,
    *,
    path: tuple[str, ...] = (),
    abandoned: tuple[str, ...] = (),
    question: str = "?",
) -> list[str]:
    found = asyncio.run(referee.check(question=question, path=turns(*path), step=step, abandoned=turns(*abandoned)))
    assert all(evidence.quote in step for evidence in found)
    return [evidence.kind for evidence in found]


def test_a_good_step_has_no_evidence(referee: Referee) -> None:
    assert kinds(referee, "Then 42 - 2 = 40.", path=("First, 17 + 25 = 42.",)) == []


@pytest.mark.parametrize("step", ["", "   \n", "...", "**", "$$"])
def test_a_step_that_says_nothing_is_empty(referee: Referee, step: str) -> None:
    assert kinds(referee, step) == ["empty_step"]


async def test_the_detail_of_a_false_equation_does_not_give_the_right_value_away(referee: Referee) -> None:
    (evidence,) = await referee.check(question="?", path=[], step="So 17 + 25 = 43.", abandoned=[])
    assert (evidence.kind, evidence.quote, evidence.fatal) == ("false_equation", "17 + 25 = 43", True)
    assert evidence.detail == "17 + 25 is not 43."
    assert "42" not in evidence.detail


def test_a_step_that_was_given_up_is_known_again_in_other_spacing_and_case(referee: Referee) -> None:
    assert kinds(referee, "So,  Add 17 and 25.", abandoned=("add 17 and 25",)) == ["repeated_step"]
    assert kinds(referee, "Add 17 and 26.", abandoned=("Add 17 and 25.",)) == []


def test_a_standing_step_said_again_is_repeated(referee: Referee) -> None:
    assert kinds(referee, "17 + 25 = 42", path=("17 + 25 = 42.",)) == ["repeated_step"]


def test_signs_and_decimals_tell_steps_apart(referee: Referee) -> None:
    assert kinds(referee, "3 - 4", path=("3 + 4",)) == []
    assert kinds(referee, "He pays 1.5 dollars", path=("He pays 15 dollars",)) == []


def test_a_name_given_another_value_is_a_contradiction(referee: Referee) -> None:
    assert kinds(referee, "Total = 15.", path=("Total = 12.",)) == ["contradiction"]


@pytest.mark.parametrize(
    "step",
    [
        "Total = 12.",
        "Total = 12 + 3 = 15.",
        "After the sale, Total = 15.",
        "Now Total = 15.",
        "With the 12 from before, the others come.\nTotal = 15",
        "Price = 15.",
    ],
)
def test_a_running_total_is_no_contradiction(referee: Referee, step: str) -> None:
    assert "contradiction" not in kinds(referee, step, path=("Total = 12.",))


def test_a_computation_with_another_result_contradicts_the_path(referee: Referee) -> None:
    found = kinds(referee, "But 17 + 25 = 43.", path=("We have 17 + 25 = 42.",))
    assert set(found) == {"false_equation", "contradiction"}


def sums(answer: str = "42") -> Problem:
    return Problem(
        id="s", question="17 + 25 = ?", answer=answer, verifier="reasoning_gym", metadata={"task": "chain_sum"}
    )


def test_an_answer_that_an_equation_yields_is_not_lucky() -> None:
    assert lucky_reasons(sums(), ["17 + 25 = 42.", "Answer: 42"], "42") == ()
    assert lucky_reasons(sums(), ["17 plus 25 is 42.", "Answer: 42"], "42 apples") == ()


def test_an_answer_from_nowhere_is_lucky() -> None:
    assert lucky_reasons(sums(), ["Let me think.", "Answer: 42"], "42")
    assert lucky_reasons(sums(), ["17 + 24 = 41.", "Answer = 42"], "42")


def test_a_false_equation_that_stands_makes_any_answer_lucky() -> None:
    (reason,) = lucky_reasons(sums(), ["17 + 20 = 38.", "17 + 25 = 42."], "42")
    assert "17 + 20 = 38" in reason


@pytest.mark.parametrize("task", ["letter_counting", "syllogism", "course_schedule", "count_primes"])
def test_what_is_not_computed_by_equations_is_not_lucky_for_lack_of_them(task: str) -> None:
    counted = Problem(
        id="l", question="How often is r in strawberry?", answer="3", verifier="reasoning_gym", metadata={"task": task}
    )
    assert lucky_reasons(counted, ["st-r, r-r: three of them."], "3") == ()


def test_words_are_never_lucky_for_lack_of_equations() -> None:
    assert lucky_reasons(Problem(id="w", question="1 or 2?", answer="even", verifier="text"), ["Hm."], "even") == ()


def test_algebra_that_arrives_at_the_answer_is_not_lucky() -> None:
    algebra = Problem(id="a", question="Twice a number plus 3 is 11, 2 digits?", answer="4", verifier="math")
    assert lucky_reasons(algebra, ["2x + 3 = 11", "2x = 8", "x = 4"], "4") == ()
    assert lucky_reasons(algebra, ["The number = 4"], "4")


def test_percent_and_cents_are_the_same_result() -> None:
    asked = Problem(id="c", question="What percent is 3 of 4?", answer="75", verifier="math")
    assert lucky_reasons(asked, ["3 / 4 = 0.75"], "75") == ()


@pytest.mark.parametrize(
    "before", ["Wait. 16 is not 9. Let me try again: ", "No. 16 is not 9. Once more: ", "Hmm. Another try: "]
)
def test_a_step_behind_words_for_a_second_try_is_still_the_same_step(referee: Referee, before: str) -> None:
    step = "7 + 7 = 14, 14 + 2 = 16"
    assert kinds(referee, before + step, abandoned=(step,)) == ["repeated_step"]
    assert kinds(referee, before + step, abandoned=(f"No. That is off. Another try: {step}",)) == ["repeated_step"]
    assert kinds(referee, before + "7 + 7 = 14, 14 - 2 = 12", abandoned=(step,)) == []
    assert kinds(referee, "No way: 3 + 4 = 7", abandoned=("3 + 4 = 7",)) == ["repeated_step"]


async def test_the_referee_is_one_face_for_all(referee: Referee) -> None:
    assert referee.answer_in("17 + 25 = 42. Answer: 42") == "42"
    verdict = await referee.verify(Problem(id="p", question="?", answer="42"), "42")
    assert verdict.status == "right"
    assert referee.lucky(sums(), turns("17 + 25 = 42", "Answer: 42"), "42") == ()


def test_only_the_named_checkers_run() -> None:
    referee = Referee(CheckerSettings(checkers=("empty_step",)))
    assert asyncio.run(referee.check(question="?", path=[], step="17 + 25 = 43", abandoned=[])) == ()
    referee.close()


def test_an_unknown_checker_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="unknown checker 'spelling'; known: empty_step"):
        CheckerSettings(checkers=("spelling",))


def test_each_checker_finds_the_kind_it_is_named_after(referee: Referee) -> None:
    found = {
        *kinds(referee, ""),
        *kinds(referee, "1 + 1 = 3"),
        *kinds(referee, "Total = 3.", path=("Total = 2.",)),
        *kinds(referee, "hello", path=("hello",)),
        *kinds(referee, "2 * 3 = 6", question="Use all the numbers 2, 3 to make 5."),
        *kinds(referee, "4 + 1 = 5", question="Use all the numbers 2, 3 to make 6."),
    }
    assert found == set(CHECKERS)
