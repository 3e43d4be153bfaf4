"""Text that a model wrote, made fit to be shown: escaped, with its formulas as MathML. Nothing in it is ever markup.

latex2mathml reads a formula into a tree; what it writes itself is not safe to show (`<script>` inside `\\text` passes
through it). So the tree is written out here: elements and attributes from a list, all text escaped. A formula that
cannot be read stays the text that it was.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from html import unescape
from typing import Any

from markupsafe import Markup, escape

LONGEST = 1_000
"""Characters of a formula; a longer one stays text."""
MOST = 400
"""Formulas of one text that are drawn; the rest stay text."""
DEEPEST = 40

ELEMENTS = frozenset(
    (
        *("mrow", "mi", "mn", "mo", "ms", "mtext", "mspace", "mfrac", "msqrt", "mroot", "msub", "msup", "msubsup"),
        *("munder", "mover", "munderover", "mtable", "mtr", "mtd", "mstyle", "mmultiscripts", "mprescripts", "none"),
        "mphantom",
    )
)
ATTRIBUTES = {
    "stretchy": frozenset({"true", "false"}),
    "mathvariant": frozenset({"normal", "bold", "italic", "double-struck", "script", "fraktur", "monospace"}),
    "displaystyle": frozenset({"true", "false"}),
    "accent": frozenset({"true", "false"}),
    "linethickness": frozenset({"0", "0pt", "0px", "0em"}),
}
"""Attributes that are kept, and the values that they may have."""

# A dollar sign is money far more often than mathematics: as in pandoc, an opening one stands before a character, a
# closing one after a character and not before a digit.
_FORMULA = re.compile(
    r"\$\$(?P<display>[^$]+?)\$\$"
    r"|\\\[(?P<bracket>.+?)\\\]"
    r"|\\\((?P<paren>.+?)\\\)"
    r"|(?<![\\$\w])\$(?P<dollar>[^\s$](?:[^$\n]*[^\s$\\])?)\$(?![\d$])"
    r"|(?P<boxed>\\boxed\{(?:[^{}]|\{[^{}]*\})*\})",
    re.DOTALL,
)

_PROSE = re.compile(r"\s[A-Za-z]{2,}[\s,.]")
"""A word among spaces between two dollar signs: they were sums of money."""


def shown(text: str) -> Markup:
    """The text for a page: formulas drawn, everything else as it was written."""
    return Markup("").join(_pieces(text))


def _pieces(text: str) -> Iterator[Markup]:
    end = 0
    for number, found in enumerate(_FORMULA.finditer(text)):
        if number == MOST:
            break
        formula = next(group for group in found.groups() if group is not None)
        prose = found.lastgroup == "dollar" and _PROSE.search(formula)
        drawn = None if prose else _drawn(formula.strip(), found.lastgroup in ("display", "bracket"))
        if drawn is not None:
            yield escape(text[end : found.start()])
            yield drawn
            end = found.end()
    yield escape(text[end:])


@lru_cache(maxsize=4096)
def _drawn(formula: str, block: bool) -> Markup | None:
    """The formula as MathML; None where it cannot be read."""
    if not formula or len(formula) > LONGEST:
        return None
    from latex2mathml.converter import convert_to_element

    try:
        inside = "".join(_written(each, 0) for each in convert_to_element(formula))
    except (Exception, RecursionError):
        return None
    label = escape(formula)
    display = ' display="block"' if block else ""
    return Markup(f'<math class="formula"{display} aria-label="{label}">{inside}</math>')


def _written(element: Any, depth: int) -> str:
    if depth > DEEPEST:
        raise ValueError("nested too deeply")
    name = "mrow" if element.tag == "menclose" else element.tag
    if name not in ELEMENTS:
        raise ValueError(f"{name} is not drawn")
    attributes = "".join(
        f' {key}="{value}"' for key, value in element.attrib.items() if value in ATTRIBUTES.get(key, ())
    )
    if element.tag == "menclose":
        attributes = ' class="boxed"'
    inside = str(escape(unescape(element.text or "")))
    inside += "".join(_written(each, depth + 1) for each in element)
    return f"<{name}{attributes}>{inside}</{name}>"
