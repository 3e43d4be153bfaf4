"""What programs can say about one step: false equations, repetition, contradiction, dead ends; and luck at the end.

Every checker prefers silence to a false alarm. Its sentences never hold a value that the policy has not written.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from journeys.code import code_in, spoken
from journeys.record import Evidence, Problem
from problems.derivations import adds_up, terms_of
from problems.equations import Equation, equations
from problems.gym import ARITHMETIC_TASKS
from problems.number_games import missed, number_game, unavailable
from problems.numbers import plain_number

MAX_EVIDENCE = 5


@dataclass(frozen=True, slots=True)
class Scene:
    """What a checker may look at."""

    question: str
    path: tuple[str, ...]
    """The standing steps, first to last."""
    step: str
    abandoned: tuple[str, ...]


Checker = Callable[[Scene], tuple[Evidence, ...]]


def empty_step(scene: Scene) -> tuple[Evidence, ...]:
    """A step without a letter or digit."""
    if re.search(r"\w", spoken(scene.step)) or re.search(r"\w", code_in(scene.step)):
        return ()
    return (Evidence(kind="empty_step", detail="This step says nothing."),)


def false_equation(scene: Scene) -> tuple[Evidence, ...]:
    """An equation of the step that holds under no sensible reading. Code is no prose; its comments are."""
    return _false_equation(spoken(scene.step))


@lru_cache(maxsize=65_536)
def _false_equation(step: str) -> tuple[Evidence, ...]:
    found = {equation.quote: equation for equation in equations(step) if not equation.holds}
    return tuple(
        Evidence(kind="false_equation", quote=quote, detail=f"{_said(equation.left)} is not {_said(equation.right)}.")
        for quote, equation in list(found.items())[:MAX_EVIDENCE]
    )


def repeated_step(scene: Scene) -> tuple[Evidence, ...]:
    """The same words and numbers as a step that stands, or as one that was given up."""
    words = normalised(scene.step)
    if not words:
        return ()
    if any(words == normalised(step) for step in scene.abandoned):
        return (Evidence(kind="repeated_step", quote=scene.step.strip(), detail="This step was already given up."),)
    if any(words == normalised(step) for step in scene.path):
        return (
            Evidence(
                kind="repeated_step", quote=scene.step.strip(), detail="This step says again what already stands."
            ),
        )
    return ()


_SECOND_TRY = re.compile(
    r"\s*(?:wait|hmm+|no|oh|hold on|hang on)\b[^\n:]{0,200}\b(?:again|try|way|once more|redo it):\s+(?=\S)"
)
"""`Wait. 26 is not 35. Let me try again: ` in front of a step."""


@lru_cache(maxsize=65_536)
def normalised(step: str) -> str:
    """Words, numbers and signs; case, spacing, decoration, opening words and announcing a second try do not count."""
    text = re.sub(r"[*_$`\\]|\bstep\s+\d+\s*[:.)]", " ", _SECOND_TRY.sub("", step.lower()))
    text = re.sub(r"^\s*(?:(?:so|then|now|next|first|wait|hmm|okay|ok|and|therefore|thus|hence)\b[\s,.:]*)+", "", text)
    return " ".join(re.findall(r"\d+(?:[.,]\d+)*|\w+|[-+*/=^<>×÷]", text))


def contradiction(scene: Scene) -> tuple[Evidence, ...]:
    """A name or a computation that the path gave one value and the step gives another.

    Running totals are not contradictions: a new value that is computed in place, that mentions the old one, or that
    comes with a word of change ("now", "left", "or") is a new state, not a second opinion.
    """
    found = []
    said, path = spoken(scene.step), [spoken(step) for step in scene.path]
    now = bindings(said)
    if now:
        before = {name: value for step in path for name, value in bindings(step).items()}
        for name, (value, quote) in now.items():
            old = before.get(name)
            if old is None or old[0] == value or _CHANGE.search(said) or _mentions(said, old[0]):
                continue
            found.append(
                Evidence(
                    kind="contradiction", quote=quote, detail=f'Earlier this was "{old[1]}", and now it is "{quote}".'
                )
            )
    results = {_said(e.left): e for step in path for e in equations(step) if e.operated}
    for equation in equations(said):
        earlier = results.get(_said(equation.left))
        if earlier is None or earlier.stated == equation.stated or equation.holds == earlier.holds:
            continue
        if not equation.holds:
            detail = f'Earlier this was "{earlier.quote}", and now it is "{equation.quote}".'
            found.append(Evidence(kind="contradiction", quote=equation.quote, detail=detail))
    return tuple(found[:MAX_EVIDENCE])


def missed_target(scene: Scene) -> tuple[Evidence, ...]:
    """A number game's dead end: every number is used, and what is left is not the target."""
    game = number_game(scene.question)
    found = game and missed(game, [spoken(step) for step in scene.path], spoken(scene.step))
    return (Evidence(kind="missed_target", quote=found[0], detail=found[1]),) if found else ()


def unavailable_number(scene: Scene) -> tuple[Evidence, ...]:
    """A number game's line that takes a number which the game does not give, or one that is used up."""
    game = number_game(scene.question)
    found = game and unavailable(game, [spoken(step) for step in scene.path], spoken(scene.step))
    return (Evidence(kind="unavailable_number", quote=found[0], detail=found[1]),) if found else ()


