"""verdicts.jsonl, and the pass that fills it: every judge on every labelled step, many at once."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Literal, Protocol, Self

from agents.roles import Critic, CriticView, Judgement
from engines.errors import EngineDead, EngineError
from evaluation.judging.labelled import Solution
from evaluation.lines import LineFile
from journeys.record import Move, Record, Turn, Verdict, seed_for
from problems.referee import Referee

LOST_IN_A_ROW = 8
"""Verdicts lost to engine errors, one after the other, after which no more are asked for."""


class Judged(Record):
    """One judge's word on one step."""

    judge: str
    key: str
    """Names the step: see `Solution.key`."""
    move: Move
    verdict: Verdict
    parse: Literal["ok", "repaired", "failed"]
    score: float | None = None
    """How right the step is, where the judge is a reward model."""
    prompt_tokens: int
    completion_tokens: int
    seconds: float
    """Since the verdict before it, so that their mean is what a step takes where many are asked at once: a call's own
    time would be mostly its place in the queue."""

    @classmethod
    def of(cls, judge: str, key: str, judgement: Judgement, *, seconds: float) -> Self:
        cost = judgement.cost
        return cls(
            judge=judge,
            key=key,
            move=judgement.verdict.move,
            verdict=judgement.verdict,
            parse=judgement.parse,
            score=judgement.score,
            prompt_tokens=cost.prompt_tokens,
            completion_tokens=cost.completion_tokens,
            seconds=seconds,
        )

    @property
    def flags(self) -> bool:
        """Whether the judge takes the step back."""
        return self.move is Move.BACKTRACK


class VerdictFile(LineFile[Judged]):
    """The verdicts of a comparison."""

    kind = Judged

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._done: dict[str, set[str]] = {}

    def has(self, judge: str, key: str) -> bool:
        return key in self._done.get(judge, ())

    def mark(self, row: Judged) -> None:
        self._done.setdefault(row.judge, set()).add(row.key)


class Watcher(Protocol):
    """Told of every verdict; the progress view is one."""

    def verdict(self, judged: Judged) -> None: ...


@dataclass
class Ending:
    """How a pass ended."""

    lost: int = 0
    last_error: str = ""


def steps_to_judge(solutions: Sequence[Solution]) -> Iterator[tuple[Solution, int, str]]:
    """Every labelled step once, with its place and key: ways that share their beginning share its steps."""
    seen: set[str] = set()
    for solution in solutions:
        for place in solution.rated:
            key = solution.key(place)
            if key not in seen:
                seen.add(key)
                yield solution, place, key


async def view_of(solution: Solution, place: int, referee: Referee, *, seed: int = 0) -> CriticView:
    """What a critic would see if this step were said now. The label is not in it."""
    path = tuple(
        Turn(id=n, parent=n - 1 if n else None, step=step, verdict=Verdict(move=Move.CONTINUE))
        for n, step in enumerate(solution.steps[:place])
    )
    step = solution.steps[place]
    key = solution.key(place)
    return CriticView(
        journey_id=key,
        question=solution.question,
        path=path,
        turns=path,
        step=step,
        evidence=await referee.check(question=solution.question, path=path, step=step, abandoned=()),
        answer=referee.answer_in(step),
        seed=seed_for(seed, key, "judge"),
    )


async def judge_all(
    name: str,
    critic: Callable[[], Critic],
    work: Sequence[tuple[Solution, int, str]],
    *,
    referee: Referee,
    file: VerdictFile,
    watcher: Watcher,
    at_once: int,
    seed: int,
) -> Ending:
    """Ask one judge for every verdict that the file does not hold. Cancelling loses only what is in flight.

    Args:
        critic: makes the judge anew for each step: an agent belongs to one journey.
    """
    ending = Ending()
    todo = iter([one for one in work if not file.has(name, one[2])])
    lost_in_a_row = 0
    told_at = perf_counter()

    async def ask() -> None:
        nonlocal lost_in_a_row, told_at
        for solution, place, key in todo:
            try:
                judgement = await critic().judge(await view_of(solution, place, referee, seed=seed))
            except EngineError as error:
                ending.lost += 1
                ending.last_error = str(error)
                lost_in_a_row += 1
                if lost_in_a_row >= LOST_IN_A_ROW or isinstance(error, EngineDead):
                    ending.lost += sum(1 for _ in todo)
                    return
                continue
            lost_in_a_row = 0
            now = perf_counter()
            judged = Judged.of(name, key, judgement, seconds=now - told_at)
            told_at = now
            file.add(judged)
            watcher.verdict(judged)
            await asyncio.sleep(0)  # a judge that answers at once would leave signals waiting

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(at_once):
                group.create_task(ask())
    except BaseExceptionGroup as several:
        raise several.exceptions[0] from None
    return ending
