"""A text that is one number, and nothing that is not: the fast path of grading, exact and without sympy."""

import re
from fractions import Fraction
from functools import lru_cache

_NUMBER = re.compile(
    r"""
    (?P<sign>[-+−]?)\s*(?:[$£€¥]|\\\$|US\$)?\s*(?P<sign2>[-−]?)
    (?:(?P<integer>\d{1,3}(?:(?:,(?:\\!)?|\{,\}|\\,)\d{3})+(?!\d)|\d+)?(?P<decimal>\.\d*)?)
    (?:\s*/\s*(?P<denominator>\d+))?
    |(?P<fsign>[-−]?)\\[dtc]?frac\s*\{\s*(?P<fsign2>-?)(?P<top>\d+)\s*\}\s*\{\s*(?P<bottom>\d+)\s*\}
    |(?P<msign>[-−]?)(?P<whole>\d+)\s*(?:\s|\\[dtc]?frac)\s*(?:\{(?P<mtop>\d+)\}\{(?P<mbottom>\d+)\}|(?P<stop>\d+)/(?P<sbottom>\d+))
    """,
    re.VERBOSE,
)
_UNITS = re.compile(
    r"^(?P<number>.*?[\d.}])\s*(?:\\(?:text|mathrm|mbox)\s*\{[^{}\d]*\}(?:\^\{?\d\}?)?|"
    r"[^\W\d_]+(?:[ '’/-]+[^\W\d_]+){0,5}|\^?\\circ|°)\s*$"
)
_SCALED = re.compile(
    r"\b(?:dozens?|hundreds?|thousands?|millions?|billions?|trillions?|pairs?|or|and|to|k|m|e|pi|x|y|z|n|a|b|c|i|percent|"
    r"per\s+cent|than|over|times|plus|minus)\b|^[A-Za-z]$",
    re.IGNORECASE,
)
MAX_CHARS = 120


@lru_cache(maxsize=65_536)
def plain_number(text: str, *, units: bool = False) -> Fraction | None:
    """The exact value of a text that is a single number: `1,200`, `$3.50`, `-7/8`, `\\frac{1}{2}`, `2 1/2`.

    With `units`, words after the number are passed over (`18 eggs`), except those that change it (`3 million`, `4x`).
    """
    text = text.strip().strip("$").strip()
    if not text or len(text) > MAX_CHARS or not re.search(r"\d", text):
        return None
    text = text.replace("\\left", "").replace("\\right", "").replace("\\ ", " ")
    match = _NUMBER.fullmatch(text)
    if match is None:
        if units and (measured := _UNITS.match(text)) is not None:
            rest = text[measured.end("number") :]
            if not _SCALED.search(rest.strip()):
                return plain_number(measured["number"])
        return None
    return _value(match)


def _value(match: re.Match[str]) -> Fraction | None:
    group = match.groupdict()
    if group["top"] is not None:
        return _ratio(group["top"], group["bottom"], negative=bool(group["fsign"]) != bool(group["fsign2"]))
    if group["whole"] is not None:
        part = _ratio(group["mtop"] or group["stop"], group["mbottom"] or group["sbottom"])
        if part is None or part >= 1:
            return None
        value = int(group["whole"]) + part
        return -value if group["msign"] else value
    digits = re.sub(r"[{},\\!]", "", group["integer"] or "") + (group["decimal"] or "")
    if not re.search(r"\d", digits):
        return None
    value = Fraction(digits.rstrip(".") if digits.endswith(".") else digits)
    if group["denominator"] is not None:
        if int(group["denominator"]) == 0:
            return None
        value /= int(group["denominator"])
    negative = (group["sign"] in ("-", "−")) != (group["sign2"] in ("-", "−") and group["sign2"] != "")
    return -value if negative else value


def _ratio(top: str, bottom: str, *, negative: bool = False) -> Fraction | None:
    if int(bottom) == 0:
        return None
    value = Fraction(int(top), int(bottom))
    return -value if negative else value
