"""The final answer span: in a policy's step, and in a source's worked solution.

Only this span is ever graded. Grading a whole reflective step undercounts: math-verify glues several boxes together
("\\boxed{5} is wrong ... \\boxed{204}" parses as 5204).
"""

import re

MAX_ANSWER_CHARS = 4000
MAX_STEP_CHARS = 200_000

_BOX = re.compile(r"\\f?boxed\s*")
_LABEL = re.compile(
    r"(?:^|(?<=[\s.,;:*_>(]))(?:\*\*|__)?"
    r"(?:[Ff]inal\s+[Aa]nswer|FINAL\s+ANSWER|Answer|ANSWER|(?:(?<=\n)|(?<=^))answer)"
    r"(?:\*\*|__)?[ \t]*[:：][ \t]*(?:\*\*|__)?",
    re.MULTILINE,
)
_HASHES = re.compile(r"^[ \t]*####[ \t]*(?P<value>[-+$£€(]?[ \t]*\\?\$?\.?\d[^\n]{0,80})$", re.MULTILINE)
_GOLD_HASHES = re.compile(r"####[ \t]*([^\n]+)")
_SENTENCE = re.compile(
    r"\b(?:(?:[Tt]he|[Mm]y)\s+(?:final\s+|correct\s+|right\s+)?answer\s+is|makes\s+(?:the|my)\s+answer)"
    r"\s*(?:therefore|thus|simply|just)?\s*:?\s*"
)
_HYPOTHESIS = re.compile(
    r"\b(?:if|whether|suppose|assume|assuming|check|unless|maybe|perhaps|doubt|claim|claims|claimed|thought|"
    r"guess|says?|said|could|might|not|never|until)\b",
    re.IGNORECASE,
)
_DENIAL = re.compile(
    r"^(?:not\b|wrong\b|incorrect\b|probably\b|likely\b|still\b|unknown\b|unclear\b|too\b|at\s+(?:least|most)\b|"
    r"between\b|more\b|less\b|greater\b|larger\b|smaller\b|either\b|going\s+to\b|supposed\b|expected\b|in\b|to\b|what\b|"
    r"close\b|about\b|approximately\b|around\b|obtained\b|found\b|given\b|the\s+(?:sum|product|number|difference)\s+of\b)",
    re.IGNORECASE,
)
_TAKEN_BACK = re.compile(
    r"[\s$.,;:*)]*(?:(?:which|that|but\s+(?:that|this|it)|and\s+(?:that|this))\s+)?(?:is|was|'s|cannot|can't|can\s+not|looks?|seems?)"
    r"\s+(?:be\s+)?(?:not\b|wrong|incorrect|false|impossible|right\?|correct\?|a\s+mistake|too\b)",
    re.IGNORECASE,
)
_PLACEHOLDER = re.compile(r"^(?:\.{2,}|…|\?+|_+|-{2,}|\[[A-Za-z ]+\]|<[^<>]*>|\(\s*\)|none|n/?a|tbd)$", re.IGNORECASE)
_CALCULATION = re.compile(r"[\d\s.,$()+*/×÷·^-]+=\s*(?P<result>[^=]*\d[^=]*)")
_WRAPPERS = (
    ("\\(", "\\)"),
    ("\\[", "\\]"),
    ("$$", "$$"),
    ("$", "$"),
    ("**", "**"),
    ("__", "__"),
    ("*", "*"),
    ("`", "`"),
)


def final_answer(step: str) -> str | None:
    """The answer that ends a policy's step, or None when the step does not end the journey.

    Understands `Answer: ...`, `The answer is ...`, `#### 18` and `\\boxed{...}`; the last one written wins. What our
    own narrator says at the end of a thought is understood too: a policy that learnt from it says the same. A sentence
    about an answer ("the answer is not 5", "if the answer is 5, ...") is not an answer. Linear in the length of `step`.
    """
    text = step[-MAX_STEP_CHARS:]
    found: list[tuple[int, str]] = []
    boxed = _last_box(text)
    if boxed is not None:
        found.append(boxed)
    label = _last(_LABEL, text)
    if label is not None and not _TAKEN_BACK.match(text, label.end()):
        found.append((label.start(), _line_or_rest(text, label.end())))
    hashes = _last(_HASHES, text)
    if hashes is not None:
        found.append((hashes.start(), hashes["value"]))
    sentence = _closing_sentence(text)
    if sentence is not None:
        found.append(sentence)
    for _, span in sorted(found, reverse=True):
        # "Answer: \boxed{5}" and "Answer: the answer is 5" are one answer said twice.
        inner = _last_box(span)
        tidied = tidy(inner[1] if inner else span)
        if tidied and not re.search(r"\b(?:is|was)\s+(?:wrong|incorrect|not\b)", tidied):
            return tidied
    return None


