"""A text that is written by pieces, cut into the steps that it holds."""

import re
from collections.abc import Iterator

from agents.persona import PolicyPersona
from agents.roles import Line


def lines_in(piece: str, *, begun: str, persona: PolicyPersona, ended: bool) -> Iterator[Line]:
    """The steps of the text `begun + piece` that end in `piece`, without the tag that closes a thought.

    Args:
        begun: what stands before the piece; its last step may be unfinished.
        ended: whether the text ends with the piece, and so its last step.
    """
    start = begun.rfind(persona.delimiter)
    start = 0 if start < 0 else start + len(persona.delimiter)
    text, close = begun + piece, persona.closes.strip()
    while start < len(text):
        found = text.find(persona.delimiter, start)
        if found < 0 and not ended:
            return
        end = len(text) if found < 0 else found + len(persona.delimiter)
        said = text[start : len(text) if found < 0 else found]
        said = " ".join(part.strip() for part in said.split(close)).strip() if close else said.strip()
        if re.search(r"\w", said) and end > len(begun):
            yield Line(text=said, end=end - len(begun))
        start = end
