"""One answer out of several: the sample that a scorer likes best against the answer that most samples give.

Both choose among the very same samples of held-out problems, which `run.py evaluate` has drawn once for each seed.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import fmean

from evaluation.facts import FactReader, ProblemFacts
from evaluation.intervals import Difference, Estimate, clustered, paired
from evaluation.rewards import Key, RewardFile, aggregated
from evaluation.samples import SampleFile
from evaluation.selectors import best_of, maj_at, pass_at
from experiments.comparison.settings import ComparisonSettings
from problems.sources import ProblemSettings, load_problems
from problems.verifier import Verifier

LABEL = "policy"
"""The model's name in the samples."""


@dataclass(frozen=True)
class Selection:
    """One way to choose, over all problems."""

    name: str
    share: Estimate
    by_seed: tuple[float, ...]
    less_majority: Difference | None
    """None for the majority itself, and for what only the verifier could choose."""
    less_by_seed: tuple[float, ...] = ()


@dataclass(frozen=True)
class OneOfMany:
    """All ways, the majority among them."""

    problems: int
    samples: int
    selections: tuple[Selection, ...]


def read_one_of_many(held_out: Path, evaluations: Sequence[Path], settings: ComparisonSettings) -> OneOfMany:
    """From the samples of one evaluation for each seed."""
    facts = asyncio.run(_facts(held_out, evaluations, settings))
    k = settings.samples
    ways: dict[str, Callable[[ProblemFacts], float]] = {
        "one sample": lambda problem: problem.share_right,
        f"majority of {k}": partial(_majority, k=k, seed=settings.draw),
        **{f"best of {k} by {name}": partial(_chosen, scorer=n, k=k) for n, name in enumerate(settings.scorers)},
        f"any of {k}": lambda problem: pass_at(len(problem.samples), problem.right, k),
    }
    tables = {name: [[way(problem) for problem in seed] for seed in facts] for name, way in ways.items()}
    means = {name: [fmean(column) for column in zip(*table, strict=True)] for name, table in tables.items()}
    by_seed = {name: tuple(fmean(row) for row in table) for name, table in tables.items()}
    vote = f"majority of {k}"

    def selection(name: str) -> Selection:
        share = clustered(means[name], resamples=settings.resamples, seed=settings.draw)
        if name in (vote, f"any of {k}"):
            return Selection(name, share, by_seed[name], None)
        less = tuple(b - a for a, b in zip(by_seed[vote], by_seed[name], strict=True))
        found = paired(means[vote], means[name], resamples=settings.resamples, seed=settings.draw)
        return Selection(name, share, by_seed[name], found, less)

    return OneOfMany(len(facts[0]), k, tuple(map(selection, ways)))


async def _facts(held_out: Path, evaluations: Sequence[Path], settings: ComparisonSettings) -> list[list[ProblemFacts]]:
    source = ProblemSettings(source="file", path=str(held_out), verifier="math")
    problems = {problem.id: problem for problem in load_problems(source, count=None, seed=0)}
    verifier = Verifier()
    try:
        found = []
        for one in evaluations:
            rewards = _rewards(one) if settings.reward_model else {}
            reader = FactReader(problems, verifier, scorers=settings.scorers, rewards=rewards)
            facts = await reader.read(SampleFile(one / "samples.jsonl"), [LABEL], samples=settings.samples)
            found.append(facts[LABEL])
        return found
    finally:
        verifier.close()


def _rewards(evaluation: Path) -> dict[Key, float]:
    """What the one reward model of an evaluation thought of each sample: of its last line, as `evaluate` has it."""
    rows = RewardFile(evaluation / "rewards.jsonl")
    return {(row.model, row.problem_id, row.sample): aggregated(row.steps, "last") for row in rows if row.steps}


def _majority(problem: ProblemFacts, *, k: int, seed: int) -> float:
    right = frozenset(facts.group for facts in problem.samples if facts.right and facts.group is not None)
    return maj_at([facts.group for facts in problem.samples], right, k, seed=seed)


def _chosen(problem: ProblemFacts, *, scorer: int, k: int) -> float:
    scores = [facts.scores[scorer] for facts in problem.samples]
    return best_of(scores, [facts.right for facts in problem.samples], k)
