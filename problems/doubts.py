"""What keeps a false-looking equation from being a plain claim of arithmetic: then nothing is said about it."""

import re

from problems.runs import Run
from problems.tokens import Kind, Token
from problems.words import ARITHMETIC, LABELS, LINKS, LOOSE, MEASURES, SCALES, singular

_RETRACTED = re.compile(
    r"\b(?:not|wrong(?:ly)?|incorrect(?:ly)?|mistake(?:nly)?|mistaken|error|false|isn't|doesn't|don't|cannot|can't|instead|"
    r"earlier|previously|wrote|said|claimed|suppose|assume|mod|modulo|base[ -]\d+|binary|hex|clock|remainder|quotient|"
    r"round(?:ed|ing|s)?|approximately|approx|about|roughly|nearest|truncated|floor|ceiling|xor|contradiction|impossible|"
    r"hundreds?|thousands?|millions?|billions?|dozens?)\b|≡|\?",
    re.IGNORECASE,
)
"""Words in a sentence under which a false-looking equation is a retraction, a rounding, or another arithmetic."""


def doubtful(line: str, tokens: list[Token], left: Run, right: Run) -> bool:
    """Whether something around a false-looking equation keeps it from being a plain claim of arithmetic."""
    start, end = tokens[left.first].start, tokens[right.last].end
    if _RETRACTED.search(_sentence_around(line, start, end)):
        return True
    words = left.expression.words | right.expression.words
    trailing = _word(tokens, right.last + 1)
    units_left, units_right = left.expression.words & MEASURES, right.expression.words & MEASURES
    if trailing in MEASURES:
        units_right = units_right | {trailing}
    if (units_left or units_right) and units_left != units_right:
        return True  # 2 hours * 3 = 360 minutes
    if words & SCALES or trailing in SCALES or trailing in ARITHMETIC - LOOSE:
        return True
    if left.expression.divides_twice or right.expression.divides_twice:
        return True  # 25 / 1/3 = 75
    following = tokens[right.last + 2] if right.last + 2 < len(tokens) else None
    if trailing == "and" and following is not None and following.kind is Kind.NUMBER:
        return True  # 4/3 = 1 and 1/3
    if any(
        token.kind is Kind.OPERATOR and token.end - token.start > 3 for token in tokens[right.first : right.last + 1]
    ):
        return True  # 100 / 5 = 20 times 2 people
    if left.expression.mixes_percent or right.expression.mixes_percent:
        return True  # 50 + 20% = 60
    before = [_word(tokens, index) for index in range(max(0, left.first - 3), left.first)]
    if (before and before[-1] in LABELS) or any(word in ARITHMETIC for word in before):
        return True
    return any(word in LINKS for word in before) and _computes_before(tokens, left.first)


def _computes_before(tokens: list[Token], first: int) -> bool:
    """Whether the same clause computed something before: `20 + 10 to the 29 + 24 = 83`."""
    for token in reversed(tokens[:first]):
        if token.kind in (Kind.STOP, Kind.RELATION):
            return False
        if token.kind is Kind.OPERATOR:
            return True
    return False


def _word(tokens: list[Token], index: int) -> str:
    if 0 <= index < len(tokens) and tokens[index].kind is Kind.WORD:
        return singular(tokens[index].text)
    return ""


def _sentence_around(line: str, start: int, end: int) -> str:
    head = re.split(r"[.!?;](?=\s)", line[max(0, start - 200) : start])[-1]
    tail = re.split(r"[.!;](?=\s|$)", line[end : end + 120])[0]
    return head + tail
