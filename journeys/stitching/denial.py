"""Steps that stand and deny what they stand for: "8 * 4 = 32, but 32 is not the answer." """

import re
from collections.abc import Iterator, Sequence

from journeys.stitching.prose import normal, sentences

_NO = r"(?:is not|isn't|is never|can't be|cannot be|can not be|is no longer)"
_ANSWER = r"(?:the|my|our)\s+(?:final\s+|correct\s+|right\s+|actual\s+)*answer\b(?!\s+(?:yet|to\b))"
_WRONG = (
    r"\s+(?:is|was|must be)\s+(?:actually\s+|clearly\s+|also\s+)?(?:wrong|incorrect|false|not (?:right|correct|true))\b"
)
_CALCULATION = re.compile(
    r"(?<![\w.^*/+=-])(?P<left>[-(]?\d[\d.+*/^()-]*)=(?P<right>-?\d+(?:\.\d+)?)(?![\d.]*\d|[+*/^=-])"
)
_NOT_BEFORE = re.compile(r"\b(?:not|never|instead of|rather than)\s+$")
_WRONG_AFTER = re.compile(_WRONG)


def self_denials(standing: Sequence[str], answer: str | None) -> Iterator[str]:
    """Clauses with which steps that stand deny the final answer, or a calculation that they also assert.

    A calculation that is denied and put right ("3 + 4 = 8 is wrong, 3 + 4 = 7") is a correction and no self-denial; an
    equation with letters may be a case that is ruled out. Neither is named.

    Args:
        standing: the steps of the path in `normal` form.
        answer: the final answer.
    """
    asserted: dict[str, set[str]] = {}
    denied: list[tuple[str, str, str]] = []
    for step in standing:
        for found in _CALCULATION.finditer(step):
            left, right = found["left"], found["right"]
            if _NOT_BEFORE.search(step[: found.start()]) or _WRONG_AFTER.match(step[found.end() :]):
                denied.append((left, right, step[max(0, found.start() - 4) : found.end()].strip()))
                continue
            asserted.setdefault(left, set()).add(right)
            if same := re.match(
                rf",?\s+(?:and |but )?not {re.escape(right)}(?![\d.]*\d|[+*/^=-])", step[found.end() :]
            ):
                yield step[found.start() : found.end() + same.end()]
    for left, right, clause in denied:
        if asserted.get(left) == {right}:
            yield clause
    if answer:
        yield from _answer_denied(standing, normal(answer).strip(". "))


def _answer_denied(standing: Sequence[str], answer: str) -> Iterator[str]:
    it = rf"(?<![\w.=+*/^-]){re.escape(answer)}(?![\d.]*\d|[\w+*/^=-])"
    denial = re.compile(rf"{it},?\s+{_NO}\s+(?:{_ANSWER}|right\b|correct\b)|{it}{_WRONG}|{_ANSWER}\s+{_NO}\s+{it}")
    for step in standing:
        if answer not in step or ("answer" not in step and not re.search(_WRONG, step) and not re.search(_NO, step)):
            continue
        for sentence in sentences(step):
            found = denial.search(sentence)
            if found and not sentence.endswith("?") and not re.search(r"\bif\b", sentence[: found.start()]):
                yield found.group()
