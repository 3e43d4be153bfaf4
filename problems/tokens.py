"""Prose with arithmetic in it, cut into tokens; words and LaTeX around the numbers stay visible as what they are."""

import re
from dataclasses import dataclass
from enum import Enum, auto


class Kind(Enum):
    NUMBER = auto()
    OPERATOR = auto()
    """`+ - * / ^`, or `of` between a fraction or percentage and a number."""
    OPEN = auto()
    CLOSE = auto()
    PERCENT = auto()
    RELATION = auto()
    FRACTION = auto()
    """LaTeX's `\\frac`; two groups follow."""
    ROOT = auto()
    WORD = auto()
    STOP = auto()
    """Punctuation that ends an expression."""
    OTHER = auto()
    """A variable or symbol that makes whatever touches it unreadable."""


@dataclass(slots=True)
class Token:
    kind: Kind
    text: str
    start: int
    end: int


_PATTERN = re.compile(
    r"""
    \s*(?:(?P<skip>\$|\\\$|\\[()\[\]]|\\(?:left|right|displaystyle|boxed|bigl|bigr|big|quad|qquad)(?![A-Za-z])|
        \\[,;!:\ ]|[~&`€£¥]|
        (?<![\d)}])\*\*|\*\*(?![\d(\s{])|US(?=\$)|<<[^<>\n]*>>)
  | (?P<word>(?!US\$|(?:divided|multiplied)\s+by(?![^\W\d_]))[^\W\d_]{2,}(?:['’\-/][^\W\d_]+)*)
  | (?P<clock>\d+:\d[\d:]*|0\d+(?![\d.,]))
  | (?P<number>(?:\d{1,3}(?:(?:,(?:\\!)?|\{,\}|\\,|\{\\,\})\d{3})+(?!,?\d)|\d+(?!,\d|\d))(?:\.\d+)?|\.\d+)
  | (?P<listed>\d+(?:,\d+)+)
  | (?P<fraction>\\[dtc]?frac(?![A-Za-z]))
  | (?P<root>\\sqrt(?![A-Za-z])|√)
  | (?P<text>\\(?:text|mathrm|mbox|textbf|operatorname)\s*\{(?P<inner>[^{}]*)\})
  | (?P<degree>\^\s*\{?\s*\\circ\s*\}?|°)
  | (?P<relation>=>|[-=]+>|:=|===?|!=|=/=|<=|>=|≠|≤|≥|≈|≡|[=<>]|\\(?:approx|neq|ne|leq|geq|le|ge|lt|gt|equiv|implies|to|
        rightarrow|Rightarrow|sim|cong|in)(?![A-Za-z]))
  | (?P<operator>\*\*|//|[-+*/^×÷·−–⋅∙∗]|\\(?:times|cdot|div|ast)(?![A-Za-z])|
        (?<=[\d)])[xX](?=[\d(])|(?<=\s)[xX](?=\s*(?:\.?\d|[($]|\\\$|\\frac))|(?:divided|multiplied)\s+by(?![^\W\d_]))
  | (?P<percent>\\?%)
  | (?P<open>[({\[])
  | (?P<close>[)}\]])
  | (?P<letter>[^\W\d_]+)
  | (?P<stop>[.,;:!?"“”‘’'…])
  | (?P<other>\\[A-Za-z]+|\S))
    """,
    re.VERBOSE | re.DOTALL,
)
_SPELT = {"plus": "+", "minus": "-", "times": "*"}
_OPERATORS = {
    "×": "*", "·": "*", "⋅": "*", "∙": "*", "∗": "*", "\\times": "*", "\\cdot": "*", "\\ast": "*", "x": "*", "X": "*",
    "multipli": "*", "divided ": "/", "÷": "/", "\\div": "/", "−": "-", "–": "-", "**": "^",
}  # fmt: skip
_SPELT_RELATIONS = frozenset(("is", "equals", "makes", "gives"))
_LIST_MARK = re.compile(r"\s*(?:(?:[Ss]tep\s+)?\(?\d{1,3}[.):](?=\s)|[*•](?=\s)|#+\s)\s*")


def tokenize(line: str) -> list[Token]:
    """The tokens of one line, list markers and decoration left out. Linear in its length."""
    tokens: list[Token] = []
    mark = _LIST_MARK.match(line)
    for match in _PATTERN.finditer(line, mark.end() if mark else 0):
        group = match.lastgroup or ""
        text = match[group]
        start, end = match.span(group)
        match group:
            case "skip":
                continue
            case "number":
                kind = Kind.NUMBER
            case "operator":
                if text == "//":
                    kind = Kind.OTHER
                else:
                    kind, text = Kind.OPERATOR, _OPERATORS.get(text[:8], text)
            case "relation":
                kind = Kind.RELATION
            case "percent":
                kind = Kind.PERCENT
            case "open":
                kind = Kind.OPEN
            case "close":
                kind = Kind.CLOSE
            case "fraction":
                kind = Kind.FRACTION
            case "root":
                kind = Kind.ROOT
            case "text" | "inner":  # LaTeX words are words
                words = re.findall(r"[^\W\d_]+", match["inner"])
                tokens += [Token(Kind.WORD, word, start, end) for word in words]
                continue
            case "degree":
                kind, text = Kind.WORD, "degree"
            case "word" | "letter":
                lower = text.lower()
                if lower in _SPELT and tokens and tokens[-1].kind in (Kind.NUMBER, Kind.CLOSE, Kind.WORD):
                    kind, text = Kind.OPERATOR, _SPELT[lower]
                elif lower in _SPELT_RELATIONS and tokens and tokens[-1].kind in (Kind.NUMBER, Kind.CLOSE):
                    kind, text = Kind.RELATION, lower
                elif lower == "of" and tokens and tokens[-1].kind in (Kind.NUMBER, Kind.PERCENT, Kind.CLOSE):
                    kind = Kind.OPERATOR
                else:
                    kind = Kind.WORD
            case "stop":
                kind = Kind.STOP
            case _:  # a clock time, an unknown command, any other sign
                kind = Kind.OTHER
        tokens.append(Token(kind, text, start, end))
    return tokens
