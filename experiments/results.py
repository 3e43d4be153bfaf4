"""The figures of an experiment, read back from the folders that its stages left: nothing is computed while training.

Seeds of one arm are pooled: a problem's value is its mean over seeds and samples, and problems are what is drawn again
for intervals. That tells how sure we are about the problems, not about the luck of training, which is why each seed's
own figure stands beside, and why a difference must have one sign in all of them.
"""

import json
import platform
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from evaluation.intervals import Difference, Estimate, clustered, holm, paired
from evaluation.samples import SampleFile
from evaluation.selectors import pass_at
from experiments.arms import BASE, TITLES, compared, label
from experiments.dead_ends import DeadEnds, dead_ends
from experiments.plug_back import PlugBack, read_plug_back
from experiments.problem_sets import ProblemSets
from experiments.rows import read_rows
from experiments.settings import ExperimentSettings
from experiments.stages import Stages

SETTINGS = ("trained-greedy", "trained-sampled", "untrained-greedy", "untrained-sampled")
IN_WORDS = {
    "trained-greedy": "trained families, greedy",
    "trained-sampled": "trained families, sampled",
    "untrained-greedy": "untrained families, greedy",
    "untrained-sampled": "untrained families, sampled",
}


@dataclass(frozen=True)
class Pooled:
    """One arm under one setting, all its seeds together."""

    arm: str
    right: dict[str, float]
    """By problem: the share of its samples, over seeds, that are right."""
    unanswered: dict[str, float]
    accuracy: Estimate
    by_seed: tuple[float, ...]
    no_answer: Estimate
    tokens: float
    families: dict[str, float]
    samples: int
    wrong_to_right: int
    """Samples whose first stated answer was wrong and whose last was right."""
    right_to_wrong: int
    calculations: int
    stated_false: int
    """Of these calculations, false when first stated."""
    repaired: int
    """Of the false ones, true when last stated."""
    broken: int
    """True when first stated, false when last stated."""
    doubting: float
    """Share of samples that doubt themselves in words."""
    dead_ends: DeadEnds
    """What became of its tries, where problems are number games."""
    several: dict[int, Estimate]
    """By k: the share of problems of which one in k answers is right, the seeds' answers being what is drawn from."""


@dataclass(frozen=True)
class Comparison:
    """One arm less another, under one setting."""

    first: str
    second: str
    accuracy: Difference
    p_holm: float
    """Adjusted for all comparisons of this setting."""
    by_seed: tuple[float, ...]
    no_answer: Difference


@dataclass(frozen=True)
class Results:
    """Everything that the page tells."""

    settings: ExperimentSettings
    data: dict[str, Any]
    """summary.json of the run that made the journeys."""
    rows: dict[str, Any]
    """What the two sets of rows hold."""
    trainings: dict[str, dict[str, Any]]
    """training.json of each model, without its history."""
    pooled: dict[str, dict[str, Pooled]]
    """By setting and arm."""
    comparisons: dict[str, list[Comparison]]
    validation: dict[str, float]
    """Accuracy of each model on the validation set."""
    best: str
    plug_back: PlugBack
    digests: dict[str, str]
    """Of the problem sets."""
    seconds: dict[str, float]
    machine: str

    @property
    def titles(self) -> dict[str, str]:
        """The arms that there are, the base first, as tables call them."""
        return {arm: TITLES[arm] for arm in (BASE, *(arm.name for arm in self.settings.trained_arms))}

    def compared(self, setting: str, first: str, second: str) -> Comparison:
        return next(one for one in self.comparisons[setting] if (one.first, one.second) == (first, second))


