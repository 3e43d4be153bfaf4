"""The words around the steps of a telling: which phrase comes next, and how a step or a doubt is opened."""

import random

from journeys.record import Journey, seed_for
from journeys.stitching import phrases
from journeys.stitching.prose import capital
from journeys.stitching.steps import Told, answers_a_doubt
from journeys.stitching.wording import (
    ASKS,
    BARE_MATHS,
    ONE_OPERATION,
    OPENS_ITSELF,
    SIGN,
    carries_on,
    first_word,
    lowered,
    opens_doubt,
)


class Speech:
    """How one telling speaks: the dice, and the phrases used so far."""

    def __init__(self, journey: Journey) -> None:
        self.question = journey.problem.question
        self.path = journey.path
        self.dice = random.Random(seed_for("thought", journey.id, journey.seed))
        self.used: dict[str, int] = {}
        self.last_word = ""
        self.plain_steps = 0
        """Steps since the last connective."""

    def pick(self, table: tuple[str, ...]) -> str:
        """A phrase from `table`: one of the least used, and none that opens like the last."""
        other = [phrase for phrase in table if not phrase or first_word(phrase) != self.last_word] or table
        least = min(self.used.get(phrase, 0) for phrase in other)
        choice = self.dice.choice([phrase for phrase in other if self.used.get(phrase, 0) == least])
        if choice:
            self.used[choice] = self.used.get(choice, 0) + 1
            self.last_word = first_word(choice)
        return choice

    def opened(self, why: str) -> str:
        """A doubt with its opener, unless it has one."""
        if opens_doubt(why):
            return why
        return self.joined(self.pick(phrases.ASK if ASKS.match(why) else phrases.DOUBT), why)

    def joined(self, opener: str, text: str) -> str:
        return opener + (text if opener.endswith(". ") else lowered(text, question=self.question))

    def connected(self, told: Told, before: Told | None) -> str:
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
            return self.pick(phrases.BY_OPERATOR[SIGN.get(operation[1], operation[1])]) + text
        table: tuple[str, ...]
        if before is None:
            table = phrases.FIRST
        elif closing and len(self.path) > 3:
            table = phrases.LAST
        else:
            table = phrases.ONWARD if terse else phrases.ONWARD_PROSE
            if before and carries_on(before, told):
                table = phrases.ONWARD_FROM
        opener = self.pick(tuple(phrase for phrase in table if phrase.strip(" ,").lower() not in text))
        return opener + lowered(text) if opener else capital(text)
