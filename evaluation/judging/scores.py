"""From verdicts to figures: a wrong step is what is looked for, so `positive` is an error (methods 1.5).

precision, recall, F1, MCC   over labelled steps; a step that two ways share counts once
first error                  solutions with a wrong step: the share in which the judge's first backtrack is at the first
                             wrong step (MR-GSM8K's and ProcessBench's measure)
right solutions passed       solutions without one: the share that the judge lets pass
AUC                          judges that give scores: the chance that a right step's is higher than a wrong one's

Intervals are percentile bootstraps over questions: steps of one question are not independent.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluation.intervals import Difference, Estimate, clustered
from evaluation.judging.labelled import WRONG, Solution
from evaluation.judging.settings import JudgingSettings
from evaluation.judging.verdicts import Judged, steps_to_judge

Counts = NDArray[np.float64]
"""`[..., 4]`: true and false positives, false and true negatives."""


def precision(counts: Counts) -> Counts:
    return _ratio(counts[..., 0], counts[..., 0] + counts[..., 1])


def recall(counts: Counts) -> Counts:
    return _ratio(counts[..., 0], counts[..., 0] + counts[..., 2])


def f1(counts: Counts) -> Counts:
    return _ratio(2 * counts[..., 0], 2 * counts[..., 0] + counts[..., 1] + counts[..., 2])


def mcc(counts: Counts) -> Counts:
    """Matthews correlation: 0 for a judge that says the same of every step."""
    tp, fp, fn, tn = (counts[..., place] for place in range(4))
    return _ratio(tp * tn - fp * fn, np.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)))


def auc(scores: Counts, wrong: NDArray[np.bool_], weights: Counts) -> float:
    """The weighted share of pairs of a right and a wrong step in which the right one scores higher; a tie is a half.

    Where there are no such pairs it is 0.5, as for a judge that tells nothing.
    """
    _, place = np.unique(scores, return_inverse=True)
    right_at = np.bincount(place, weights * ~wrong)
    wrong_at = np.bincount(place, weights * wrong)
    pairs = right_at.sum() * wrong_at.sum()
    higher = (right_at * (np.cumsum(wrong_at) - wrong_at / 2)).sum()
    return float(higher / pairs) if pairs else 0.5


FIGURES = {"precision": precision, "recall": recall, "f1": f1, "mcc": mcc}


def _ratio(over: Counts, under: Counts) -> Counts:
    """Division in which nothing by nothing is 0."""
    return np.divide(over, under, out=np.zeros_like(over), where=under > 0)


def scored(
    solutions: Sequence[Solution], verdicts: Mapping[str, Mapping[str, Judged]], settings: JudgingSettings
) -> dict[str, Any]:
    """Every figure of every judge.

    Args:
        verdicts: by the judge's name, then by the step's key; complete.
    """
    work = list(steps_to_judge(solutions))
    questions = {question: n for n, question in enumerate(dict.fromkeys(one.question for one, _, _ in work))}
    draws = _draws(len(questions), settings)
    resampled: dict[str, Counts] = {}
    judges = []
    for name, of_judge in verdicts.items():
        counts = np.zeros((len(questions), 4))
        for solution, place, key in work:
            wrong, flagged = solution.ratings[place] == WRONG, of_judge[key].flags
            counts[questions[solution.question], _cell(wrong=wrong, flagged=flagged)] += 1
        resampled[name] = np.stack([counts[draw].sum(axis=0) for draw in draws])
        total = counts.sum(axis=0)
        judges.append(
            {
                "judge": name,
                "confusion": dict(zip(("tp", "fp", "fn", "tn"), map(int, total), strict=True)),
                **{
                    figure: _estimate(of(total), of(resampled[name]), settings).model_dump()
                    for figure, of in FIGURES.items()
                },
                "auc": _of_scores(work, of_judge, questions, draws, settings),
                **_of_solutions(solutions, of_judge, settings),
                **_cost(list(of_judge.values())),
            }
        )
    return {
        "steps": len(work),
        "wrong": sum(solution.ratings[place] == WRONG for solution, place, _ in work),
        "solutions": len(solutions),
        "questions": len(questions),
        "confidence": settings.confidence,
        "judges": judges,
        "comparisons": [
            {"first": judges[0]["judge"], "second": other["judge"]}
            | {"f1": _difference(judges[0], other, resampled, settings)}
            for other in judges[1:]
        ],
    }


def _of_scores(
    work: Sequence[tuple[Solution, int, str]],
    verdicts: Mapping[str, Judged],
    questions: Mapping[str, int],
    draws: NDArray[np.int64],
    settings: JudgingSettings,
) -> dict[str, Any] | None:
    """The AUC of a judge that gives scores; None for one that does not."""
    told = [verdicts[key].score for *_, key in work]
    known = [score for score in told if score is not None]
    if len(known) < len(told):
        return None
    scores = np.array(known)
    wrong = np.array([solution.ratings[place] == WRONG for solution, place, _ in work])
    asked = np.array([questions[solution.question] for solution, *_ in work])
    drawn = [auc(scores, wrong, np.bincount(draw, minlength=len(questions))[asked].astype(float)) for draw in draws]
    return _estimate(np.array(auc(scores, wrong, np.ones(len(scores)))), np.array(drawn), settings).model_dump()


def _cell(*, wrong: bool, flagged: bool) -> int:
    return (0 if flagged else 2) if wrong else (1 if flagged else 3)


def _draws(questions: int, settings: JudgingSettings) -> NDArray[np.int64]:
    draw = np.random.default_rng(settings.seed)
    return draw.integers(0, questions, size=(settings.resamples, questions))


def _estimate(value: Counts, resampled: Counts, settings: JudgingSettings) -> Estimate:
    low, high = _percentiles(resampled, settings)
    return Estimate(value=float(value), low=low, high=high, method=f"bootstrap over questions ({settings.resamples})")


def _difference(
    first: Mapping[str, Any], second: Mapping[str, Any], resampled: Mapping[str, Counts], settings: JudgingSettings
) -> dict[str, Any]:
    """F1 of the second less the first's, on the same draws of questions."""
    differences = f1(resampled[second["judge"]]) - f1(resampled[first["judge"]])
    low, high = _percentiles(differences, settings)
    beside = min(int((differences <= 0).sum()), int((differences >= 0).sum()))
    return Difference(
        value=second["f1"]["value"] - first["f1"]["value"],
        low=low,
        high=high,
        p=min(1.0, 2 * (beside + 1) / (settings.resamples + 1)),
        method=f"paired bootstrap over questions ({settings.resamples})",
    ).model_dump()


