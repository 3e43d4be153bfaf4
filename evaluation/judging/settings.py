"""The recipe of a comparison of judges."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from pydantic import Field, field_validator, model_validator

from engines.contract import EngineSettings, SamplingOverride
from engines.rewards.contract import RewardSettings
from problems.referee import CheckerSettings
from settings import Settings

REWARD = "reward"
"""What stands for a persona where a judge is a reward model."""


class JudgeSettings(EngineSettings):
    """One judge. A plain string in the recipe is its persona, `PERSONA@MODEL`, or `reward@MODEL`."""

    model: str | None = None  # type: ignore[assignment]
    """Who speaks a persona of kind `model`; null takes engine.model."""
    persona: str = "evidence"
    """A critic: a name in configs/personas/critic/, or a YAML file."""
    label: str = ""
    """Its name in tables and in verdicts.jsonl; persona and model unless given."""
    sampling: SamplingOverride = SamplingOverride()
    reward: RewardSettings | None = None
    """A reward model in place of a persona; below its threshold (0.5 unless given) it takes a step back."""

    @property
    def name(self) -> str:
        if self.reward:
            return self.label or f"{REWARD}@{self.reward.model}"
        return self.label or self.persona + (f"@{self.model}" if self.model else "")


class JudgingSettings(Settings):
    """Everything `python run.py judge` does, in one value."""

    name: str | None = None
    """The folder in outputs_dir; null takes the recipe's name."""
    outputs_dir: str = "outputs"
    seed: int = Field(0, ge=0)
    data: tuple[str, ...] = ()
    """Labelled steps: run folders (their exports/step_labels.jsonl) and files, MR-GSM8K's and PRM800K's among them."""
    limit: int | None = Field(None, ge=1)
    """Solutions to take, drawn by seed; null takes all."""
    judges: tuple[JudgeSettings, ...] = (JudgeSettings(),)
    """Who judges; each is compared with the first."""
    engine: EngineSettings = EngineSettings()
    """What the judges with a model share."""
    checkers: CheckerSettings = CheckerSettings()
    """The programs whose evidence every judge is shown, as in a run."""
    confidence: float = Field(0.95, gt=0.5, lt=1)
    """Level of every interval."""
    resamples: int = Field(2000, ge=100)
    """Bootstrap resamples of questions."""

    @field_validator("name")
    @classmethod
    def _is_a_folder_name(cls, name: str | None) -> str | None:
        if name is not None and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name):
            raise ValueError("a name is letters, digits, '.', '_' and '-', first a letter or digit")
        return name

    @field_validator("data", mode="before")
    @classmethod
    def _one_place_is_a_list_of_one(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @field_validator("judges", mode="before")
    @classmethod
    def _a_name_is_a_judge(cls, value: Any) -> Any:
        listed = value if isinstance(value, Sequence) and not isinstance(value, str) else [value]
        return [_judge(one) if isinstance(one, str) else one for one in listed]

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        if not self.judges:
            raise ValueError("judges: name at least one, as in --judge evidence")
        names = [judge.name for judge in self.judges]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"judges: {twice!r} is there twice; give one of them another label")
        return self

    def folder(self, recipe: Path | None) -> Path:
        return Path(self.outputs_dir) / (self.name or (recipe.stem if recipe else "judge"))

    def engine_of(self, judge: JudgeSettings) -> EngineSettings:
        """A judge's own engine keys over those that all share."""
        own = {key: getattr(judge, key) for key in judge.model_fields_set if key in EngineSettings.model_fields}
        if own.get("model") is None:
            own.pop("model", None)
        return EngineSettings.model_validate(self.engine.model_dump() | own)


def _judge(text: str) -> dict[str, Any]:
    persona, at, model = text.partition("@")
    if at and persona == REWARD:
        return {"reward": {"model": model}}
    return {"persona": persona, "model": model} if at else {"persona": persona}