def reference_answer(solution: str) -> str | None:
    """The answer inside a source's answer text: after `####`, in the last `\\boxed{}`, or else the text itself.

    None when the text holds no answer (it is empty, or `nan`).
    """
    text = solution.strip()
    if text.lower() in ("", "nan", "none", "null"):
        return None
    hashes = _GOLD_HASHES.findall(text)
    if hashes:
        return tidy(str(hashes[-1]))
    boxed = _last_box(text)
    if boxed is not None:
        return tidy(boxed[1])
    sentence = _closing_sentence(text)
    return tidy(sentence[1] if sentence else text)


def tidy(span: str) -> str | None:
    """A span without its delimiters, bold marks and trailing period; None when nothing is left."""
    text = span.strip()[:MAX_ANSWER_CHARS].strip()
    for _ in range(6):
        before = text
        if text.endswith((".", "。", ",", ";")) and not text.endswith("..."):
            text = text[:-1].rstrip()
        for left, right in _WRAPPERS:
            if len(text) >= len(left) + len(right) and text.startswith(left) and text.endswith(right):
                inner = text[len(left) : -len(right)]
                if left not in inner and right not in inner:
                    text = inner.strip()
        for mark in ("**", "__"):  # "Answer:** 18" leaves one half behind
            if text.count(mark) == 1:
                text = text.removeprefix(mark).removesuffix(mark).strip()
        if text == before:
            break
    return None if not text or _PLACEHOLDER.match(text) else text


def result_of(answer: str) -> str | None:
    """The result that a calculation given as an answer ends in: `68 jewels` of `28 + 40 = 68 jewels`. None for any
    other answer; of `x = 5` the equation itself may be what was asked for."""
    calculated = _CALCULATION.fullmatch(answer)
    return tidy(calculated["result"]) if calculated else None


def balanced(text: str, start: int) -> int | None:
    """The index just after the brace group that opens at `start`; None when it never closes."""
    depth = 0
    index = start
    while index < len(text):
        char = text[index]
        if char == "\\":
            index += 2
            continue
        if char == "{":
            depth += 1
        elif char == "}":
            depth -= 1
            if depth == 0:
                return index + 1
        index += 1
    return None


def _last_box(text: str) -> tuple[int, str] | None:
    """The last closed box that is not taken back right after, with its place."""
    marks = [match.span() for match in _BOX.finditer(text)]
    for start, end in reversed(marks[-8:]):  # a step that boxes more than eight things is not worth quadratic time
        if end < len(text) and text[end] == "{":
            close = balanced(text, end)
            if close is None:
                continue
            content, after = text[end + 1 : close - 1], close
        else:
            bare = re.match(r"[-+]?\w[\w.,/]*", text[end:])
            if bare is None:
                continue
            content, after = bare[0], end + bare.end()
        if content.strip() and not _TAKEN_BACK.match(text, after):
            return start, content
    return None


def _closing_sentence(text: str) -> tuple[int, str] | None:
    """`The answer is X.` where nothing follows X: the sentence must close the step."""
    match = _last(_SENTENCE, text)
    if match is None:
        return None
    rest = text[match.end() :].strip()
    lead = text[max(0, match.start() - 120) : match.start()]
    clause = re.split(r"[.!?\n;]", lead)[-1]
    if not rest or len(rest) > 300 or _DENIAL.match(rest) or _HYPOTHESIS.search(clause):
        return None
    if "\n" in rest or re.search(r"[.!?]\s+\S", rest) or rest.endswith("?") or re.search(r"\bbecause\b|\bor\b", rest):
        return None
    return match.start(), re.sub(r"(?<=\w),?\s+(?:as required|as claimed)\b.*$", "", rest.rstrip("!"))


def _line_or_rest(text: str, start: int) -> str:
    """What follows a label: its line, or, when the line is empty, the rest (a grid, a displayed formula)."""
    line, _, rest = text[start : start + MAX_ANSWER_CHARS].partition("\n")
    return line if line.strip(" *_$") else rest


def _last(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    found = None
    for found in pattern.finditer(text):  # noqa: B007  only the last one is wanted
        pass
    return found
