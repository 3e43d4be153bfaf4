"""A run's folder: the resolved config that it was begun with, the store, the summary and the exports."""

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import yaml

from generation.settings import GenerateSettings
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
        """Create the folder, or check that it was begun with the same recipe.

        Raises:
            UserError: the folder cannot be written, or holds a run of another recipe; the message shows the difference.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            if not self.config.exists():
                if self.database.exists():
                    raise UserError(f"{self.path}: has a store but no config.yaml; use another --name")
                write_atomically(self.config, as_yaml(settings.model_dump(mode="json")))
                return
        except OSError as error:
            raise UserError(f"{self.path}: cannot be written: {error.strerror}; {BEFORE_WRITING}") from None
        begun = _binding_of(read_yaml(self.config), self.config)
        if changes := difference(begun, settings.binding()):
            shown = "; ".join(changes[:6]) + (f"; and {len(changes) - 6} more" if len(changes) > 6 else "")
            raise UserError(
                f"{self.config}: this run was begun with another recipe ({shown}); "
                "go on with the old values, or start a new run with --name OTHER"
            )

    def write_summary(self, summary: dict[str, Any]) -> None:
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


def _binding_of(config: dict[str, Any], path: Path) -> dict[str, Any]:
    try:
        return GenerateSettings.model_validate(config).binding()
    except ValueError:
        raise UserError(f"{path}: written by another version of Retrace; start a new run with --name OTHER") from None
