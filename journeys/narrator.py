"""The template narrator: a journey told by one person thinking aloud. No model, and the same words every time.

The steps stay as the policy wrote them, wrong ones too; only machine traces go (`prose.cleaned`). Between a step that
was given up and the next one stands the critic's reason as a doubt of one's own (O1 Journey part 2, figure 1).
"""

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import zip_longest
from typing import Literal

from journeys import phrases
from journeys.doubt import in_first_person, reason
from journeys.prose import capital, ended, normal, sentences
from journeys.record import Journey, Move, Record, Turn, seed_for
from journeys.steps import Told, answers_a_doubt, rejected_again, shown, told_turns

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
    told: tuple[Told, ...]
    """What it tells, turn by turn."""


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
    r"|Every|Both|His|Her|Their|Its|Let|To|What|How|Why|Which|Who|Where|Am|Have|Did|Do|Is|Are|Does|Was|Could|Should|Here"
    r"|Something|Find|Take|Add|Subtract|Square|Multiply|Divide|Suppose|Solve|Substitute|Plug|Factor|Expand|Compute"
    r"|Calculate|Count|Write|Simplify|Set|Use|Apply|Check|[A-Z][a-z]+ing)(?=\s|'s\b|$)"
)
_BARE_MATHS = re.compile(r"[\d\s.,:;()\[\]+\-*/×÷·^=%$€£<>≤≥−]+|[^.!?]{0,60}=[^.!?]{0,60}")
_ONE_OPERATION = re.compile(r"[$€£]?[\d.,]+\s*([-+*/×÷−])\s*[$€£]?[\d.,]+\s*=\s*[$€£]?[\d.,]+\W?")
_INSTRUCTION = re.compile(
    r"\b(?:answer|respond|reply|output|format|tags?|box(?:ed)?|explain|show your|step by step)\b", re.IGNORECASE
)
_LOOKS_AT_PROBLEM = re.compile(
    r"(?:let|i need|we need|the question|the problem|okay|ok|so|to find|to solve)\b", re.IGNORECASE
)
_PLAIN_EQUATION = re.compile(r"(?<![\w\\])[-(]?[$€£]?[\d(][\d\s.,()+\-*/×÷^$€£%−]*=\s*[-$€£]*[\d.,/]*\d%?")
_ONLY_EXPRESSION = re.compile(r"(?:[^\\$\d]{0,70}?)[\d(-][\d\s.,()+\-*/×÷^−=?]*")
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

    @property
    def ends_with_display(self) -> bool:
        return bool(self.pieces) and self.pieces[-1].endswith(("\\]", "$$", "|"))

    def add(self, text: str, turn: int, part: Part, *, gap: str = " ") -> None:
        text = text.strip()
        if not text:
            return
        gap = ("\n" if gap == " " and self.ends_with_display else gap) if self.pieces else ""
        self.paragraph = len(text) if "\n\n" in gap else self.paragraph + len(text)
        start = self.length + len(gap)
        self.pieces += (gap, text)
        self.length = start + len(text)
        self.spans.append(Span(start=start, end=self.length, turn=turn, part=part))


