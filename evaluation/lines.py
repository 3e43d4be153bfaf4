"""A file of rows that only grows: appended to, never rewritten; a killed writer loses no line."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import ValidationError

from journeys.record import Record
from journeys.row_files import line as as_line
from settings import UserError

Row = TypeVar("Row", bound=Record)


class LineFile(Generic[Row]):
    """Rows of one kind, a line each. Subclasses know which rows are there."""

    kind: type[Row]

    def __init__(self, path: Path) -> None:
        self.path = path

    def mark(self, row: Row) -> None:
        """The row is in the file."""

    def open(self) -> None:
        """Drop a line that a killed writer left half-written, and see what is there.

        Raises:
            UserError: it cannot be read or written, or a whole line is no row.
        """
        try:
            self.path.touch()
            _drop_torn_line(self.path)
        except OSError as error:
            raise UserError(f"{self.path}: cannot be written: {error.strerror}; set outputs_dir to another") from None
        for row in self:
            self.mark(row)

    def add(self, row: Row) -> None:
        """Append a row; once this returns, only the loss of the machine can lose it."""
        data = as_line(row.model_dump(mode="json")).encode()
        try:
            with self.path.open("ab", buffering=0) as file:
                file.write(data)
        except OSError as error:
            raise UserError(f"{self.path}: cannot be written: {error.strerror}; free some space") from None
        self.mark(row)

    def __iter__(self) -> Iterator[Row]:
        """Every row in the order of the file, one in memory at a time."""
        with self.path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                try:
                    yield self.kind.model_validate(json.loads(line))
                except (ValueError, ValidationError):
                    raise UserError(
                        f"{self.path}: line {number} is no {self.kind.__name__.lower()}; "
                        "take it out and run the same command again"
                    ) from None


def _drop_torn_line(path: Path) -> None:
    """Cut the file behind its last line end."""
    with path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        end = size
        while end:
            start = max(0, end - 65_536)
            file.seek(start)
            found = file.read(end - start).rfind(b"\n")
            if found >= 0:
                end = start + found + 1
                break
            end = start
        if end < size:
            file.truncate(end)
