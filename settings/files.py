"""Small files that are written whole or not at all: recipes as YAML, reports as JSON."""

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from settings.base import UserError


def as_yaml(value: Any) -> str:
    """A recipe as it is shown and stored."""
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=100)


def write_yaml(path: Path, value: Any) -> None:
    write_text(path, as_yaml(value))


def write_json(path: Path, value: Any) -> None:
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """The whole file or none of it, also after a power cut."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)  # a temporary file is its owner's alone
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def writing(folder: Path, *, key: str) -> Iterator[None]:
    """One line for what the disk refuses; `key` is the setting that says where the folder lies."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"{folder}: cannot be written: {error.strerror}; "
            f"set {key} (--{key.replace('_', '-')}) to a folder you can write to"
        ) from None
