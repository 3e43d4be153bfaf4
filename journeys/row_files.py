"""Rows to disk: the same rows as JSONL and Parquet, in bounded memory, complete or not there at all."""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from settings import UserError

ROWS_HELD = 512
"""Rows in memory, and in a Parquet row group."""


class RowFile:
    """One set of rows, written twice."""

    def __init__(self, folder: Path, name: str, format: Literal["conversational", "standard"]) -> None:
        import pyarrow.parquet  # type: ignore[import-untyped]

        self.folder = folder
        self.rows = 0
        self._schema = schema(name, format)
        self._held: list[dict[str, Any]] = []
        self._lines = (folder / f"{name}.jsonl").open("w", encoding="utf-8", newline="\n")
        self._table = pyarrow.parquet.ParquetWriter(folder / f"{name}.parquet", self._schema, compression="zstd")

    def add(self, row: dict[str, Any]) -> None:
        self._held.append(row)
        self.rows += 1
        if len(self._held) >= ROWS_HELD:
            self._write()

    def close(self) -> None:
        self._write()
        self._table.close()
        self._lines.flush()
        os.fsync(self._lines.fileno())
        self._lines.close()

    def abandon(self) -> None:
        self._table.close()
        self._lines.close()

    def _write(self) -> None:
        import pyarrow

        rows, self._held = self._held, []
        self._lines.writelines(line(row) for row in rows)
        if rows:
            self._table.write_table(pyarrow.Table.from_pylist(rows, schema=self._schema))


def line(row: dict[str, Any]) -> str:
    """A row as one line, also for readers that end a line at Unicode's own separators."""
    return json.dumps(row, ensure_ascii=False).translate(SEPARATORS) + "\n"


SEPARATORS = str.maketrans({mark: f"\\u{ord(mark):04x}" for mark in "\x85\u2028\u2029"})


@contextmanager
def row_files(
    folder: Path, names: Sequence[str], format: Literal["conversational", "standard"]
) -> Iterator[dict[str, RowFile]]:
    """Files to add rows to, in a hidden folder; they take their place in `folder` when the block ends well.

    Raises:
        UserError: the folder cannot be written or the disk is full.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        hidden = Path(tempfile.mkdtemp(dir=folder, prefix=".writing."))
        try:
            files: dict[str, RowFile] = {}
            try:
                for name in names:
                    files[name] = RowFile(hidden, name, format)
                yield files
                for file in files.values():
                    file.close()
            except BaseException:
                for file in files.values():
                    file.abandon()
                raise
            for written in sorted(hidden.iterdir()):
                os.replace(written, folder / written.name)
        finally:
            shutil.rmtree(hidden, ignore_errors=True)
    except OSError as error:
        raise UserError(
            f"{folder}: cannot be written: {error.strerror or error}; free or name another place"
        ) from error


def schema(name: str, format: Literal["conversational", "standard"]) -> Any:
    """The Arrow schema of a set. Explicit, so that an empty set and a null in the first row have types too."""
    import pyarrow as pa

    text, number, flag = pa.string(), pa.int64(), pa.bool_()
    said = text if format == "standard" else pa.list_(pa.struct([("role", text), ("content", text)]))
    about = [("problem_id", text), ("family", text)]
    sft = [
        *[("prompt", said), ("completion", said), ("journey_id", text), *about, ("answer", text)],
        *[("num_turns", number), ("num_backtracks", number), ("num_reflects", number), ("thought_chars", number)],
        *[("narrator", text), ("hinted", flag), ("spans", text)],
    ]
    columns: dict[str, list[tuple[str, Any]]] = {
        "journey_sft": sft,
        "shortcut_sft": [*sft, ("leaf", number)],
        "preferences": [
            *[("prompt", said), ("chosen", said), ("rejected", said), ("kind", text), ("why", text), *about],
            *[("chosen_journey", text), ("rejected_journey", text), ("chosen_turn", number), ("rejected_turn", number)],
        ],
        "step_labels": [
            *[("prompt", text), ("completions", pa.list_(text)), ("labels", pa.list_(flag)), ("question", text)],
            *[("steps", pa.list_(text)), ("ratings", pa.list_(number)), ("whys", pa.list_(text))],
            *[
                ("sources", pa.list_(text)),
                ("turns", pa.list_(number)),
                ("journey_id", text),
                *about,
                ("outcome", text),
            ],
        ],
    }
    columns["ppm"] = [
        *[("prompt", said), ("chosen", said), ("rejected", said), ("weight", pa.float64()), ("margin", pa.float64())],
        *[("kind", text), *about, ("journey_id", text)],
    ]
    return pa.schema(columns[name])
