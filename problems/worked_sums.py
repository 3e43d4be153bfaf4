"""The four operations on paper: which lines a calculation takes, from the innermost bracket outwards."""

import re

MAX_TOTAL = 9999


class Unworked(Exception):
    """No short, honest line for this; the problem gets no worked solution."""


def operation(left: int, sign: str, right: int) -> str:
    """One operation as a line: `34 + 25 = 59`. Raises Unworked where it does not come out whole."""
    return f"{_term(left)} {sign} {_term(right, inner=True)} = {_value(left, sign, right)}"


def times(left: int, right: int) -> list[str]:
    """The lines of a product: in one go by one digit, else with the second factor split into tens and ones.

    `43 * 14` is `43 * 10 = 430`, `43 * 4 = 172`, `430 + 172 = 602`. Raises Unworked beyond two digits.
    """
    if max(abs(left), abs(right)) > 100:
        raise Unworked(f"{left} * {right}")
    tens, ones = right - right % 10, right % 10
    if min(abs(left), abs(right)) <= 10 or not ones or left < 0 or right < 0:
        return [operation(left, "*", right)]
    return [operation(left, "*", tens), operation(left, "*", ones), operation(left * tens, "+", left * ones)]


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
        lines.append(operation(total, sign, term))
        total = _value(total, sign, term)
    return total, tokens


def _product(tokens: list[str], lines: list[str]) -> tuple[int, list[str]]:
    value, tokens = _factor(tokens, lines)
    while tokens and tokens[0] == "*":
        factor, tokens = _factor(tokens[1:], lines)
        lines += times(value, factor)
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


def _value(left: int, sign: str, right: int) -> int:
    if sign == "/":
        if not right or left % right:
            raise Unworked(f"{left} / {right}")
        value = left // right
    else:
        value = {"+": left + right, "-": left - right, "*": left * right}[sign]
    if max(abs(left), abs(right), abs(value)) > MAX_TOTAL:
        raise Unworked(f"{left} {sign} {right}")
    return value


def _term(number: int, *, inner: bool = False) -> str:
    return f"({number})" if inner and number < 0 else str(number)
