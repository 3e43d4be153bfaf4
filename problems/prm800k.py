"""PRM800K: solutions grown step by step by a model, each step rated by people, one of those at each place gone on with.

A line holds one labelled solution (methods 1.5): `question.problem`, `question.ground_truth_answer`, and
`label.steps[]` with `completions[]` of `text` and `rating` (-1 wrong, 0 neutral, 1 right), `chosen_completion`, and
`human_completion` where a labeller wrote the step because all others were wrong. All lines of a question together are
one problem with a ready tree.
"""

import json
import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import JsonValue, ValidationError

from journeys.record import Problem, Record
from problems.raw_rows import read_raw
from problems.rows import Row
from settings import UserError

WAYS = "labelled_ways"
"""Where in a problem's metadata its labelled solutions are kept."""
_ANSWER = re.compile(r"\s*^# Answer\s*\n\s*", re.MULTILINE)


class Try(Record):
    """A step that somebody rated."""

    text: str
    rating: Literal[-1, 0, 1] = 0
    """1 right, -1 wrong, 0 neutral or not rated."""


class Place(Record):
    """What was tried at one place of a solution."""

    tries: tuple[Try, ...]
    chosen: int | None = None
    """The one of `tries` that the solution goes on with; None where it ends here."""


def places(label: Mapping[str, Any]) -> Iterator[Place]:
    """The places of a labelled solution, first to last. Raises KeyError, TypeError or ValueError for another shape."""
    for step in label["steps"]:
        tries = [_try(completion) for completion in step.get("completions") or ()]
        chosen, written = step.get("chosen_completion"), step.get("human_completion")
        if chosen is None and written is not None:
            chosen = len(tries)
            tries.append(Try(text=_text(written), rating=1))  # a labeller wrote it because all others were wrong
        if chosen is not None and not 0 <= chosen < len(tries):
            raise ValueError(f"step {chosen} of {len(tries)} is chosen")
        yield Place(tries=tuple(tries), chosen=chosen)
        if chosen is None:
            return


def read_prm800k(path: str) -> Iterator[Row]:
    """The file's questions in the order in which they come first, each with its labelled solutions.

    Lines of one question lie apart; they are put together on disk, in a file that SQLite drops at the end. What a
    labeller called a bad problem is left out.
    """
    held = sqlite3.connect("")
    held.execute("CREATE TABLE ways (question TEXT, number INTEGER, place TEXT, answer TEXT, way TEXT)")
    for number, (where, row) in enumerate(read_raw(path)):
        try:
            question, label = row["question"], row["label"]
            if label.get("finish_reason") == "bad_problem":
                continue
            way = json.dumps([place.model_dump() for place in places(label)])
            values = (question["problem"].strip(), number, where, question.get("ground_truth_answer"), way)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            said = str(error).splitlines()[0]
            raise UserError(
                f"{where}: not in PRM800K's shape ({type(error).__name__}: {said}); "
                "it needs question.problem, question.ground_truth_answer and label.steps"
            ) from None
        held.execute("INSERT INTO ways VALUES (?, ?, ?, ?, ?)", values)
    held.execute("CREATE INDEX by_question ON ways (question, number)")
    stem = Path(path).stem
    for question, first in held.execute("SELECT question, MIN(number) FROM ways GROUP BY question ORDER BY 2"):
        lines = held.execute("SELECT place, answer, way FROM ways WHERE question = ? ORDER BY number", (question,))
        told = lines.fetchall()
        ways: list[JsonValue] = [json.loads(way) for *_, way in told]
        place, answer, _ = told[0]
        yield Row(place, f"{stem}-{first}", question, answer, "prm800k", None, {WAYS: ways})


def labelled_ways(problem: Problem) -> Sequence[Sequence[Place]]:
    """The solutions that were labelled for a problem; none where it comes from another source."""
    try:
        return [[Place.model_validate(place) for place in way] for way in problem.metadata.get(WAYS, ())]  # type: ignore[union-attr]
    except (TypeError, ValidationError) as error:
        raise ValueError(f"{problem.id}: its labelled solutions cannot be read ({error})") from None


def _try(completion: Mapping[str, Any]) -> Try:
    rating = completion.get("rating") or 0
    if rating not in (-1, 0, 1):
        raise ValueError(f"a rating of {rating!r:.40}, which is none of -1, 0 and 1")
    return Try(text=_text(completion), rating=rating)


def _text(completion: Mapping[str, Any]) -> str:
    """The step; PRM800K's heading over a final answer becomes the label that every policy here writes."""
    return _ANSWER.sub("\nAnswer: ", str(completion["text"])).strip()
