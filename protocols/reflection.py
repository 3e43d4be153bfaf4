"""The forced reflection: a line of the recipe put after a finished thought, once, before its answer is accepted.

Source: Marco-o1 (methods 5), which ends each thought by telling itself to rethink, and then solved about half of the
hard problems that it had failed. It is an option of the policy (`policy.reflection`), so every protocol has it. Nobody
judged the thought for it: the turn's ruling says `forced_reflection`, and its critique is the line.
"""

from collections.abc import Sequence

from journeys.record import Move, Ruling, Turn, Verdict
from protocols.rules import Ruled


def may_reflect(line: str, path: Sequence[Turn]) -> bool:
    """Whether the line shall follow the answer that has just been given: there is one, and it was not put before."""
    return bool(line) and not any("forced_reflection" in turn.rulings for turn in path)


def forced(line: str, rulings: tuple[Ruling, ...]) -> Ruled:
    """The verdict on a step that is looked over again."""
    return Verdict(move=Move.REFLECT, critique=line), (*rulings, "forced_reflection")
