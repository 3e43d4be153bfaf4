"""What an arm made of its tokens: its journeys in the order in which they are charged, from the folders of its runs.

An arm with one seed has one budget for all problems together. Attempts are charged in their order: the first of every
problem, then the second of every problem. The journey that would overdraw the budget, and all after it, do not count.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from journeys.preferences import PROOFS
from journeys.record import Journey
from journeys.store import Store


@dataclass(frozen=True, slots=True)
class Attempt:
    """One journey, in what it cost and what it gave."""

    problem: str
    number: int
    """Which attempt at its problem, from 0."""
    tokens: int
    """Written by policy and judges, searching included."""
    right: bool
    lucky: bool
    accepted: bool
    """Whether it is a row of journey SFT."""
    mended: bool
    """Accepted, and a step that a program had proven wrong was taken back on the way: a true backtrack."""
    chars: int
    """Of the row's completion; 0 where it is none."""


def read_attempts(runs: Sequence[Path]) -> list[Attempt]:
    """All journeys of an arm with one seed, in the order in which they are charged."""
    found: list[Attempt] = []
    for run in runs:
        before = 1 + max((attempt.number for attempt in found), default=-1)
        found += [replace(attempt, number=before + attempt.number) for attempt in _attempts(run)]
    return sorted(found, key=lambda attempt: attempt.number)  # stable: problems stay in their order


def tokens_written(runs: Iterable[Path]) -> int:
    return sum(journey.completion_tokens for run in runs for journey in _journeys(run))


def within(attempts: Iterable[Attempt], budget: int) -> list[Attempt]:
    """Those that the budget pays for."""
    paid: list[Attempt] = []
    for attempt in attempts:
        budget -= attempt.tokens
        if budget < 0:
            break
        paid.append(attempt)
    return paid


def chars_per_token(runs: Iterable[Path]) -> float:
    """Of lines as the policy writes them, their ends included."""
    turns = [turn for run in runs for journey in _journeys(run) for turn in journey.turns]
    tokens = sum(turn.policy_cost.completion_tokens for turn in turns)
    return sum(len(turn.step) + 1 for turn in turns) / max(1, tokens)


def _attempts(run: Path) -> Iterator[Attempt]:
    rows = {row["journey_id"]: row for row in _rows(run / "exports" / "journey_sft.jsonl")}
    for journey in _journeys(run):
        row = rows.get(journey.id)
        standing = {turn.id for turn in journey.path}
        removed = [turn for turn in journey.turns if turn.id not in standing]
        yield Attempt(
            problem=journey.problem.id,
            number=journey.attempt,
            tokens=journey.completion_tokens,
            right=journey.solved,
            lucky=journey.solved and bool(journey.lucky),
            accepted=row is not None,
            mended=row is not None and any(found.kind in PROOFS for turn in removed for found in turn.evidence),
            chars=sum(len(said["content"]) for said in row["completion"]) if row else 0,
        )


def _journeys(run: Path) -> Iterator[Journey]:
    with Store(run / "journeys.db", read_only=True) as store:
        yield from store.journeys()


def _rows(file: Path) -> Iterator[dict[str, Any]]:
    with file.open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)
