"""What a thought has to say of each turn: its step without machine traces, and its own opening where it owns a mistake.

The narrator writes this text and the gate looks for it, so that both mean the same by "the step as written".
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from journeys.code import without_fences
from journeys.record import Journey, Move, Turn, Verdict
from journeys.stitching import phrases
from journeys.stitching.programs import head_of, with_program
from journeys.stitching.prose import (
    ANSWER_LABEL,
    TRACES,
    braced,
    capital,
    cleaned,
    ended,
    equations,
    normal,
    sentences,
    stated_answers,
)
from journeys.stitching.unfinished import finished

_INTERJECTION = re.compile(
    r"(?:(?:wait|hmm+|hold on|hang on|oh|oops|ah|actually|no|sorry|my mistake|right|ok(?:ay)?|i see|of course|yes)\b"
    r"(?:[,.:;!…—–-]+|\s+(?=i\b))\s*)+",
    re.IGNORECASE,
)
_PAUSE = re.compile(r"(?:(?:wait|hmm+|hold on|hang on|oh|ok(?:ay)?)\b[,.:;!…—–-]+\s*)+", re.IGNORECASE)
"""The interjections that do not answer a question."""
_CHECKS = re.compile(r"let me (?:check|see|look at) (?:that|this|it)(?: again)?[.:,]\s+", re.IGNORECASE)
"""Opens a step that goes on with what it was asked; the doubt before the step has said both."""
_OWNS = re.compile(
    r"\b(?:mistakes?|wrong|not right|isn't right|(?:that's|that is|i'm|was) off|incorrect|errors?|miscalculat\w*"
    r"|misread|miscount\w*|slipped|slip|forgot|doesn't (?:work|add up|hold|fit)|overlooked|mixed up|reconsider"
    r"|i (?:was|should(?:n't)? have))\b",
    re.IGNORECASE,
)
_BARE_OWNING = re.compile(
    r"\b(?:wait|hmm+|oh|oops|no|actually|that's|that|this|it|was|is|isn't|not|right|wrong|incorrect|off|quite|i|i've"
    r"|made|a|an|the|mistake|error|here|there|there's|my|me|let|reconsider|doesn't|work|hold|add|up|so|sorry|in|step)\b",
    re.IGNORECASE,
)
_COURTESY = re.compile(
    r"(?:(?:you(?:'re| are) (?:absolutely |quite )?right|thank(?:s| you)[^,.!]*|(?:i )?apologi[sz]e[^,.!]*"
    r"|(?:i'm |i am )?(?:so )?sorry[^,.!]*"
    r"|good (?:catch|point)|as (?:the critic|you) (?:said|noted|pointed out))[,.!:;]*\s*(?:and |but )?)+",
    re.IGNORECASE,
)
_RESTART = re.compile(
    r"(?:let me|let's|i'll|i will|i should|i have to|i need to|i must|time to) (?:just )?(?:redo|re-do|try|do|start"
    r"|check|recheck|recalculate|recompute|go over|look at|work|begin|fix|correct)\b[^.!?:;=\d]{0,60}[.!:]\s+(?=\S)"
    r"|(?:another (?:try|way)|once more|one more time|(?:trying )?again):\s+(?=\S)",
    re.IGNORECASE,
)
"""Words that only say that one begins again."""
_ANSWER_CLAUSE = re.compile(
    r"(?:^|[,;]?\s*\b(?:so|and|thus|therefore|hence|which means|meaning|giving)?,?\s*(?:that )?)"
    r"(?:the|my|our)\s+(?:final |correct )?answer(?: to [^=:.?]{0,60})?\s*(?:is|:|=)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Told:
    """What a thought says of one turn."""

    turn: Turn
    own: str
    """The sentence with which the step itself owns the mistake before it; "" where it has none."""
    restart: str
    """The words after it that only say that one begins again ("Let me redo that.", "Once more:"); "" without them."""
    text: str
    """The step as written, without those two and without what breaks off at its end; may be empty."""
    core: str
    """`text` in `normal` form, without fences around code, for comparing."""

    @property
    def bare(self) -> bool:
        """Whether the owning sentence gives no reason ("Hmm, that's not right.")."""
        return not re.search(r"\w", _BARE_OWNING.sub("", self.own))


def told_turns(journey: Journey, *, shortcut: bool = False) -> tuple[Told, ...]:
    """Every turn in the order of time, or with `shortcut` those of the path."""
    path = journey.path
    final = path[-1] if path and path[-1].answer is not None else None
    turns = path if shortcut else journey.turns
    stand = {turn.id for turn in path}
    return tuple(_told(turn, journey.turns, final=turn is final, stands=turn.id in stand) for turn in turns)


def rejected_again(told: Sequence[Told]) -> frozenset[int]:
    """Turns whose verdict rejects a step that was already rejected in the same words."""
    seen: set[str] = set()
    again = set()
    for one in told:
        if one.turn.removes and one.core:
            if one.core in seen:
                again.add(one.turn.id)
            seen.add(one.core)
    return frozenset(again)


def shown(answer: str) -> str:
    """An answer inside a sentence: LaTeX in dollar signs."""
    answer = " ".join(answer.split())
    return f"${answer}$" if "\\" in answer and "$" not in answer else answer


def _told(turn: Turn, turns: Sequence[Turn], *, final: bool, stands: bool) -> Told:
    own, restart, head = "", "", head_of(turn.step)
    text, has_code = cleaned(head), head != turn.step
    if turn.replies_to is not None:
        answered = turns[turn.replies_to].verdict
        own, text = _owned(text, answered)
        before_code = " ```" if has_code else ""
        if answered.move is Move.BACKTRACK and (found := _RESTART.match(text + before_code)):
            restart, text = found.group().strip(), capital(text[found.end() :])

    def stated(words: str) -> str:
        return without_answer(words, turn.answer or "") if final else _tentative(words)

    text = stated(text) if re.search(r"\w", text) else ""
    if has_code:
        text = with_program(text, turn, told=stated)
    elif text:
        text = finished(text, cut_off=turn.finish == "length", stands=stands)
    return Told(turn, own, restart, text, normal(without_fences(text)).rstrip(". "))


def _owned(step: str, verdict: Verdict) -> tuple[str, str]:
    """A step's opening that owns a mistake, and the rest.

    Interjections and an echo of the critique go: the doubt before the step says both. So does a second owning.
    """
    own: list[str] = []
    rest, before = step, None
    echo = " ".join(verdict.critique.split())
    interjection = _PAUSE if verdict.move is Move.REFLECT else _INTERJECTION
    while rest != before:
        before = rest
        for opener in (_COURTESY, interjection):
            if found := opener.match(rest):
                rest = rest[found.end() :].lstrip()
        at = rest.find(echo) if echo else -1
        if at == 0 or (at > 0 and _CHECKS.fullmatch(rest[:at])):
            rest = rest[at + len(echo) :].lstrip(" .,;")
        first = sentences(rest)[0] if rest else ""
        if _OWNS.search(first) and (rest != first or not own) and not equations(normal(first)) and not _foreign(first):
            own.append(capital(first.strip()))
            rest = rest[len(first) :].lstrip()
    return ended(own[0]) if own else "", capital(rest.strip())


def _foreign(sentence: str) -> bool:
    return bool(TRACES.search(sentence) or re.search(r"\byou\b", sentence, re.IGNORECASE))


def _tentative(text: str) -> str:
    """Labelled answers that the journey did not end with, as sentences."""
    if "nswer" not in text and "####" not in text and "NSWER" not in text:
        return text
    parts = []
    for line in re.split(r"\n|(?<=[.!?])\s+(?=(?:Final )?Answer\s*:|#### )", text):
        found = ANSWER_LABEL.match(line)
        label = found and (found[1] or found[2])
        parts.append(phrases.TENTATIVE.format(answer=shown(label.rstrip("."))) if label else line)
    return ("\n" if "\n" in text else " ").join(parts)


def without_answer(text: str, answer: str) -> str:
    """The final step without its stated answer, which the thought says once, at its end."""
    kept = []
    for sentence in text.split("\n") if "\n" in text else sentences(text):
        if ANSWER_LABEL.match(sentence):
            continue
        clause = _ANSWER_CLAUSE.search(sentence)
        if clause:
            sentence = sentence[: clause.start()].rstrip(" ,;:")
        if "\\boxed" in sentence:
            sentence = _unboxed(sentence)
        if normal(sentence).strip(" .") == normal(answer).strip(" ."):
            continue
        if re.search(r"\w", sentence) and not stated_answers(sentence):
            kept.append(ended(sentence) if clause else sentence)
    return ("\n" if "\n" in text else " ").join(kept).strip()


def _unboxed(text: str) -> str:
    while (at := text.find("\\boxed{")) >= 0:
        inside = braced(text[at + 6 :])
        text = text[:at] + inside + text[at + 8 + len(inside) :]
    return text


def answers_a_doubt(turn: Turn) -> bool:
    """Whether the verdict asks the next step to answer it."""
    return turn.verdict.move in (Move.BACKTRACK, Move.REFLECT)