def _percentiles(values: Counts, settings: JudgingSettings) -> tuple[float, float]:
    tail = (1 - settings.confidence) / 2
    low, high = np.quantile(values, (tail, 1 - tail))
    return float(low), float(high)


def _of_solutions(
    solutions: Sequence[Solution], verdicts: Mapping[str, Judged], settings: JudgingSettings
) -> dict[str, Any]:
    """Where the judge first takes a step back, in solutions of which all is known up to their first error."""
    found: dict[str, dict[str, list[float]]] = {"first_error": {}, "right_passed": {}}
    for solution in solutions:
        at = solution.first_error
        if at is None:
            continue
        known = solution.rated if at < 0 else range(at + 1)
        flagged = next((place for place in known if verdicts[solution.key(place)].flags), -1)
        kind = "right_passed" if at < 0 else "first_error"
        found[kind].setdefault(solution.question, []).append(float(flagged == at))
    return {
        kind: clustered(
            [sum(values) / len(values) for values in by_question.values()],
            confidence=settings.confidence,
            resamples=settings.resamples,
            seed=settings.seed,
        ).model_dump()
        if by_question
        else None
        for kind, by_question in found.items()
    }


def _cost(verdicts: Sequence[Judged]) -> dict[str, Any]:
    """Means over steps."""
    count = len(verdicts)
    return {
        "reflects": sum(one.move == "reflect" for one in verdicts) / count,
        "unreadable": sum(one.parse == "failed" for one in verdicts) / count,
        "prompt_tokens": sum(one.prompt_tokens for one in verdicts) / count,
        "completion_tokens": sum(one.completion_tokens for one in verdicts) / count,
        "seconds": sum(one.seconds for one in verdicts) / count,
    }