def read_results(settings: ExperimentSettings, *, problems: ProblemSets, stages: Stages, best: str) -> Results:
    """Read every folder of a finished experiment."""
    folder = settings.folder
    models = {arm.name: [label(arm.name, seed) for seed in settings.seeds] for arm in settings.trained_arms}
    trainings = {
        model: _read(folder / "models" / model / "training.json") for names in models.values() for model in names
    }
    pooled = {
        setting: _pool(folder / "evaluations" / setting, {BASE: [BASE]} | models, settings) for setting in SETTINGS
    }
    validation = _read(folder / "evaluations" / "validation-greedy" / "evaluation.json")
    some = next(iter(trainings.values()))
    return Results(
        settings=settings,
        data=_read(folder / "runs" / "data" / "summary.json"),
        rows=_rows_told(folder / "rows"),
        trainings={name: {k: v for k, v in one.items() if k != "history"} for name, one in trainings.items()},
        pooled=pooled,
        comparisons={setting: _compare(by_arm, settings) for setting, by_arm in pooled.items()},
        validation={one["model"]: one["scores"]["accuracy"]["value"] for one in validation["models"]},
        best=best,
        plug_back=read_plug_back(folder / "runs" / "fresh-base", folder / "runs" / "fresh-tuned", settings),
        digests={name: problems.digest(name) for name in problems.NAMES},
        seconds=stages.seconds(),
        machine=f"{some['device']}, {some['precision']}, torch {some['versions']['torch']}, {platform.machine()}",
    )


def _pool(folder: Path, models: dict[str, list[str]], settings: ExperimentSettings) -> dict[str, Pooled]:
    """Each arm's samples and counts in one evaluation."""
    right: dict[str, dict[str, list[float]]] = {}
    unanswered: dict[str, dict[str, list[float]]] = {}
    family: dict[str, str] = {}
    for sample in SampleFile(folder / "samples.jsonl"):
        right.setdefault(sample.model, {}).setdefault(sample.problem_id, []).append(float(sample.status == "right"))
        no_answer = float(sample.status == "unparsed")
        unanswered.setdefault(sample.model, {}).setdefault(sample.problem_id, []).append(no_answer)
        family[sample.problem_id] = sample.family
    games = dead_ends(SampleFile(folder / "samples.jsonl"), models)
    scores = {one["model"]: one["scores"] for one in _read(folder / "evaluation.json")["models"]}

    def pooled(arm: str, names: list[str]) -> Pooled:
        means = _means([right[name] for name in names])
        missing = _means([unanswered[name] for name in names])
        found = [scores[name] for name in names]
        counts: Counter[str] = Counter()
        for one in found:
            counts.update(
                samples=one["samples"], doubting=round(one["reflection"]["samples_with_doubt"] * one["samples"])
            )
            counts.update({key: one["reflection"]["answers"][key] for key in ("wrong_to_right", "right_to_wrong")})
            lines = one["reflection"]["calculations"]
            counts.update({key: lines[key] for key in ("checked", "stated_false", "repaired", "broken")})
        kinds = sorted(set(family.values()))
        return Pooled(
            arm=arm,
            right=means,
            unanswered=missing,
            accuracy=_estimate(means, settings),
            by_seed=tuple(one["accuracy"]["value"] for one in found),
            no_answer=_estimate(missing, settings),
            tokens=fmean(one["tokens"]["mean"] for one in found),
            families={kind: fmean(v for name, v in means.items() if family[name] == kind) for kind in kinds},
            samples=counts["samples"],
            wrong_to_right=counts["wrong_to_right"],
            right_to_wrong=counts["right_to_wrong"],
            calculations=counts["checked"],
            stated_false=counts["stated_false"],
            repaired=counts["repaired"],
            broken=counts["broken"],
            doubting=counts["doubting"] / counts["samples"],
            dead_ends=games[arm],
            several=_several([right[name] for name in names], settings),
        )

    return {arm: pooled(arm, names) for arm, names in models.items()}


def _means(models: Sequence[dict[str, list[float]]]) -> dict[str, float]:
    """By problem, the mean over models and samples."""
    return {problem: fmean(fmean(model[problem]) for model in models) for problem in models[0]}


