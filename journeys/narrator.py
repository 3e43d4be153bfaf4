"""The template narrator: a journey told by one person thinking aloud. No model, and the same words every time.

The steps stay as the policy wrote them, wrong ones too; only machine traces go (`prose.cleaned`). Between a step that was
given up and the next one stands the critic's reason as a doubt of one's own (O1 Journey part 2, figure 1).
"""

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from journeys import phrases
from journeys.doubt import in_first_person, reason
from journeys.prose import ANSWER_LABEL, STATED_ANSWER, braced, capital, cleaned, ended, equations, normal, sentences
from journeys.record import Journey, Move, Record, Turn, seed_for

Part = Literal["step", "doubt", "bridge", "reflection", "answer"]


class Span(Record):
    """Where a piece of a thought comes from."""

    start: int
    end: int
    turn: int
    """The turn it belongs to."""
    part: Part


@dataclass(frozen=True)
class Telling:
    """A thought's text with its spans; between two spans there is only whitespace."""

    text: str
    spans: tuple[Span, ...]


PARAGRAPH = 420
"""Characters after which a new step begins a new paragraph."""

_OPENS_ITSELF = re.compile(
    r"(?:first|then|next|now|so|thus|therefore|hence|wait|hmm|let|ok(?:ay)?|but|and|since|because|finally|also|again"
    r"|after|before|if|when|from|this|that|which|well|right|to|in|on|for|with|here|there|once|given|as|lastly|let's"
    r"|start|starting|adding|subtracting|multiplying|dividing|i|i'll|i'm|we|my|no|actually|instead)\b",
    re.IGNORECASE,
)
_MAY_BE_LOWERED = re.compile(
    r"(?:The|We|This|That|There|It|Each|She|He|They|You|My|Our|If|When|Since|In|On|For|From|With|A|An|Half|Twice|All|One"
    r"|Every|Both|His|Her|Their|Its|Let|Let's|To|What|Find|Take|[A-Z][a-z]+ing)\b(?!')"
)
_BARE_MATHS = re.compile(r"[\d\s.,:;()\[\]+\-*/×÷·^=%$€£<>≤≥−]+|[^.!?]{0,60}=[^.!?]{0,60}")
_ONE_OPERATION = re.compile(r"[$€£]?[\d.,]+\s*([-+*/×÷−])\s*[$€£]?[\d.,]+\s*=\s*[$€£]?[\d.,]+\W?")
_INTERJECTION = re.compile(
    r"(?:(?:wait|hmm+|hold on|hang on|oh|oops|ah|actually|no|sorry|my mistake|right|ok(?:ay)?|i see|of course|yes)\b"
    r"(?:[,.:;!…—–-]+|\s+(?=i\b))\s*)+",
    re.IGNORECASE,
)
_OWNS = re.compile(
    r"\b(?:mistakes?|wrong|not right|isn't right|incorrect|errors?|miscalculat\w*|misread|miscount\w*|slipped|slip"
    r"|forgot|doesn't (?:work|add up|hold|fit)|can't be|overlooked|mixed up|reconsider|i (?:was|should(?:n't)? have))\b",
    re.IGNORECASE,
)
_COURTESY = re.compile(
    r"(?:(?:you(?:'re| are) (?:absolutely |quite )?right|thank(?:s| you)[^,.!]*|(?:i )?apologi[sz]e[^,.!]*|sorry[^,.!]*"
    r"|good (?:catch|point)|as (?:the critic|you) (?:said|noted|pointed out))[,.!:;]*\s*(?:and |but )?)+",
    re.IGNORECASE,
)
_ANSWER_CLAUSE = re.compile(
    r"(?:^|[,;]?\s*\b(?:so|and|thus|therefore|hence|which means|meaning|giving)?,?\s*(?:that )?)"
    r"(?:the|my|our)\s+(?:final |correct )?answer(?: to [^=:.?]{0,60})?\s*(?:is|:|=)",
    re.IGNORECASE,
)
_INSTRUCTION = re.compile(
    r"\b(?:answer|respond|reply|output|format|tags?|box(?:ed)?|explain|show your|step by step)\b", re.IGNORECASE
)
_EXPRESSION = re.compile(r"[-(]?[\d(][\d\s.,()+\-*/×÷^−]*[+\-*/×÷^−][\d\s.,()+\-*/×÷^−]*[\d)]")
_TASK = re.compile(
    r"(?:find|calculate|compute|evaluate|determine|simplify|solve|work out)\b[^.?!]{3,90}[.?!]?$", re.IGNORECASE
)


def tell(journey: Journey, *, shortcut: bool = False) -> Telling:
    """The journey as a thought; with `shortcut` only the path, as if nothing had gone wrong."""
    return _Teller(journey, shortcut=shortcut).tell()


