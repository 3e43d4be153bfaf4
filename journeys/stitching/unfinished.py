"""Steps that break off: cut by a token limit, or left with an open end ("It's 111 * 12 =", "2 + 9 = 11, so:")."""

import re

from journeys.stitching.prose import equations, normal, numbers, sentences

_OPEN_END = re.compile(
    r"(?:[=+*/×÷^,:(\\]|\s[-−–]|\b(?:so|and|but|or|then|thus|therefore|hence|that makes|because|since|which|is|the|of"
    r"|to|with|we get|gives))[\s:,.]*$",
    re.IGNORECASE,
)
_CLAUSE = re.compile(r"[,;:]\s+|\s+[–—-]\s+|\s+(?=(?:and|but|so|because|since|which|where)\b)")
_ENDS = (".", "!", "?", "$$", "\\]", "}", ")", '"')


def finished(text: str, *, cut_off: bool, stands: bool) -> str:
    """`text` without the sentence or clause that breaks off at its end.

    It stays, with three dots where it trails off in words, if the cut would lose an equation, or a number of a step
    that stands, or leave nothing.

    Args:
        text: a step without machine traces.
        cut_off: whether the step ran into its token limit.
        stands: whether the step is part of the path.
    """
    text = text.rstrip()
    if not (_open(text) or (cut_off and not text.endswith(_ENDS))):
        return text
    whole = normal(text)
    for shorter in _shorter(text):
        rest = normal(shorter)
        loses = equations(rest) != equations(whole) or (stands and set(numbers(rest)) != set(numbers(_settled(whole))))
        if not _open(shorter) and not loses:
            return shorter
    return f"{text.rstrip(' ,;:')} ..." if re.search(r"[^\W\d_]{2,}[,;:]?$", text) else text


def _open(text: str) -> bool:
    return (not text.endswith((".", "$$")) and bool(_OPEN_END.search(text))) or bool(re.search(r"=\s*\.$", text))


def _shorter(text: str) -> list[str]:
    """`text` before its last sentence, and before the last clauses of that, longest first."""
    last = sentences(text)[-1]
    head = text[: len(text) - len(last)].rstrip()
    cuts = [found.start() for found in _CLAUSE.finditer(last)]
    clauses = [f"{head} {last[:cut].strip(' ,;:')}".strip() for cut in reversed(cuts)]
    return [shorter for shorter in (head, *clauses) if re.search(r"\w", shorter)]


def _settled(whole: str) -> str:
    """Normal text without a calculation that has no result: its numbers say nothing yet."""
    return re.sub(r"[\d.+*/^()-]+=[.\s]*$", "", whole)
