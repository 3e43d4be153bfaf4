"""Rows of files and data sets, read lazily, and made into problems; every defect is one line that says where it is."""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import JsonValue

from journeys.record import Problem
from problems import gym
from problems.answers import reference_answer
from problems.number_games import TASKS as NUMBER_GAMES
from problems.numbers import plain_number
from problems.raw_rows import read_raw
from problems.verifier import choice_letter, words_of
from settings import Settings, UserError

USUAL_NAMES = {
    "question": ("question", "problem", "prompt", "input", "query", "instruction"),
    "answer": (
        "final_answer",
        "answer",
        "expected_answer",
        "ground_truth",
        "gold",
        "target",
        "label",
        "solution",
        "output",
    ),
    "id": ("id", "unique_id", "uid", "uuid", "problem_id", "question_id"),
    "family": ("family", "subject", "type", "category", "topic", "source"),
    "choices": ("choices", "options"),
}


class FieldNames(Settings):
    """The columns that hold a problem's parts."""

    question: str | None = None
    answer: str | None = None
    id: str | None = None
    family: str | None = None
    choices: str | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One raw problem, its parts found but not yet judged."""

    where: str
    """`file: line 7`."""
    id: str
    question: Any
    answer: Any
    family: str
    choices: Any
    said: Mapping[str, JsonValue] = field(default_factory=dict)
    """What else the source says, for `Problem.metadata`."""


def read_rows(path: str, names: FieldNames) -> Iterator[Row]:
    """The rows of a .jsonl or .parquet file, one at a time."""
    return _rows(read_raw(path), names, stem=Path(path).stem)


def read_hub(name: str, names: FieldNames, *, split: str, config_name: str | None) -> Iterator[Row]:
    """The rows of a data set that `datasets` can load, streamed."""

    def raw() -> Iterator[tuple[str, Mapping[str, Any]]]:
        from datasets import load_dataset  # type: ignore[import-untyped]

        try:
            for index, row in enumerate(load_dataset(name, config_name, split=split, streaming=True)):
                yield f"{name}: row {index}", row
        except UserError:
            raise
        except Exception as error:  # the library raises its dependencies' errors: network, disk, format, names
            said = " ".join(str(error).split())[:200]
            raise UserError(
                f"{name}: the data set cannot be loaded (split {split!r}, config {config_name!r}): "
                f"{type(error).__name__}: {said}"
            ) from None

    return _rows(raw(), names, stem=name.rpartition("/")[2])


def sniffed(row: Row, *, verifier: Literal["auto", "math", "choice", "text"], max_question_chars: int) -> Problem:
    """The row as a problem, its verifier chosen. Raises UserError for a row that cannot be one."""
    question = _question(row, max_question_chars)
    choices = _choices(row)
    answer = _answer_text(row)
    entry = row.said.get("metadata")
    if verifier == "auto" and isinstance(entry, dict) and (task := entry.get("source_dataset")) in NUMBER_GAMES:
        return _with_own_scorer(row, question, str(task), entry)
    if choices:
        question += "\n" + "\n".join(f"({chr(ord('A') + index)}) {choice}" for index, choice in enumerate(choices))
        answer = _choice_answer(row, answer, choices)
    kind = _kind_of(question, answer, bool(choices)) if verifier == "auto" else verifier
    gold = answer if kind in ("choice", "text") else reference_answer(answer)
    if kind == "text":
        gold = reference_answer(answer) if "####" in answer or "\\boxed" in answer else answer.strip()
    if not gold:
        raise UserError(
            f"{row.where}: no final answer can be found in {answer[:60]!r}; put it after '####' or in \\boxed{{}}"
        )
    if kind == "choice" and choice_letter(gold) is None:
        raise UserError(f"{row.where}: answer {gold[:60]!r} names no choice; use a letter, or verifier: text")
    if kind == "math" and not _readable(gold):
        raise UserError(
            f"{row.where}: answer {gold[:60]!r} cannot be read as mathematics; mend it or use verifier: text"
        )
    return Problem(
        id=row.id,
        question=question,
        answer=gold,
        family=row.family,
        verifier=kind,
        metadata={"choices": list(choices)} if choices else {k: v for k, v in row.said.items() if k != "metadata"},
    )


def _with_own_scorer(row: Row, question: str, task: str, metadata: dict[str, JsonValue]) -> Problem:
    """A number game that reasoning-gym wrote: its task's scorer looks at answers, of which many are right.

    Of other tasks no scorer sees a file's metadata: some of them evaluate what they find there.
    """
    stored = {"answer": row.answer, "metadata": metadata}
    numbers, target = metadata.get("numbers"), metadata.get("target", 24)
    whole = isinstance(numbers, list) and all(isinstance(number, int) for number in (*numbers, target))
    if not whole or not isinstance(row.answer, str) or gym.score(task, {}, stored, row.answer) != 1.0:
        raise UserError(
            f"{row.where}: answer {str(row.answer)[:60]!r} does not make metadata.target of metadata.numbers; "
            "mend it or use verifier: math"
        )
    return Problem(
        id=row.id,
        question=question,
        answer=row.answer,
        family=row.family,
        verifier="reasoning_gym",
        metadata={"task": task, "config": {}, "entry": stored},
    )


def _rows(raw: Iterator[tuple[str, Mapping[str, Any]]], names: FieldNames, *, stem: str) -> Iterator[Row]:
    for index, (where, row) in enumerate(raw):
        question = _column(row, "question", names.question, where, required=True)
        answer = _column(row, "answer", names.answer, where, required=True, but_not=question)
        given_id = _column(row, "id", names.id, where)
        family = _column(row, "family", names.family, where)
        choices = _column(row, "choices", names.choices, where)
        yield Row(
            where=where,
            id=str(row[given_id]) if given_id and row[given_id] is not None else f"{stem}-{index}",
            question=row[question] if question else None,
            answer=row[answer] if answer else None,
            family=str(row[family]) if family and isinstance(row[family], str) and row[family] else stem,
            choices=row[choices] if choices else None,
            said={"metadata": row["metadata"]} if isinstance(row.get("metadata"), dict) else {},
        )


def _column(
    row: Mapping[str, Any],
    part: str,
    named: str | None,
    where: str,
    *,
    required: bool = False,
    but_not: str | None = None,
) -> str | None:
    """The key that holds a part: the one the recipe names, or the first usual name there is."""
    if named is not None:
        if named not in row:
            raise UserError(f"{where}: no field {named!r} (problems.fields.{part}); there is {_listed(row)}")
        return named
    found = [name for name in USUAL_NAMES[part] if name in row and name != but_not]
    if found:
        return next((name for name in found if row[name] is not None), found[0])
    if required:
        raise UserError(f"{where}: no field for the {part}; there is {_listed(row)}; set problems.fields.{part}")
    return None


def _listed(row: Mapping[str, Any]) -> str:
    return ", ".join(map(repr, list(row)[:12])) or "nothing"


def _question(row: Row, limit: int) -> str:
    if not isinstance(row.question, str):
        raise UserError(
            f"{row.where}: the question is {type(row.question).__name__}, not text; set problems.fields.question"
        )
    question = row.question.strip()
    if not question:
        raise UserError(f"{row.where}: the question is empty; remove the row")
    if len(question) > limit:
        raise UserError(
            f"{row.where}: a question of {len(question)} characters (limit {limit}); remove it or raise "
            f"problems.max_question_chars"
        )
    return question


def _answer_text(row: Row) -> str:
    value = row.answer
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    missing = value is None or (isinstance(value, float) and math.isnan(value))
    if missing or (isinstance(value, str) and value.strip().lower() in ("", "nan", "null")):
        raise UserError(
            f"{row.where}: the answer is missing ({row.answer!r}); remove the row or set problems.fields.answer"
        )
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if not isinstance(value, str | int | float):
        raise UserError(
            f"{row.where}: the answer is {type(value).__name__}, not text or a number; set problems.fields.answer"
        )
    return str(value)


def _choices(row: Row) -> tuple[str, ...]:
    found = row.choices
    if isinstance(found, Mapping):
        found = found.get("text", list(found.values()))
    if not isinstance(found, list | tuple) or not 2 <= len(found) <= 26:
        return ()
    return tuple(re.sub(r"^\(?[A-Z][).:]\s+", "", str(choice)).strip() for choice in found)


def _choice_answer(row: Row, answer: str, choices: tuple[str, ...]) -> str:
    """The letter of the right choice, from a letter, an index from 0, or the choice's own text."""
    if answer.strip() in choices:
        return chr(ord("A") + choices.index(answer.strip()))
    letter = choice_letter(reference_answer(answer) or answer)
    if letter is not None and ord(letter) - ord("A") < len(choices):
        return letter
    if isinstance(row.answer, int) and 0 <= row.answer < len(choices):
        return chr(ord("A") + row.answer)
    raise UserError(f"{row.where}: answer {answer[:60]!r} is none of the {len(choices)} choices")


def _kind_of(question: str, answer: str, has_choices: bool) -> Literal["math", "choice", "text"]:
    if has_choices:
        return "choice"
    gold = reference_answer(answer) or ""
    lettered = re.search(r"(?:^|\s)\(?A[).:]", question) and re.search(r"(?:^|\s)\(?B[).:]", question)
    if lettered and re.fullmatch(r"\W*(?:\\text\{)?\W*[A-J]\W*", gold):
        return "choice"
    return "text" if words_of(gold) is not None and "\\" not in gold else "math"


def _readable(gold: str) -> bool:
    if plain_number(gold, units=True) is not None or words_of(gold) is not None:
        return True
    from problems.grading import parse

    try:
        return bool(parse(gold))
    except Exception:  # whatever sympy makes of an odd reference, it is not readable
        return False
