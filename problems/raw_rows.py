"""The rows of a .jsonl or .parquet file as they stand in it; what cannot be read is one line that says where."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from settings import UserError

MAX_LINE_BYTES = 64 * 1024 * 1024


def read_raw(path: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The rows of such a file as they stand in it, each with its place in words."""
    file = Path(path).expanduser()
    if not file.exists():
        beside = (
            sorted(p.name for p in file.parent.glob("*") if p.suffix in (".jsonl", ".parquet"))[:6]
            if file.parent.is_dir()
            else []
        )
        hint = f"; there is {', '.join(beside)}" if beside else ""
        raise UserError(f"{path}: no such file{hint}")
    if file.is_dir():
        raise UserError(f"{path}: a folder; name a .jsonl or .parquet file in it, or use source: hub")
    match file.suffix.lower():
        case ".jsonl" | ".ndjson":
            return _jsonl(path, file)
        case ".parquet":
            return _parquet(path, file)
        case other:
            raise UserError(f"{path}: unknown kind of file {other or '(no extension)'!r}; use .jsonl or .parquet")


def _jsonl(path: str, file: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    try:
        with file.open("rb") as lines:  # bytes end at "\n" only: a question may hold U+2028
            number = 0
            while line := lines.readline(MAX_LINE_BYTES):
                number += 1
                where = f"{path}: line {number}"
                if len(line) >= MAX_LINE_BYTES:
                    raise UserError(f"{where}: longer than {MAX_LINE_BYTES} bytes; is this a JSONL file?")
                if not line.strip():
                    continue
                try:
                    row = json.loads(line.decode("utf-8-sig" if number == 1 else "utf-8"))
                except UnicodeDecodeError:
                    raise UserError(f"{where}: not UTF-8 text; is this a JSONL file?") from None
                except (ValueError, RecursionError) as error:
                    said = getattr(error, "msg", "too deep or too large a value")
                    raise UserError(f"{where}: not JSON: {said}; each line must be one JSON object") from None
                if not isinstance(row, dict):
                    raise UserError(f"{where}: {type(row).__name__} where an object with a question is needed")
                yield where, row
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None


def _parquet(path: str, file: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    import pyarrow  # type: ignore[import-untyped]
    import pyarrow.parquet  # type: ignore[import-untyped]

    try:
        with pyarrow.parquet.ParquetFile(file) as table:
            index = 0
            for batch in table.iter_batches(batch_size=256):
                for row in batch.to_pylist():
                    yield f"{path}: row {index}", row
                    index += 1
    except (pyarrow.ArrowException, OSError) as error:
        raise UserError(f"{path}: not a readable Parquet file: {str(error).splitlines()[0][:160]}") from None
