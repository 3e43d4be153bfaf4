"""What a reader thinks of a step or a thought: kept in the run's folder, exported as step labels and preference pairs.

One SQLite file beside the store, `judgements.db`: the store itself stays as the run wrote it. A judgement is replaced
by the next one on the same step, and taken back by one that says nothing.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from journeys.database import one_line_errors
from journeys.record import Record
from settings import UserError
from viewer.queries import Judged

NAME = "judgements.db"
THOUGHT = -1
"""The `turn` of a judgement on the whole thought."""
TABLE = """
CREATE TABLE IF NOT EXISTS judgements (
    journey_id TEXT NOT NULL,
    turn INTEGER NOT NULL,          -- -1: the whole thought
    mark TEXT NOT NULL CHECK (mark IN ('good', 'bad', '')),
    note TEXT NOT NULL,
    at TEXT NOT NULL,               -- UTC
    PRIMARY KEY (journey_id, turn)
)"""


class Judgement(Record):
    """A reader's mark on one step, or on the thought."""

    journey_id: str = Field(min_length=1, max_length=1000)
    turn: int = Field(THOUGHT, ge=THOUGHT)
    mark: Literal["good", "bad", ""] = ""
    """Empty with a note: a remark that takes no side."""
    note: str = Field("", max_length=4000)
    at: str = ""


class Judgements:
    """The judgements of one folder. Opened for a moment at a time, so that several readers can judge side by side."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME

    def put(self, judgement: Judgement) -> Judgement:
        """Keep a judgement in place of an earlier one; one without mark and note takes the earlier one back.

        Raises:
            UserError: the folder cannot be written.
        """
        kept = judgement.model_copy(update={"at": datetime.now(UTC).isoformat(timespec="seconds")})
        with self._open(write=True) as db:
            if db is None:
                raise UserError(f"{self.path}: cannot be written; make the folder writable")
            if kept.mark or kept.note.strip():
                db.execute(
                    "INSERT OR REPLACE INTO judgements VALUES (?, ?, ?, ?, ?)",
                    (kept.journey_id, kept.turn, kept.mark, kept.note, kept.at),
                )
            else:
                db.execute("DELETE FROM judgements WHERE journey_id = ? AND turn = ?", (kept.journey_id, kept.turn))
        return kept

    def of(self, journey_id: str) -> dict[int, Judgement]:
        """A journey's judgements by turn."""
        return {one.turn: one for one in self._read("WHERE journey_id = ?", (journey_id,))}

    def all(self) -> list[Judgement]:
        """Every judgement, the newest first."""
        return self._read("ORDER BY at DESC, journey_id, turn")

    def judged(self) -> Judged:
        """Which journeys hold a good or a bad mark."""
        marks: dict[str, set[str]] = {"good": set(), "bad": set()}
        for one in self._read("WHERE mark <> ''"):
            marks[one.mark].add(one.journey_id)
        return Judged(good=marks["good"], bad=marks["bad"])

    def _read(self, tail: str, values: Sequence[Any] = ()) -> list[Judgement]:
        with self._open(write=False) as db:
            if db is None:
                return []
            rows = db.execute(f"SELECT journey_id, turn, mark, note, at FROM judgements {tail}", values).fetchall()
        names = ("journey_id", "turn", "mark", "note", "at")
        return [Judgement.model_validate(dict(zip(names, row, strict=True))) for row in rows]

    @contextmanager
    def _open(self, *, write: bool) -> Iterator[sqlite3.Connection | None]:
        if not write and not self.path.exists():
            yield None
            return
        with one_line_errors(self.path):
            address = f"{self.path.absolute().as_uri()}?mode={'rwc' if write else 'ro'}"
            with closing(sqlite3.connect(address, uri=True, timeout=10)) as db, db:
                if write:
                    db.execute(TABLE)
                yield db