class _Teller:
    """One telling: the page, the dice, and the phrases used so far."""

    def __init__(self, journey: Journey, *, shortcut: bool) -> None:
        self.journey = journey
        self.shortcut = shortcut
        self.path = journey.path
        self.told = told_turns(journey, shortcut=shortcut)
        self.again = rejected_again(self.told)
        self.dice = random.Random(seed_for("thought", journey.id, journey.seed))
        self.page = _Page()
        self.used: dict[str, int] = {}
        self.last_word = ""
        self.owned: set[str] = set()
        """Owning sentences already said; a second time the doubt finds words of its own."""
        self.plain_steps = 0
        """Steps since the last connective."""

    def tell(self) -> Telling:
        standing: list[Told] = []
        before: Told | None = None
        for told, following in zip_longest(self.told, self.told[1:]):
            if before is None:
                self._open(told)
            self._step(told, before)
            standing.append(told)
            turn = told.turn
            if turn.removes and not self.shortcut:
                self._abandon(turn, standing, following)
                del standing[turn.verdict.keep :]
            elif turn.verdict.move is Move.REFLECT and following:
                self._reflect(told, following)
            before = told
        self._close()
        return Telling("".join(self.page.pieces), tuple(self.page.spans), self.told)

    def _pick(self, table: tuple[str, ...]) -> str:
        """A phrase from `table`: one of the least used, and none that opens like the last."""
        other = [phrase for phrase in table if not phrase or _first_word(phrase) != self.last_word] or table
        least = min(self.used.get(phrase, 0) for phrase in other)
        choice = self.dice.choice([phrase for phrase in other if self.used.get(phrase, 0) == least])
        if choice:
            self.used[choice] = self.used.get(choice, 0) + 1
            self.last_word = _first_word(choice)
        return choice

    # What happens in a journey

    def _open(self, first: Told) -> None:
        if not _LOOKS_AT_PROBLEM.match(first.text):
            self.page.add(self._opening(), first.turn.id, "bridge")

    def _opening(self) -> str:
        """A short look at what is asked; "" where it would be neither short nor natural."""
        question = " ".join(self.journey.problem.question.split())
        asked = [line for line in sentences(question) if not _INSTRUCTION.search(line)]
        for sentence in reversed(asked[-4:]):
            expression = _EXPRESSION.search(sentence)
            if expression and len(expression.group()) <= 60 and _ONLY_EXPRESSION.fullmatch(sentence):
                return self._pick(phrases.OPENING_EXPRESSION).format(what=expression.group().strip())
            if _TASK.match(sentence):
                task = sentence[0].lower() + sentence[1:].rstrip(".?!")
                return self._pick(phrases.OPENING_TASK).format(what=task)
            if sentence.endswith("?") and len(sentence) <= 90 and "\\" not in sentence:
                return self._pick(phrases.OPENING_QUESTION).format(what=_lowered(sentence))
        return self._pick(phrases.OPENING_PLAIN) if self.dice.random() < 0.5 else ""

    def _step(self, told: Told, before: Told | None) -> None:
        if not told.text:
            return
        gap = "\n" if "\n" in told.text else " "
        follows_doubt = before is not None and answers_a_doubt(before.turn)
        if self.page.paragraph > PARAGRAPH and not follows_doubt:
            gap = "\n\n"
        self.page.add(ended(self._connected(told, before)), told.turn.id, "step", gap=gap)

    def _abandon(self, turn: Turn, standing: Sequence[Told], following: Told | None) -> None:
        """The doubt after a step that was given up, and from where it goes on."""
        question = self.journey.problem.question
        own = following.own if following and following.own not in self.owned else ""
        why = (
            ""
            if own and following and not following.bare
            else reason(turn, self._pick, question=question, again=turn.id in self.again)
        )
        if own and following:
            self.owned.add(own)
            self.page.add(own if _opens_doubt(own) else self._opened(own), following.turn.id, "doubt", gap="\n\n")
            self.page.add(why, turn.id, "doubt")
        else:
            self.page.add(self._opened(why), turn.id, "doubt", gap="\n\n")
        if following:
            self.page.add(
                self._back(turn, standing, following, announced=bool(own) or "Let me" in why or why.endswith("?")),
                turn.id,
                "bridge",
            )
        self.plain_steps = 0

    def _back(self, turn: Turn, standing: Sequence[Told], following: Told, *, announced: bool) -> str:
        """From where it goes on; silent where that is already said or plain to see."""
        dropped = len(standing) - turn.verdict.keep
        announced = announced or bool(_ANNOUNCES.match(following.text))
        if dropped > 1 and turn.verdict.keep > 0:
            kept = _landmark(standing[turn.verdict.keep - 1])
            table = phrases.BACK_TO if kept else phrases.BACK
            return self._pick(table).format(kept=kept, count=_COUNTS.get(dropped, str(dropped)))
        if announced or (dropped == 1 and self.dice.random() < 0.6):
            return ""
        return self._pick(phrases.OVER if dropped > 1 else phrases.REDO)

    def _reflect(self, told: Told, following: Told) -> None:
        """A pause after a step that stays; the next step answers it."""
        turn = told.turn
        gap = "\n\n" if self.page.paragraph > PARAGRAPH // 2 else " "
        if following.own and following.own not in self.owned:
            self.owned.add(following.own)
            own = following.own if _opens_doubt(following.own) else self._opened(following.own)
            self.page.add(own, following.turn.id, "reflection", gap=gap)
            return
        why = (
            ""
            if _DEMOTED & set(turn.rulings)
            else in_first_person(turn.verdict.critique, allowed=self.journey.problem.question)
        )
        if not why:
            quote = _landmark(told)
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
        recap = self._recap(answer)
        self.page.add(recap, last, "reflection", gap="\n\n")
        self.page.add(self._pick(phrases.ANSWER).format(answer=shown(answer)), last, "answer")

    def _recap(self, answer: str) -> str:
        """What now stands, where a repaired path is a short chain of equations that ends in the answer."""
        if self.shortcut or self.journey.lucky or len(self.path) == len(self.journey.turns):
            return ""
        if any(item.fatal for turn in self.path for item in turn.evidence):
            return ""
        on_path = {turn.id for turn in self.path}
        chain = [_landmark(told) for told in self.told if told.turn.id in on_path]
        chain = list(dict.fromkeys(equation for equation in chain if equation))
        if not 2 <= len(chain) <= 4 or normal(chain[-1]).rpartition("=")[2] != normal(answer):
            return ""
        return self._pick(phrases.RECAP).format(chain=", then ".join(chain)) if self.dice.random() < 0.3 else ""

    # How it is said

    def _opened(self, why: str) -> str:
        """A doubt with its opener, unless it has one."""
        if _opens_doubt(why):
            return why
        return self._joined(self._pick(phrases.ASK if _ASKS.match(why) else phrases.DOUBT), why)

    def _joined(self, opener: str, text: str) -> str:
        return opener + (text if opener.endswith(". ") else _lowered(text, question=self.journey.problem.question))

    def _connected(self, told: Told, before: Told | None) -> str:
        """A step with a connective, where it reads better with one."""
        text = told.text
        if (word := _OPENS_ITSELF.match(text)) or "\n" in text:
            self.plain_steps += 1
            self.last_word = word.group().lower() if word else ""
            return capital(text)
        terse = bool(_BARE_MATHS.fullmatch(text.rstrip(".")))
        chance = (0.75 if terse else 0.25) + 0.2 * self.plain_steps
        closing = bool(self.path) and told.turn is self.path[-1]
        if (before and answers_a_doubt(before.turn)) or (closing and not terse) or self.dice.random() > chance:
            self.plain_steps += 1
            return capital(text)
        self.plain_steps = 0
        operation = _ONE_OPERATION.fullmatch(text)
        if operation and self.dice.random() < 0.3:
            return self._pick(phrases.BY_OPERATOR[_SIGN.get(operation[1], operation[1])]) + text
        table: tuple[str, ...]
        if before is None:
            table = phrases.FIRST
        elif closing and len(self.path) > 3:
            table = phrases.LAST
        else:
            table = phrases.ONWARD if terse else phrases.ONWARD_PROSE
            if before and _carries_on(before, told):
                table = phrases.ONWARD_FROM
        opener = self._pick(tuple(phrase for phrase in table if phrase.strip(" ,").lower() not in text))
        return opener + _lowered(text) if opener else capital(text)


