"""samples.jsonl: what a model wrote, one line a sample. Appended to, never rewritten; a killed writer loses no line."""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from journeys.record import Record
from journeys.row_files import line as as_line
from settings import UserError


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


class SampleFile:
    """The samples of an evaluation: which are there, one more, all of them again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._done: dict[str, dict[str, int]] = {}
        """For each model and problem a bit mask of the samples there are: small beside a set of keys."""

    def open(self) -> None:
        """Drop a line that a killed writer left half-written, and see what is there.

        Raises:
            UserError: it cannot be read or written, or a whole line is no sample.
        """
        try:
            self.path.touch()
            _drop_torn_line(self.path)
        except OSError as error:
            raise UserError(f"{self.path}: cannot be written: {error.strerror}; set outputs_dir to another") from None
        for sample in self:
            self._mark(sample)

    def has(self, model: str, problem_id: str, sample: int) -> bool:
        return bool(self._done.get(model, {}).get(problem_id, 0) >> sample & 1)

    def count(self, model: str) -> int:
        return sum(mask.bit_count() for mask in self._done.get(model, {}).values())

    def models(self) -> Mapping[str, int]:
        """The models that have samples here, with their number."""
        return {model: self.count(model) for model in self._done}

    def add(self, sample: Sample) -> None:
        """Append a sample; once this returns, only the loss of the machine can lose it."""
        data = as_line(sample.model_dump(mode="json")).encode()
        try:
            with self.path.open("ab", buffering=0) as file:
                file.write(data)
        except OSError as error:
            raise UserError(f"{self.path}: cannot be written: {error.strerror}; free some space") from None
        self._mark(sample)

    def __iter__(self) -> Iterator[Sample]:
        """Every sample in the order of the file, one in memory at a time."""
        with self.path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                try:
                    yield Sample.model_validate(json.loads(line))
                except (ValueError, ValidationError):
                    raise UserError(
                        f"{self.path}: line {number} is no sample; take it out and run the same command again"
                    ) from None

    def _mark(self, sample: Sample) -> None:
        problems = self._done.setdefault(sample.model, {})
        problems[sample.problem_id] = problems.get(sample.problem_id, 0) | 1 << sample.sample


def _drop_torn_line(path: Path) -> None:
    """Cut the file behind its last line end."""
    with path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        end = size
        while end:
            start = max(0, end - 65_536)
            file.seek(start)
            found = file.read(end - start).rfind(b"\n")
            if found >= 0:
                end = start + found + 1
                break
            end = start
        if end < size:
            file.truncate(end)
