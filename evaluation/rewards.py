"""rewards.jsonl: what a reward model thinks of every sample, beside the samples and like them never rewritten."""

import asyncio
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence, Set
from pathlib import Path
from typing import Literal

from engines.chat import THINKING
from engines.errors import EngineDead, EngineError, PromptTooLong
from engines.rewards.contract import RewardEngine, RewardSettings
from evaluation.asking import fingerprint
from evaluation.lines import LineFile
from evaluation.samples import Sample, SampleFile
from evaluation.settings import MACHINE_KEYS
from journeys.record import Record
from terminal.live import LiveView

AT_ONCE = 2
"""Samples in flight for each that the reward model reads at a time."""
Aggregate = Literal["last", "min", "mean"]
Key = tuple[str, str, int]
"""A sample: its model, problem and number."""


class Rewarded(Record):
    """One sample's scores."""

    reward: str
    """Names the reward model and how it was read; see `name_of`."""
    model: str
    problem_id: str
    sample: int
    steps: tuple[float, ...]
    """One for each step; none where the sample holds no step or is longer than the reward model reads."""


class RewardFile(LineFile[Rewarded]):
    """The scores of an evaluation's samples, by any number of reward models."""

    kind = Rewarded

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._done: dict[str, set[Key]] = {}

    def has(self, reward: str, key: Key) -> bool:
        return key in self._done.get(reward, ())

    def mark(self, row: Rewarded) -> None:
        self._done.setdefault(row.reward, set()).add((row.model, row.problem_id, row.sample))


def name_of(settings: RewardSettings) -> str:
    """The reward model and a digest of everything on which its scores depend."""
    read = {key: value for key, value in settings.model_dump(mode="json").items() if key not in MACHINE_KEYS}
    del read["threshold"]
    read["weights"] = fingerprint(Path(settings.model).expanduser())
    return f"{settings.model} {hashlib.sha256(json.dumps(read, sort_keys=True).encode()).hexdigest()[:12]}"


def steps_of(text: str) -> list[str]:
    """A solution's steps as a reward model is shown them: its lines, without the tags of a thought."""
    lines = (THINKING.sub("", line).strip() for line in text.splitlines())
    return [line for line in lines if line]


async def score_samples(
    reward: RewardEngine, samples: SampleFile, labels: Set[str], file: RewardFile
) -> tuple[int, str]:
    """Score every sample of these models that the file does not hold.

    Returns:
        How many the reward model did not answer for, and its last error.
    """
    name = name_of(reward.settings)
    todo = [one for one in samples if one.model in labels and not file.has(name, key_of(one))]
    lost, last_error = 0, ""

    async def work(waiting: Iterator[Sample], view: LiveView) -> None:
        nonlocal lost, last_error
        for sample in waiting:
            try:
                scores = (await reward.score(sample.question, steps_of(sample.text))).scores
            except PromptTooLong:
                scores = []
            except EngineError as error:
                lost, last_error = lost + 1, f"{type(error).__name__}: {error}"
                if isinstance(error, EngineDead):
                    lost += sum(1 for _ in waiting)
                continue
            model, problem_id, number = key_of(sample)
            file.add(Rewarded(reward=name, model=model, problem_id=problem_id, sample=number, steps=tuple(scores)))
            view.reach(view.done + 1)
            await asyncio.sleep(0)

    waiting = iter(todo)
    with RewardView(total=len(todo)) as view:
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(AT_ONCE * reward.settings.max_batch):
                    group.create_task(work(waiting, view))
        except BaseExceptionGroup as several:
            raise several.exceptions[0] from None
    return lost, last_error


def read_rewards(file: RewardFile, settings: RewardSettings, aggregate: Aggregate) -> Mapping[Key, float]:
    """A number for each sample that has scores of this reward model."""
    name = name_of(settings)
    return {
        (row.model, row.problem_id, row.sample): aggregated(row.steps, aggregate)
        for row in file
        if row.reward == name and row.steps
    }


def aggregated(steps: Sequence[float], aggregate: Aggregate) -> float:
    match aggregate:
        case "last":
            return steps[-1]
        case "min":
            return min(steps)
        case "mean":
            return sum(steps) / len(steps)


class RewardView(LiveView):
    """Samples that a reward model has read."""

    def __init__(self, *, total: int) -> None:
        super().__init__("rewards", total=total, done=0, label="reward model")

    def counts(self) -> str:
        return "scored by the reward model"


def key_of(sample: Sample) -> Key:
    """Names a sample."""
    return sample.model, sample.problem_id, sample.sample
