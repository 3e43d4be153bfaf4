"""What one model's samples come to, over all problems and family by family."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from evaluation.facts import Facts, ProblemFacts
from evaluation.intervals import Estimate, clustered, wilson
from evaluation.selectors import SUBSETS, best_of, maj_at, maj_is_exact, pass_at
from evaluation.settings import EvaluateSettings


def scored(problems: Sequence[ProblemFacts], settings: EvaluateSettings) -> dict[str, Any]:
    """Every figure, as it goes into evaluation.json. `problems` is not empty and each has all its samples."""
    every = [facts for problem in problems for facts in problem.samples]
    return {
        "problems": len(problems),
        "samples": len(every),
        "right": sum(facts.right for facts in every),
        "accuracy": _estimate(problems, lambda problem: problem.share_right, settings),
        "pass_at": {str(k): _estimate(problems, partial(_passed, k=k), settings) for k in settings.ks},
        **(_selections(problems, settings) if settings.samples > 1 else {}),
        "no_answer_rate": _estimate(problems, lambda problem: problem.share_unanswered, settings),
        "cut_off_rate": _share(facts.cut_off for facts in every),
        "tokens": {
            "mean": _mean(facts.tokens for facts in every),
            "right": _mean(facts.tokens for facts in every if facts.right),
            "wrong": _mean(facts.tokens for facts in every if not facts.right),
            "prompt": _mean(facts.prompt_tokens for facts in every),
            "total": sum(facts.tokens for facts in every),
        },
        "outcome_efficiency": _mean(facts.outcome_efficiency for facts in every),
        "process_efficiency": _mean(facts.process_efficiency for facts in every),
        "solutions": _mean(facts.solutions for facts in every),
        "reflection": _reflection(every),
    }


def _passed(problem: ProblemFacts, k: int) -> float:
    return pass_at(len(problem.samples), problem.right, k)


def _selections(problems: Sequence[ProblemFacts], settings: EvaluateSettings) -> dict[str, Any]:
    """One answer out of k samples: by vote, and by each scorer."""
    n = settings.samples

    def voted(problem: ProblemFacts, k: int) -> float:
        right = frozenset(facts.group for facts in problem.samples if facts.right and facts.group is not None)
        groups = [facts.group for facts in problem.samples]
        return maj_at(groups, right, k, seed=settings.seed)

    def weighed(problem: ProblemFacts, k: int, scorer: int) -> float:
        right = frozenset(facts.group for facts in problem.samples if facts.right and facts.group is not None)
        groups = [facts.group for facts in problem.samples]
        weights = [facts.scores[scorer] for facts in problem.samples]
        return maj_at(groups, right, k, seed=settings.seed, weights=weights)

    def chosen(problem: ProblemFacts, k: int, scorer: int) -> float:
        scores = [facts.scores[scorer] for facts in problem.samples]
        return best_of(scores, [facts.right for facts in problem.samples], k)

    majority = {}
    for k in settings.ks:
        over = "all subsets" if maj_is_exact(n, k) else f"{SUBSETS} random subsets"
        majority[str(k)] = _estimate(problems, partial(voted, k=k), settings) | {"over": over}
    best: dict[str, Any] = {}
    for number, name in enumerate(settings.scorers):
        if any(facts.scores[number] is not None for problem in problems for facts in problem.samples):
            best[name] = {
                str(k): _estimate(problems, partial(chosen, k=k, scorer=number), settings) for k in settings.ks
            }
    found: dict[str, Any] = {"maj_at": majority, "best_of": best}
    if "reward" in best:
        at = settings.scorers.index("reward")
        found["weighted_at"] = {
            str(k): _estimate(problems, partial(weighed, k=k, scorer=at), settings) for k in settings.ks
        }
        k = settings.ks[-1]
        found["reward_less_majority"] = {"k": k} | _estimate(
            problems, lambda problem: chosen(problem, k, at) - voted(problem, k), settings
        )
    return found


def _reflection(every: Sequence[Facts]) -> dict[str, Any]:
    """Words of doubt; answers and calculations that changed on the way."""
    markers: Counter[str] = Counter()
    for facts in every:
        markers.update(facts.reflection.markers)
    tokens = max(1, sum(facts.tokens for facts in every))
    calculations = sum(facts.reflection.calculations for facts in every)
    stated_false = sum(facts.reflection.stated_false for facts in every)
    return {
        "markers_per_1000_tokens": round(1000 * markers.total() / tokens, 3),
        "markers": dict(sorted(markers.items())),
        "samples_with_doubt": _share(facts.reflection.doubts for facts in every),
        "answers": {
            "restated": sum(facts.first_right is not None for facts in every),
            "wrong_to_right": sum(facts.first_right is False and facts.right for facts in every),
            "right_to_wrong": sum(facts.first_right is True and not facts.right for facts in every),
        },
        "calculations": {
            "checked": calculations,
            "stated_false": stated_false,
            "share_true": round(1 - stated_false / calculations, 4) if calculations else None,
            "repaired": sum(facts.reflection.repaired for facts in every),
            "broken": sum(facts.reflection.broken for facts in every),
        },
        "samples_with_repair": _share(facts.reflection.repaired > 0 for facts in every),
    }


def _estimate(
    problems: Sequence[ProblemFacts], value: Callable[[ProblemFacts], float], settings: EvaluateSettings
) -> dict[str, Any]:
    """A mean over problems with its interval: Wilson's for one sample a problem, else by bootstrap over problems."""
    values = [value(problem) for problem in problems]
    found: Estimate
    if settings.samples == 1:
        found = wilson(round(sum(values)), len(values), confidence=settings.confidence)
    else:
        found = clustered(values, confidence=settings.confidence, resamples=settings.resamples, seed=settings.seed)
    return found.model_dump()


def _share(flags: Iterable[bool]) -> float:
    listed = list(flags)
    return round(sum(listed) / len(listed), 4) if listed else 0.0


def _mean(values: Iterable[float]) -> float | None:
    listed = list(values)
    return round(sum(listed) / len(listed), 4) if listed else None