@dataclass
class _Page:
    """Text as it grows, with the span of every piece."""

    pieces: list[str] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    length: int = 0
    paragraph: int = 0
    """Characters since the last blank line."""

    def add(self, text: str, turn: int, part: Part, *, gap: str = " ") -> None:
        text = text.strip()
        if not text:
            return
        gap = gap if self.pieces else ""
        self.paragraph = len(text) if "\n\n" in gap else self.paragraph + len(text)
        start = self.length + len(gap)
        self.pieces += (gap, text)
        self.length = start + len(text)
        self.spans.append(Span(start=start, end=self.length, turn=turn, part=part))


class _Teller:
    """One telling: the page, the dice, and the openers used so far."""

    def __init__(self, journey: Journey, *, shortcut: bool) -> None:
        self.journey = journey
        self.shortcut = shortcut
        self.path = journey.path
        self.turns: Sequence[Turn] = self.path if shortcut else journey.turns
        self.dice = random.Random(seed_for("thought", journey.id, journey.seed))
        self.page = _Page()
        self.said: list[str] = []
        """Phrases already used, newest last."""
        self.plain_steps = 0
        """Steps since the last connective."""

    def tell(self) -> Telling:
        standing: list[Turn] = []
        rejected: set[str] = set()
        before: Turn | None = None
        for place, turn in enumerate(self.turns):
            if place == 0:
                self._open(turn)
            self._step(turn, before, place)
            standing.append(turn)
            if not self.shortcut and turn.removes:
                key = normal(turn.step)
                self._abandon(turn, standing, self._following(place), again=key in rejected)
                rejected.add(key)
                del standing[turn.verdict.keep :]
            elif turn.verdict.move is Move.REFLECT and place + 1 < len(self.turns):
                self._reflect(turn, self.turns[place + 1])
            before = turn
        self._close()
        return Telling("".join(self.page.pieces), tuple(self.page.spans))

    def _following(self, place: int) -> Turn | None:
        return self.turns[place + 1] if place + 1 < len(self.turns) else None

    def _pick(self, table: tuple[str, ...]) -> str:
        """A phrase from `table`, none of the newest few nor one that opens like the last."""
        recent = self.said[-6:]
        last = _first_word(self.said[-1]) if self.said else ""
        fresh = [phrase for phrase in table if phrase not in recent and (not phrase or _first_word(phrase) != last)]
        choice = self.dice.choice(fresh or [phrase for phrase in table if phrase != (recent or [""])[-1]] or table)
        if choice:
            self.said.append(choice)
        return choice

    # What happens in a journey

    def _open(self, first: Turn) -> None:
        step = cleaned(first.step)
        if re.match(
            r"(?:let|i need|we need|the question|the problem|okay|ok|so|to find|to solve)\b", step, re.IGNORECASE
        ):
            return
        self.page.add(self._opening(), first.id, "bridge")

    def _opening(self) -> str:
        asked = [
            line for line in sentences(" ".join(self.journey.problem.question.split())) if not _INSTRUCTION.search(line)
        ]
        for sentence in reversed(asked):
            expression = _EXPRESSION.search(sentence)
            if (
                expression
                and len(expression.group()) <= 60
                and not re.search(r"\\|\$|[a-z]{4,}.*[a-z]{4,}.*[a-z]{4,}", sentence)
            ):
                return self._pick(phrases.OPENING_EXPRESSION).format(what=expression.group().strip())
            if _TASK.match(sentence):
                task = sentence[0].lower() + sentence[1:].rstrip(".?!")
                return self._pick(phrases.OPENING_TASK).format(what=task)
            if sentence.endswith("?") and len(sentence) <= 90 and "\\" not in sentence:
                return self._pick(phrases.OPENING_QUESTION).format(
                    what=_lowered(sentence, ("How", "What", "Which", "Who"))
                )
        return self._pick(phrases.OPENING_PLAIN) if self.dice.random() < 0.5 else ""

    def _step(self, turn: Turn, before: Turn | None, place: int) -> None:
        text = cleaned(turn.step)
        if before is not None and before.verdict.move in (Move.BACKTRACK, Move.REFLECT):
            text = _owned(text)[1]
        elif self.shortcut and turn.replies_to is not None:
            text = _owned(text)[1]
        final = bool(self.path) and turn is self.path[-1] and turn.answer is not None
        text = _without_answer(text, turn.answer or "") if final else self._tentative(text)
        if not text:
            return
        lines = "\n" in text
        gap = "\n" if lines else " "
        if self.page.paragraph > PARAGRAPH and (before is None or before.verdict.move is Move.CONTINUE):
            gap = "\n\n"
        self.page.add(ended(self._connected(text, turn, before, place)), turn.id, "step", gap=gap)

    def _abandon(self, turn: Turn, standing: Sequence[Turn], following: Turn | None, *, again: bool) -> None:
        """The doubt after a step that was given up, and from where it goes on."""
        own = _owned(cleaned(following.step))[0] if following else ""
        why = reason(turn, self._pick, question=self.journey.problem.question, again=again)
        if own and following:
            self.page.add(ended(own), following.id, "doubt", gap="\n\n")
            if len(own.split()) < 9 and not re.search(r"\d", own):
                self.page.add(why, turn.id, "doubt")
        else:
            self.page.add(self._opened(why), turn.id, "doubt", gap="\n\n")
        if following:
            self.page.add(self._back(turn, standing, following), turn.id, "bridge")
        self.plain_steps = 0

    def _back(self, turn: Turn, standing: Sequence[Turn], following: Turn) -> str:
        """From where it goes on; silent where the next step says it or one step alone was dropped and nothing is lost."""
        dropped = len(standing) - turn.verdict.keep
        announced = re.match(
            r"(?:let|i'll|i will|going back|back to|start)\b", _owned(cleaned(following.step))[1], re.IGNORECASE
        )
        if turn.verdict.keep == 0 and dropped > 1:
            return "" if announced else self._pick(phrases.OVER)
        if dropped > 1:
            kept = _landmark(standing[turn.verdict.keep - 1])
            return (
                self._pick(phrases.BACK_TO).format(kept=kept)
                if kept
                else self._pick(phrases.BACK).format(count=_count(dropped))
            )
        return "" if announced or self.dice.random() < 0.6 else self._pick(phrases.REDO)

    def _reflect(self, turn: Turn, following: Turn) -> None:
        """A pause after a step that stays; the next step answers it."""
        gap = "\n\n" if self.page.paragraph > PARAGRAPH // 2 else " "
        own = _owned(cleaned(following.step))[0]
        if own:
            self.page.add(ended(own), following.id, "reflection", gap=gap)
            return
        demoted = {"quote_not_found", "no_evidence"} & set(turn.rulings)
        why = "" if demoted else in_first_person(turn.verdict.critique, allowed=self.journey.problem.question)
        if not why:
            quote = _landmark(turn)
            why = self._pick(phrases.CHECK_EQUATION).format(quote=quote) if quote else self._pick(phrases.CHECK)
        elif not why.startswith("Let me"):
            why = self._joined(self._pick(phrases.PAUSE), why)
        self.page.add(why, turn.id, "reflection", gap=gap)
        self.plain_steps = 0

    def _close(self) -> None:
        answer = self.journey.answer
        if answer is None:
            return
        last = self.path[-1].id
        if recap := self._recap(answer):
            self.page.add(recap, last, "reflection", gap="\n\n")
        self.page.add(self._pick(phrases.ANSWER).format(answer=_shown(answer)), last, "answer")

    def _recap(self, answer: str) -> str:
        """What now stands, where a repaired path is a short chain of equations that ends in the answer."""
        if self.shortcut or self.journey.lucky or len(self.path) == len(self.journey.turns) or self.dice.random() < 0.5:
            return ""
        if any(item.fatal for turn in self.path for item in turn.evidence):
            return ""
        chain = [landmark for turn in self.path if (landmark := _landmark(turn))]
        if not 2 <= len(chain) <= 4 or normal(chain[-1]).rpartition("=")[2] != normal(answer):
            return ""
        return self._pick(phrases.RECAP).format(chain=", then ".join(chain))

    # How it is said

    def _tentative(self, text: str) -> str:
        """Labelled answers that the journey did not end with, as sentences."""
        parts = []
        for line in re.split(r"\n|(?<=[.!?])\s+(?=(?:Final )?Answer\s*:|#### )", text):
            found = ANSWER_LABEL.match(line)
            label = found and (found[1] or found[2])
            parts.append(phrases.TENTATIVE[0].format(answer=_shown(label.rstrip("."))) if label else line)
        return ("\n" if "\n" in text else " ").join(parts)

    def _opened(self, why: str) -> str:
        """A doubt with its opener, unless it has one."""
        if re.match(r"(?:wait|hmm|no\b|hold on|hang on|oh\b)", why, re.IGNORECASE):
            return why
        if why.startswith(("Let me", "Am I", "Have I", "Did I", "What", "How", "Is ", "Does ", "Could I", "Do I")):
            return self._joined(self._pick(phrases.ASK), why)
        return self._joined(self._pick(phrases.DOUBT), why)

    def _joined(self, opener: str, text: str) -> str:
        return opener + (text if opener.endswith(". ") else _lowered(text, _SAFE_AFTER_DOUBT))

    def _connected(self, text: str, turn: Turn, before: Turn | None, place: int) -> str:
        """A step with a connective, where it reads better with one."""
        if _OPENS_ITSELF.match(text) or "\n" in text:
            self.plain_steps += 1
            if word := _OPENS_ITSELF.match(text):
                self.said.append(word.group().lower())
            return capital(text)
        terse = bool(_BARE_MATHS.fullmatch(text.rstrip(".")))
        chance = 0.75 if terse else 0.3
        after_repair = before is not None and before.verdict.move in (Move.BACKTRACK, Move.REFLECT)
        if after_repair or self.dice.random() > chance + 0.2 * self.plain_steps:
            self.plain_steps += 1
            return capital(text)
        self.plain_steps = 0
        operation = _ONE_OPERATION.fullmatch(text)
        if operation and self.dice.random() < 0.3:
            return (
                self._pick(phrases.BY_OPERATOR[{"×": "*", "÷": "/", "−": "-"}.get(operation[1], operation[1])]) + text
            )
        if place == 0:
            opener = self._pick(phrases.FIRST)
        elif self.path and turn is self.path[-1] and len(self.path) > 3:
            opener = self._pick(phrases.LAST)
        else:
            opener = self._pick(phrases.ONWARD)
        return opener + _lowered(text) if opener else capital(text)


