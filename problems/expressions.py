"""Expressions in prose: recursive descent over tokens, units and percent signs included."""

from dataclasses import dataclass, field
from fractions import Fraction

from problems.arithmetic import Node, Unreadable, number_of, tree_value
from problems.tokens import Kind, Token

MAX_DEPTH = 24
MAX_NODES = 400


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
    reader = _Reader(tokens, first, stop)
    try:
        tree = reader.sum(0)
    except Unreadable:
        return None, _skip(tokens, first, stop)
    end = reader.index
    span = tokens[first:end]
    plain = tree[0] == "n"
    numbers = [token.text for token in span if token.kind is Kind.NUMBER]
    decimals = [_places(text) for text in numbers]
    longest = max(decimals, default=0)
    slack = Fraction(0)
    if longest >= 2 and not plain:
        slack = sum((_carried_error(text) for text in numbers if _places(text) >= 2), Fraction(0))
    return (
        Expression(
            tree=tree,
            operated=reader.operated,
            places=decimals[0] if len(decimals) == 1 and tree[0] in ("n", "%", "neg", "bullet") else 0,
            percent=reader.percents > 0,
            mixes_percent=reader.mixes_percent,
            bullet=reader.bullet,
            slack=slack,
            divides_twice=reader.divides_twice,
            shares=reader.shares,
            head=reader.head,
            words=reader.words,
        ),
        end,
    )


def _places(text: str) -> int:
    return len(text.partition(".")[2])


def _carried_error(text: str) -> Fraction:
    """How far, relatively, a decimal lies from the endless one that it plausibly stands for: 3.33 from 10/3."""
    value = number_of(text)
    unit = Fraction(1, 10 ** _places(text))
    errors = []
    if text.endswith("0"):
        return Fraction(0)  # nobody rounds to 0.10
    for denominator in _ENDLESS if _places(text) > 2 else _ENDLESS[:4]:
        nearest = Fraction(round(value * denominator), denominator)
        if (
            nearest != value
            and nearest.denominator == denominator
            and (nearest - value < unit if nearest > value else value - nearest <= unit / 2)
        ):
            errors.append(abs(nearest - value) / value)
    return max(errors, default=Fraction(0))


_ENDLESS = (3, 6, 9, 7, 11, 12, 13)


def _skip(tokens: list[Token], first: int, stop: int) -> int:
    """Past everything that hangs together with an unreadable expression."""
    index = first
    joined = (Kind.NUMBER, Kind.OPERATOR, Kind.OPEN, Kind.CLOSE, Kind.PERCENT, Kind.FRACTION, Kind.ROOT, Kind.OTHER)
    while index < stop and tokens[index].kind in joined:
        index += 1
    return max(index, first + 1)


