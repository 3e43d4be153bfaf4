"""Rows that wait to be written, and are committed together in the order in which they were made."""

import sqlite3
import time
from pathlib import Path
from typing import Any

from journeys.database import one_line_errors
from journeys.tables import ADD_PROBLEM, ADD_TURN
from settings import UserError


class WriteBuffer:
    """Statements of `journeys.tables` with their values, until `max_rows` wait or the oldest is `max_seconds` old.

    After a failed flush nothing of its batch is stored and every later write fails in the same way, since it could rest
    on what is missing.
    """

    def __init__(self, db: sqlite3.Connection, path: Path, *, max_rows: int, max_seconds: float) -> None:
        self.path = path
        self.max_rows = max_rows
        self.max_seconds = max_seconds
        self._db = db
        self._rows: list[tuple[str, tuple[Any, ...]]] = []
        self._oldest = 0.0
        self._fault: Exception | None = None

    @property
    def failed(self) -> bool:
        return self._fault is not None

    def add(self, statement: str, values: tuple[Any, ...]) -> None:
        if self._fault:
            raise self._fault
        if not self._rows:
            self._oldest = time.monotonic()
        self._rows.append((statement, values))
        if len(self._rows) >= self.max_rows or time.monotonic() - self._oldest >= self.max_seconds:
            self.flush()

    def flush(self) -> None:
        """Commit what waits as one transaction: all of it or nothing.

        Raises:
            UserError: the file cannot be written, or a problem is not the one that is stored.
            ValueError: another row contradicts what is stored.
        """
        if self._fault:
            raise self._fault
        if not self._rows:
            return
        rows, self._rows = self._rows, []
        try:
            with one_line_errors(self.path):
                self._db.execute("BEGIN IMMEDIATE")
                for statement, values in rows:
                    if self._db.execute(statement, values).rowcount != 1:
                        raise self._contradiction(statement, values)
                self._db.execute("COMMIT")
        except Exception as error:
            self._fault = error
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    def _contradiction(self, statement: str, values: tuple[Any, ...]) -> Exception:
        if statement is ADD_PROBLEM:
            return UserError(
                f"{self.path}: problem {values[0]!r} is not the one this run began with; use another folder"
            )
        if statement is ADD_TURN:
            return ValueError(f"{values[0]}: turn {values[1]} is already stored with other content")
        return ValueError(f"{self.path}: this contradicts what is stored: {statement.split()[0]} {values!r:.200}")