_CHANGE = re.compile(
    r"\b(?:now|new|becomes?|became|updated?|after|remaining|remains?|left|or|case|if|when|another|next|second|other|"
    r"instead|wait|actually|mistake|correct(?:ed|ion)?|should|adding|add|subtract|increase[sd]?|decrease[sd]?|then)\b",
    re.IGNORECASE,
)
_BINDING = re.compile(
    r"(?:^|(?<=[.;:]\s)|(?<=\n))\s*(?:\*\*)?(?P<name>[A-Za-z][A-Za-z' ]{2,40}[A-Za-z])(?:\*\*)?\s*=\s*"
    r"(?P<value>-?\$?\d[\d,]*(?:\.\d+)?)(?=\s*(?:[.;,]?\s*$|\.\s|\n|\s+[a-z]+\.?\s*$))",
    re.MULTILINE,
)


@lru_cache(maxsize=65_536)
def bindings(step: str) -> dict[str, tuple[Fraction, str]]:
    """`Total = 12` and its like: names of several letters with a bare value, as (value, quote). Do not change it."""
    found: dict[str, tuple[Fraction, str]] = {}
    if "=" not in step:
        return found
    for match in _BINDING.finditer(step[:20_000]):
        value = plain_number(match["value"])
        if value is not None:
            found[" ".join(match["name"].lower().split())] = (value, match[0].strip())
    return found


def _mentions(step: str, value: Fraction) -> bool:
    return any(plain_number(number) == value for number in re.findall(r"\d[\d,]*(?:\.\d+)?", step))


def _said(side: str) -> str:
    """One side of an equation as it goes into a sentence."""
    return " ".join(side.split()).rstrip(".,; ")


CHECKERS: dict[str, Checker] = {
    "empty_step": empty_step,
    "false_equation": false_equation,
    "repeated_step": repeated_step,
    "contradiction": contradiction,
    "missed_target": missed_target,
    "unavailable_number": unavailable_number,
}
"""By the name that a recipe gives; each finds evidence of the kind it is named after."""


def lucky_reasons(problem: Problem, steps: Sequence[str], answer: str, *, printed: str = "") -> tuple[str, ...]:
    """Why a right final answer does not follow from the path; empty when it does, or when nobody can tell.

    A false equation that still stands is a reason for every problem. That no equation yields the answer is a reason
    only where the answer is a number and the problem asks for arithmetic: letters are counted without equations. That
    true equations add up other numbers than the question's is one where the question is a plain sum.

    Args:
        printed: what the code of the steps printed; a program that computes something may yield the answer too.
    """
    path = [spoken(step) for step in steps]
    reasons = [f"a false equation stands: {e.quote}" for step in path for e in equations(step) if not e.holds]
    value = plain_number(answer, units=True)
    computed = _computes(steps) and value in map(plain_number, re.findall(r"-?\d[\d,]*(?:\.\d+)?", printed))
    if value is not None and _is_arithmetical(problem, path) and not computed and not _yields(path, value):
        reasons.append("no equation on the path yields the answer")
    terms = None if reasons or computed or value is None else terms_of(problem.question)
    if terms and value is not None and not adds_up(terms, path, value):
        reasons.append("the numbers that were added up are not those of the question")
    return tuple(dict.fromkeys(reasons))


def _is_arithmetical(problem: Problem, path: Sequence[str]) -> bool:
    if problem.verifier == "reasoning_gym":
        return problem.metadata.get("task") in ARITHMETIC_TASKS
    if problem.verifier != "math":
        return False
    if any(equation.operated for step in path for equation in equations(step)):
        return True
    return len(re.findall(r"\d[\d,.]*", problem.question)) >= 2


_OPERATION = re.compile(r"[\w)\]]\s*(?:[-+*/%&|^]|<<|>>)+=?\s*[\w(\[]|\b(?!print\b)\w+\(")


def _computes(steps: Sequence[str]) -> bool:
    """Whether the code of the steps does more than print what its author knew."""
    return any(_OPERATION.search(re.sub(r"#.*", "", code_in(step))) for step in steps)


_YIELD = re.compile(r"(?P<left>[^=\n≈]*)[=≈]\s*(?P<right>[^=\n≈]{1,60})")


_VARIABLE = re.compile(r"(?<=[-+*/\d(])\s*([A-Za-z])(?![A-Za-z])|(?<![A-Za-z])([A-Za-z])(?=\s*[-+*/])")
"""A single letter beside a number or a sign."""


def _comes_to(equation: Equation, value: Fraction) -> bool:
    """Whether an equation arrives at the answer: as it is, in percent or cents, or rounded to a whole."""
    for result in {equation.stated, equation.value}:
        if result == value or result * 100 == value:
            return True
        if value.denominator == 1 and result.denominator != 1 and abs(result - value) < 1:
            return True
    return False


def _yields(path: Sequence[str], value: Fraction) -> bool:
    for step in path:
        found: tuple[Equation, ...] = equations(step)
        if any(e.operated and e.holds and _comes_to(e, value) for e in found):
            return True
    # Algebra and words: a line that computes something and arrives at the value, though its left side cannot be read.
    variables: set[str] = set()
    for step in path:
        for match in _YIELD.finditer(step[:20_000]):
            left = match["left"][-200:]
            computes = re.search(
                r"\d\s*[-+*/×÷^]|[-+*/×÷^]\s*\d|\\(?:frac|sqrt|times|cdot|binom)|\d[a-zA-Z]\b|\d\s*\(|[!|]", left
            )
            letters = set(re.findall(r"(?<![A-Za-z])[A-Za-z](?![A-Za-z])", left))
            right = re.match(r"[\s$\\({]*(-?\$?\d[\d,]*(?:\.\d+)?(?:/\d+)?|\\[dt]?frac\{\d+\}\{\d+\})", match["right"])
            arrived = right is not None and plain_number(right[1]) == value
            if arrived and (computes or letters & variables):
                return True
            variables |= {one or two for one, two in _VARIABLE.findall(match[0])}
    return False
