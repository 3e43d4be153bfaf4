"""Trimming: where a thought is cut, and what is never touched."""

from pathlib import Path

import pytest

from journeys.formats import TAG_STYLES, Tags
from training.rows import Message, SFTRow, Source
from training.trim import Trim, same_answer, thought_span, trim_rows

FIRST = "17 + 25 = 43. The answer is 43."
SECOND = "Wait, 17 + 25 is not 43. 17 + 25 = 42, so the answer is 42."
CHECK = "Let me check: 42 - 25 = 17. So the answer is 42."
AGAIN = "And once more: 20 + 22 = 42. The answer is 42."
TAGS = TAG_STYLES["think"]


def row(*parts: str, answer: str | None = "42", tags: Tags = TAGS) -> SFTRow:
    thought = "\n\n".join(parts)
    completion = f"{tags.open}{thought}{tags.close}{tags.answer_open}Answer: 42{tags.answer_close}"
    return SFTRow(Source("rows.jsonl", 1), (Message("user", "17 + 25?"),), completion, answer)


def cut(one: SFTRow, trim: Trim, tags: Tags = TAGS) -> str:
    (short,) = trim_rows([one], tags=tags, trim=trim)
    return short.completion


@pytest.mark.parametrize(
    ("trim", "kept"),
    [
        ("none", (FIRST, SECOND, CHECK, AGAIN)),
        ("fcs", (FIRST, SECOND)),
        ("fcs_reflection", (FIRST, SECOND, CHECK)),
    ],
)
@pytest.mark.parametrize("style", sorted(TAG_STYLES))
def test_a_thought_is_kept_through_its_first_or_second_correct_solution(
    trim: Trim, kept: tuple[str, ...], style: str
) -> None:
    tags = TAG_STYLES[style]
    assert cut(row(FIRST, SECOND, CHECK, AGAIN, tags=tags), trim, tags) == row(*kept, tags=tags).completion


def test_a_row_without_an_answer_column_is_measured_by_what_stands_after_its_thought() -> None:
    assert cut(row(FIRST, SECOND, CHECK, answer=None), "fcs") == row(FIRST, SECOND).completion


@pytest.mark.parametrize(("parts", "trim"), [((FIRST,), "fcs"), ((FIRST, SECOND), "fcs_reflection"), (("Hm.",), "fcs")])
def test_a_thought_with_too_few_correct_solutions_stays_whole(parts: tuple[str, ...], trim: Trim) -> None:
    assert cut(row(*parts), trim) == row(*parts).completion


def test_answers_are_compared_as_numbers_or_as_text() -> None:
    assert same_answer("42", "42.0")
    assert same_answer("1/2", "0.5")
    assert same_answer("42", "42 apples")
    assert same_answer("\\text{Even}", "even")
    assert not same_answer("42", "43")


def test_a_thought_never_closed_goes_to_the_end() -> None:
    assert thought_span("<think>\nhm", TAGS) == (8, 10)
    assert thought_span("no tags at all", TAGS) == (0, 14)
    assert thought_span("<think>\n\n</think>\n\nAnswer: 1", TAGS)[0] <= len("<think>\n\n")


def test_trimming_leaves_rows_in_place(tmp_path: Path) -> None:
    rows = [row(FIRST, SECOND, CHECK), row(FIRST)]
    assert [one.source for one in trim_rows(rows, tags=TAGS, trim="fcs")] == [one.source for one in rows]
