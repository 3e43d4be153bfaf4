"""Word lists that the reading of equations needs; each word stands in the form that `singular` gives."""

_MEASURES_TEXT = """
second sec minute min hour hr day week fortnight month year decade century inch in foot feet ft yard yd mile
mm cm km meter metre millimeter centimeter kilometer mg kg gram kilogram ounce oz pound lb ton tonne ml
liter litre milliliter gallon quart pint cup tablespoon tbsp teaspoon tsp cent penny pence nickel dime
quarter dollar buck euro degree radian mph am pm percent dozen hundred thousand million billion trillion
pair couple score gross k half halve third fourth fifth
"""
MEASURES = frozenset(_MEASURES_TEXT.split())
"""Units that convert into each other, and words that scale a number: 2 hours * 3 = 360 minutes is not false."""

_CONVERSIONS_TEXT = """
2 3 4 5 6 7 8 10 12 14 16 20 24 25 28 30 31 32 36 48 50 52 60 72 90 100 128 144 360 365 366 1000 1440 1760 2000 3600
5280 10000 86400 1000000 1000000000 1000000000000
"""
CONVERSIONS = frozenset(map(int, _CONVERSIONS_TEXT.split()))
"""Factors between units: hours and minutes, feet and inches, dollars and cents, dozens and pieces, ..."""

_TRAILING_TEXT = """
times plus minus squared cubed mod modulo remainder r rem factorial choose half third fourth fifth dozen hundred
thousand million billion trillion k
"""
TRAILING = frozenset(_TRAILING_TEXT.split())
"""Words that change the result before them."""

_COMPUTING_TEXT = """
times plus minus of half twice thrice double triple divided multiplied less than more squared cubed square cube root
product quotient mod modulo remainder factorial choose power over per between
"""
COMPUTING = frozenset(_COMPUTING_TEXT.split())
"""Words that compute: numbers on their two sides belong together."""

_MULTIPLIERS_TEXT = """
half twice thrice double triple quadruple third quarter fourth fifth squared cubed square cube root factorial power
"""
MULTIPLIERS = frozenset(_MULTIPLIERS_TEXT.split())
"""Words that compute with what follows them: `half of 20 + 4`."""

_LINKS_TEXT = "plus minus times over mod modulo choose less than more and or between by to from with into"
LINKS = frozenset(_LINKS_TEXT.split())
"""Words that tie an expression to a number before them: `20 + 10 to the 29 + 24`, `5 more than 3 * 2`."""

_DETERMINERS_TEXT = "the a an that this his her their its those these my your our all each every of only remaining"
DETERMINERS = frozenset(_DETERMINERS_TEXT.split())

_LABELS_TEXT = """
day week month year step part number no row case question problem grade chapter page figure
"""
LABELS = frozenset(_LABELS_TEXT.split())
"""Words whose number is a name: on day 1 * 2 = 20."""


def singular(word: str) -> str:
    """A unit word in the form that these lists have."""
    word = word.lower()
    if word == "inches":
        return "inch"
    if word in ("pennies", "centuries"):
        return word[:-3] + "y"
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word
