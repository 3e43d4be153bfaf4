"""Runs: the stretches of tokens that are one expression, found on both sides of a relation sign."""

from dataclasses import dataclass

from problems.expressions import Expression, read_expression
from problems.tokens import Kind, Token
from problems.words import COMPUTING, singular

MAX_UNIT_WORDS = 3

_STARTS = frozenset((Kind.NUMBER, Kind.OPEN, Kind.OPERATOR, Kind.FRACTION, Kind.ROOT))


@dataclass(frozen=True, slots=True)
class Run:
    """Consecutive tokens that form one expression."""

    first: int
    last: int
    expression: Expression


def run_before(tokens: list[Token], first: int, stop: int) -> Run | None:
    """The expression that ends at the relation `stop`; None where what stands there cannot be read.

    The side is read forwards from `first`, so that an expression starts where it should: the last one read is the one.
    """
    start, last, expression = -1, -1, None
    index = first
    while index < stop:
        if tokens[index].kind not in _STARTS:
            index += 1
            continue
        start = index
        expression, index = read_expression(tokens, start, stop)
        last = index - 1
    if expression is None:
        return None
    gap = tokens[last + 1 : stop]  # only unit words may stand between the expression and the sign
    if len(gap) > MAX_UNIT_WORDS or any(token.kind is not Kind.WORD or len(token.text) == 1 for token in gap):
        return None
    if any(token.text.lower() in COMPUTING for token in gap):
        return None
    if start > first and _taints(tokens, start - 1, start):
        return None
    expression.words |= {singular(token.text) for token in gap}
    return Run(start, last, expression)


def run_after(tokens: list[Token], first: int, stop: int) -> Run | None:
    """The expression that begins right after a relation; None where it goes on in a way that cannot be read."""
    if first >= stop or tokens[first].kind not in _STARTS:
        return None
    expression, end = read_expression(tokens, first, stop)
    if expression is None:
        return None
    beyond = end
    while beyond < stop and tokens[beyond].kind is Kind.WORD and beyond - end <= MAX_UNIT_WORDS:
        beyond += 1
    if beyond < stop and tokens[beyond].kind is Kind.OPERATOR:
        return None  # `= 8 bags / Y`
    if end < stop:
        following, glued = tokens[end], tokens[end].start == tokens[end - 1].end
        match following.kind:
            case Kind.OTHER | Kind.NUMBER:
                return None  # `= 3_5`, `= 3 4`
            case Kind.STOP if glued and end + 1 < stop and tokens[end + 1].start == following.end:
                if tokens[end + 1].kind not in (Kind.CLOSE, Kind.STOP):
                    return None  # `= 0.\overline{3}`, `= 3,x`
            case Kind.OPEN if glued:
                return None  # `= 3(`
            case Kind.WORD if len(following.text) == 1 and (glued or following.text.lower() not in ("a", "i")):
                return None  # `= 3x`
            case _:
                pass
    return Run(first, end - 1, expression)


def _taints(tokens: list[Token], before: int, first: int) -> bool:
    """Whether the token before a run makes it part of something that could not be read."""
    token = tokens[before]
    if tokens[first].kind is Kind.OPERATOR:
        return token.kind not in (Kind.STOP, Kind.RELATION)
    match token.kind:
        case Kind.STOP if before > 0 and token.text in ",.":
            earlier = tokens[before - 1]  # `. 84 + .82` and `14, 400 / 80`: a number cut in two
            cut = earlier.kind is Kind.NUMBER and token.text == "," and len(tokens[first].text) == 3
            cut = cut and earlier.text != tokens[first].text  # `20 * 19 = 380, 380 - 11 = 369` goes on with its result
            return cut or earlier.kind is Kind.OPERATOR
        case Kind.STOP | Kind.RELATION:
            return False
        case Kind.WORD:
            glued = token.end == tokens[first].start
            return glued or (len(token.text) == 1 and token.text not in ("a", "A", "I"))
        case _:
            return True
