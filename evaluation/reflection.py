"""Signs of reflection in a text: words of doubt, calculations taken back, answers changed on the way.

Words alone say little ("wait" is cheap), so they stand beside what can be checked: a calculation that is stated again,
false the first time and true the last (repaired) or the other way round (broken), by exact arithmetic.
"""

import re
from collections import Counter

from journeys.record import Record
from problems.equations import equations

MARKERS = {
    "wait": r"(?:^|[.!?…:\n>]\s*|\b(?:oh|but|no|so|ok|okay),?\s+)(?:wait\b|hold on\b|hang on\b)",
    "hmm": r"\bhmm+\b",
    "check": r"\blet(?:'s| me| us) (?:\w+ )?(?:check|double-check|verify|recheck|re-check)\b|\bdouble-check(?:ing)?\b|"
    r"\bI(?:'ll| will| should) (?:\w+ )?(?:check|verify)\b",
    "redo": r"\blet(?:'s| me) (?:\w+ )?(?:redo|recompute|recalculate|re-do|try (?:that )?again|start over)\b|"
    r"\blet me do that again\b|\bI'll (?:redo|do that part again|try again)\b|\bonce more\b",
    "admits": r"\b(?:that|this|it)(?:'s| is| was) (?:(?:just|quite|clearly|still|also|probably|obviously|a bit) )?"
    r"(?:wrong|incorrect|a mistake|not (?:quite )?right|off(?=[.,!;:\n]|$))|"
    r"\b(?:that|this|it) (?:isn't|doesn't look|does not look|can't be|cannot be) (?:quite )?right\b|"
    r"\bI made (?:a|an) (?:\w+ )?(?:mistake|error|slip)\b|\bno, that\b",
    "actually": r"\bactually\b",
    "alternatively": r"\balternatively\b|\banother way\b|\bon second thought\b",
}
"""Kinds of marker, and the words that count as one."""
DOUBTS = ("wait", "hmm", "redo", "admits")
"""The markers that doubt what was just said; to check or to turn to another way is not yet to doubt."""

_MARKERS = {kind: re.compile(pattern, re.IGNORECASE) for kind, pattern in MARKERS.items()}


class Reflection(Record):
    """What one text shows."""

    markers: dict[str, int]
    """How often each kind of marker occurs; kinds that do not occur are left out."""
    calculations: int
    """Calculations (left sides of equations) that could be checked, each counted once."""
    stated_false: int
    """Of these, false when first stated."""
    repaired: int
    """False when first stated, true when last stated."""
    broken: int
    """True when first stated, false when last stated."""

    @property
    def doubts(self) -> bool:
        return any(self.markers.get(kind) for kind in DOUBTS)


def reflection_in(text: str) -> Reflection:
    """The signs in one text. Equations that cannot be read with certainty, or that a sentence denies, do not count."""
    first: dict[str, bool] = {}
    last: dict[str, bool] = {}
    for line in text.splitlines():
        for equation in equations(line):
            if equation.operated:
                left = re.sub(r"\s", "", equation.left)
                first.setdefault(left, equation.holds)
                last[left] = equation.holds
    found = Counter({kind: len(pattern.findall(text)) for kind, pattern in _MARKERS.items()})
    return Reflection(
        markers={kind: count for kind, count in found.items() if count},
        calculations=len(first),
        stated_false=sum(not holds for holds in first.values()),
        repaired=sum(not holds and last[left] for left, holds in first.items()),
        broken=sum(holds and not last[left] for left, holds in first.items()),
    )
