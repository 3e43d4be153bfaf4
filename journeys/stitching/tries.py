"""Failed tries: steps that were given up one after another at the same place.

A person does not tell the same wrong line five times. From `standings` the narrator knows which tries may be told in
a few words, and the gate knows which it may not look for as written.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from journeys.record import Journey, Move, Turn
from journeys.stitching.doubt import only_denies
from journeys.stitching.steps import Told

FULL_TRIES = 2
"""How many different failed tries at one place are told at length."""

_CALCULATION = re.compile(r"([\d.+*/^()$€£%-]+)=([$€£]?-?\d+(?:\.\d+)?%?)")
_BARE = re.compile(r"[\d.+*/^()$€£%=-]+=[\d.+*/^()$€£%-]*\d[)%]?")

Telling = Literal["as_written", "value", "again", "known", "nothing"]


@dataclass(frozen=True, slots=True)
class Try:
    """How one turn may be told."""

    telling: Telling
    """`as_written`; by its `value` alone ("121 is no better"); as the same value `again`; as something that is `known`
    because it stands already; or not at all, where the step was empty."""
    value: str = ""
    """What a short telling must name, in `normal` form: the result, or the whole equation that is known."""
    joins: bool = False
    """Whether the words of the turn told before tell this one too."""


AS_WRITTEN = Try("as_written")


def in_a_row(turns: Sequence[Turn]) -> list[list[Turn]]:
    """Failed tries at one place: neighbouring turns with one parent, all given up."""
    runs = groupby(turns, key=lambda turn: (turn.removes, turn.parent))
    return [list(run) for (removes, _), run in runs if removes]


def most_tries(journey: Journey) -> int:
    """The longest row of failed tries at one place."""
    return max(map(len, in_a_row(journey.turns)), default=0)


def tries(told: Sequence[Told]) -> tuple[Try, ...]:
    """How each turn may be told, in the order of `told`."""
    found: list[Try] = []
    path: list[Told] = []
    row: list[Told] = []
    """Earlier tries at this place that said something."""
    before: Told | None = None
    for one in told:
        turn = one.turn
        path.append(one)
        alone = turn.removes and turn.verdict.keep == len(path) - 1
        if before is None or not (turn.removes and before.turn.removes and before.turn.parent == turn.parent):
            row = []
        how = AS_WRITTEN
        if alone:
            how = _alone(one, row, [kept.core for kept in path[:-1]], found[-1] if found else None)
        elif not turn.removes and one.core and _said_last(one, found, told):
            how = Try("known", one.core, joins=True)
        if turn.removes:
            row = [*row, one] if one.core else row
            del path[turn.verdict.keep :]
        found.append(how)
        before = one
    return tuple(found)


def _alone(one: Told, row: Sequence[Told], standing: Sequence[str], last: Try | None) -> Try:
    """A step that was given up and took no other with it."""
    if not one.core:
        return Try("nothing")
    if not _BARE.fullmatch(one.core) or not one.bare:
        return AS_WRITTEN
    value = one.core.rpartition("=")[2]
    if any(one.core == earlier.core for earlier in row):
        return Try("again", value, joins=one.core == row[-1].core and last is not None and last.telling == "again")
    if one.core in standing:
        return Try("known", one.core)
    calculation = _CALCULATION.fullmatch(one.core)
    if not calculation or not only_denies(one.turn) or len({earlier.core for earlier in row}) < FULL_TRIES:
        return AS_WRITTEN
    same = any(earlier.core.startswith(f"{calculation[1]}=") for earlier in row)
    return Try("value", value) if same else AS_WRITTEN


def _said_last(one: Told, found: Sequence[Try], told: Sequence[Told]) -> bool:
    """Whether a step that stands repeats what was just said and stands: a bare equation, no other step between."""
    if not _BARE.fullmatch(one.core):
        return False
    for how, earlier in zip(reversed(found), reversed(told[: len(found)]), strict=True):
        if how.telling != "nothing":
            asks = earlier.turn.verdict.move is Move.REFLECT
            return earlier.core == one.core and not asks and (not earlier.turn.removes or how.telling == "known")
    return False
