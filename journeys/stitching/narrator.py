"""The template narrator: a journey told by one person thinking aloud. No model, and the same words every time.

The steps stay as the policy wrote them, wrong ones too; only machine traces go (`prose.cleaned`). Between a step that
was given up and the next one stands the critic's reason as a doubt of one's own (O1 Journey part 2, figure 1).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

from journeys.record import Journey, Move, Turn
from journeys.stitching import phrases
from journeys.stitching.doubt import in_first_person, reason
from journeys.stitching.openings import LOOKS_AT_PROBLEM, task
from journeys.stitching.page import Layout, Page, Span
from journeys.stitching.prose import capital, ended, normal
from journeys.stitching.speech import Speech
from journeys.stitching.steps import Told, answers_a_doubt, rejected_again, shown, told_turns
from journeys.stitching.tries import AS_WRITTEN, Try, tries
from journeys.stitching.wording import ANNOUNCES, OPENS_ITSELF, landmark, lowered


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
    """One telling: the page, the words around the steps, and what of a step's own words was said."""

    def __init__(self, journey: Journey, *, shortcut: bool, layout: Layout) -> None:
        self.journey = journey
        self.in_lines = layout == "lines"
        self.shortcut = shortcut
        self.path = journey.path
        self.told = told_turns(journey, shortcut=shortcut)
        self.again = rejected_again(self.told)
        self.speech = Speech(journey)
        self.tries = tries(self.told)
        self.page = Page(layout)
        self.owned: set[str] = set()
        """Owning sentences already said; a second time the doubt finds words of its own."""
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

    def _open(self, first: Told) -> None:
        if not self.in_lines and not LOOKS_AT_PROBLEM.match(first.text):
            self.page.add(self._opening(), first.turn.id, "bridge")

    def _opening(self) -> str:
        """A short look at what is asked; "" where it would be neither short nor natural."""
        asked = task(self.journey.problem.question)
        if asked is None:
            return self.speech.pick(phrases.OPENING_PLAIN) if self.speech.dice.random() < 0.5 else ""
        table, what = asked
        return self.speech.pick(table).format(what=lowered(what) if what.endswith("?") else what)

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
        self.page.add(ended(self.speech.connected(told, before)), told.turn.id, "step", gap=gap)

    def _briefly(self, told: Told, how: Try, *, often: bool) -> None:
        """A failed try that needs few words: by its result, or as one more time the same."""
        table = {
            "value": phrases.NO_BETTER,
            "again": phrases.KEPT_GETTING if often else phrases.GOT_AGAIN,
            "known": phrases.KNOWN,
        }[how.telling]
        value = how.value if how.telling != "known" else told.text.rstrip(".")
        self.page.add(self.speech.pick(table).format(value=value), told.turn.id, "step")

    def _after_brief_tries(self, told: Told) -> None:
        """A step told at length again; what its own opening explains comes first."""
        if told.own and not told.bare and told.own not in self.owned:
            self.owned.add(told.own)
            self.page.add(self.speech.opened(told.own), told.turn.id, "doubt", gap="\n\n")
            self.page.add(ended(told.text), told.turn.id, "step")
            return
        opener = "" if OPENS_ITSELF.match(told.text) else self.speech.pick(phrases.ONCE_MORE)
        text = opener + lowered(told.text) if opener else capital(told.text)
        self.page.add(ended(text), told.turn.id, "step", gap="\n\n")

    def _abandon(self, turn: Turn, standing: Sequence[Told], following: Told | None, *, briefly: bool) -> None:
        """The doubt after a step that was given up, and from where it goes on."""
        if following and (own := self._own_doubt(turn, following)):
            self._doubt_as_said(own, turn, following)
            announced = True
        else:
            why = self._reason(turn)
            self.page.add(self.speech.opened(why), turn.id, "doubt", gap="\n\n")
            announced = briefly or "Let me" in why or why.endswith("?")
        self.speech.plain_steps = 0
        if following:
            self._go_back(turn, standing, following, announced=announced)

    def _own_doubt(self, turn: Turn, following: Told) -> str:
        """The words with which the next step itself doubts this one, unless they were said or say too little."""
        only_repeats = following.bare and any(item.kind == "repeated_step" for item in turn.evidence)
        return "" if only_repeats or following.own in self.owned else following.own

    def _doubt_as_said(self, own: str, turn: Turn, following: Told) -> None:
        """The next step's own doubt; where that names no reason, the reason behind it."""
        why = self._reason(turn) if following.bare else ""
        self.owned.add(own)
        said = self.speech.opened(own)
        self.page.add(
            f"{said.rstrip('.')}:" if re.match(r"[\d(]", why) else said, following.turn.id, "doubt", gap="\n\n"
        )
        self.page.add(why, turn.id, "doubt")

    def _reason(self, turn: Turn) -> str:
        return reason(turn, self.speech.pick, question=self.journey.problem.question, again=turn.id in self.again)

    def _go_back(self, turn: Turn, standing: Sequence[Told], following: Told, *, announced: bool) -> None:
        """From where it goes on, in the words of the next step where it has some."""
        restart = following.restart
        if restart and restart not in self.owned and not announced and _dropped(turn, standing) == 1:
            self.owned.add(restart)
            self.page.add(restart, following.turn.id, "bridge")
        else:
            self.page.add(self._back(turn, standing, following, announced=announced), turn.id, "bridge")

    def _back(self, turn: Turn, standing: Sequence[Told], following: Told, *, announced: bool) -> str:
        """From where it goes on; silent where that is already said or plain to see."""
        dropped = _dropped(turn, standing)
        announced = announced or bool(ANNOUNCES.match(following.text))
        if dropped > 1 and turn.verdict.keep > 0:
            kept = landmark(standing[turn.verdict.keep - 1])
            table = phrases.BACK_TO if kept else phrases.BACK
            return self.speech.pick(table).format(kept=kept, count=_COUNTS.get(dropped, str(dropped)))
        if announced or (dropped == 1 and self.speech.dice.random() < 0.6):
            return ""
        if _came_to_nothing(turn):
            return self.speech.pick(phrases.OTHERWISE)
        return self.speech.pick(phrases.OVER if dropped > 1 else phrases.REDO)

    def _reflect(self, told: Told, following: Told) -> None:
        """A pause after a step that stays; the next step answers it."""
        gap = "\n\n" if self.in_lines or self.page.paragraph > PARAGRAPH // 2 else " "
        if following.own and following.own not in self.owned:
            self.owned.add(following.own)
            self.page.add(self.speech.opened(following.own), following.turn.id, "reflection", gap=gap)
            return
        self.page.add(self._pause(told), told.turn.id, "reflection", gap=gap)
        self.speech.plain_steps = 0

    def _pause(self, told: Told) -> str:
        """What the critic asks, in the first person; a look at the step where it has nothing to stand on."""
        question, verdict = self.journey.problem.question, told.turn.verdict
        why = "" if _DEMOTED & set(told.turn.rulings) else in_first_person(verdict.critique, allowed=question)
        if why:
            return why if why.startswith("Let me") else self.speech.joined(self.speech.pick(phrases.PAUSE), why)
        quote = landmark(told)
        return (
            self.speech.pick(phrases.CHECK_EQUATION).format(quote=quote) if quote else self.speech.pick(phrases.CHECK)
        )

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
        self.page.add(self.speech.pick(table).format(answer=shown(answer)), last, "answer", gap=gap)

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
        return (
            self.speech.pick(phrases.RECAP).format(chain=", then ".join(chain))
            if self.speech.dice.random() < 0.3
            else ""
        )


def _came_to_nothing(turn: Turn) -> bool:
    """Whether the step is true and leads nowhere: to do it again would lead there again."""
    return any(found.fatal and found.kind in ("missed_target", "unavailable_number") for found in turn.evidence)


def _dropped(turn: Turn, standing: Sequence[Told]) -> int:
    return len(standing) - turn.verdict.keep