_SAFE_AFTER_DOUBT = (
    "Here",
    "What",
    "How",
    "Why",
    "Am",
    "Have",
    "Did",
    "Do",
    "Is",
    "Are",
    "Does",
    "Could",
    "Where",
    "Which",
    "Was",
)


def _first_word(phrase: str) -> str:
    return re.split(r"[^a-z']", phrase.lower().lstrip("\"' "), maxsplit=1)[0]


def _lowered(text: str, also: tuple[str, ...] = ()) -> str:
    """`text` to stand behind a connective: a small first letter, if the first word is no name, variable or "I"."""
    word = re.match(r"[A-Za-z]+", text)
    if _MAY_BE_LOWERED.match(text) or word and word.group() in (*also, "Something"):
        return text[0].lower() + text[1:]
    return text


def _count(number: int) -> str:
    return {2: "two", 3: "three", 4: "four", 5: "five"}.get(number, str(number))


def _landmark(turn: Turn) -> str:
    """The last plain equation of a step, as written, where it is short enough to be named."""
    found = re.findall(
        r"(?<![\w\\])[-(]?[$€£]?[\d(][\d\s.,()+\-*/×÷^$€£%−]*=\s*[-$€£]*[\d.,/]*\d%?", cleaned(turn.step)
    )
    return found[-1].strip() if found and len(found[-1]) <= 40 else ""


