"""An evaluation's folder: its recipe, who was asked and how, the samples, and what they came to."""

import contextlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from evaluation.asking import Candidate
from evaluation.rewards import RewardFile
from evaluation.samples import SampleFile
from evaluation.settings import EvaluateSettings
from journeys.database import hold_writer_lock
from settings import UserError, difference, read_yaml
from settings.files import write_json, write_text, write_yaml, writing


class EvaluationFolder:
    """Paths and small files of one evaluation."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.recipe = path / "recipe.yaml"
        self.candidates = path / "models.json"
        """How each model was asked: what a resumed evaluation must agree on."""
        self.samples = SampleFile(path / "samples.jsonl")
        self.rewards = RewardFile(path / "rewards.jsonl")
        self.result = path / "evaluation.json"
        self.table = path / "table.md"
        self.plot = path / "evaluation.png"

    @contextlib.contextmanager
    def held(self, settings: EvaluateSettings, candidates: Sequence[Candidate]) -> Iterator[None]:
        """Make or take up the folder, for this process alone.

        Raises:
            UserError: it cannot be written, another process has it, or its samples were drawn by another recipe; the
                message shows the difference.
        """
        with writing(self.path, key="outputs_dir"):
            self.path.mkdir(parents=True, exist_ok=True)
        with contextlib.closing(hold_writer_lock(self.samples.path)):
            self.samples.open()
            asked = self._agree(settings, candidates)
            with writing(self.path, key="outputs_dir"):
                write_json(self.candidates, asked)
                write_yaml(self.recipe, settings.written_out())
            yield

    def write(self, evaluation: dict[str, Any], table: str) -> None:
        with writing(self.path, key="outputs_dir"):
            write_json(self.result, evaluation)
            write_text(self.table, table)

    def _agree(self, settings: EvaluateSettings, candidates: Sequence[Candidate]) -> dict[str, Any]:
        """Who has been asked how, these candidates included. Models may come and go; those with samples stay put."""
        known: dict[str, Any] = {}
        held = self.samples.models()
        if held:
            try:
                begun = EvaluateSettings.model_validate(read_yaml(self.recipe)).binding()
                known = json.loads(self.candidates.read_text("utf-8"))
            except (OSError, ValueError, UserError):
                raise UserError(
                    f"{self.path}: has samples, but its recipe.yaml or models.json is missing or from another version; "
                    "start a new evaluation with --name OTHER"
                ) from None
            self._refuse(difference(begun, settings.binding()))
        now = {candidate.label: candidate.binding() for candidate in candidates}
        for label in sorted(now.keys() & held.keys()):
            self._refuse(difference(known.get(label, {}), now[label], prefix=f"{label}: "))
        return {label: asked for label, asked in known.items() if label in held} | now

    def _refuse(self, changes: list[str]) -> None:
        if changes:
            shown = "; ".join(changes[:6]) + (f"; and {len(changes) - 6} more" if len(changes) > 6 else "")
            raise UserError(
                f"{self.path}: its samples were drawn by another recipe ({shown}); "
                "go on with the old values, or start a new evaluation with --name OTHER"
            )
