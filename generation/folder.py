"""A run's folder: the resolved config that it was begun with, the store, the summary and the exports."""

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from generation.settings import GenerateSettings
from journeys.database import hold_writer_lock
from journeys.store import Store
from settings import UserError, difference, read_yaml

BEFORE_WRITING = "set runs_dir (--runs-dir) to a folder you can write to"


class RunFolder:
    """Paths and small files of one run."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = path / "config.yaml"
        self.database = path / "journeys.db"
        self.summary = path / "summary.json"
        self.exports = path / "exports"

    def open(self, settings: GenerateSettings) -> None:
        """Create the folder, or check that its journeys were begun with the same recipe.

        Nothing binds a run that failed before its first journey: what it left is cleared away.

        Raises:
            UserError: the folder cannot be written, or holds journeys of another recipe; the message shows the
                difference.
        """
        with _writing(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
        if self._has_journeys():
            self._agree(settings)
            return
        with contextlib.closing(hold_writer_lock(self.database)), _writing(self.path):
            for leftover in (self.config, *self.path.glob(f"{self.database.name}*")):
                if not leftover.name.endswith(".lock"):
                    leftover.unlink(missing_ok=True)

    def keep_config(self, settings: GenerateSettings) -> None:
        """Write down the recipe as it is now; to be called once the store is ours."""
        text = as_yaml(settings.model_dump(mode="json"))
        with _writing(self.path):
            if not self.config.exists() or self.config.read_text(encoding="utf-8") != text:
                write_atomically(self.config, text)

    def _agree(self, settings: GenerateSettings) -> None:
        if not self.config.exists():
            raise UserError(f"{self.path}: has a store but no config.yaml; use another --name")
        try:
            begun = GenerateSettings.model_validate(read_yaml(self.config)).binding()
        except ValueError:
            raise UserError(
                f"{self.config}: written by another version of Retrace; start a new run with --name OTHER"
            ) from None
        if changes := difference(begun, settings.binding()):
            shown = "; ".join(changes[:6]) + (f"; and {len(changes) - 6} more" if len(changes) > 6 else "")
            raise UserError(
                f"{self.config}: this run was begun with another recipe ({shown}); "
                "go on with the old values, or start a new run with --name OTHER"
            )

    def _has_journeys(self) -> bool:
        if not self.database.exists():
            return False
        with Store(self.database) as store:
            return bool(store.ids())

    def write_summary(self, summary: dict[str, Any]) -> None:
        with _writing(self.path):
            write_atomically(self.summary, json.dumps(summary, indent=2) + "\n")


def as_yaml(config: dict[str, Any]) -> str:
    return yaml.safe_dump(config, sort_keys=False, allow_unicode=True, width=100)


def write_atomically(path: Path, text: str) -> None:
    """The whole file or none of it, also after a power cut."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(f"{folder}: cannot be written: {error.strerror}; {BEFORE_WRITING}") from None
