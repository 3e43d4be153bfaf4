"""The figures of the comparison, read back from the folders that its runs left.

A problem is what is drawn again for intervals: its value is the mean over seeds, sums are sums over seeds. That tells
how sure we are about the problems; each seed's own figure stands beside, and a difference must have one sign in all.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from evaluation.intervals import Difference, Estimate, clustered, holm, paired, ratio
from experiments.comparison.arms import BASELINES, SOLO
from experiments.comparison.attempts import Attempt, chars_per_token, read_attempts, within
from experiments.comparison.eight import OneOfMany, read_one_of_many
from experiments.comparison.settings import ComparisonSettings

FIRST, BUDGET = "first", "budget"
VIEWS = (FIRST, BUDGET)
"""Every problem attempted once, whatever that cost; and as many attempts as the budget pays for."""
COMPARED = ("solved", "accepted", "rows_tokens")
"""The figures whose differences are told: all are means over problems, so that pairs are problems."""

Runs = Mapping[str, Sequence[Sequence[Path]]]
"""By arm, for each seed, the folders of its runs."""


@dataclass(frozen=True)
class Figures:
    """One arm in one view, all its seeds together."""

    values: dict[str, list[float]]
    """By figure of COMPARED, for each problem the mean over seeds: whether one of its journeys came right, its accepted
    journeys, the tokens of their rows."""
    by_seed: dict[str, tuple[float, ...]]
    """The same, a mean over problems for each seed."""
    solved: Estimate
    accepted: Estimate
    """Accepted journeys a problem."""
    lucky: Estimate | None
    """Of right journeys, those whose answer does not follow from their path; None where no journey is right."""
    mended: Estimate | None
    """Of accepted journeys, those with a true backtrack; None where none is accepted."""
    price: Estimate | None
    """Tokens written for each token of an accepted row; None where none is accepted."""
    journeys: int
    accepted_journeys: int
    tokens: int
    reached: float
    """Share of problems with an attempt that counts."""


@dataclass(frozen=True)
class Compared:
    """One arm less a baseline, in one view, by one figure."""

    first: str
    second: str
    found: Difference
    by_seed: tuple[float, ...]
    p_holm: float
    """Adjusted for all arms that this baseline is compared with by this figure."""


@dataclass(frozen=True)
class Results:
    """Everything that the page tells."""

    settings: ComparisonSettings
    figures: dict[str, dict[str, Figures]]
    """By view and arm."""
    compared: dict[str, dict[str, list[Compared]]]
    """By view and figure."""
    chars_per_token: float
    one_of_many: OneOfMany
    digests: dict[str, str]
    seconds: dict[str, float]
    taught: dict[str, Any] | None = None
    """What the training of the reward model noted."""

    def pair(self, view: str, figure: str, first: str, second: str) -> Compared:
        """Any two arms; not adjusted where they are none of those in the tables."""
        known = [one for one in self.compared[view][figure] if (one.first, one.second) == (first, second)]
        return known[0] if known else compare(self.figures[view], figure, first, second, self.settings)


def read_results(
    settings: ComparisonSettings,
    runs: Runs,
    *,
    problems: Sequence[str],
    held_out: Path,
    evaluations: Sequence[Path],
    digests: dict[str, str],
    seconds: dict[str, float],
    taught: dict[str, Any] | None = None,
) -> Results:
    """Read every folder of a finished comparison. `problems` are the ids, in their order."""
    each_token = chars_per_token(run for of_seed in runs[SOLO] for run in of_seed)
    figures: dict[str, dict[str, Figures]] = {view: {} for view in VIEWS}
    for arm, of_seeds in runs.items():
        attempts = [read_attempts(of_seed) for of_seed in of_seeds]
        once = [[attempt for attempt in of_seed if attempt.number == 0] for of_seed in attempts]
        paid = [within(of_seed, settings.tokens) for of_seed in attempts]
        for view, chosen in ((FIRST, once), (BUDGET, paid)):
            figures[view][arm] = figures_of(chosen, problems, each_token=each_token, settings=settings)
    return Results(
        settings=settings,
        figures=figures,
        compared={view: {figure: _all_pairs(figures[view], figure, settings) for figure in COMPARED} for view in VIEWS},
        chars_per_token=each_token,
        one_of_many=read_one_of_many(held_out, evaluations, settings),
        digests=digests,
        seconds=seconds,
        taught=taught,
    )


def figures_of(
    seeds: Sequence[Sequence[Attempt]], problems: Sequence[str], *, each_token: float, settings: ComparisonSettings
) -> Figures:
    """The figures of one arm from the attempts that count, seed by seed."""
    of: dict[str, dict[str, list[Attempt]]] = {str(n): {} for n in range(len(seeds))}
    for number, attempts in enumerate(seeds):
        for attempt in attempts:
            of[str(number)].setdefault(attempt.problem, []).append(attempt)

    def sums(value: Callable[[Attempt], float]) -> list[float]:
        return [sum(value(a) for by in of.values() for a in by.get(problem, ())) for problem in problems]

    def shares(over: Callable[[Attempt], float], under: Callable[[Attempt], float]) -> Estimate | None:
        above, below = sums(over), sums(under)
        return ratio(above, below, resamples=settings.resamples, seed=settings.draw) if sum(below) else None

    each: dict[str, Callable[[Sequence[Attempt]], float]] = {
        "solved": lambda tries: float(any(one.right for one in tries)),
        "accepted": lambda tries: float(sum(one.accepted for one in tries)),
        "rows_tokens": lambda tries: sum(one.chars for one in tries) / each_token,
    }
    table = {
        name: [[value(by.get(problem, ())) for problem in problems] for by in of.values()]
        for name, value in each.items()
    }
    values = {name: [fmean(seed[n] for seed in rows) for n in range(len(problems))] for name, rows in table.items()}
    every = [attempt for attempts in seeds for attempt in attempts]
    return Figures(
        values=values,
        by_seed={name: tuple(fmean(row) for row in rows) for name, rows in table.items()},
        solved=clustered(values["solved"], resamples=settings.resamples, seed=settings.draw),
        accepted=clustered(values["accepted"], resamples=settings.resamples, seed=settings.draw),
        lucky=shares(lambda one: one.lucky, lambda one: one.right),
        mended=shares(lambda one: one.mended, lambda one: one.accepted),
        price=shares(lambda one: one.tokens, lambda one: one.chars / each_token),
        journeys=len(every),
        accepted_journeys=sum(one.accepted for one in every),
        tokens=sum(one.tokens for one in every),
        reached=fmean(len(by) / len(problems) for by in of.values()),
    )


def compare(
    figures: Mapping[str, Figures], figure: str, first: str, second: str, settings: ComparisonSettings
) -> Compared:
    """`second` less `first`, problem by problem."""
    one, other = figures[first], figures[second]
    found = paired(one.values[figure], other.values[figure], resamples=settings.resamples, seed=settings.draw)
    by_seed = tuple(b - a for a, b in zip(one.by_seed[figure], other.by_seed[figure], strict=True))
    return Compared(first, second, found, by_seed, found.p)


def _all_pairs(figures: Mapping[str, Figures], figure: str, settings: ComparisonSettings) -> list[Compared]:
    made: list[Compared] = []
    for place, baseline in enumerate(BASELINES):
        others = [arm for arm in figures if arm not in BASELINES[: place + 1]]
        pairs = [compare(figures, figure, baseline, arm, settings) for arm in others]
        adjusted = holm([one.found.p for one in pairs])
        made += [
            Compared(one.first, one.second, one.found, one.by_seed, p) for one, p in zip(pairs, adjusted, strict=True)
        ]
    return made
