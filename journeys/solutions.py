"""A thought as the solutions it went through: spans that each end where an answer is stated (methods 12).

A second solution is a re-check or another way, whether it comes to the same answer or not. An equation states no
answer; neither does a sentence that asks for one, doubts one or takes one back.
"""

import re
from collections.abc import Iterator

from journeys.record import Record

LONGEST_ANSWER = 400
"""Characters looked at for one answer."""

_BOX = re.compile(r"\\f?boxed\s*\{")
_LABEL = re.compile(
    r"(?:^|(?<=[\n.!?;:>]))[ \t]*(?:\*\*|__|#+[ \t]*)?(?:(?:the|my)[ \t]+)?(?:final[ \t]+)?answer(?:\*\*|__)?"
    r"[ \t]*[:=][ \t]*(?:\*\*|__)?[ \t]*|(?:^|(?<=\n))[ \t]*####[ \t]*(?=\S)|(?<=\s)####[ \t]*(?=[-$]*\d)",
    re.IGNORECASE,
)
_SENTENCE = re.compile(
    r"\b(?:the|my|our)\s+(?:(?:final|correct|right|required|overall)\s+)*answer\s+(?:is|was|comes\s+(?:out\s+)?to|"
    r"must\s+be|has\s+to\s+be|should\s+be|would\s+be|becomes|equals|=)"
    r"(?:\s+(?:then|therefore|thus|simply|just|now|indeed|still|also|again|really))*\s*[,:]?\s*(?=\S)"
    r"|\b(?:makes?|making|gives?|giving)\s+(?:the|my|our)\s+(?:final\s+)?answer\s+(?=[-\d$\\(*])",
    re.IGNORECASE,
)
_HYPOTHESIS = re.compile(
    r"\b(?:if|whether|suppose|supposing|assum(?:e|es|ing)|check(?:ing)?|verify(?:ing)?|unless|maybe|perhaps|doubt|claim\w*|"
    r"thought|guess\w*|says?|said|might|not|never|until|once|that\s+means\s+either)\b",
    re.IGNORECASE,
)
_NO_ANSWER = re.compile(
    r"(?:not\b|never\b|no\s+longer\b|n't\b|wrong\b|incorrect\b|right\b|correct\b|unknown\b|unclear\b|in\b|to\b|what\b|"
    r"how\b|going\b|supposed\b|expected\b|asked\b|obtained\b|found\b|given\b|either\b|between\b|at\s+(?:least|most)\b|"
    r"(?:too|more|less|greater|larger|smaller|about|around|close|approximately|probably|likely|still|off)\b|"
    r"(?:the\s+)?(?:same|sum|product|difference|number|result|value|total)\b(?!\s+(?:is|:))|that\b|this\b|it\b|yet\b)",
    re.IGNORECASE,
)
_TAKEN_BACK = re.compile(
    r"[\s$.,;:*)\]]*(?:(?:which|that|but\s+(?:that|this|it)|and\s+(?:that|this))\s+)?"
    r"(?:is|was|'s|cannot|can't|isn't|looks?|seems?)\s*(?:be\s+)?"
    r"(?:not\b|wrong|incorrect|false|impossible|right\?|correct\?|a\s+mistake|too\b)|[\s$.,;:*)\]]*\?",
    re.IGNORECASE,
)
_CLAUSE_END = re.compile(r"[.!?;\n]\s|\n|,?\s(?:so|thus|hence|therefore)\b", re.IGNORECASE)
_PART_END = re.compile(r"[,.!?:;)]\s|\n|\s(?:so|thus|hence|therefore|then)\b", re.IGNORECASE)
"""Nobody boxes what is merely supposed: only the words right before a box can take it back."""
_SENTENCE_END = re.compile(r"(?<=[.!?])[\"')\]*]*\s+(?=\S)")
_REASON = re.compile(
    r",?\s+(?:because|since|as\s+(?:required|claimed|before|expected)|so\s|which\s|but\s).*$", re.DOTALL
)
_WRAPPERS = (("\\(", "\\)"), ("\\[", "\\]"), ("$$", "$$"), ("$", "$"), ("**", "**"), ("__", "__"), ("`", "`"))
_PLACEHOLDER = re.compile(r"(?:\.{2,}|…|\?+|_+|-{2,}|\[[A-Za-z ]+\]|<[^<>]*>)")
_RESTATES = re.compile(
    r"(?:\s|<[|/]{0,2}\w+\|?>|\b(?:so|thus|therefore|hence|and|finally|step\s+\d+)\b|[,.:*#]|-{3,})*", re.IGNORECASE
)
_TRAILING = re.compile(r"(?:\$\$?|\*\*|\\\)|\\\]|[.!)])*")


class Solution(Record):
    """One way to an answer."""

    text: str
    start: int
    """Its first character in the thought."""
    end: int
    """The character after the statement of its answer."""
    answer: str
    """As stated, without the marks around it."""


