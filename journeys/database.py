"""The SQLite file under the store: its tables, how it is opened, and what can go wrong with it in plain words."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from journeys.tables import TABLES
from settings import UserError

SCHEMA_VERSION = "1"
APPLICATION_ID = 0x52545243
"""Written into the file's header, so that a foreign database is told from ours before it is touched."""


def connect(path: Path, *, read_only: bool) -> sqlite3.Connection:
    """The database at `path`, created when it is not there and may be written.

    Raises:
        UserError: it cannot be opened or is not a store.
    """
    if read_only and not path.is_file():
        raise UserError(f"{path}: there is no store here; `python run.py generate` makes one")
    with one_line_errors(path):
        db = sqlite3.connect(address(path, read_only=read_only), uri=True, isolation_level=None, timeout=30)
        try:
            _prepare(db, path, read_only=read_only)
        except BaseException:
            db.close()
            raise
    return db


def hold_writer_lock(path: Path) -> sqlite3.Connection:
    """Claim `path` for this process until the connection is closed or the process dies.

    The lock is an open transaction on an empty database beside the store: the system releases it whatever kills the
    process, children do not inherit it, and it works wherever SQLite does.
    """
    with one_line_errors(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"{path.parent}: cannot make this folder: {error.strerror}") from None
        lock = sqlite3.connect(path.with_name(path.name + ".lock"), isolation_level=None, timeout=0)
        try:
            lock.execute("PRAGMA journal_mode = MEMORY")
            lock.execute("BEGIN EXCLUSIVE")
        except BaseException:
            lock.close()
            raise
    return lock


@contextmanager
def one_line_errors(path: Path) -> Iterator[None]:
    """Turn what SQLite says into a UserError that names the file and the remedy."""
    try:
        yield
    except sqlite3.ProgrammingError:
        raise
    except sqlite3.Error as error:
        name = getattr(error, "sqlite_errorname", "")
        remedy = next((text for prefix, text in REMEDIES.items() if name.startswith(prefix)), None)
        raise UserError(f"{path}: {remedy or error}".replace("\n", " ")) from error


REMEDIES = {
    "SQLITE_FULL": "the disk is full; free some space and run the same command again, nothing that was stored is lost",
    "SQLITE_READONLY": "cannot be written; make the file and its folder writable, or name another folder",
    "SQLITE_CANTOPEN": "cannot be opened; check that its folder exists and may be written",
    "SQLITE_PERM": "no permission to open it; check the owner of the file and its folder",
    "SQLITE_NOTADB": "not a store of this program (not an SQLite file); move it away or name another folder",
    "SQLITE_CORRUPT": "the store is damaged; restore it from a copy or start again in another folder",
    "SQLITE_BUSY": "another process is writing this run; wait for it to end or name another folder",
    "SQLITE_IOERR": "the disk failed while the store was read or written; check the disk, then run the command again",
    "SQLITE_TOOBIG": "a text is too large to be stored; look for a problem of hundreds of megabytes",
}


def address(path: Path, *, read_only: bool) -> str:
    """The file as SQLite's URI."""
    if not read_only:
        return f"{path.absolute().as_uri()}?mode=rwc"
    # A write-ahead log is read through shared memory beside it; a read-only disk has no writer and needs none.
    unwritable = not os.access(path.parent, os.W_OK)
    return f"{path.absolute().as_uri()}?mode=ro{'&immutable=1' if unwritable else ''}"


def _prepare(db: sqlite3.Connection, path: Path, *, read_only: bool) -> None:
    """Tell a new file from ours and from a foreign one, and set the connection up."""
    (application,) = db.execute("PRAGMA application_id").fetchone()
    (objects,) = db.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
    if (objects and application != APPLICATION_ID) or (read_only and not objects):
        raise UserError(f"{path}: not a store of this program; move it away or name another folder")
    if not read_only:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute("PRAGMA foreign_keys = ON")
    if not objects:
        db.executescript(
            f"BEGIN IMMEDIATE; PRAGMA application_id = {APPLICATION_ID}; {TABLES}"
            f"INSERT INTO meta VALUES ('schema_version', '{SCHEMA_VERSION}'); COMMIT;"
        )
    elif not read_only:
        db.execute("CREATE TABLE IF NOT EXISTS trees (journey_id TEXT PRIMARY KEY REFERENCES journeys (id), json TEXT)")
    version = db.execute("SELECT value FROM meta WHERE key = 'schema_version'").fetchone()
    if version != (SCHEMA_VERSION,):
        found = version[0] if version else "none"
        raise UserError(
            f"{path}: schema version {found}, this program reads {SCHEMA_VERSION}; use the matching release"
        )
