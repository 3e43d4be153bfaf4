"""The final answer span: what is one, and what only talks about one."""

import time

import pytest

from journeys.stitching import phrases
from problems.answers import final_answer, reference_answer

SPANS = [
    ("So she has 9 left. Answer: 9", "9"),
    ("Answer: 18 apples.", "18 apples"),
    ("**Answer:** 18", "18"),
    ("**Final Answer**: $\\boxed{\\frac{1}{2}}$.", "\\frac{1}{2}"),
    ("The answer is 5.", "5"),
    ("My answer is 5.", "5"),
    ("8 - 3 = 5. That makes the answer 5.", "5"),
    ("So the final answer is $18.", "18"),
    ("#### 1,800", "1,800"),
    ("\\boxed{\\frac{1}{\\sqrt{2}}}", "\\frac{1}{\\sqrt{2}}"),
    ("Not \\boxed{5}; rather \\boxed{204}.", "204"),
    ("\\boxed{5} is wrong. It must be \\boxed{204}", "204"),
    ("Answer: 3\nAnswer: 4", "4"),
    ("Answer: \\boxed{5}", "5"),
    ("Answer:\n1 2\n3 4", "1 2\n3 4"),
    ("The answer is (B).", "(B)"),
    ("Answer: [1, 2]", "[1, 2]"),
    ("Answer: -3.5", "-3.5"),
    ("Therefore, the answer is \\(x = 3\\).", "x = 3"),
]


@pytest.mark.parametrize(("step", "span"), SPANS)
def test_the_last_answer_written_is_the_final_answer(step: str, span: str) -> None:
    found = final_answer(step)
    assert found is not None
    assert found.lstrip("$") == span


@pytest.mark.parametrize(
    "step",
    [
        "",
        "3 + 4 = 7",
        "The answer is not 5",
        "That would make the answer 5.",
        "If my answer is 5, then 8 - 5 is 3.",
        "If the answer is 5, then 3 + 2 = 5.",
        "The answer is 12. Wait, that cannot be right.",
        "I doubt that the answer is 5.",
        "The answer is between 3 and 5",
        "Is the answer is 5?",
        "#### Step 1: add the numbers",
        "Answer: ...",
        "Answer: ?",
        "Answer: <your answer>",
        "\\boxed{5} is wrong.",
        "\\boxed{5",
        "\\boxed{}",
        "We need an answer to this question: how many are left",
        "Answer:",
    ],
)
def test_talk_about_an_answer_is_no_answer(step: str) -> None:
    assert final_answer(step) is None


@pytest.mark.parametrize(
    "text",
    [
        "\\boxed{" * 50_000,
        "{" * 100_000 + "\\boxed{1",
        "Answer: " * 20_000,
        "the answer is " * 20_000,
        "#### " * 30_000,
        "*" * 200_000,
        "The answer is" + " " * 200_000 + "x\ny",
        "Answer:" + "\n" * 100_000,
    ],
    ids=lambda text: text[:12],
)
def test_a_hostile_step_takes_linear_time(text: str) -> None:
    start = time.process_time()
    final_answer(text)
    assert time.process_time() - start < 2.0


@pytest.mark.parametrize(
    ("solution", "gold"),
    [
        ("Janet sells <<16-3-4=9>>9 eggs.\n#### 18", "18"),
        ("#### 1,800", "1,800"),
        ("so \\boxed{1} and hence \\boxed{\\frac{a}{b}}.", "\\frac{a}{b}"),
        ("42", "42"),
        ("  \\frac{1}{2} ", "\\frac{1}{2}"),
        ("nan", None),
        ("", None),
    ],
)
def test_a_reference_is_found_in_a_worked_solution(solution: str, gold: str | None) -> None:
    assert reference_answer(solution) == gold


def test_a_policy_that_learnt_from_thoughts_ends_as_they_do() -> None:
    """Else it would state its answer twice, and no thought of its journeys would pass the gate."""
    for phrase in (*phrases.ANSWER, *phrases.ANSWER_ALONE):
        assert final_answer(phrase.format(answer="3/4")) == "3/4"
