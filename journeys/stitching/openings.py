"""How a thought begins: a short look at what is asked, where that is short and natural."""

import re

from journeys.stitching import phrases
from journeys.stitching.prose import sentences

_INSTRUCTION = re.compile(
    r"\b(?:answer|respond|reply|output|format|tags?|box(?:ed)?|explain|show your|step by step)\b", re.IGNORECASE
)
LOOKS_AT_PROBLEM = re.compile(
    r"(?:let|i need|we need|the question|the problem|okay|ok|so|to find|to solve)\b", re.IGNORECASE
)
"""A first step that needs no opening before it."""
_ONLY_EXPRESSION = re.compile(r"(?:[^\\$\d]{0,70}?)[\d(-][\d\s.,()+\-*/×÷^−=?]*")
_EXPRESSION = re.compile(r"[-(]?[\d(][\d\s.,()+\-*/×÷^−]*[+\-*/×÷^−][\d\s.,()+\-*/×÷^−]*[\d)]")
_TASK = re.compile(
    r"(?:find|calculate|compute|evaluate|determine|simplify|solve|work out)\b[^.?!]{3,90}[.?!]?$", re.IGNORECASE
)


def task(question: str) -> tuple[tuple[str, ...], str] | None:
    """The phrases that fit what `question` asks, and the asking words; None where they are not short."""
    text = " ".join(question.split())
    asked = [line for line in sentences(text) if not _INSTRUCTION.search(line)]
    for sentence in reversed(asked[-4:]):
        expression = _EXPRESSION.search(sentence)
        if expression and len(expression.group()) <= 60 and _ONLY_EXPRESSION.fullmatch(sentence):
            return phrases.OPENING_EXPRESSION, expression.group().strip()
        if _TASK.match(sentence):
            return phrases.OPENING_TASK, sentence[0].lower() + sentence[1:].rstrip(".?!")
        if sentence.endswith("?") and len(sentence) <= 90 and "\\" not in sentence:
            return phrases.OPENING_QUESTION, sentence
    return None
