"""Splitting a thought into solutions: what states an answer, what does not, and that spans tile the text."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from journeys.solutions import split_solutions


def answers(thought: str) -> list[str]:
    return [solution.answer for solution in split_solutions(thought)]


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("17 + 25 = 42. So the answer is 42.", "42"),
        ("17 + 25 = 42.\nAnswer: 42", "42"),
        ("17 + 25 = 42.\n**Final Answer:** 42", "42"),
        ("17 + 25 = 42. Answer: \\boxed{42}.", "42"),
        ("so $\\boxed{\\frac{1}{2}}$.", "\\frac{1}{2}"),
        ("That makes the answer 42.", "42"),
        ("the final answer is therefore $42$, because both add up.", "42"),
        ("My answer is 18 dollars.", "18 dollars"),
        ("it has 18.\n#### 18", "18"),
        ("The answer is 3.5. Let me see.", "3.5"),
        ("Answer:\n1 2\n3 4\n\nDone.", "1 2\n3 4"),
        ("29 + 49 is not 88, so the answer is 78.", "78"),
        ("The answer is **yes**", "yes"),
        ("ANSWER: (B)", "(B)"),
        ("The answer is $3! \\times 5! = \\boxed{720}$.", "720"),
        ("If $N^2 = 121$, then $N = \\boxed{11}$.", "11"),
        ("Step 4: #### 1,050", "1,050"),
    ],
)
def test_an_explicit_answer_ends_a_solution(text: str, answer: str) -> None:
    assert answers(text) == [answer]


@pytest.mark.parametrize(
    "text",
    [
        "17 + 25 = 42.",
        "Is the answer 42?",
        "The answer is 42?",
        "If the answer is 42, then the check holds.",
        "Let me check whether the answer is 42.",
        "The answer is not 42.",
        "The answer is wrong. I start again.",
        "But \\boxed{5} is wrong, since 5 is odd.",
        "It is not \\boxed{5}.",
        "Suppose it were \\boxed{5}.",
        "I need to find the answer: what is x?",
        "The answer is still to be found.",
        "Answer: ...",
        "the answer is \\boxed{never closed",
        "",
    ],
)
def test_talk_about_an_answer_is_no_answer(text: str) -> None:
    assert answers(text) == []


def test_each_check_is_a_solution_of_its_own_and_wrong_ones_count() -> None:
    thought = (
        "17 + 25 = 43. The answer is 43.\n\nWait, that is not right. 17 + 25 = 42, so the answer is 42. "
        "Let me check by subtracting: 42 - 25 = 17. So the answer is 42."
    )
    solutions = split_solutions(thought)
    assert [one.answer for one in solutions] == ["43", "42", "42"]
    assert solutions[0].text == "17 + 25 = 43. The answer is 43."
    assert solutions[1].text.startswith("Wait,")
    assert solutions[2].text == "Let me check by subtracting: 42 - 25 = 17. So the answer is 42."


def test_an_answer_said_twice_at_once_is_one_solution() -> None:
    thought = "<think>\n17 + 25 = 42. The answer is 42.\n</think>\n\nAnswer: 42"
    (solution,) = split_solutions(thought)
    assert (solution.start, solution.end) == (0, len(thought))
    assert answers("Step 5: #### 42\nStep 6: The answer is: 42") == ["42"]
    assert answers("The answer is 42. Answer: 43") == ["42", "43"]


def test_what_follows_the_last_answer_belongs_to_no_solution() -> None:
    (solution,) = split_solutions("  The answer is 42. That was easy")
    assert (solution.start, solution.text) == (2, "The answer is 42.")


pieces = st.lists(
    st.sampled_from(
        [
            "The answer is 4. ",
            "\\boxed{5} ",
            "\nAnswer: 6\n",
            "Wait. ",
            "2 + 2 = 4, ",
            "\\boxed{",
            "}",
            "<think>",
            "$",
            "é\n\n",
        ]
    )
    | st.text(max_size=8)
)


@given(pieces)
def test_solutions_are_ordered_spans_of_the_text_with_an_answer_each(parts: list[str]) -> None:
    thought = "".join(parts)
    end = 0
    for one in split_solutions(thought):
        assert end <= one.start < one.end <= len(thought)
        assert thought[one.start : one.end] == one.text
        assert one.answer
        assert not thought[end : one.start].strip()
        end = one.end


def test_a_thought_of_half_a_megabyte_is_split_in_seconds() -> None:
    started = time.perf_counter()
    split_solutions("the answer is \\boxed{{{{ Answer: if " * 5_000)
    assert len(split_solutions("2 + 2 = 4. The answer is 4. Wait, let me see. " * 10_000)) == 10_000
    assert time.perf_counter() - started < 20
