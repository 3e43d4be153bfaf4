"""Rows of training data, from runs and files, each knowing where it stands so that a complaint can name it."""

import hashlib
import json
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from settings import UserError

R = TypeVar("R")
ROLES = ("system", "user", "assistant")


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a prompt."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Source:
    """Where a row stands."""

    file: str
    number: int
    """Counted from 1: the line of a JSONL file, the row of a Parquet file."""

    def __str__(self) -> str:
        return f"{self.file}: row {self.number}"


@dataclass(frozen=True, slots=True)
class SFTRow:
    """A prompt and what to write for it."""

    source: Source
    prompt: tuple[Message, ...]
    """If the last message is the assistant's it is unfinished, and the completion continues it."""
    completion: str
    answer: str | None = None
    gone: tuple[tuple[int, int], ...] = ()
    """Where in the completion no loss falls with `learn: standing`, as (start, end) in characters: steps that were
    taken back, where a run knows them, and doubts that a program wrote."""


def read_sft(paths: Sequence[str], *, data_kind: str) -> list[SFTRow]:
    """The SFT rows of run folders and files, in order.

    Raises:
        UserError: nothing named, no such file, no rows, a run without accepted journeys, or a row that is no row.
    """
    return [sft_row(raw, source) for raw, source in read_all(paths, exports=f"{data_kind}_sft")]


def read_all(paths: Sequence[str], *, exports: str) -> Iterator[tuple[Mapping[str, Any], Source]]:
    """The raw rows of run folders (their set `exports`) and of files, each with its place."""
    if not paths:
        raise UserError("data: nothing to train on; name a run folder or a file of rows with --data")
    for path in paths:
        file = find_file(path, exports=exports)
        empty = True
        for raw, source in read_file(file):
            empty = False
            yield raw, source
        if empty:
            raise UserError(_why_empty(file, exports))


def find_file(path: str, *, exports: str) -> Path:
    """The file of rows behind a run folder, an exports folder, or a file's own path."""
    place = Path(path).expanduser()
    if place.is_file():
        return place
    if not place.exists():
        raise UserError(f"data: {path}: no such file or run folder{_neighbours(place)}")
    for folder in (place / "exports", place):
        for suffix in (".jsonl", ".parquet"):
            if (file := folder / f"{exports}{suffix}").is_file():
                return file
    if (place / "journeys.db").exists():
        if exports == "ppm" and (place / "exports" / "step_labels.jsonl").is_file():
            raise UserError(f"data: {path}: no search of mcts grew this run, so it has no pairs; see configs/ppm.yaml")
        raise UserError(
            f"data: {path}: this run has no exports/{exports}.jsonl yet; finish it by running generate on it again"
        )
    raise UserError(f"data: {path}: no exports/{exports}.jsonl or .parquet in this folder; is it a run?")


def read_file(file: Path) -> Iterator[tuple[Mapping[str, Any], Source]]:
    """The rows of a .jsonl or .parquet file, one at a time."""
    match file.suffix.lower():
        case ".jsonl" | ".ndjson":
            rows: Iterator[tuple[int, Any]] = _jsonl(file)
        case ".parquet":
            rows = _parquet(file)
        case other:
            raise UserError(f"data: {file}: unknown kind of file {other or '(no extension)'!r}; use .jsonl or .parquet")
    for number, row in rows:
        source = Source(str(file), number)
        if not isinstance(row, dict):
            raise UserError(f"{source}: expected an object with named columns, found {type(row).__name__}")
        yield row, source


def sft_row(raw: Mapping[str, Any], source: Source) -> SFTRow:
    """A raw row as an SFT row: `prompt` and `completion` in either of TRL's formats, or `messages`.

    Plain strings are read as what the user says and what the assistant answers.
    """
    if "messages" in raw and "completion" not in raw:
        whole = messages(raw["messages"], source, column="messages", default_role="user")
        if len(whole) < 2 or whole[-1].role != "assistant":
            raise UserError(f"{source}: messages: must end with what the assistant answers")
        prompt, completion = whole[:-1], whole[-1].content
    else:
        missing = [column for column in ("prompt", "completion") if column not in raw]
        if missing:
            raise UserError(
                f"{source}: column {missing[0]!r} is missing (there is {', '.join(map(str, sorted(raw)))}); "
                "SFT rows have 'prompt' and 'completion'"
            )
        prompt = messages(raw["prompt"], source, column="prompt", default_role="user")
        completion = written(raw["completion"], source, column="completion")
    answer = raw.get("answer")
    return SFTRow(source, prompt, completion, answer if isinstance(answer, str) else None, _gone(raw.get("spans")))


