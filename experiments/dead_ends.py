"""What models do at the dead ends of a number game: whether they see a try that missed, leave one that hit, or make out
that it hit."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields

from evaluation.samples import Sample
from problems.answers import final_answer
from problems.equations import equations
from problems.number_games import number_game, outcome


@dataclass(frozen=True, slots=True)
class DeadEnds:
    """Counts over the samples of one arm, its seeds added up."""

    samples: int
    """Answers to number games."""
    tries: int
    """Lines that use up all the numbers."""
    misses: int
    """Of these, such as come to something else than the target."""
    seen: int
    """Of the misses, such as another try follows."""
    hits: int
    left: int
    """Of the hits, such as another try follows."""
    at_once: int
    """Samples whose first try hits."""
    claimed: int
    """Lines that end by stating the target."""
    bent: int
    """Of these, such as a false calculation leads there."""


def dead_ends(samples: Iterable[Sample], arms: Mapping[str, Sequence[str]]) -> dict[str, DeadEnds]:
    """The counts of each arm.

    Args:
        samples: of any problems; those that are no number game are passed over.
        arms: the labels of each arm's models.
    """
    arm_of = {model: arm for arm, models in arms.items() for model in models}
    counts: dict[str, Counter[str]] = {arm: Counter() for arm in arms}
    for sample in samples:
        game = number_game(sample.question)
        if game is None:
            continue
        lines = [line for line in sample.text.splitlines() if final_answer(line) is None]
        ends = [found.value for line in lines if (found := outcome(game, (), line))]
        missed = [value != game.target for value in ends]
        calculated = [read for line in lines if (read := equations(line))]
        claims = [read for read in calculated if read[-1].stated == game.target]
        counts[arm_of[sample.model]].update(
            samples=1,
            tries=len(ends),
            misses=sum(missed),
            seen=sum(missed[:-1]),
            hits=len(ends) - sum(missed),
            left=len(missed[:-1]) - sum(missed[:-1]),
            at_once=bool(missed) and not missed[0],
            claimed=len(claims),
            bent=sum(not all(one.holds for one in read) for read in claims),
        )
    return {
        arm: DeadEnds(**{field.name: found[field.name] for field in fields(DeadEnds)}) for arm, found in counts.items()
    }
