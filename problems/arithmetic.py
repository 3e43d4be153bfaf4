"""Exact values: trees of plain numbers as fractions, never evaluated as code.

Sizes are bounded, so that no text can make a checker slow: exponent bombs and giant numbers are unreadable.
"""

from fractions import Fraction
from math import isqrt

MAX_DIGITS = 40
MAX_EXPONENT = 64
MAX_BITS = 2048


class Unreadable(Exception):
    """The expression has no value that this module can state with certainty."""


Node = tuple[object, ...]
"""`("n", Fraction)`; `(name, node)` for `%`, `neg`, `bullet` and `sqrt`; or `(operator, left, right)`."""


def number_of(digits: str) -> Fraction:
    """The number that a number token writes."""
    plain = digits.replace("{,}", "").replace("{\\,}", "").replace("\\,", "").replace("\\!", "").replace(",", "")
    if len(plain) > MAX_DIGITS:
        raise Unreadable(f"a number of {len(plain)} digits")
    if plain.isdecimal():
        return Fraction(int(plain))
    if plain.isascii():
        whole, _, decimals = plain.partition(".")
        return Fraction(int(whole + decimals), 10 ** len(decimals))
    return Fraction(plain)


def tree_value(node: Node, percent: Fraction = Fraction(1, 100), bullet: bool = False) -> Fraction:
    """The exact value of a tree.

    Args:
        percent: what a percent sign multiplies by.
        bullet: whether a dash at the very start is a list marker and not a sign.

    Raises:
        Unreadable: it is too large, divides by zero, or has no rational value.
    """
    kind = node[0]
    if kind == "n":
        return node[1]  # type: ignore[return-value]
    first = tree_value(node[1], percent, bullet)  # type: ignore[arg-type]
    if kind == "%":
        return first * percent
    if kind == "neg":
        return -first
    if kind == "bullet":
        return first if bullet else -first
    if kind == "sqrt":
        return _root(first)
    second = tree_value(node[2], percent, bullet)  # type: ignore[arg-type]
    if kind == "+":
        value = first + second
    elif kind == "-":
        value = first - second
    elif kind == "*":
        value = first * second
    elif kind == "/":
        if second == 0:
            raise Unreadable("division by zero")
        value = first / second
    else:
        value = _power(first, second)
    if value.numerator.bit_length() > MAX_BITS or value.denominator.bit_length() > MAX_BITS:
        raise Unreadable("too large")
    return value


def _power(base: Fraction, exponent: Fraction) -> Fraction:
    if exponent == Fraction(1, 2):
        return _root(base)
    if exponent.denominator != 1 or abs(exponent) > MAX_EXPONENT or (base == 0 and exponent <= 0):
        raise Unreadable("an exponent out of bounds")
    size = max(base.numerator.bit_length(), base.denominator.bit_length())
    if size * abs(int(exponent)) > MAX_BITS:
        raise Unreadable("too large")
    return base ** int(exponent)


def _root(value: Fraction) -> Fraction:
    if value < 0:
        raise Unreadable("the root of a negative number")
    top, bottom = isqrt(value.numerator), isqrt(value.denominator)
    if top * top != value.numerator or bottom * bottom != value.denominator:
        raise Unreadable("an irrational root")
    return Fraction(top, bottom)
