"""Models side by side, on the same problems: paired differences."""

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import Any

from evaluation.facts import ProblemFacts
from evaluation.intervals import Difference, holm, paired
from evaluation.settings import EvaluateSettings

ALL_PAIRS_UP_TO = 5
"""Models; beyond, the pairs are more than a person reads."""

Figure = Callable[[ProblemFacts], float]


def comparisons(models: Mapping[str, Sequence[ProblemFacts]], settings: EvaluateSettings) -> list[dict[str, Any]]:
    """The accuracy and the no-answer rate of each pair's second model less those of its first, in families as well.

    `compare` says which pairs; `p_holm` is the accuracy's p adjusted for their number.
    """
    labels = list(models)
    every_pair = settings.compare == "all" or (settings.compare == "auto" and len(labels) <= ALL_PAIRS_UP_TO)
    pairs = list(combinations(labels, 2)) if every_pair else [(labels[0], other) for other in labels[1:]]
    made = [_compared(models[first], models[second], settings) for first, second in pairs]
    adjusted = holm([one["accuracy"]["p"] for one in made])
    return [
        {"first": first, "second": second, **one, "p_holm": p}
        for (first, second), one, p in zip(pairs, made, adjusted, strict=True)
    ]


def _compared(
    first: Sequence[ProblemFacts], second: Sequence[ProblemFacts], settings: EvaluateSettings
) -> dict[str, Any]:
    def difference(figure: Figure, family: str | None = None) -> dict[str, Any]:
        a = [figure(problem) for problem in first if family in (None, problem.family)]
        b = [figure(problem) for problem in second if family in (None, problem.family)]
        found: Difference = paired(
            a,
            b,
            confidence=settings.confidence,
            resamples=settings.resamples,
            seed=settings.seed,
            exact=settings.samples == 1,
        )
        return found.model_dump()

    families = sorted({problem.family for problem in first})
    return {
        "problems": len(first),
        "accuracy": difference(lambda problem: problem.share_right),
        "no_answer_rate": difference(lambda problem: problem.share_unanswered),
        "families": {
            family: difference(lambda problem: problem.share_right, family) for family in families if len(families) > 1
        },
    }
