"""The tuned model in the base's place: two runs of `generate` on the same fresh problems, compared one by one."""

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from evaluation.intervals import Difference, paired
from experiments.settings import ExperimentSettings
from journeys.preferences import PROOFS
from journeys.record import Turn, removals
from journeys.store import Store
from problems.equations import equations


@dataclass(frozen=True)
class RunFigures:
    """One run."""

    problems: int
    journeys: int
    solved: dict[str, float]
    """By problem: the share of its journeys that ended right."""
    accepted: dict[str, float]
    tokens: int
    """Generated in the whole run."""
    tokens_per_accepted: float | None
    backtracks: int
    false_steps_removed: int
    """Backtracks from a step that a checker had proven wrong."""
    mended: int
    """Of these, those answered by a step that calculates something, and is not proven wrong."""
    with_backtrack: int
    """Accepted journeys with a backtrack."""

    @property
    def precision(self) -> float | None:
        return self.false_steps_removed / self.backtracks if self.backtracks else None

    @property
    def mending(self) -> float | None:
        return self.mended / self.false_steps_removed if self.false_steps_removed else None


@dataclass(frozen=True)
class PlugBack:
    """Both runs, and the tuned one less the base's."""

    base: RunFigures
    tuned: RunFigures
    solve_rate: Difference
    accepted: Difference


def read_plug_back(base: Path, tuned: Path, settings: ExperimentSettings) -> PlugBack:
    """The figures of two finished runs on the same problems."""
    one, other = _figures(base), _figures(tuned)

    def difference(first: dict[str, float], second: dict[str, float]) -> Difference:
        names = sorted(first)
        return paired(
            [first[name] for name in names],
            [second[name] for name in names],
            resamples=settings.resamples,
            seed=settings.draw,
        )

    return PlugBack(one, other, difference(one.solved, other.solved), difference(one.accepted, other.accepted))


def _figures(run: Path) -> RunFigures:
    accepted_ids = {
        json.loads(row)["journey_id"] for row in (run / "exports" / "journey_sft.jsonl").read_text().splitlines()
    }
    solved: dict[str, list[float]] = {}
    accepted: dict[str, list[float]] = {}
    counts: Counter[str] = Counter()
    with Store(run / "journeys.db", read_only=True) as store:
        for journey in store.journeys():
            is_accepted = journey.id in accepted_ids
            solved.setdefault(journey.problem.id, []).append(float(journey.solved))
            accepted.setdefault(journey.problem.id, []).append(float(is_accepted))
            counts.update(journeys=1, tokens=journey.completion_tokens)
            removed = [turn for turn, _ in removals(journey.turns)]
            counts["with_backtrack"] += is_accepted and bool(removed)
            false = [turn.id for turn in removed if _proven_wrong(turn)]
            counts.update(backtracks=len(removed), false=len(false))
            replies = {turn.replies_to: turn for turn in journey.turns if turn.replies_to is not None}
            for turn_id in false:
                reply = replies.get(turn_id)
                counts["mended"] += reply is not None and _holds(reply)
    return RunFigures(
        problems=len(solved),
        journeys=counts["journeys"],
        solved={name: fmean(values) for name, values in solved.items()},
        accepted={name: fmean(values) for name, values in accepted.items()},
        tokens=counts["tokens"],
        tokens_per_accepted=counts["tokens"] / len(accepted_ids) if accepted_ids else None,
        backtracks=counts["backtracks"],
        false_steps_removed=counts["false"],
        mended=counts["mended"],
        with_backtrack=counts["with_backtrack"],
    )


def _proven_wrong(turn: Turn) -> bool:
    return any(found.kind in PROOFS for found in turn.evidence)


def _holds(turn: Turn) -> bool:
    """Whether a step calculates, and nothing in it was proven wrong."""
    found = [equation.holds for line in turn.step.splitlines() for equation in equations(line) if equation.operated]
    return bool(found) and all(found) and not _proven_wrong(turn)