def _shown(answer: str) -> str:
    """An answer inside a sentence: LaTeX in dollar signs."""
    answer = " ".join(answer.split())
    return f"${answer}$" if "\\" in answer and "$" not in answer else answer


def _owned(step: str) -> tuple[str, str]:
    """A step's own opening that owns a mistake, and the rest; an interjection alone is dropped, the doubt has one."""
    bare = _COURTESY.sub("", step, count=1) if _COURTESY.match(step) else step
    parts = sentences(bare)
    if not parts:
        return "", bare
    opener = _INTERJECTION.match(parts[0])
    if _OWNS.search(parts[0]) and not equations(normal(parts[0])):
        return capital(parts[0]), capital(bare[len(parts[0]) :].strip())
    rest = bare[opener.end() :] if opener else bare
    return "", capital(rest.strip()) if rest.strip() else ""


def _without_answer(text: str, answer: str) -> str:
    """The final step without its stated answer, which the thought says once, at its end."""
    kept = []
    for sentence in re.split(r"(?<=\n)|\n", text) if "\n" in text else sentences(text):
        if ANSWER_LABEL.match(sentence):
            continue
        clause = _ANSWER_CLAUSE.search(sentence)
        if clause:
            sentence = sentence[: clause.start()].rstrip(" ,;:")
        elif "\\boxed" in sentence:
            sentence = _unboxed(sentence)
            if normal(sentence).strip(" .") == normal(answer):
                continue
        if sentence.strip() and not STATED_ANSWER.search(sentence):
            kept.append(ended(sentence) if clause else sentence)
    return ("\n" if "\n" in text else " ").join(kept).strip()


def _unboxed(text: str) -> str:
    at = text.find("\\boxed{")
    while at >= 0:
        inside = braced(text[at + 6 :])
        text = text[:at] + inside + text[at + 8 + len(inside) :]
        at = text.find("\\boxed{")
    return text
