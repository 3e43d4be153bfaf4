"""The four operations on paper: which lines a calculation takes, from the innermost bracket outwards.

Sums and products go place by place, as one does them in the head, so that each line is one easy operation:
`34 + 25` is `34 + 20 = 54`, `54 + 5 = 59`.
"""

import re

MAX_VALUE = 99_999


class Unworked(Exception):
    """No short, honest line for this; the problem gets no worked solution."""


def operation(left: int, sign: str, right: int) -> str:
    """One operation as a line: `34 + 20 = 54`. Raises Unworked where it does not come out whole, or is too large."""
    return f"{left} {sign} {right} = {_value(left, sign, right)}"


def sum_lines(left: int, sign: str, right: int) -> list[str]:
    """The lines of a sum or difference, the right side place by place; `5 - -7` is read as `5 + 7`."""
    if right < 0:
        sign, right = ("-" if sign == "+" else "+"), -right
    lines = []
    for part in _places(right) or [0]:
        lines.append(operation(left, sign, part))
        left = _value(left, sign, part)
    return lines


def product_lines(left: int, right: int) -> list[str]:
    """The lines of a product of up to two digits each: the longer factor is split into tens and ones.

    `43 * 4` is `40 * 4 = 160`, `3 * 4 = 12`, and their sum; `43 * 14` is `43 * 10 = 430`, `43 * 4`, and their sum.
    """
    if max(abs(left), abs(right)) > 100:
        raise Unworked(f"{left} * {right}")
    if min(left, right) < 0 or min(left, right) == 0 or (not _is_long(left) and not _is_long(right)):
        return [operation(left, "*", right)]
    parts = [(left, part) for part in _places(right)] if _is_long(right) else [(part, right) for part in _places(left)]
    lines = [line for one, other in parts for line in _part_lines(one, other)]
    total = parts[0][0] * parts[0][1]
    for one, other in parts[1:]:
        lines += sum_lines(total, "+", one * other)
        total += one * other
    return lines


def _part_lines(left: int, right: int) -> list[str]:
    """A product in which the right factor is round or one digit."""
    if _is_long(left) and right < 10:
        return product_lines(left, right)
    return [operation(left, "*", right)]


def reduced(expression: str) -> tuple[list[str], int]:
    """The lines that work out an expression of whole numbers with + - * and brackets, and its value."""
    tokens = re.findall(r"\d+|[-+*()]", expression)
    lines: list[str] = []
    value, rest = _sum(tokens, lines)
    if rest:
        raise Unworked(expression)
    return lines, value


def _sum(tokens: list[str], lines: list[str]) -> tuple[int, list[str]]:
    """Products first, as on paper: every product of the sum gets its lines before the first addition."""
    total, tokens = _product(tokens, lines)
    terms: list[tuple[str, int]] = []
    while tokens and tokens[0] in "+-":
        term, rest = _product(tokens[1:], lines)
        terms.append((tokens[0], term))
        tokens = rest
    for sign, term in terms:
        lines += sum_lines(total, sign, term)
        total = _value(total, sign, term)
    return total, tokens


def _product(tokens: list[str], lines: list[str]) -> tuple[int, list[str]]:
    value, tokens = _factor(tokens, lines)
    while tokens and tokens[0] == "*":
        factor, tokens = _factor(tokens[1:], lines)
        lines += product_lines(value, factor)
        value *= factor
    return value, tokens


def _factor(tokens: list[str], lines: list[str]) -> tuple[int, list[str]]:
    if not tokens:
        raise Unworked("an expression that breaks off")
    first, *rest = tokens
    if first == "-":
        value, rest = _factor(rest, lines)
        return -value, rest
    if first == "(":
        value, rest = _sum(rest, lines)
        if not rest or rest[0] != ")":
            raise Unworked("a bracket that stays open")
        return value, rest[1:]
    if not first.isdecimal():
        raise Unworked(first)
    return int(first), rest


def _places(number: int) -> list[int]:
    """What the digits of a number stand for: 407 is 400 and 7."""
    digits = str(number)
    return [
        int(digit) * 10**place
        for place, digit in zip(reversed(range(len(digits))), digits, strict=True)
        if digit != "0"
    ]


def _is_long(number: int) -> bool:
    """Whether a number has digits at more than one place: 43, but neither 7 nor 40."""
    return len(_places(abs(number))) > 1


def _value(left: int, sign: str, right: int) -> int:
    if sign == "/":
        if not right or left % right:
            raise Unworked(f"{left} / {right}")
        value = left // right
    else:
        value = {"+": left + right, "-": left - right, "*": left * right}[sign]
    if max(abs(left), abs(right), abs(value)) > MAX_VALUE:
        raise Unworked(f"{left} {sign} {right}")
    return value
