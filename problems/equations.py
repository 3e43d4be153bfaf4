"""Equations in prose, checked by exact arithmetic. No eval; what cannot be read with certainty is left alone.

A text is cut into tokens, tokens into *runs* (expressions of plain numbers, units allowed), and two runs around a relation
sign are an equation. An equation is false only when every sensible reading of it is: a percent sign may mean a hundredth or
nothing, a dash before a line may be a bullet, `3 + 4 = 7 + 2 = 9` may be a running total. A false alarm would poison the
data, a missed error would not, so variables, unit conversions and retractions ("not 43") are skipped.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from problems.arithmetic import Expression, Unreadable, value_of
from problems.tokens import Kind, Token, tokenize


@dataclass(frozen=True, slots=True)
class Equation:
    """One relation between two readable expressions, as it stands in the text."""

    quote: str
    """Verbatim from the text."""
    left: str
    right: str
    value: Fraction
    """What the left side comes to."""
    stated: Fraction
    """What the right side comes to."""
    operated: bool
    """Whether the left side computes something; `20 = 20` does not."""
    holds: bool


_RETRACTED = re.compile(
    r"\b(?:not|wrong|wrongly|incorrect|incorrectly|mistake|mistaken|mistakenly|error|false|isn't|doesn't|don't|cannot|can't|instead|earlier|"
    r"previously|wrote|said|claimed|if|suppose|assume|would|should|mod|modulo|base|binary|hex|clock|remainder|"
    r"quotient|rounded|rounding|round|rounds|approximately|approx|about|roughly|nearest|truncated|floor|ceiling|"
    r"xor|contradiction|impossible)\b|≡|\?",
    re.IGNORECASE,
)
"""Words in a sentence under which a false-looking equation is not a claim of plain arithmetic."""

_MEASURES = frozenset(
    ["second", "sec", "minute", "min", "hour", "hr", "day", "week", "fortnight", "month", "year", "decade", "century", "inch", "in", "foot", "feet", "ft", "yard", "yd", "mile", "mm", "cm", "km", "meter", "metre", "millimeter", "centimeter", "kilometer", "mg", "kg", "gram", "kilogram", "ounce", "oz", "pound", "lb", "ton", "tonne", "ml", "liter", "litre", "milliliter", "gallon", "quart", "pint", "cup", "tablespoon", "tbsp", "teaspoon", "tsp", "cent", "penny", "pence", "nickel", "dime", "quarter", "dollar", "buck", "euro", "degree", "radian", "mph", "am", "pm", "percent"]
)
_SCALES = frozenset(
    ["dozen", "hundred", "thousand", "million", "billion", "trillion", "pair", "couple", "score", "gross", "k", "half", "third", "fourth", "fifth"]
)
_ARITHMETIC = frozenset(
    ["times", "plus", "minus", "of", "half", "twice", "thrice", "double", "triple", "by", "divided", "multiplied", "less", "than", "more", "squared", "cubed", "square", "cube", "root", "sum", "product", "difference", "quotient", "mod", "modulo", "remainder", "r", "rem", "factorial", "choose", "power", "fraction", "over", "per", "cent", "percent", "between", "and", "or"]
)
MAX_EQUATIONS = 200


@lru_cache(maxsize=65_536)
def equations(text: str) -> tuple[Equation, ...]:
    """Every equation of `text` that can be read with certainty, in order, true and false ones."""
    if "=" not in text and "≈" not in text and " is " not in text and " equals " not in text and "approx" not in text:
        return ()
    found: list[Equation] = []
    for line in _lines(text):
        found += _equations_in(line)
        if len(found) >= MAX_EQUATIONS:
            break
    return tuple(found)


def false_equations(text: str) -> list[Equation]:
    """The equations of `text` that hold under no sensible reading."""
    return [equation for equation in equations(text) if not equation.holds]


@dataclass(slots=True)
class _Run:
    """Consecutive tokens that form one expression."""

    first: int
    last: int
    expression: Expression | None
    """None when the run touches something that cannot be read (a variable, a stray operator)."""


def _lines(text: str) -> Iterator[str]:
    for line in re.split(r"\n|\u2028", text):
        if len(line) <= 20_000 and re.search(r"[=≈]|\bis\b|\bequals\b|approx", line):
            yield line


def _equations_in(line: str) -> list[Equation]:
    tokens = tokenize(line)
    relations = [index for index, token in enumerate(tokens) if token.kind is Kind.RELATION]
    found = []
    for place, index in enumerate(relations):
        before = relations[place - 1] if place else -1
        after = relations[place + 1] if place + 1 < len(relations) else len(tokens)
        if tokens[index].text not in _EQUALS:
            continue
        chained = before >= 0 and tokens[before].text in _EQUALS
        left = _ending_at(tokens, before + 1, index)
        right = _starting_at(tokens, index + 1, after)
        if left is None or right is None or left.expression is None or right.expression is None:
            continue
        whole_left = left.first == before + 1 and chained
        if not left.expression.operated and not (whole_left and not right.expression.operated):
            continue  # "Step 3 = 4", "1 hour = 60 minutes", "total 20 = 4 * 5": no computation on the left to judge
        if tokens[index].text == "is" and not left.expression.operated:
            continue
        equation = _judge(line, tokens, left, index, right, ends_at=after)
        if equation is not None:
            found.append(equation)
    return found


_EQUALS = frozenset(("=", "==", "≈", "\\approx", "is", "equals", "makes", "gives"))


def _judge(line: str, tokens: list[Token], left: _Run, relation: int, right: _Run, *, ends_at: int) -> Equation | None:
    """The equation between two runs, or None when no certain reading exists."""
    assert left.expression is not None and right.expression is not None
    try:
        value, stated = value_of(left.expression), value_of(right.expression)
        holds = _agree(value, stated, left, right, loose=tokens[relation].text in ("≈", "\\approx"))
        if not holds:
            holds = _agree_otherwise(tokens, left, right, continues=ends_at < len(tokens))
    except Unreadable:
        return None
    if not holds and _doubtful(line, tokens, left, relation, right):
        return None
    start, end = tokens[left.first].start, tokens[right.last].end
    return Equation(
        quote=line[start:end],
        left=line[start : tokens[left.last].end],
        right=line[tokens[right.first].start : end],
        value=value,
        stated=stated,
        operated=left.expression.operated,
        holds=holds,
    )


def _agree(value: Fraction, stated: Fraction, left: _Run, right: _Run, *, loose: bool) -> bool:
    if value == stated:
        return True
    assert left.expression is not None and right.expression is not None
    places = right.expression.places
    if right.expression.operated:
        return False
    if loose:  # "about": any rounding to two digits or so
        return abs(value - stated) <= max(abs(value) / 20, Fraction(1, 2 * 10**places))
    # 10/3 = 3.33 states the value to the digits shown, rounded or cut; 17/4 = 4 does not. 100/3 = 33 is taken as rounding.
    endless = places == 0 and _endless(value) and abs(value) >= 10
    if places > 0 or endless:
        unit = Fraction(1, 10**places)
        cut = value - value % unit if value >= 0 else -(-value - -value % unit)
        if abs(value - stated) <= unit / 2 or stated == cut:
            return True
    # 3.33 * 3 = 10: an operand that was itself rounded carries its error along.
    slack = left.expression.slack
    return slack > 0 and abs(value - stated) <= slack * abs(value)


def _endless(value: Fraction) -> bool:
    """Whether the decimal expansion never ends."""
    rest = value.denominator
    for prime in (2, 5):
        while rest % prime == 0:
            rest //= prime
    return rest != 1


def _agree_otherwise(tokens: list[Token], left: _Run, right: _Run, *, continues: bool) -> bool:
    """Whether a less literal reading holds."""
    assert left.expression is not None and right.expression is not None
    lefts = list(_readings(left.expression))
    rights = list(_readings(right.expression))
    if continues and right.expression.operated and right.expression.head is not None:
        rights.append((right.expression.head, 0))  # 3 + 4 = 7 + 2 = 9
    for a, _ in lefts:
        for b, places in rights:
            if a == b or (places > 0 and abs(a - b) <= Fraction(1, 2 * 10**places)):
                return True
    return False


def _readings(expression: Expression) -> Iterator[tuple[Fraction, int]]:
    for percent in (Fraction(1, 100), Fraction(1)) if expression.percent else (Fraction(1, 100),):
        for bullet in (False, True) if expression.bullet else (False,):
            try:
                yield value_of(expression, percent=percent, bullet=bullet), expression.places
            except Unreadable:
                continue


def _doubtful(line: str, tokens: list[Token], left: _Run, relation: int, right: _Run) -> bool:
    """Whether something around a false-looking equation keeps it from being a plain claim of arithmetic."""
    assert left.expression is not None and right.expression is not None
    start, end = tokens[left.first].start, tokens[right.last].end
    if _RETRACTED.search(_sentence_around(line, start, end)):
        return True
    words = left.expression.words | right.expression.words
    trailing = _word(tokens, right.last + 1)
    units_left, units_right = left.expression.words & _MEASURES, right.expression.words & _MEASURES
    if trailing in _MEASURES:
        units_right = units_right | {trailing}
    if (units_left or units_right) and units_left != units_right:
        return True  # 2 hours * 3 = 360 minutes
    if (
        words & _SCALES
        or trailing in _SCALES
        or trailing in _ARITHMETIC - {"and", "or", "of", "per", "over", "by", "less", "more"}
    ):
        return True
    if left.expression.mixes_percent or right.expression.mixes_percent:
        return True  # 50 + 20% = 60
    before = [_word(tokens, index) for index in range(max(0, left.first - 3), left.first)]
    return any(word in _ARITHMETIC for word in before)


def _word(tokens: list[Token], index: int) -> str:
    if 0 <= index < len(tokens) and tokens[index].kind is Kind.WORD:
        return singular(tokens[index].text)
    return ""


def singular(word: str) -> str:
    """A unit word in the form that `_MEASURES` lists."""
    word = word.lower()
    if word == "inches":
        return "inch"
    if word in ("pennies", "centuries"):
        return word[:-3] + "y"
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


def _sentence_around(line: str, start: int, end: int) -> str:
    head = re.split(r"[.!?;](?=\s)", line[max(0, start - 200) : start])[-1]
    tail = re.split(r"[.!;](?=\s|$)", line[end : end + 120])[0]
    return head + tail


def _ending_at(tokens: list[Token], first: int, stop: int) -> _Run | None:
    """The expression that ends just before the relation at `stop`, read forwards so that it starts where it should."""
    last = None
    index = first
    while index < stop:
        if tokens[index].kind not in _STARTS:
            index += 1
            continue
        run = _read(tokens, index, stop)
        last, index = run, run.last + 1
    if last is None:
        return None
    # Only unit words may stand between the run and the sign.
    gap = tokens[last.last + 1 : stop]
    if len(gap) > 3 or any(token.kind is not Kind.WORD for token in gap):
        return None
    if last.expression is not None:
        words = last.expression.words | {singular(token.text) for token in gap}
        if any(len(token.text) == 1 or token.text.lower() in _ARITHMETIC for token in gap):
            return None
        last.expression.words = words
    if last.first > first and _taints(tokens, last.first - 1, last.first):
        last.expression = None
    return last


def _starting_at(tokens: list[Token], first: int, stop: int) -> _Run | None:
    """The expression that begins just after a relation."""
    if first >= stop or tokens[first].kind not in _STARTS:
        return None
    run = _read(tokens, first, stop)
    following = tokens[run.last + 1] if run.last + 1 < stop else None
    if (
        following is not None
        and run.expression is not None
        and following.kind in (Kind.OPERATOR, Kind.OTHER, Kind.OPEN)
    ):
        glued = following.start == tokens[run.last].end
        if following.kind is Kind.OPERATOR or glued or following.kind is Kind.OTHER:
            run.expression = None
    if run.expression is not None and following is not None and following.kind is Kind.NUMBER:
        run.expression = None  # "= 3 4": two numbers side by side
    if (
        run.expression is not None
        and following is not None
        and following.kind is Kind.WORD
        and len(following.text) == 1
    ):
        if following.text.lower() not in ("a", "i") or following.start == tokens[run.last].end:
            run.expression = None  # "= 3x"
    return run


_STARTS = frozenset((Kind.NUMBER, Kind.OPEN, Kind.OPERATOR, Kind.FRACTION, Kind.ROOT))


def _taints(tokens: list[Token], before: int, first: int) -> bool:
    """Whether the token before a run makes it part of something that could not be read."""
    token = tokens[before]
    if tokens[first].kind is Kind.OPERATOR:
        return token.kind not in (Kind.STOP, Kind.RELATION)
    if token.kind in (
        Kind.OPERATOR,
        Kind.OTHER,
        Kind.OPEN,
        Kind.CLOSE,
        Kind.NUMBER,
        Kind.FRACTION,
        Kind.ROOT,
        Kind.PERCENT,
    ):
        return True
    glued = token.end == tokens[first].start
    return token.kind is Kind.WORD and (glued or (len(token.text) == 1 and token.text not in ("a", "A", "I")))


def _read(tokens: list[Token], index: int, stop: int) -> _Run:
    from problems.arithmetic import read_expression

    expression, end = read_expression(tokens, index, stop)
    return _Run(first=index, last=max(index, end - 1), expression=expression)
