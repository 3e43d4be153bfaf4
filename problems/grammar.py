"""The grammar of expressions in prose: recursive descent over tokens, sum > product > power > atom.

Units and percent signs belong to it. What could be read in two ways is not read.
"""

from fractions import Fraction

from problems.arithmetic import Node, Unreadable, number_of, tree_value
from problems.tokens import Kind, Token

MAX_DEPTH = 24
MAX_NODES = 400

_FACTORS = ("*", "/", "of")
_JOINING_WORDS = """
and or then so which is are was were the a an than more less times of from to by gets buys has have because since
as if when while for half twice double
"""
_JOINING = frozenset(_JOINING_WORDS.split())


class Reader:
    """One expression being read, and what was noticed on the way."""

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
        node = self.percentage(self.value(token, depth))
        self.units()
        self.refuse_factor_behind(token)
        return node

    def value(self, token: Token, depth: int) -> Node:
        """A number, a group, or a LaTeX command with its groups."""
        if token.kind is Kind.OPEN:
            return self.group(depth)
        if token.kind not in (Kind.NUMBER, Kind.FRACTION, Kind.ROOT):
            raise Unreadable(f"{token.text!r} is not a number")
        self.index += 1
        if token.kind is Kind.NUMBER:
            return self.mixed(("n", number_of(token.text)), token)
        self.operated = True
        if token.kind is Kind.FRACTION:
            return ("/", self.group_or_digit(depth), self.group_or_digit(depth))
        return ("sqrt", self.group_or_digit(depth))

    def percentage(self, node: Node) -> Node:
        """The value with the percent sign behind it, if there is one."""
        if self.index >= self.stop or self.tokens[self.index].kind is not Kind.PERCENT:
            return node
        if self.starts_operand(self.index + 1):
            raise Unreadable("a percent sign before a number may mean a remainder")
        self.index += 1
        self.percents += 1
        return ("%", node)

    def refuse_factor_behind(self, token: Token) -> None:
        """Raise where a factor touches the value that `token` began: whether it multiplies is a guess."""
        if not self.starts_operand(self.index):
            return
        following = self.tokens[self.index]
        if following.kind in (Kind.FRACTION, Kind.ROOT) or following.start == self.tokens[self.index - 1].end:
            raise Unreadable("two factors without a sign between them")
        if following.kind is Kind.OPEN and token.kind in (Kind.OPEN, Kind.FRACTION):
            raise Unreadable("two groups without a sign between them")

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
        words, index = self.words_ahead()
        if not words:
            return
        if self.is_square(index) and all(len(w.text) > 1 and w.text.lower() not in _JOINING for w in words):
            # `15 cm^2`: the exponent is the unit's
            index += 2
            if index == self.stop:
                self.index = index
        if len(words[0].text) == 1 and words[0].start == self.tokens[self.index - 1].end:
            raise Unreadable("a variable")
        if index >= self.stop:
            return
        behind = self.tokens[index]
        if behind.kind is Kind.OPERATOR and behind.text != "of":
            self.refuse_sentence(words, index)
        elif behind.kind is not Kind.CLOSE:
            return
        self.words |= {_stem(word.text) for word in words}
        self.index = index

    def words_ahead(self) -> tuple[list[Token], int]:
        """Up to four words from here, and the index after them."""
        index = self.index
        words: list[Token] = []
        while index < self.stop and len(words) < 4:
            token = self.tokens[index]
            if token.kind is Kind.WORD:
                words.append(token)
            elif not (token.text == "/" and index + 1 < self.stop and self.tokens[index + 1].kind is Kind.WORD):
                break  # `$0.14/kw hour`: the slash belongs to the unit
            index += 1
        return words, index

    def refuse_sentence(self, words: list[Token], index: int) -> None:
        """Raise unless the words before the operator at `index` can be units: "buys 5 apples - 3 are red"."""
        # only a tight list of unit words is part of the expression
        joining = [word for place, word in enumerate(words) if not (place and word.text == "of")]
        sentence = any(len(word.text) == 1 or word.text.lower() in _JOINING for word in joining)
        if sentence or not self.starts_operand(index + 1):
            raise Unreadable("words between numbers and signs")

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


def _constant(node: Node) -> Fraction | None:
    try:
        return tree_value(node)
    except Unreadable:
        return None


def _stem(word: str) -> str:
    lower = word.lower()
    return lower[:-1] if len(lower) > 3 and lower.endswith("s") and not lower.endswith("ss") else lower


def _is_percentage(node: Node) -> bool:
    if node[0] == "%":
        return True
    return node[0] in ("+", "-") and _is_percentage(node[1]) and _is_percentage(node[2])  # type: ignore[arg-type]