def _several(models: Sequence[dict[str, list[float]]], settings: ExperimentSettings) -> dict[int, Estimate]:
    """What an oracle that picks the right one of k answers would come to; unbiased (Chen et al. 2021)."""
    drawn = {problem: [value for model in models for value in model[problem]] for problem in models[0]}
    most = min(len(values) for values in drawn.values())
    return {
        k: _estimate({name: pass_at(len(values), round(sum(values)), k) for name, values in drawn.items()}, settings)
        for k in range(1, most + 1)
    }


def _estimate(values: dict[str, float], settings: ExperimentSettings) -> Estimate:
    return clustered(list(values.values()), resamples=settings.resamples, seed=settings.draw)


def _compare(by_arm: dict[str, Pooled], settings: ExperimentSettings) -> list[Comparison]:
    def difference(first: str, second: str, figure: Callable[[Pooled], dict[str, float]]) -> Difference:
        one, other = figure(by_arm[first]), figure(by_arm[second])
        names = sorted(one)
        return paired(
            [one[name] for name in names],
            [other[name] for name in names],
            resamples=settings.resamples,
            seed=settings.draw,
        )

    pairs = compared(by_arm)
    accuracies = [difference(first, second, lambda arm: arm.right) for first, second in pairs]
    adjusted = holm([one.p for one in accuracies])
    made = []
    for (first, second), accuracy, p in zip(pairs, accuracies, adjusted, strict=True):
        ones, others = by_arm[first].by_seed, by_arm[second].by_seed
        each = tuple(other - ones[place % len(ones)] for place, other in enumerate(others))
        no_answer = difference(first, second, lambda arm: arm.unanswered)
        made.append(Comparison(first, second, accuracy, p, each, no_answer))
    return made


def _rows_told(folder: Path) -> dict[str, Any]:
    """Counts over the rows that the arms learn from: that they tell the same journeys, and what sets them apart."""
    journeys, shortcuts = (read_rows(folder / f"{kind}.jsonl") for kind in ("journey", "shortcut"))
    told = [row["completion"][0]["content"] for row in shortcuts]
    return {
        "rows": len(journeys),
        "same_journeys": [row["journey_id"] for row in journeys] == [row["journey_id"] for row in shortcuts],
        "with_backtrack": sum(row["num_backtracks"] > 0 for row in journeys),
        "backtracks": sum(row["num_backtracks"] for row in journeys),
        "families": dict(sorted(Counter(row["family"] for row in journeys).items())),
        "shortcuts_that_doubt": sum(_doubts(text) for text in told),
        "journey_chars": fmean(len(row["completion"][0]["content"]) for row in journeys),
        "shortcut_chars": fmean(map(len, told)),
    }


def _doubts(text: str) -> bool:
    from evaluation.reflection import reflection_in

    return reflection_in(text).doubts


def results_table(results: Results) -> str:
    """What the command prints: accuracy of each arm under each setting, and the differences that were asked for."""
    wide = max(map(len, results.titles.values()))
    lines = [" " * wide + "".join(f"{IN_WORDS[setting]:>28}" for setting in SETTINGS)]
    for arm, title in results.titles.items():
        cells = [results.pooled[setting][arm].accuracy for setting in SETTINGS]
        told = [f"{100 * one.value:.1f}% [{100 * one.low:.1f}, {100 * one.high:.1f}]" for one in cells]
        lines.append(f"{title:<{wide}}" + "".join(f"{cell:>28}" for cell in told))
    lines.append("")
    for first, second in compared(results.titles):
        found = [results.compared(setting, first, second).accuracy for setting in SETTINGS]
        told = [f"{100 * one.value:+.1f} [{100 * one.low:+.1f}, {100 * one.high:+.1f}]" for one in found]
        lines.append(f"{second + ' - ' + first:<{wide}}" + "".join(f"{cell:>28}" for cell in told))
    return "\n".join(lines) + "\n"


def _read(file: Path) -> dict[str, Any]:
    return dict(json.loads(file.read_text("utf-8")))
