"""A model's folder in the making: what it was begun with, checkpoints to go on from, what is written at last."""

import contextlib
import json
import re
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from journeys.database import hold_writer_lock
from settings import UserError, difference, read_yaml
from settings.files import write_json, write_yaml, writing
from training.settings import TrainSettings


class ModelFolder:
    """Paths and small files of one training. Of several processes, only the main one writes."""

    def __init__(self, path: Path, *, main: bool = True) -> None:
        self.path = path
        self.main = main
        self.recipe = path / "recipe.yaml"
        self.report = path / "training.json"
        self.plot = path / "training.png"
        self.card = path / "README.md"
        self.persona = path / "persona.yaml"
        self.logs = path / "logs"

    def open(self, settings: TrainSettings, *, begun_with: dict[str, Any]) -> None:
        """Create the folder, or check that what lies in it was begun with the same recipe on the same data.

        Nothing binds a training that was broken off before its first checkpoint: its leftovers are cleared away.

        Args:
            begun_with: what else must be the same (method, digests); kept in training.json until the end.

        Raises:
            UserError: the folder cannot be written, holds another training, or is no training's folder.
        """
        if self.finished() or self.checkpoint():
            self._agree(settings, begun_with)
            return
        foreign = [
            name for name in ("config.json", "adapter_config.json", "config.yaml") if (self.path / name).exists()
        ]
        if foreign and not self.report.exists():
            raise UserError(f"{self.path}: holds {foreign[0]} that no training here has written; use another --name")
        if self.main:
            with writing(self.path, key="outputs_dir"):
                self.path.mkdir(parents=True, exist_ok=True)
                self.clear_checkpoints()
                shutil.rmtree(self.logs, ignore_errors=True)
                write_json(self.report, {"finished": False, "begun_with": begun_with})
                write_yaml(self.recipe, settings.model_dump(mode="json"))

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Keep other processes from training into this folder."""
        if not self.main:
            yield
            return
        try:
            lock = hold_writer_lock(self.path / ".training")
        except UserError:
            raise UserError(f"{self.path}: another process is training into this folder; use another --name") from None
        except sqlite3.Error:  # a file system without locks: a rule kept by the user is better than no training
            yield
            return
        try:
            yield
        finally:
            lock.close()
            (self.path / ".training.lock").unlink(missing_ok=True)

    def finished(self) -> dict[str, Any] | None:
        """The report of a training that was carried through."""
        report = self._report()
        return report if report.get("finished") else None

    def checkpoint(self) -> Path | None:
        """The newest checkpoint that was written to its end."""
        whole = [path for path in self.checkpoints() if _is_whole(path)]
        return whole[-1] if whole else None

    def checkpoints(self) -> list[Path]:
        """All checkpoints, the oldest first."""
        found = [path for path in self.path.glob("checkpoint-*") if re.fullmatch(r"checkpoint-\d+", path.name)]
        return sorted(found, key=lambda path: int(path.name.rpartition("-")[2]))

    def clear_checkpoints(self, *, broken_only: bool = False) -> None:
        for path in self.checkpoints():
            if not (broken_only and _is_whole(path)):
                shutil.rmtree(path, ignore_errors=True)

    def _agree(self, settings: TrainSettings, begun_with: dict[str, Any]) -> None:
        report = self._report()
        try:
            begun = type(settings).model_validate(read_yaml(self.recipe)).binding()
        except (ValueError, UserError):
            raise UserError(
                f"{self.recipe}: not readable by this version and command; train into another folder with --name OTHER"
            ) from None
        before = begun | report.get("begun_with", {})
        if changes := difference(before, settings.binding() | begun_with):
            shown = "; ".join(changes[:6]) + (f"; and {len(changes) - 6} more" if len(changes) > 6 else "")
            raise UserError(
                f"{self.recipe}: this training was begun with another recipe or other data ({shown}); "
                "go on with the old ones, or start a new training with --name OTHER"
            )

    def _report(self) -> dict[str, Any]:
        try:
            report = json.loads(self.report.read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return report if isinstance(report, dict) else {}


def _is_whole(checkpoint: Path) -> bool:
    """transformers writes trainer_state.json last."""
    try:
        return isinstance(json.loads((checkpoint / "trainer_state.json").read_text("utf-8"))["global_step"], int)
    except (OSError, ValueError, KeyError, TypeError):
        return False
