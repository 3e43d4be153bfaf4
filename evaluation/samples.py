"""samples.jsonl: what a model wrote, one line a sample."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from evaluation.lines import LineFile
from journeys.record import Record


class Sample(Record):
    """One solution of one problem by one model, graded."""

    model: str
    """The model's label in the evaluation."""
    problem_id: str
    family: str
    question: str
    sample: int
    """Which of the problem's samples, from 0."""
    text: str
    """Everything the model wrote, its tags included."""
    finish: Literal["stop", "length"]
    status: Literal["right", "wrong", "unparsed"]
    answer: str | None
    """The final answer that was graded; None where none was given."""
    tokens: int
    prompt_tokens: int
    mean_logprob: float | None
    """Mean log-probability of a token, where it was asked for."""
    seconds: float
    """From request to reply, queueing included."""
    seed: int


class SampleFile(LineFile[Sample]):
    """The samples of an evaluation: which are there, one more, all of them again."""

    kind = Sample

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._done: dict[str, dict[str, int]] = {}
        """For each model and problem a bit mask of the samples there are: small beside a set of keys."""

    def has(self, model: str, problem_id: str, sample: int) -> bool:
        return bool(self._done.get(model, {}).get(problem_id, 0) >> sample & 1)

    def count(self, model: str) -> int:
        return sum(mask.bit_count() for mask in self._done.get(model, {}).values())

    def models(self) -> Mapping[str, int]:
        """The models that have samples here, with their number."""
        return {model: self.count(model) for model in self._done}

    def mark(self, row: Sample) -> None:
        problems = self._done.setdefault(row.model, {})
        problems[row.problem_id] = problems.get(row.problem_id, 0) | 1 << row.sample
