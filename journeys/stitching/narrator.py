"""The template narrator: a journey told by one person thinking aloud. No model, and the same words every time.

The steps stay as the policy wrote them, wrong ones too; only machine traces go (`prose.cleaned`). Between a step that
was given up and the next one stands the critic's reason as a doubt of one's own (O1 Journey part 2, figure 1).
"""

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

from journeys.record import Journey, Move, Turn, seed_for
from journeys.stitching import phrases
from journeys.stitching.doubt import in_first_person, reason
from journeys.stitching.openings import LOOKS_AT_PROBLEM, task
from journeys.stitching.page import Layout, Page, Span
from journeys.stitching.prose import capital, ended, normal
from journeys.stitching.steps import Told, answers_a_doubt, rejected_again, shown, told_turns
from journeys.stitching.tries import AS_WRITTEN, Try, tries
from journeys.stitching.wording import (
    ANNOUNCES,
    ASKS,
    BARE_MATHS,
    ONE_OPERATION,
    OPENS_ITSELF,
    SIGN,
    carries_on,
    first_word,
    landmark,
    lowered,
    opens_doubt,
)


@dataclass(frozen=True)
class Telling:
    """A thought's text with its spans; between two spans there is only whitespace."""

    text: str
    spans: tuple[Span, ...]
    told: tuple[Told, ...]
    """What it tells, turn by turn."""
    tries: tuple[Try, ...]
    """How it may tell each of them."""


PARAGRAPH = 420
"""Characters after which a new step begins a new paragraph."""

_DEMOTED = {"quote_not_found", "no_evidence"}
"""Rulings that say the critique has nothing to stand on; it is not repeated as a thought."""
_COUNTS = {2: "two", 3: "three", 4: "four", 5: "five"}


def tell(journey: Journey, *, shortcut: bool = False, layout: Layout = "prose") -> Telling:
    """The journey as a thought; with `shortcut` only the path, as if nothing had gone wrong.

    In `lines` each step keeps its line and its words, without connectives: what a policy needs that calculates a line
    at a time. A doubt begins a new line, and the step that answers it stands behind it.
    """
    return _Teller(journey, shortcut=shortcut, layout=layout).tell()


