"""The index beside a run: what is browsed by, in narrow rows that SQLite can count and sort while a page loads.

A run's store keeps journeys whole; a question such as "solved, with two backtracks, that say *wait*" would read all of
it. The index holds one narrow row for each journey (for an evaluation: for each sample) and the words of its texts. It
is derived: kept in the cache folder, filled while a run is looked at (`reading.py`), thrown away when it does not
fit its source any more.
"""

import hashlib
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engines.embedded import cache_root
from journeys.database import one_line_errors
from settings import UserError
from viewer.folders import Source

VERSION = "1"
_MAKING = threading.Lock()
COPIED = (
    *("id", "problem_id", "position", "attempt", "family", "protocol", "policy_persona", "policy_model"),
    *("critic_persona", "critic_model", "status", "outcome", "stop_reason", "turns", "path_length", "backtracks"),
    *("reflects", "terminates", "errors_removed", "parse_failures", "prompt_tokens", "completion_tokens", "seconds"),
    *("lucky", "hinted"),
)
"""Columns taken over from the store as they are."""
TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE kinds (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE);
CREATE TABLE journeys (
    n INTEGER PRIMARY KEY,          -- the store's rowid, or a sample's line
    id TEXT NOT NULL,
    problem_id TEXT NOT NULL,
    position INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    family TEXT NOT NULL,
    protocol TEXT NOT NULL,
    policy_persona TEXT NOT NULL,
    policy_model TEXT NOT NULL,
    critic_persona TEXT,
    critic_model TEXT,
    status TEXT NOT NULL,
    outcome TEXT,
    stop_reason TEXT,
    turns INTEGER,
    path_length INTEGER,
    backtracks INTEGER,
    reflects INTEGER,
    terminates INTEGER,
    errors_removed INTEGER,
    parse_failures INTEGER,
    prompt_tokens INTEGER,
    completion_tokens INTEGER,
    seconds REAL,
    lucky INTEGER,
    hinted INTEGER,
    text_id INTEGER,                -- its row in `texts`; this and all below: null until it was read
    gate INTEGER,                   -- whether the thought passes the fidelity gate
    thought_chars INTEGER,
    moves TEXT,                     -- a letter a turn: c, b, r, t
    offset INTEGER,                 -- a sample's place in its file
    kind INTEGER                    -- which of `kinds`; null until it was sorted in
);
CREATE VIRTUAL TABLE texts USING fts5(
    question, steps, said, thought, content = '', tokenize = 'unicode61 remove_diacritics 2');
"""
INDICES = """
CREATE UNIQUE INDEX IF NOT EXISTS by_id ON journeys (id);
CREATE INDEX IF NOT EXISTS in_order ON journeys (position, attempt, n);
CREATE INDEX IF NOT EXISTS by_problem ON journeys (problem_id);
CREATE INDEX IF NOT EXISTS by_kind ON journeys (kind);
CREATE INDEX IF NOT EXISTS unsorted ON journeys (n) WHERE kind IS NULL;
CREATE INDEX IF NOT EXISTS unread ON journeys (n) WHERE text_id IS NULL AND status <> 'growing';
CREATE INDEX IF NOT EXISTS unfinished ON journeys (n) WHERE status <> 'finished';
"""
"""Made once the first rows are in: sorting at once is quicker than row by row."""
KIND = {
    "outcome": "CASE status WHEN 'growing' THEN 'growing' ELSE outcome END",
    "protocol": "protocol",
    "persona": "policy_persona",
    "critic": "COALESCE(critic_persona, 'none')",
    "model": "policy_model",
    "family": "family",
    "lucky": "COALESCE(lucky, 0)",
    "hinted": "COALESCE(hinted, 0)",
    "gate": "gate",
    "error-removed": "COALESCE(errors_removed > 0, 0)",
    "parse-failure": "COALESCE(parse_failures > 0, 0)",
    "backtrack": "COALESCE(backtracks > 0, 0)",
    "reflect": "COALESCE(reflects > 0, 0)",
    "terminate": "COALESCE(terminates > 0, 0)",
    "damaged": "COALESCE(text_id = -1, 0)",
}
"""What makes two journeys of one kind. There are few kinds and many journeys: counts by kind answer every question that
is about these, in one pass over integers."""
_KEY = f"json_array({', '.join(KIND.values())})"
SORT_IN = (
    f"INSERT OR IGNORE INTO kinds (key) SELECT DISTINCT {_KEY} FROM journeys WHERE kind IS NULL",
    f"UPDATE journeys SET kind = (SELECT kinds.id FROM kinds WHERE key = {_KEY}) WHERE kind IS NULL",
)
"""Gives every journey without a kind its kind."""


class Replaced(Exception):
    """The source is another than the one that the index was made from."""


def index_path(source: Source) -> Path:
    """Where a source's index is kept."""
    digest = hashlib.sha256(str(source.path).encode()).hexdigest()[:16]
    return cache_root() / "viewer" / f"{source.path.name[:40]}-{digest}.db"


@contextmanager
def open_index(source: Source) -> Iterator[sqlite3.Connection]:
    """A connection to the source's index, made anew where it belongs to another state of the source.

    Raises:
        UserError: neither the cache folder nor the index in it can be written.
    """
    path = index_path(source)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{path.parent}: cannot be made: {error.strerror}; set RETRACE_CACHE to a folder") from None
    with one_line_errors(path):
        db = _connect(path)
        try:
            with _MAKING:
                if _meta(db) != _expected(source):
                    db.close()
                    discard(source)
                    db = _connect(path)
                    _create(db, source)
            yield db
        finally:
            db.close()


def discard(source: Source) -> None:
    """Throw the index away; it is made anew when it is next opened."""
    for part in ("", "-wal", "-shm"):
        Path(f"{index_path(source)}{part}").unlink(missing_ok=True)


def _connect(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None, timeout=20, uri=True)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = OFF")  # derived: a power cut costs a new index, nothing else
    db.execute("PRAGMA cache_size = -32768")
    db.execute("PRAGMA temp_store = MEMORY")  # what a search found: a few bytes a journey
    return db


def _create(db: sqlite3.Connection, source: Source) -> None:
    db.executescript(f"BEGIN IMMEDIATE; {TABLES}; COMMIT")
    db.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", _expected(source).items())


def _meta(db: sqlite3.Connection) -> dict[str, str]:
    try:
        return dict(db.execute("SELECT key, value FROM meta WHERE key IN ('version', 'file')"))
    except sqlite3.DatabaseError:  # empty, half made, or damaged
        return {}


def _expected(source: Source) -> dict[str, str]:
    """What the index must have been made of: a file that was replaced by another has another number."""
    file = source.store if source.kind == "run" else source.samples
    try:
        number = os.stat(file).st_ino
    except OSError:
        number = 0
    return {"version": VERSION, "file": f"{file} {number}"}
