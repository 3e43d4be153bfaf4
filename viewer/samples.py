"""An evaluation's samples as rows of the index: each sample is browsed as a journey of one model's own telling."""

import json
import sqlite3
from collections.abc import Iterator
from typing import Any

from viewer.folders import Source
from viewer.index import Replaced

OUTCOMES = {"right": "solved", "wrong": "wrong", "unparsed": "unparsed"}
AT_ONCE = 2_000
_PUT = """
INSERT OR REPLACE INTO journeys (n, id, problem_id, position, attempt, family, protocol, policy_persona, policy_model,
    status, outcome, stop_reason, prompt_tokens, completion_tokens, seconds, text_id, thought_chars, offset)
VALUES (?, ?, ?, ?, ?, ?, 'sampled', '', ?, 'finished', ?, ?, ?, ?, ?, ?, ?, ?)"""


def take_samples(db: sqlite3.Connection, source: Source) -> str:
    """Take in the lines written since. Returns what was wrong with lines that are no samples, or ''.

    Raises:
        Replaced: the file is shorter than what was taken from it.
    """
    state = dict(db.execute("SELECT key, value FROM meta WHERE key IN ('offset', 'line', 'damage')"))
    offset, line = int(state.get("offset", 0)), int(state.get("line", 0))
    damage: str = state.get("damage", "")
    size = source.samples.stat().st_size
    if size < offset:
        raise Replaced
    if size == offset:
        return damage
    places: dict[str, int] = dict(db.execute("SELECT problem_id, MIN(position) FROM journeys GROUP BY problem_id"))
    for batch in _lines(source, offset):
        db.execute("BEGIN IMMEDIATE")
        try:
            for start, raw in batch:
                line += 1
                offset = start + len(raw)
                if problem := _put(db, line, start, raw, places):
                    damage = f"{source.samples}: line {line} is no sample ({problem}); the others are shown"
            now: dict[str, Any] = {"offset": offset, "line": line, "damage": damage}
            db.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", [(k, str(v)) for k, v in now.items()])
        except BaseException:
            db.execute("ROLLBACK")
            raise
        db.execute("COMMIT")
    return damage


def sample_at(source: Source, offset: int) -> dict[str, Any]:
    """The sample whose line begins at `offset`. Raises ValueError where there is none any more."""
    with source.samples.open("rb") as file:
        file.seek(offset)
        value = json.loads(file.readline())
    if not isinstance(value, dict):
        raise ValueError("no sample")
    return value


def _lines(source: Source, offset: int) -> Iterator[list[tuple[int, bytes]]]:
    """Whole lines from `offset` on, with their places; the last one may still be on its way."""
    batch: list[tuple[int, bytes]] = []
    with source.samples.open("rb") as file:
        file.seek(offset)
        for raw in file:
            if not raw.endswith(b"\n"):
                break
            batch.append((offset, raw))
            offset += len(raw)
            if len(batch) == AT_ONCE:
                yield batch
                batch = []
    if batch:
        yield batch


def _put(db: sqlite3.Connection, line: int, start: int, raw: bytes, places: dict[str, int]) -> str:
    try:
        said = json.loads(raw)
        problem_id, text = str(said["problem_id"]), str(said["text"])
        values = (
            f"{problem_id}#{int(said['sample'])}@{said['model']}",
            problem_id,
            places.setdefault(problem_id, len(places)),
            int(said["sample"]),
            str(said["family"]),
            str(said["model"]),
            OUTCOMES[said["status"]],
            "cut off" if said["finish"] == "length" else said["status"],
            int(said["prompt_tokens"]),
            int(said["tokens"]),
            float(said["seconds"]),
        )
        question = str(said["question"])
    except (ValueError, KeyError, TypeError) as error:
        return f"{type(error).__name__}: {error}"[:80]
    row = db.execute("INSERT INTO texts (question, steps, said, thought) VALUES (?, '', '', ?)", (question, text))
    db.execute(_PUT, (line, *values, row.lastrowid, len(text), start))
    return ""
