"""A run's folder: the resolved config that it was begun with, the store, the summary and the exports."""

import contextlib
from pathlib import Path
from typing import Any

from generation.settings import GenerateSettings
from journeys.database import hold_writer_lock
from journeys.store import Store
from settings import UserError, difference, read_yaml
from settings.files import as_yaml, write_json, write_text, writing


class RunFolder:
    """Paths and small files of one run."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = path / "config.yaml"
        self.database = path / "journeys.db"
        self.summary = path / "summary.json"
        self.exports = path / "exports"
        self.probe = path / "probe.db"

    def open(self, settings: GenerateSettings) -> None:
        """Create the folder, or check that its journeys were begun with the same recipe.

        Nothing binds a run that failed before its first journey: what it left is cleared away.

        Raises:
            UserError: the folder cannot be written, or holds journeys of another recipe; the message shows the
                difference.
        """
        with writing(self.path, key="runs_dir"):
            self.path.mkdir(parents=True, exist_ok=True)
        if self._has_journeys():
            self._agree(settings)
            return
        with contextlib.closing(hold_writer_lock(self.database)), writing(self.path, key="runs_dir"):
            for leftover in (self.config, *self.path.glob(f"{self.database.name}*")):
                if not leftover.name.endswith(".lock"):
                    leftover.unlink(missing_ok=True)

    def keep_config(self, settings: GenerateSettings) -> None:
        """Write down the recipe as it is now; to be called once the store is ours."""
        text = as_yaml(settings.model_dump(mode="json"))
        with writing(self.path, key="runs_dir"):
            if not self.config.exists() or self.config.read_text(encoding="utf-8") != text:
                write_text(self.config, text)

    def settings(self) -> GenerateSettings:
        """The recipe that the run was begun with. Raises UserError when it cannot be read."""
        try:
            return GenerateSettings.model_validate(read_yaml(self.config))
        except ValueError:
            raise UserError(
                f"{self.config}: written by another version of Retrace; start a new run with --name OTHER"
            ) from None

    def _agree(self, settings: GenerateSettings) -> None:
        if not self.config.exists():
            raise UserError(f"{self.path}: has a store but no config.yaml; use another --name")
        begun = self.settings().binding()
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
        with writing(self.path, key="runs_dir"):
            write_json(self.summary, summary)
