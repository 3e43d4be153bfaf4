"""What keeps a false-looking equation from being a plain claim of arithmetic: then nothing is said about it."""

import re
from fractions import Fraction

from problems.runs import Run
from problems.tokens import Kind, Token
from problems.words import CONVERSIONS, DETERMINERS, LABELS, LINKS, MEASURES, MULTIPLIERS, TRAILING, singular

_RETRACTED = re.compile(
    r"\b(?:wrong(?:ly)?|incorrect(?:ly)?|mistake(?:nly)?|mistaken|error|false|isn't|wasn't|doesn't|instead|"
    r"(?:is|was|be|does|do|did|should|could|can)\s+not|cannot|can't|not\s+(?:equal|right|correct|true|\d)|"
    r"(?:I|we|you)\s+(?:\w+\s+)?(?:wrote|said|claimed|had|got)|earlier|previously|suppose|assume|"
    r"mod|modulo|base[ -]\d+|binary|hex|clock|remainder|quotient|xor|contradiction|impossible|"
    r"round(?:ed|ing)|rounds?\s+(?:up|down|to|it|off)|approximately|approx|about|roughly|nearest|truncated|"
    r"(?:floor|ceiling)\s+of)\b|≡|\?",
    re.IGNORECASE,
)
"""Words in a sentence under which a false-looking equation is a retraction, a rounding, or another arithmetic."""

_SCALED = re.compile(r"\b(?:dozen|hundred|thousand|million|billion|trillion|pair|half|halve|cent|percent)s?\b|%", re.I)
_NUMERIC = (Kind.NUMBER, Kind.PERCENT, Kind.CLOSE, Kind.FRACTION)
MAX_LOOK_BACK = 10


def doubtful(line: str, tokens: list[Token], left: Run, right: Run, *, value: Fraction, stated: Fraction) -> bool:
    """Whether something in or around a false-looking equation makes its falsehood uncertain."""
    sentence = _sentence_around(line, tokens[left.first].start, tokens[right.last].end)
    if _RETRACTED.search(sentence):
        return True
    a, b = left.expression, right.expression
    if a.divides_twice or b.divides_twice:
        return True  # 25 / 1/3 = 75
    if a.mixes_percent or b.mixes_percent:
        return True  # 50 + 20% = 60
    trailing = _word(tokens, right.last + 1)
    units = (a.words | b.words | {trailing}) & MEASURES
    if len(a.words & MEASURES) > 1 and any(t.text in ("+", "-") for t in tokens[left.first : left.last + 1]):
        return True  # 4 pounds - 6 ounces = 58
    if (units or _SCALED.search(sentence)) and _converts(value, stated):
        return True  # 2 hours * 3 = 360 minutes
    return _goes_on(tokens, right, trailing) or _began_before(tokens, left.first)


def _converts(value: Fraction, stated: Fraction) -> bool:
    """Whether the two sides differ by the factor between two units, up to a rounding of 1%."""
    if value <= 0 or stated <= 0:
        return False
    ratio = max(value, stated) / min(value, stated)
    nearest = round(ratio)
    return nearest in CONVERSIONS and abs(ratio - nearest) * 100 <= nearest


def _goes_on(tokens: list[Token], right: Run, trailing: str) -> bool:
    """Whether the words after the result are part of it."""
    if trailing in TRAILING:
        return True
    following = tokens[right.last + 2] if right.last + 2 < len(tokens) else None
    if trailing == "and" and following is not None and following.kind is Kind.NUMBER:
        return True  # 4/3 = 1 and 1/3
    # 100 / 5 = 20 times 2 people: an operator spelt as a word is often the next thought
    return any(t.kind is Kind.OPERATOR and t.end - t.start > 3 for t in tokens[right.first : right.last + 1])


def _began_before(tokens: list[Token], first: int) -> bool:
    """Whether the words before an expression make it the end of a longer one, or the name of something."""
    index = first - 1
    if _word(tokens, index) in LABELS:
        return True
    spoken = index
    while spoken >= 0 and index - spoken < MAX_LOOK_BACK and tokens[spoken].kind is Kind.WORD:
        spoken -= 1
    if spoken >= 0 and tokens[spoken].kind is Kind.OPERATOR:
        return True  # 25 classmates + his 1 teacher + 1 himself = 27
    passed_of = False
    while index >= 0 and tokens[index].kind is Kind.WORD and tokens[index].text.lower() in DETERMINERS:
        passed_of |= tokens[index].text.lower() == "of"
        index -= 1
    if index < 0:
        return False
    if passed_of and tokens[index].kind in _NUMERIC:
        return True  # 1/3 of his 12 + 4
    word = _word(tokens, index)
    if word in MULTIPLIERS:
        return True  # half of the 20 + 4
    return word in LINKS and _has_number(tokens, index)


def _has_number(tokens: list[Token], stop: int) -> bool:
    """Whether the clause that leads up to `stop` holds a number."""
    for token in reversed(tokens[max(0, stop - MAX_LOOK_BACK) : stop]):
        if token.kind in (Kind.STOP, Kind.RELATION):
            return False
        if token.kind is Kind.NUMBER:
            return True
    return False


def _word(tokens: list[Token], index: int) -> str:
    if 0 <= index < len(tokens) and tokens[index].kind is Kind.WORD:
        return singular(tokens[index].text)
    return ""


def _sentence_around(line: str, start: int, end: int) -> str:
    head = re.split(r"[.!?;](?=\s)", line[max(0, start - 200) : start])[-1]
    tail = re.split(r"[.!;](?=\s|$)", line[end : end + 120])[0]
    return head + " " + line[start:end] + tail