def _carries_on(before: Told, told: Told) -> bool:
    """Whether a step calculates on with the result of the one before it."""
    result = _landmark(before).rpartition("=")[2].strip(" $€£")
    return bool(result) and re.match(rf"[(\s$€£]*{re.escape(result)}(?![\d.,]*\d)", told.text) is not None


_DEMOTED = {"quote_not_found", "no_evidence"}
"""Rulings that say the critique has nothing to stand on; it is not repeated as a thought."""
_COUNTS = {2: "two", 3: "three", 4: "four", 5: "five"}
_SIGN = {"×": "*", "÷": "/", "−": "-"}
_ANNOUNCES = re.compile(r"(?:let|i'll|i will|going back|back to|start|once more|again|instead)\b", re.IGNORECASE)
_ASKS = re.compile(r"(?:Let me|Am I|Have I|Did I|Do I|Could I|Should I|What|How|Why|Where|Which|Who|Is|Are|Does|Was)\b")


def _opens_doubt(text: str) -> bool:
    return bool(re.match(r"(?:wait|hmm|no\b|hold on|hang on|oh\b|oops|actually)", text, re.IGNORECASE))


@cache
def _first_word(phrase: str) -> str:
    return re.split(r"[^a-z']", phrase.lower().lstrip("\"' "), maxsplit=1)[0]


def _lowered(text: str, *, question: str | None = None) -> str:
    """`text` to stand behind a connective: a small first letter, if the first word is no name, variable or "I".

    With the question at hand any word may be lowered that the question does not write with a capital.
    """
    ordinary = _MAY_BE_LOWERED.match(text)
    if not ordinary and question is not None and (word := re.match(r"[A-Z][a-z]{2,}(?= [a-z])", text)):
        ordinary = None if word.group() in question else word
    return text[0].lower() + text[1:] if ordinary else text


def _landmark(told: Told) -> str:
    """The last plain equation of a step, as written, where it is short enough to be named."""
    found = _PLAIN_EQUATION.findall(told.text) if "=" in told.text else ()
    return found[-1].strip() if found and len(found[-1]) <= 40 else ""
