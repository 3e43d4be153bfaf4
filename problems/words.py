"""Word lists that the reading of equations needs; each word stands in the form that `singular` gives."""

_MEASURES_TEXT = """
second sec minute min hour hr day week fortnight month year decade century inch in foot feet ft yard yd mile
mm cm km meter metre millimeter centimeter kilometer mg kg gram kilogram ounce oz pound lb ton tonne ml
liter litre milliliter gallon quart pint cup tablespoon tbsp teaspoon tsp cent penny pence nickel dime
quarter dollar buck euro degree radian mph am pm percent
"""
MEASURES = frozenset(_MEASURES_TEXT.split())
"""Units that convert into each other: 2 hours * 3 = 360 minutes is not false."""

_SCALES_TEXT = """
dozen hundred thousand million billion trillion pair couple score gross k half halve third fourth fifth
"""
SCALES = frozenset(_SCALES_TEXT.split())
"""Words that multiply the number before them."""

_ARITHMETIC_TEXT = """
times plus minus of half twice thrice double triple by divided multiplied less than more squared cubed
square cube root sum product difference quotient mod modulo remainder r rem factorial choose power fraction
over per cent percent between and or
"""
ARITHMETIC = frozenset(_ARITHMETIC_TEXT.split())
"""Words that compute: an expression beside one of them may be part of a larger one."""

LOOSE = frozenset(("and", "or", "of", "per", "over", "by", "less", "more"))
"""Of those, the ones that may follow a result without changing it."""

_LABELS_TEXT = """
day week month year step part number no row case question problem grade chapter page figure type
"""
LABELS = frozenset(_LABELS_TEXT.split())
"""Words whose number is a name: day 1 * 2 = 20."""

LINKS = frozenset(("to", "from", "with"))
"""Words that tie an expression to one computed before: 20 + 10 to the 29 + 24 = 83."""


def singular(word: str) -> str:
    """A unit word in the form that `MEASURES` lists."""
    word = word.lower()
    if word == "inches":
        return "inch"
    if word in ("pennies", "centuries"):
        return word[:-3] + "y"
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word
