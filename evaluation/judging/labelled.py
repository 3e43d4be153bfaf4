"""Labelled steps: solutions of which somebody knows, for some steps, whether they are right.

Read in three shapes, known by their columns:

    our own     step_labels of a run, or of judgements made while reading: `question`, `steps`, `ratings`
    MR-GSM8K    `first_error_step` (from 1; 0 or null where the solution is right): right before it, unknown behind it
    PRM800K     `label.steps[].completions[].rating`: the chosen way is a solution, every other completion one more
"""

import hashlib
import json
import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from problems.prm800k import places
from settings import UserError

RIGHT, UNKNOWN, WRONG = 1, 0, -1


@dataclass(frozen=True)
class Solution:
    """Steps in order, and what is known of each."""

    question: str
    steps: tuple[str, ...]
    ratings: tuple[int, ...]
    """1 right, -1 wrong, 0 unknown or neutral, for each step."""
    whys: tuple[str, ...] = ()
    """What was said against a step, where the labels tell; as many as steps, or none."""
    family: str = "unnamed"

    def key(self, place: int) -> str:
        """Names a step with all that stands before it; two solutions that begin alike share their keys."""
        text = "\x1f".join((self.question, *self.steps[: place + 1]))
        return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=12).hexdigest()

    @property
    def rated(self) -> tuple[int, ...]:
        """The places of the steps that are known to be right or wrong."""
        return tuple(place for place, rating in enumerate(self.ratings) if rating)

    @property
    def first_error(self) -> int | None:
        """The place of the first wrong step, -1 where every step is right; None where that is not known."""
        for place, rating in enumerate(self.ratings):
            if rating == WRONG:
                return place
            if rating == UNKNOWN:
                return None
        return -1


def read_labelled(places: Sequence[str], *, limit: int | None = None, seed: int = 0) -> list[Solution]:
    """The solutions of files and run folders that hold at least one known step.

    Args:
        limit: at most so many, drawn by `seed`.

    Raises:
        UserError: a file is missing, of another shape, or holds no known step.
    """
    found: list[Solution] = []
    for place in places:
        file = _file(place)
        of_file = [solution for solution in _read(file) if solution.rated]
        if not of_file:
            raise UserError(f"data: {file}: no step in it is labelled right or wrong")
        found += of_file
    if not found:
        raise UserError("data: nothing to judge; name labelled steps with --data FILE or --data runs/NAME")
    if limit is None or limit >= len(found):
        return found
    chosen = sorted(random.Random(f"labelled {seed}").sample(range(len(found)), limit))
    return [found[place] for place in chosen]


def _file(place: str) -> Path:
    path = Path(place).expanduser()
    if path.is_file():
        return path
    for folder in (path / "exports", path / "judged", path):
        if (file := folder / "step_labels.jsonl").is_file():
            return file
    if path.is_dir():
        raise UserError(f"data: {place}: no exports/step_labels.jsonl in this folder; is it a run?")
    raise UserError(f"data: {place}: no such file or run folder")


def _read(file: Path) -> Iterator[Solution]:
    for number, row in _rows(file):
        shape = next((shape for shape in SHAPES if shape(row)), None)
        if shape is None:
            raise UserError(
                f"data: {file}: row {number}: no labelled steps (columns {', '.join(sorted(row)[:8])}); "
                "known are a run's step_labels, MR-GSM8K and PRM800K"
            )
        try:
            yield from SHAPES[shape](row)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise UserError(f"data: {file}: row {number}: cannot be read ({type(error).__name__}: {error})") from None


def _rows(file: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    if file.suffix == ".parquet":
        import pyarrow.parquet  # type: ignore[import-untyped]

        rows = (row for batch in pyarrow.parquet.ParquetFile(file).iter_batches() for row in batch.to_pylist())
        yield from enumerate(rows, 1)
        return
    with file.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError:
                raise UserError(f"data: {file}: line {number} is no JSON") from None
            if not isinstance(row, dict):
                raise UserError(f"data: {file}: line {number}: expected an object, found {type(row).__name__}")
            yield number, row


def _ours(row: Mapping[str, Any]) -> Iterator[Solution]:
    steps, ratings = tuple(map(str, row["steps"])), tuple(int(rating) for rating in row["ratings"])
    if len(steps) != len(ratings):
        raise ValueError(f"{len(steps)} steps and {len(ratings)} ratings")
    whys = _reasons(row)
    family = str(row.get("family") or "unnamed")
    yield Solution(str(row["question"]), steps, ratings, whys if len(whys) == len(steps) else (), family)


def _reasons(row: Mapping[str, Any]) -> tuple[str, ...]:
    """What was found in each step. That an answer was refused is no reason: it tells who knows, not what is wrong."""
    whys = [str(why or "") for why in row.get("whys") or ()]
    sources = row.get("sources") or ["evidence"] * len(whys)
    return tuple(why if source in ("evidence", "labeller") else "" for why, source in zip(whys, sources, strict=True))


def _mr_gsm8k(row: Mapping[str, Any]) -> Iterator[Solution]:
    said = row.get("steps", row.get("model_output_steps"))
    steps = tuple(_unnumbered(step) for step in said)
    at = _first_error(row)
    right = str(row.get("solution_correct", row.get("model_output_solution_correctness"))).lower()
    if right in ("true", "correct") or at == 0:
        ratings = [RIGHT] * len(steps)
    else:
        if not 1 <= at <= len(steps):
            raise ValueError(f"first error at step {at} of {len(steps)}")
        ratings = [RIGHT] * (at - 1) + [WRONG] + [UNKNOWN] * (len(steps) - at)
    family = str(row.get("question_type") or "unnamed")
    yield Solution(str(row.get("problem", row.get("question"))), steps, tuple(ratings), family=family)


def _first_error(row: Mapping[str, Any]) -> int:
    value = row.get("first_error_step", row.get("model_output_solution_first_error_step"))
    return int(value) if re.fullmatch(r"\d+(\.0)?", str(value)) else 0


def _unnumbered(step: Any) -> str:
    """MR-GSM8K writes `Step 3: ` before each step; whoever asks a judge numbers them already."""
    return re.sub(r"^\s*Step \d+:\s*", "", str(step))


def _prm800k(row: Mapping[str, Any]) -> Iterator[Solution]:
    question = str(row["question"]["problem"])
    way: list[str] = []
    ratings: list[int] = []
    others: list[Solution] = []
    for place in places(row["label"]):
        for number, one in enumerate(place.tries):
            if number != place.chosen:
                told = (*way, one.text)
                others.append(Solution(question, told, (*[UNKNOWN] * len(way), one.rating), family="prm800k"))
        if place.chosen is not None:
            way.append(place.tries[place.chosen].text)
            ratings.append(place.tries[place.chosen].rating)
    if way:
        yield Solution(question, tuple(way), tuple(ratings), family="prm800k")
    yield from others


SHAPES: dict[Callable[[Mapping[str, Any]], bool], Callable[[Mapping[str, Any]], Iterator[Solution]]] = {
    lambda row: {"question", "steps", "ratings"} <= row.keys(): _ours,
    lambda row: bool({"first_error_step", "model_output_solution_first_error_step"} & row.keys()): _mr_gsm8k,
    lambda row: isinstance(row.get("label"), dict) and "steps" in row["label"]: _prm800k,
}
"""How each shape is known, and what reads it."""
