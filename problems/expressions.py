"""Expressions in prose: their value, and what a judge of it should know about how they were written."""

from dataclasses import dataclass, field
from fractions import Fraction

from problems.arithmetic import Node, Unreadable, number_of, tree_value
from problems.grammar import Reader
from problems.tokens import Kind, Token

_ENDLESS = (3, 6, 9, 7, 11, 12, 13)
"""Denominators whose fractions are written as decimals cut short; the first four also with two decimals."""


@dataclass(slots=True)
class Expression:
    """What was read, and what a judge of its value should know about how it was written."""

    tree: Node
    operated: bool
    """Whether anything is computed."""
    places: int
    """Digits after the point, where the expression is one plain number."""
    percent: bool
    mixes_percent: bool
    """`50 + 20%`: a percentage added to something that is not one."""
    bullet: bool
    """Starts with a dash that may be a list marker."""
    slack: Fraction
    """The relative error that operands written with two or more decimals may carry."""
    divides_twice: bool
    """`25 / 1/3`: by a fraction, or twice."""
    shares: bool
    """`1/3 of 150`."""
    head: Fraction | None
    """The value of the first term, where that is a plain number, or of what stands before `of`."""
    words: set[str] = field(default_factory=set)


def value_of(expression: Expression, *, percent: Fraction = Fraction(1, 100), bullet: bool = False) -> Fraction:
    """The exact value. Raises Unreadable when it is too large, divides by zero, or has no rational value."""
    return tree_value(expression.tree, percent, bullet)


def read_expression(tokens: list[Token], first: int, stop: int) -> tuple[Expression | None, int]:
    """The longest expression from `first`, and the index after it; None in its place when it cannot be read."""
    reader = Reader(tokens, first, stop)
    try:
        tree = reader.sum(0)
    except Unreadable:
        return None, _skip(tokens, first, stop)
    numbers = [token.text for token in tokens[first : reader.index] if token.kind is Kind.NUMBER]
    alone = len(numbers) == 1 and tree[0] in ("n", "%", "neg", "bullet")
    expression = Expression(
        tree=tree,
        operated=reader.operated,
        places=_places(numbers[0]) if alone else 0,
        percent=reader.percents > 0,
        mixes_percent=reader.mixes_percent,
        bullet=reader.bullet,
        slack=Fraction(0) if tree[0] == "n" else sum(map(_carried_error, numbers), Fraction(0)),
        divides_twice=reader.divides_twice,
        shares=reader.shares,
        head=reader.head,
        words=reader.words,
    )
    return expression, reader.index


def _places(text: str) -> int:
    return len(text.partition(".")[2])


def _carried_error(text: str) -> Fraction:
    """How far, relatively, a decimal lies from the endless one that it plausibly stands for: 3.33 from 10/3."""
    if _places(text) < 2 or text.endswith("0"):
        return Fraction(0)  # nobody rounds to 0.10
    value = number_of(text)
    unit = Fraction(1, 10 ** _places(text))
    errors = []
    for denominator in _ENDLESS if _places(text) > 2 else _ENDLESS[:4]:
        nearest = Fraction(round(value * denominator), denominator)
        if (
            nearest != value
            and nearest.denominator == denominator
            and (nearest - value < unit if nearest > value else value - nearest <= unit / 2)
        ):
            errors.append(abs(nearest - value) / value)
    return max(errors, default=Fraction(0))


def _skip(tokens: list[Token], first: int, stop: int) -> int:
    """Past everything that hangs together with an unreadable expression."""
    index = first
    joined = (Kind.NUMBER, Kind.OPERATOR, Kind.OPEN, Kind.CLOSE, Kind.PERCENT, Kind.FRACTION, Kind.ROOT, Kind.OTHER)
    while index < stop and tokens[index].kind in joined:
        index += 1
    return max(index, first + 1)