class _Teller:
    """One telling: the page, the dice, and the phrases used so far."""

    def __init__(self, journey: Journey, *, shortcut: bool, layout: Layout) -> None:
        self.journey = journey
        self.in_lines = layout == "lines"
        self.shortcut = shortcut
        self.path = journey.path
        self.told = told_turns(journey, shortcut=shortcut)
        self.again = rejected_again(self.told)
        self.dice = random.Random(seed_for("thought", journey.id, journey.seed))
        self.tries = tries(self.told)
        self.page = Page(layout)
        self.used: dict[str, int] = {}
        self.last_word = ""
        self.owned: set[str] = set()
        """Owning sentences already said; a second time the doubt finds words of its own."""
        self.plain_steps = 0
        """Steps since the last connective."""
        self.brief = False
        """Whether the step before was told in a few words."""

    def tell(self) -> Telling:
        standing: list[Told] = []
        before: Told | None = None
        said = [pair for pair in zip(self.told, self.tries, strict=True) if pair[1].telling != "nothing"]
        for (told, how), (following, next_how) in zip_longest(said, said[1:], fillvalue=(None, AS_WRITTEN)):
            if told is None:
                break
            if before is None:
                self._open(told)
            turn = told.turn
            standing.append(told)
            if how.joins:
                self.page.shared_with(turn.id)
            elif how.telling != "as_written":
                self._briefly(told, how, often=next_how.joins)
            else:
                self._step(told, before)
                if turn.removes and not self.shortcut:
                    self._abandon(turn, standing, following, briefly=next_how.telling != "as_written")
            if turn.removes and not self.shortcut:
                del standing[turn.verdict.keep :]
            elif turn.verdict.move is Move.REFLECT and following and not how.joins:
                self._reflect(told, following)
            self.brief = how.telling != "as_written"
            before = told
        self._close()
        return Telling("".join(self.page.pieces), tuple(self.page.spans), self.told, self.tries)

    def _pick(self, table: tuple[str, ...]) -> str:
        """A phrase from `table`: one of the least used, and none that opens like the last."""
        other = [phrase for phrase in table if not phrase or first_word(phrase) != self.last_word] or table
        least = min(self.used.get(phrase, 0) for phrase in other)
        choice = self.dice.choice([phrase for phrase in other if self.used.get(phrase, 0) == least])
        if choice:
            self.used[choice] = self.used.get(choice, 0) + 1
            self.last_word = first_word(choice)
        return choice

    # What happens in a journey

    def _open(self, first: Told) -> None:
        if not self.in_lines and not LOOKS_AT_PROBLEM.match(first.text):
            self.page.add(self._opening(), first.turn.id, "bridge")

    def _opening(self) -> str:
        """A short look at what is asked; "" where it would be neither short nor natural."""
        asked = task(self.journey.problem.question)
        if asked is None:
            return self._pick(phrases.OPENING_PLAIN) if self.dice.random() < 0.5 else ""
        table, what = asked
        return self._pick(table).format(what=lowered(what) if what.endswith("?") else what)

    def _step(self, told: Told, before: Told | None) -> None:
        if not told.text:
            return
        gap = "\n" if "\n" in told.text else " "
        follows_doubt = before is not None and answers_a_doubt(before.turn)
        if self.page.paragraph > PARAGRAPH and not follows_doubt:
            gap = "\n\n"
        if self.brief and before and before.turn.removes:
            self._after_brief_tries(told)
            return
        if self.in_lines:
            behind = follows_doubt and not self.shortcut and "\n" not in told.text
            self.page.add(told.text, told.turn.id, "step", gap=" " if behind else "\n")
            return
        self.page.add(ended(self._connected(told, before)), told.turn.id, "step", gap=gap)

    def _briefly(self, told: Told, how: Try, *, often: bool) -> None:
        """A failed try that needs few words: by its result, or as one more time the same."""
        table = {
            "value": phrases.NO_BETTER,
            "again": phrases.KEPT_GETTING if often else phrases.GOT_AGAIN,
            "known": phrases.KNOWN,
        }[how.telling]
        value = how.value if how.telling != "known" else told.text.rstrip(".")
        self.page.add(self._pick(table).format(value=value), told.turn.id, "step")

    def _after_brief_tries(self, told: Told) -> None:
        """A step told at length again; what its own opening explains comes first."""
        if told.own and not told.bare and told.own not in self.owned:
            self.owned.add(told.own)
            self.page.add(self._opened(told.own), told.turn.id, "doubt", gap="\n\n")
            self.page.add(ended(told.text), told.turn.id, "step")
            return
        opener = "" if OPENS_ITSELF.match(told.text) else self._pick(phrases.ONCE_MORE)
        text = opener + lowered(told.text) if opener else capital(told.text)
        self.page.add(ended(text), told.turn.id, "step", gap="\n\n")

    def _abandon(self, turn: Turn, standing: Sequence[Told], following: Told | None, *, briefly: bool) -> None:
        """The doubt after a step that was given up, and from where it goes on."""
        question = self.journey.problem.question
        own = following.own if following and following.own not in self.owned else ""
        if following and following.bare and any(item.kind == "repeated_step" for item in turn.evidence):
            own = ""
        why = (
            ""
            if own and following and not following.bare
            else reason(turn, self._pick, question=question, again=turn.id in self.again)
        )
        if own and following:
            self.owned.add(own)
            said = own if opens_doubt(own) else self._opened(own)
            if following.bare and re.match(r"[\d(]", why):
                said = f"{said.rstrip('.')}:"
            self.page.add(said, following.turn.id, "doubt", gap="\n\n")
            self.page.add(why, turn.id, "doubt")
        else:
            self.page.add(self._opened(why), turn.id, "doubt", gap="\n\n")
        self.plain_steps = 0
        if not following:
            return
        announced = briefly or bool(own) or "Let me" in why or why.endswith("?")
        if (
            following.restart
            and following.restart not in self.owned
            and not announced
            and _dropped(turn, standing) == 1
        ):
            self.owned.add(following.restart)
            self.page.add(following.restart, following.turn.id, "bridge")
        else:
            self.page.add(self._back(turn, standing, following, announced=announced), turn.id, "bridge")

    def _back(self, turn: Turn, standing: Sequence[Told], following: Told, *, announced: bool) -> str:
        """From where it goes on; silent where that is already said or plain to see."""
        dropped = _dropped(turn, standing)
        announced = announced or bool(ANNOUNCES.match(following.text))
        if dropped > 1 and turn.verdict.keep > 0:
            kept = landmark(standing[turn.verdict.keep - 1])
            table = phrases.BACK_TO if kept else phrases.BACK
            return self._pick(table).format(kept=kept, count=_COUNTS.get(dropped, str(dropped)))
        if announced or (dropped == 1 and self.dice.random() < 0.6):
            return ""
        return self._pick(phrases.OVER if dropped > 1 else phrases.REDO)

    def _reflect(self, told: Told, following: Told) -> None:
        """A pause after a step that stays; the next step answers it."""
        turn = told.turn
        gap = "\n\n" if self.in_lines or self.page.paragraph > PARAGRAPH // 2 else " "
        if following.own and following.own not in self.owned:
            self.owned.add(following.own)
            own = following.own if opens_doubt(following.own) else self._opened(following.own)
            self.page.add(own, following.turn.id, "reflection", gap=gap)
            return
        why = (
            ""
            if _DEMOTED & set(turn.rulings)
            else in_first_person(turn.verdict.critique, allowed=self.journey.problem.question)
        )
        if not why:
            quote = landmark(told)
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
        on_path = {turn.id for turn in self.path}
        recap = self._recap(answer)
        self.page.add(recap, last, "reflection", gap="\n\n")
        result = next((landmark(told) for told in reversed(self.told) if told.turn.id in on_path and told.text), "")
        elsewhere = result and normal(result).rpartition("=")[2] != normal(answer)
        table = phrases.ANSWER_ALONE if elsewhere else phrases.ANSWER
        gap = "\n" if self.in_lines else " "
        self.page.add(self._pick(table).format(answer=shown(answer)), last, "answer", gap=gap)

    def _recap(self, answer: str) -> str:
        """What now stands, where a repaired path is a short chain of equations that ends in the answer."""
        if self.in_lines or self.shortcut or self.journey.lucky or len(self.path) == len(self.journey.turns):
            return ""
        if any(item.fatal for turn in self.path for item in turn.evidence):
            return ""
        on_path = {turn.id for turn in self.path}
        chain = [landmark(told) for told in self.told if told.turn.id in on_path]
        chain = list(dict.fromkeys(equation for equation in chain if equation))
        if not 2 <= len(chain) <= 4 or normal(chain[-1]).rpartition("=")[2] != normal(answer):
            return ""
        return self._pick(phrases.RECAP).format(chain=", then ".join(chain)) if self.dice.random() < 0.3 else ""

    # How it is said

    def _opened(self, why: str) -> str:
        """A doubt with its opener, unless it has one."""
        if opens_doubt(why):
            return why
        return self._joined(self._pick(phrases.ASK if ASKS.match(why) else phrases.DOUBT), why)

    def _joined(self, opener: str, text: str) -> str:
        return opener + (text if opener.endswith(". ") else lowered(text, question=self.journey.problem.question))

    def _connected(self, told: Told, before: Told | None) -> str:
        """A step with a connective, where it reads better with one."""
        text = told.text
        if (word := OPENS_ITSELF.match(text)) or "\n" in text:
            self.plain_steps += 1
            self.last_word = word.group().lower() if word else ""
            return capital(text)
        terse = bool(BARE_MATHS.fullmatch(text.rstrip(".")))
        chance = (0.75 if terse else 0.25) + 0.2 * self.plain_steps
        closing = bool(self.path) and told.turn is self.path[-1]
        if (before and answers_a_doubt(before.turn)) or (closing and not terse) or self.dice.random() > chance:
            self.plain_steps += 1
            return capital(text)
        self.plain_steps = 0
        operation = ONE_OPERATION.fullmatch(text)
        if operation and self.dice.random() < 0.3:
            return self._pick(phrases.BY_OPERATOR[SIGN.get(operation[1], operation[1])]) + text
        table: tuple[str, ...]
        if before is None:
            table = phrases.FIRST
        elif closing and len(self.path) > 3:
            table = phrases.LAST
        else:
            table = phrases.ONWARD if terse else phrases.ONWARD_PROSE
            if before and carries_on(before, told):
                table = phrases.ONWARD_FROM
        opener = self._pick(tuple(phrase for phrase in table if phrase.strip(" ,").lower() not in text))
        return opener + lowered(text) if opener else capital(text)


def _dropped(turn: Turn, standing: Sequence[Told]) -> int:
    return len(standing) - turn.verdict.keep
