"""How pieces of a thought fit together: first words, small letters, and what a step can be named by."""

import re
from functools import cache

from journeys.stitching.steps import Told

OPENS_ITSELF = re.compile(
    r"(?:first|then|next|now|so|thus|therefore|hence|wait|hmm|let|ok(?:ay)?|but|and|since|because|finally|also|again"
    r"|after|before|if|when|from|this|that|which|well|right|to|in|on|for|with|here|there|once|given|as|lastly|let's"
    r"|start|starting|adding|subtracting|multiplying|dividing|i|i'll|i'm|we|my|no|actually|instead)\b",
    re.IGNORECASE,
)
_MAY_BE_LOWERED = re.compile(
    r"(?:The|We|This|That|There|It|Each|She|He|They|You|My|Our|If|When|Since|In|On|For|From|With|A|An|Half|Twice|All|One"
    r"|Every|Both|His|Her|Their|Its|Let|To|What|How|Why|Which|Who|Where|Am|Have|Did|Do|Is|Are|Does|Was|Could|Should|Here"
    r"|Something|Find|Take|Add|Subtract|Square|Multiply|Divide|Suppose|Solve|Substitute|Plug|Factor|Expand|Compute"
    r"|Calculate|Count|Write|Simplify|Set|Use|Apply|Check|[A-Z][a-z]+ing)(?=\s|'s\b|$)"
)
BARE_MATHS = re.compile(r"[\d\s.,:;()\[\]+\-*/×÷·^=%$€£<>≤≥−]+|[^.!?]{0,60}=[^.!?]{0,60}")
ONE_OPERATION = re.compile(r"[$€£]?[\d.,]+\s*([-+*/×÷−])\s*[$€£]?[\d.,]+\s*=\s*[$€£]?[\d.,]+\W?")
_PLAIN_EQUATION = re.compile(r"(?<![\w\\])[-(]?[$€£]?[\d(][\d\s.,()+\-*/×÷^$€£%−]*=\s*[-$€£]*[\d.,/]*\d%?")
ANNOUNCES = re.compile(r"(?:let|i'll|i will|going back|back to|start|once more|another|again|instead)\b", re.IGNORECASE)
ASKS = re.compile(r"(?:Let me|Am I|Have I|Did I|Do I|Could I|Should I|What|How|Why|Where|Which|Who|Is|Are|Does|Was)\b")
SIGN = {"×": "*", "÷": "/", "−": "-"}


def opens_doubt(text: str) -> bool:
    return bool(re.match(r"(?:wait|hmm|no\b|hold on|hang on|oh\b|oops|actually)", text, re.IGNORECASE))


@cache
def first_word(phrase: str) -> str:
    return re.split(r"[^a-z']", phrase.lower().lstrip("\"' "), maxsplit=1)[0]


def lowered(text: str, *, question: str | None = None) -> str:
    """`text` to stand behind a connective: a small first letter, if the first word is no name, variable or "I".

    With the question at hand any word may be lowered that the question does not write with a capital.
    """
    ordinary = _MAY_BE_LOWERED.match(text)
    if not ordinary and question is not None and (word := re.match(r"[A-Z][a-z]{2,}(?= [a-z])", text)):
        ordinary = None if word.group() in question else word
    return text[0].lower() + text[1:] if ordinary else text


def landmark(told: Told) -> str:
    """The last plain equation of a step, as written, where it is short enough to be named."""
    found = _PLAIN_EQUATION.findall(told.text) if "=" in told.text and "```" not in told.text else ()
    return found[-1].strip() if found and len(found[-1]) <= 40 else ""


def carries_on(before: Told, told: Told) -> bool:
    """Whether a step calculates on with the result of the one before it."""
    result = landmark(before).rpartition("=")[2].strip(" $€£")
    return bool(result) and re.match(rf"[(\s$€£]*{re.escape(result)}(?![\d.,]*\d)", told.text) is not None
