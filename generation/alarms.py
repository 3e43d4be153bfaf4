"""False alarms: objections to steps of which a finished journey itself shows that they were right.

Only verified journeys can show it: the answer is right and follows from the path. There a step is known to be right
when it stands on the final path, or when it was taken back and what it said stands there in the end: every equation of
it, or, where it has none, its words. A step that was sent back for saying again what stood before it already, and one
that a program proved wrong, are not meant.

What else was taken back may have been right too; only finishing it can tell (`python run.py probe`).
"""

from collections.abc import Sequence

from journeys.preferences import PROOFS
from journeys.record import Journey, Move, Record, Turn
from problems.checkers import normalised
from problems.equations import equations


class Alarms(Record):
    """Of one journey."""

    verdicts: int = 0
    """On steps known to be right."""
    backtracks: int = 0
    """Of these, those that sent the step back: false alarms."""
    reflects: int = 0
    """Those that let it stand but asked for a second look; counted apart, for a doubt is not yet a refusal."""


def alarms_in(journey: Journey) -> Alarms | None:
    """What was said of right steps; None where the journey does not show which steps were right."""
    if not journey.solved or journey.lucky:
        return None
    moves = [turn.verdict.move for turn in _known_right(journey)]
    return Alarms(verdicts=len(moves), backtracks=moves.count(Move.BACKTRACK), reflects=moves.count(Move.REFLECT))


def _known_right(journey: Journey) -> list[Turn]:
    final = journey.path
    standing, said = {turn.id for turn in final}, _said(final)
    found: list[Turn] = []
    path: list[Turn] = []
    for turn in journey.turns:
        content = _content(turn.step)
        proven_wrong = any(evidence.kind in PROOFS for evidence in turn.evidence)
        came_back = content <= said and not content <= _said(path) and not proven_wrong
        if turn.id in standing or came_back:
            found.append(turn)
        path.append(turn)
        if turn.removes:
            del path[turn.verdict.keep :]
    return found


def _said(turns: Sequence[Turn]) -> set[str]:
    return set().union(*(_content(turn.step) for turn in turns))


def _content(step: str) -> set[str]:
    """What a step says, however it is opened and worded: `Wait, that was off. 2 + 2 = 4` says `2 + 2 = 4`."""
    calculated = {f"{normalised(found.left)} = {found.stated}" for found in equations(step) if found.operated}
    return calculated or {normalised(step)}