def split_solutions(thought: str) -> tuple[Solution, ...]:
    """The solutions in `thought`, in order; none where it states no answer.

    They do not overlap, each begins where the one before ended, and what follows the last answer belongs to none. The
    same answer said again at once ("The answer is 42. Answer: 42") is one statement. Linear in the length of `thought`
    but for the number of answers.
    """
    solutions: list[Solution] = []
    for place, end, answer in _statements(thought):
        start = solutions[-1].end if solutions else 0
        if solutions and solutions[-1].answer == answer and _RESTATES.fullmatch(thought, start, place):
            start = solutions.pop().start
        start += len(thought[start:end]) - len(thought[start:end].lstrip())
        solutions.append(Solution(text=thought[start:end], start=start, end=end, answer=answer))
    return tuple(solutions)


def _statements(text: str) -> Iterator[tuple[int, int, str]]:
    """Where answers are stated: the beginning of the statement, its end, the answer."""
    marks = [(match.start(), match.end(), _read_box) for match in _BOX.finditer(text)]
    marks += [(match.start(), match.end(), _read_line) for match in _LABEL.finditer(text)]
    marks += [(match.start(), match.end(), _read_sentence) for match in _SENTENCE.finditer(text)]
    done = 0
    for start, after, read in sorted(marks, key=lambda mark: mark[:2]):
        if start < done:  # inside a statement: "Answer: \boxed{42}"
            continue
        found = read(text, start, after)
        if found is not None:
            answer, end = found
            done = _TRAILING.match(text, end).end()  # type: ignore[union-attr]  # it matches nothing as well
            yield start, done, answer


def _read_box(text: str, start: int, after: int) -> tuple[str, int] | None:
    content = _braced(text, after)
    if content is None or _TAKEN_BACK.match(text, after + len(content) + 1) or _supposed(text, start, _PART_END):
        return None
    answer = _bare(content)
    return (answer, after + len(content) + 1) if answer else None


def _read_line(text: str, start: int, after: int) -> tuple[str, int] | None:
    """What a label stands before: its line, or the paragraph below it (a grid, a displayed formula)."""
    rest = text[after : after + LONGEST_ANSWER]
    line = rest.partition("\n")[0]
    if not line.strip(" *_$"):
        line = rest[: len(rest) - len(rest.lstrip())] + rest.lstrip().partition("\n\n")[0]
    # A sentence may go on after the answer on the same line: "Answer: 42. Let me check it."
    return _read(text, after, _first_sentence(line))


def _read_sentence(text: str, start: int, after: int) -> tuple[str, int] | None:
    if _supposed(text, start, _CLAUSE_END):
        return None
    rest = text[after : after + LONGEST_ANSWER].partition("\n")[0]
    said = _first_sentence(rest)
    if said.rstrip().endswith("?") or _NO_ANSWER.match(said):
        return None
    return _read(text, after, _REASON.sub("", said))


def _read(text: str, after: int, said: str) -> tuple[str, int] | None:
    """The answer in the words of a statement, and where it ends; a box in them is the answer."""
    box = _BOX.search(said)
    if box is not None:
        content = _braced(text, after + box.end())
        answer = _bare(content) if content else ""
        end = after + box.end() + len(content or "") + 1
    else:
        answer, end = _bare(said), after + len(said.rstrip())
    return None if not answer or _TAKEN_BACK.match(text, end) else (answer, end)


def _first_sentence(line: str) -> str:
    """Up to the first full stop that stands outside mathematics: in "$3! \\cdot 2$" nothing ends."""
    for end in _SENTENCE_END.finditer(line):
        if line.count("$", 0, end.start()) % 2 == 0:
            return line[: end.start()]
    return line


def _supposed(text: str, start: int, clause_end: re.Pattern[str]) -> bool:
    """Whether the clause before `start` makes what follows a supposition: "if the answer is 5", "not \\boxed{5}"."""
    lead = text[max(0, start - 120) : start]
    return _HYPOTHESIS.search(clause_end.split(lead)[-1]) is not None


def _braced(text: str, start: int) -> str | None:
    """The inside of the brace group whose first character is at `start`; None where it does not close soon."""
    depth, at = 1, start
    while at < min(len(text), start + LONGEST_ANSWER):
        if text[at] == "\\":
            at += 2
            continue
        depth += (text[at] == "{") - (text[at] == "}")
        if depth == 0:
            return text[start:at]
        at += 1
    return None


def _bare(said: str) -> str:
    """An answer without delimiters, bold marks and full stop."""
    answer = said.strip()
    before = None
    while before != answer:
        before = answer
        if not answer.endswith("..."):
            answer = answer.rstrip(".,;! \t\n")
        for left, right in _WRAPPERS:
            if len(answer) > len(left) + len(right) and answer.startswith(left) and answer.endswith(right):
                inner = answer[len(left) : -len(right)]
                answer = answer if left in inner or right in inner else inner.strip()
        for mark in ("**", "__"):
            if answer.count(mark) == 1:
                answer = answer.removeprefix(mark).removesuffix(mark).strip()
    return "" if _PLACEHOLDER.fullmatch(answer) else answer
