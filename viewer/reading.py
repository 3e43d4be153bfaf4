"""Fills the index from a run that may still be growing: first the columns, at once; then the texts, bit by bit."""

import math
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from journeys.database import address, connect
from journeys.record import Journey
from journeys.stitching.thought import Thought, stitch
from journeys.store import Store
from settings import UserError
from viewer.folders import Source
from viewer.index import COPIED, INDICES, SORT_IN, Replaced
from viewer.samples import take_samples

CHUNK = 10_000
SMALL_CHUNK = 100
"""Rows taken at once; the small number where a damaged page stands in the way of the large one."""
BATCH = 32
"""Journeys whose texts are read in one transaction: short enough that nobody waits for it."""
UNREADABLE = -1
"""The `text_id` of a journey that is damaged."""

_NAMES = ", ".join(COPIED)
_TAKE = f"INSERT INTO journeys (n, {_NAMES}) SELECT rowid, {_NAMES} FROM store.journeys WHERE rowid > ? AND rowid <= ?"
_TAKE_AGAIN = (
    f"UPDATE journeys SET ({_NAMES}, text_id, kind) = (SELECT {_NAMES}, NULL, NULL FROM store.journeys AS now "
    "WHERE now.rowid = n) WHERE status <> 'finished' AND (status, COALESCE(turns, -1)) <> "
    "(SELECT now.status, COALESCE(now.turns, -1) FROM store.journeys AS now WHERE now.rowid = n)"
)


def take_columns(db: sqlite3.Connection, source: Source, *, seconds: float = math.inf) -> tuple[str, int]:
    """Bring the index's rows up to the source: what is new, and what was not finished when it was last looked at.

    Returns what stood in the way of some rows, in one line, or ''; and how many rows were left after `seconds`.

    Raises:
        UserError: the source cannot be opened at all.
        Replaced: the index belongs to an earlier run in the same place; it must be discarded.
    """
    if source.kind == "evaluation":
        damage, behind = take_samples(db, source), 0
    else:
        with closing(connect(source.store, read_only=True)):  # says in one line why it cannot be opened
            pass
        with _attached(db, source):
            damage, behind = _take_run(db, source, until=time.monotonic() + seconds)
    if not behind:
        db.executescript(INDICES)
    with transaction(db):
        for statement in SORT_IN:
            db.execute(statement)
    return damage, behind


def read_texts(db: sqlite3.Connection, source: Source, *, limit: int = BATCH) -> int:
    """Read the texts of up to `limit` journeys that ended and were not read yet. Returns how many there were."""
    if source.kind != "run":
        return 0
    waiting = db.execute(
        "SELECT n, id FROM journeys WHERE text_id IS NULL AND status <> 'growing' ORDER BY n LIMIT ?", (limit,)
    ).fetchall()
    if not waiting:
        return 0
    with Store(source.store, read_only=True) as store:
        read = [(n, _read(store, journey_id)) for n, journey_id in waiting]
    with transaction(db):
        for n, texts in read:
            _keep(db, n, texts)
        for statement in SORT_IN:
            db.execute(statement)
    return len(waiting)


def unread(db: sqlite3.Connection) -> int:
    """Journeys that ended and whose texts are not in the index yet."""
    (count,) = db.execute("SELECT COUNT(*) FROM journeys WHERE text_id IS NULL AND status <> 'growing'").fetchone()
    return int(count)


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """All of the block's statements, or none."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


@contextmanager
def _attached(db: sqlite3.Connection, source: Source) -> Iterator[None]:
    db.execute("ATTACH ? AS store", (address(source.store, read_only=True),))
    try:
        yield
    finally:
        db.execute("DETACH store")


def _take_run(db: sqlite3.Connection, source: Source, *, until: float) -> tuple[str, int]:
    (known,) = db.execute("SELECT COALESCE(MAX(n), 0) FROM journeys").fetchone()
    try:
        (last,) = db.execute("SELECT COALESCE(MAX(rowid), 0) FROM store.journeys").fetchone()
        same = db.execute(
            "SELECT journeys.id = now.id FROM journeys JOIN store.journeys AS now ON now.rowid = n WHERE n = ?",
            (known,),
        ).fetchone()
        if known and (known > last or same != (1,)):
            raise Replaced
        with transaction(db):
            db.execute(_TAKE_AGAIN)
        _forget_old_thoughts(db)
    except sqlite3.DatabaseError as error:
        return f"{source.store}: damaged ({error}); restore it from a copy; what could be read is shown", 0
    return _take_new(db, source, after=known, last=last, until=until)


def _take_new(db: sqlite3.Connection, source: Source, *, after: int, last: int, until: float) -> tuple[str, int]:
    damage, step = "", CHUNK
    while after < last:
        if time.monotonic() > until:
            return damage, last - after
        try:
            with transaction(db):
                db.execute(_TAKE, (after, after + step))
        except sqlite3.DatabaseError as error:
            if step == CHUNK:
                step = SMALL_CHUNK
                continue
            damage = f"{source.store}: damaged ({error}); restore it from a copy; what could be read is shown"
        after += step
    return damage, 0


def _forget_old_thoughts(db: sqlite3.Connection) -> None:
    """Read journeys again whose thought a model has told since."""
    known = db.execute("SELECT value FROM meta WHERE key = 'thoughts'").fetchone()
    after = int(known[0]) if known else 0
    told = db.execute("SELECT rowid, journey_id FROM store.thoughts WHERE rowid > ?", (after,)).fetchall()
    if told:
        with transaction(db):
            db.executemany("UPDATE journeys SET text_id = NULL WHERE id = ?", [(each,) for _, each in told])
            db.execute("INSERT OR REPLACE INTO meta VALUES ('thoughts', ?)", (str(max(row for row, _ in told)),))


def _read(store: Store, journey_id: str) -> dict[str, Any] | None:
    """A journey's texts; None where it is damaged."""
    try:
        journey = store.get(journey_id)
        return _texts(journey, store.thought(journey_id, shortcut=False)) if journey else None
    except (UserError, ValueError):
        return None


def _texts(journey: Journey, stored: Thought | None) -> dict[str, Any]:
    thought = stored or (stitch(journey) if journey.turns else None)
    return {
        "question": journey.problem.question,
        "steps": "\n".join(turn.step for turn in journey.turns),
        "said": "\n".join(turn.verdict.critique for turn in journey.turns),
        "thought": thought.text if thought else "",
        "gate": thought.gate.passed if thought else None,
        "moves": "".join(turn.verdict.move.value[0] for turn in journey.turns),
    }


def _keep(db: sqlite3.Connection, n: int, texts: dict[str, Any] | None) -> None:
    if texts is None:
        db.execute("UPDATE journeys SET text_id = ?, kind = NULL WHERE n = ?", (UNREADABLE, n))
        return
    said = (texts["question"], texts["steps"], texts["said"], texts["thought"])
    row = db.execute("INSERT INTO texts (question, steps, said, thought) VALUES (?, ?, ?, ?)", said)
    db.execute(
        "UPDATE journeys SET text_id = ?, gate = ?, thought_chars = ?, moves = ?, kind = NULL WHERE n = ?",
        (row.lastrowid, texts["gate"], len(texts["thought"]), texts["moves"], n),
    )