class _Reader:
    """Recursive descent over tokens: sum > product > power > atom."""

    def __init__(self, tokens: list[Token], first: int, stop: int) -> None:
        self.tokens = tokens
        self.first = first
        self.index = first
        self.stop = stop
        self.nodes = 0
        self.operated = False
        self.percents = 0
        self.mixes_percent = False
        self.divides_twice = False
        self.shares = False
        self.bullet = False
        self.head: Fraction | None = None
        self.words: set[str] = set()

    def sum(self, depth: int) -> Node:
        node = self.product(depth)
        if depth == 0 and node[0] == "n":
            self.head = node[1]  # type: ignore[assignment]
        while (sign := self.operator("+-")) is not None:
            self.operated = True
            right = self.product(depth)
            if ("%" in (node[0], right[0])) and not (_is_percentage(node) and _is_percentage(right)):
                self.mixes_percent = True
            node = (sign, node, right)
        return node

    def product(self, depth: int) -> Node:
        node = self.signed(depth)
        divided = False
        while (sign := self.operator(_FACTORS)) is not None:
            if sign == "of" and not self.starts_operand(self.index):
                self.index -= 1
                break
            self.operated = True
            if sign == "/":
                self.divides_twice |= divided
                divided = True
            if sign == "of":
                self.shares = True
                if depth == 0 and self.head is None:
                    self.head = _constant(node)
            node = ("*" if sign == "of" else sign, node, self.signed(depth))
        return node

    def signed(self, depth: int) -> Node:
        if self.index >= self.stop:
            raise Unreadable("an operator with nothing after it")
        token = self.tokens[self.index]
        if token.kind is Kind.OPERATOR and token.text in "+-" and token.text:
            at_start = self.index == self.first
            self.index += 1
            following = self.tokens[self.index] if self.index < self.stop else None
            if following is None or following.kind is Kind.OPERATOR:
                raise Unreadable("two operators in a row")
            spaced = following.start > token.end
            node = self.power(depth)
            if token.text == "+":
                return node
            if at_start and spaced:
                self.bullet = True
                return ("bullet", node)
            return ("neg", node)
        return self.power(depth)

    def power(self, depth: int) -> Node:
        base = self.atom(depth)
        if self.operator("^") is not None:
            self.operated = True
            exponent = self.signed(depth + 1)
            return ("^", base, exponent)
        return base

    def atom(self, depth: int) -> Node:
        self.nodes += 1
        if depth > MAX_DEPTH or self.nodes > MAX_NODES or self.index >= self.stop:
            raise Unreadable("too deep, too long or cut off")
        token = self.tokens[self.index]
        node: Node
        if token.kind is Kind.NUMBER:
            self.index += 1
            node = self.mixed(("n", number_of(token.text)), token)
        elif token.kind is Kind.OPEN:
            node = self.group(depth)
        elif token.kind is Kind.FRACTION:
            self.index += 1
            self.operated = True
            node = ("/", self.group_or_digit(depth), self.group_or_digit(depth))
        elif token.kind is Kind.ROOT:
            self.index += 1
            self.operated = True
            node = ("sqrt", self.group_or_digit(depth))
        else:
            raise Unreadable(f"{token.text!r} is not a number")
        if self.index < self.stop and self.tokens[self.index].kind is Kind.PERCENT:
            if self.index + 1 < self.stop and self.starts_operand(self.index + 1):
                raise Unreadable("a percent sign before a number may mean a remainder")
            self.index += 1
            self.percents += 1
            node = ("%", node)
        self.units()
        if self.index < self.stop and self.starts_operand(self.index):
            following = self.tokens[self.index]
            if following.kind in (Kind.FRACTION, Kind.ROOT) or following.start == self.tokens[self.index - 1].end:
                raise Unreadable("two factors without a sign between them")
            if following.kind is Kind.OPEN and token.kind in (Kind.OPEN, Kind.FRACTION):
                raise Unreadable("two groups without a sign between them")
        return node

    def mixed(self, node: Node, token: Token) -> Node:
        """`2 1/2` is two and a half; any other pair of neighbouring numbers ends the expression."""
        ahead = self.tokens[self.index : self.index + 3]
        if self.index + 3 <= self.stop and [t.kind for t in ahead] == [Kind.NUMBER, Kind.OPERATOR, Kind.NUMBER]:
            numerator, slash, denominator = ahead
            tight = numerator.end == slash.start and slash.end == denominator.start
            if slash.text == "/" and tight and "." not in token.text + numerator.text + denominator.text:
                top, bottom = number_of(numerator.text), number_of(denominator.text)
                if 0 < top < bottom:
                    self.index += 3
                    return ("n", node[1] + top / bottom)  # type: ignore[operator]
        return node

    def group(self, depth: int) -> Node:
        opening = self.tokens[self.index].text
        self.index += 1
        node = self.sum(depth + 1)
        if self.index >= self.stop or self.tokens[self.index].kind is not Kind.CLOSE:
            raise Unreadable("a bracket that does not close around an expression")
        if self.tokens[self.index].text != {"(": ")", "[": "]", "{": "}"}[opening]:
            raise Unreadable("brackets of two kinds")
        self.index += 1
        return node

    def group_or_digit(self, depth: int) -> Node:
        if self.index >= self.stop:
            raise Unreadable("cut off")
        token = self.tokens[self.index]
        if token.kind is Kind.OPEN:
            return self.group(depth)
        if token.kind is Kind.NUMBER and len(token.text) == 1:
            self.index += 1
            return ("n", number_of(token.text))
        raise Unreadable("a command without its group")

    def units(self) -> None:
        """Skip unit words between a value and the operator that follows; leave them where nothing follows."""
        index = self.index
        words: list[Token] = []
        while index < self.stop and len(words) < 4:
            token = self.tokens[index]
            if token.kind is Kind.WORD:
                words.append(token)
            elif not (token.text == "/" and index + 1 < self.stop and self.tokens[index + 1].kind is Kind.WORD):
                break  # `$0.14/kw hour`: the slash belongs to the unit
            index += 1
        if not words:
            return
        if self.is_square(index) and all(len(w.text) > 1 and w.text.lower() not in _JOINING for w in words):
            # `15 cm^2`: the exponent is the unit's
            index += 2
            if index == self.stop:
                self.index = index
        if any(len(word.text) == 1 and word.start == self.tokens[self.index - 1].end for word in words[:1]):
            raise Unreadable("a variable")
        if index < self.stop and self.tokens[index].kind is Kind.OPERATOR and self.tokens[index].text != "of":
            if not self.starts_operand(index + 1):
                raise Unreadable("words between numbers and signs")
            joining = [word for place, word in enumerate(words) if not (place and word.text == "of")]
            if any(len(word.text) == 1 or word.text.lower() in _JOINING for word in joining):
                raise Unreadable("words between numbers and signs")
            # "buys 5 apples - 3 are red": only a tight list of unit words is part of the expression
            self.words |= {_stem(word.text) for word in words}
            self.index = index
        elif index < self.stop and self.tokens[index].kind is Kind.CLOSE:
            self.words |= {_stem(word.text) for word in words}
            self.index = index

    def is_square(self, index: int) -> bool:
        ahead = self.tokens[index : min(index + 2, self.stop)]
        return len(ahead) == 2 and ahead[0].text == "^" and ahead[1].text in ("2", "3")

    def operator(self, signs: str | tuple[str, ...]) -> str | None:
        if self.index < self.stop:
            token = self.tokens[self.index]
            if token.kind is Kind.OPERATOR and token.text in signs:
                self.index += 1
                return token.text
        return None

    def starts_operand(self, index: int) -> bool:
        return index < self.stop and self.tokens[index].kind in (Kind.NUMBER, Kind.OPEN, Kind.FRACTION, Kind.ROOT)


_FACTORS = ("*", "/", "of")


def _constant(node: Node) -> Fraction | None:
    try:
        return tree_value(node)
    except Unreadable:
        return None


_JOINING_WORDS = """
and or then so which is are was were the a an than more less times of from to by gets buys has have because since
as if when while for half twice double
"""
_JOINING = frozenset(_JOINING_WORDS.split())


def _stem(word: str) -> str:
    lower = word.lower()
    return lower[:-1] if len(lower) > 3 and lower.endswith("s") and not lower.endswith("ss") else lower


def _is_percentage(node: Node) -> bool:
    if node[0] == "%":
        return True
    return node[0] in ("+", "-") and _is_percentage(node[1]) and _is_percentage(node[2])  # type: ignore[arg-type]
