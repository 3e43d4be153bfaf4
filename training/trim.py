"""Shorter thoughts from longer ones: cut where an answer has been found, or found and checked once (methods 12).

`fcs` keeps a thought through its first correct solution, `fcs_reflection` through its second: the one check that was
found worth its tokens. A solution is correct when the answer it states is the row's own.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from journeys.formats import Tags
from journeys.solutions import split_solutions
from problems.answers import final_answer
from problems.verifier import equal_numbers, normal_text
from training.rows import SFTRow

Trim = Literal["none", "fcs", "fcs_reflection"]


def trim_rows(rows: Sequence[SFTRow], *, tags: Tags, trim: Trim) -> list[SFTRow]:
    """The rows with their thoughts cut short; a row's answer is its own column, or what stands after its thought."""
    if trim == "none":
        return list(rows)
    return [replace(row, completion=_trimmed_row(row, tags, trim)) for row in rows]


def _trimmed_row(row: SFTRow, tags: Tags, trim: Trim) -> str:
    after = row.completion[thought_span(row.completion, tags)[1] :]
    return trimmed(row.completion, answer=row.answer or final_answer(after), tags=tags, trim=trim)


def trimmed(completion: str, *, answer: str | None, tags: Tags, trim: Trim) -> str:
    """A completion with its thought cut short; what follows the thought, the answer, stays as it is.

    A thought with fewer correct solutions than `trim` asks for is left whole: where nothing is known to be right,
    nothing is known to be too much.

    Args:
        completion: a thought in `tags`, and the answer after it.
        answer: the final answer that solutions are compared with.
    """
    begin, end = thought_span(completion, tags)
    if trim == "none" or answer is None:
        return completion
    thought = completion[begin:end]
    correct = [one for one in split_solutions(thought) if same_answer(answer, one.answer)]
    wanted = 1 if trim == "fcs" else 2
    if len(correct) < wanted:
        return completion
    return completion[:begin] + thought[: correct[wanted - 1].end] + completion[end:]


def thought_span(completion: str, tags: Tags) -> tuple[int, int]:
    """Where the thought stands in a completion, the blanks that belong to the tags left out; all of it without tags.

    A thought that was never closed goes to the end.
    """
    opens, closes = tags.open.strip(), tags.close.strip()
    begin = completion.find(opens) + len(opens) if opens and opens in completion else 0
    end = completion.find(closes, begin) if closes else -1
    end = len(completion) if end < 0 else end
    inner = completion[begin:end]
    begin += len(inner) - len(inner.lstrip()) if inner.strip() else 0
    return begin, begin + len(completion[begin:end].rstrip())


def same_answer(gold: str, stated: str) -> bool:
    """Whether two final answers are one, by exact numbers or as text; mathematics that needs more is not tried."""
    equal = equal_numbers(gold, stated)
    return normal_text(gold) == normal_text(stated) if equal is None else equal