def _gone(spans: Any) -> tuple[tuple[int, int], ...]:
    """The places of steps that were taken back, from a run's column `spans`; nothing where there is no such column."""
    try:
        read = json.loads(spans) if isinstance(spans, str) else []
        return tuple((int(span["start"]), int(span["end"])) for span in read if span.get("gone"))
    except (ValueError, TypeError, KeyError, AttributeError):  # a column of that name from elsewhere
        return ()


def messages(value: Any, source: Source, *, column: str, default_role: str) -> tuple[Message, ...]:
    """A prompt in either format as messages, none of them blank."""
    if isinstance(value, str):
        value = [{"role": default_role, "content": value.strip()}]
    if not isinstance(value, Sequence) or not value:
        raise UserError(f"{source}: {column}: expected a text or a list of messages, found {_kind(value)}")
    found = []
    for message in value:
        role = message.get("role") if isinstance(message, Mapping) else None
        content = message.get("content") if isinstance(message, Mapping) else None
        if role not in ROLES or not isinstance(content, str):
            raise UserError(f"{source}: {column}: a message needs a role ({', '.join(ROLES)}) and a text as content")
        if not content.strip():
            raise UserError(f"{source}: {column}: the {role}'s message is blank")
        found.append(Message(role, _whole(content, source, column=column)))
    return tuple(found)


def written(value: Any, source: Source, *, column: str) -> str:
    """What the assistant writes, from a text or a list that holds one assistant message. Blank or NaN is an error."""
    if isinstance(value, str):
        text = value
    else:
        found = messages(value, source, column=column, default_role="assistant")
        if len(found) != 1 or found[0].role != "assistant":
            raise UserError(f"{source}: {column}: expected one message of the assistant, found {len(found)} messages")
        text = found[0].content
    if not text.strip():
        raise UserError(f"{source}: {column}: is blank")
    return _whole(text, source, column=column)


def _whole(text: str, source: Source, *, column: str) -> str:
    """The text. Raises UserError for half a character, which JSON can write and no tokenizer can read."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise UserError(
            f"{source}: {column}: half a character (a lone surrogate) at place {error.start}; mend or remove the row"
        ) from None
    return text


def drawn(rows: Sequence[R], *, limit: int | None, seed: int) -> list[R]:
    """At most `limit` rows, drawn by the seed and kept in order."""
    if limit is None or limit >= len(rows):
        return list(rows)
    chosen = random.Random(f"rows {seed}").sample(range(len(rows)), limit)
    return [rows[place] for place in sorted(chosen)]


def digest(rows: Iterable[R], text: Callable[[R], str]) -> str:
    """A short name for the content of the rows, wherever they stand."""
    told = hashlib.sha256()
    for row in rows:
        told.update(text(row).encode("utf-8", "surrogatepass") + b"\0")
    return told.hexdigest()[:16]


def _jsonl(file: Path) -> Iterator[tuple[int, Any]]:
    try:
        with file.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield number, json.loads(line)
    except OSError as error:
        raise UserError(f"data: {file}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UserError(f"{Source(str(file), number)}: is not UTF-8 text; is this a .jsonl file?") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{Source(str(file), number)}: is not JSON: {str(error)[:120]}") from None


def _parquet(file: Path) -> Iterator[tuple[int, Any]]:
    import pyarrow  # type: ignore[import-untyped]
    import pyarrow.parquet  # type: ignore[import-untyped]

    number = 0
    try:
        with pyarrow.parquet.ParquetFile(file) as table:
            for batch in table.iter_batches(batch_size=512):
                for row in batch.to_pylist():
                    number += 1
                    yield number, row
    except (OSError, pyarrow.ArrowException) as error:
        raise UserError(f"data: {file}: cannot be read as Parquet: {str(error).splitlines()[0][:160]}") from None


def _why_empty(file: Path, exports: str) -> str:
    if file.stem == exports and file.parent.name == "exports":
        return f"data: {file.parent.parent}: this run has no accepted journeys to learn from ({file.name} is empty)"
    return f"data: {file}: is empty; there is nothing to train on"


def _kind(value: Any) -> str:
    return "nothing" if value is None or value != value or value == [] else type(value).__name__


def _neighbours(place: Path) -> str:
    folder = place.parent
    found = sorted(p.name for p in folder.iterdir() if not p.name.startswith("."))[:8] if folder.is_dir() else []
    return f"; there is {', '.join(found)} in {folder}" if found else ""
