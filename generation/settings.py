"""The recipe of a run, and which of its keys a resumed run may change."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from engines.contract import EngineSettings, SamplingOverride
from engines.rewards.contract import RewardSettings
from journeys.draft import Budgets
from journeys.exports import ExportSettings
from problems.referee import CheckerSettings
from problems.sources import ProblemSettings
from protocols import ProtocolSetting
from protocols.dialogue import Dialogue
from settings import Settings


class PolicySettings(EngineSettings):
    """Who proposes: a persona and the model that speaks it."""

    persona: str = "auto"
    """A name in configs/personas/policy/, a YAML file, or `auto`: the voice that a model's own folder names in
    persona.yaml (training writes it), and `stepwise` for every other model."""
    sampling: SamplingOverride = SamplingOverride()
    logprobs: bool = False
    """Ask for log-probabilities and record each step's confidence."""
    reflection: str = ""
    """A line that is put after a finished thought, once, before its answer is accepted: "Is that right? I look it over
    from the beginning." (Marco-o1). Empty: none."""


class CriticSettings(EngineSettings):
    """Who judges."""

    model: str | None = None  # type: ignore[assignment]
    """As policy.model; null shares the policy's engine."""
    persona: str = "evidence"
    """A name in configs/personas/critic/, or a YAML file."""
    sampling: SamplingOverride = SamplingOverride()


class SecondSampling(SamplingOverride):
    """How the second policy draws: hot, so that it says something else."""

    temperature: float | None = Field(1.0, ge=0, le=10)


class SecondSettings(EngineSettings):
    """Who else proposes, in protocols with two policies."""

    model: str | None = None  # type: ignore[assignment]
    """As policy.model; null shares the policy's engine."""
    persona: str = "auto"
    """As policy.persona; with `auto` and no model of its own, the policy's persona."""
    sampling: SecondSampling = SecondSampling()


class NarratorSettings(EngineSettings):
    """Who turns a journey into one thought."""

    kind: Literal["template", "model"] = "template"
    """`template` is deterministic and offline; `model` has a language model rewrite its text, under the same gate."""
    model: str | None = None  # type: ignore[assignment]
    """As policy.model; null shares the policy's engine."""
    persona: str = "narrator"
    """A name in configs/personas/narrator/, or a YAML file."""
    sampling: SamplingOverride = SamplingOverride()


class DecontaminationSettings(Settings):
    """Which problems are too close to an evaluation set to be trained on."""

    against: tuple[str, ...] = ()
    """JSONL or Parquet files whose questions must not reappear."""
    ngram: int = Field(13, ge=2)
    """Words in a row that count as the same text."""


class GenerateSettings(Settings):
    """Everything `python run.py generate` does, in one value."""

    name: str | None = None
    """The run's folder in runs_dir; null takes the recipe's name."""
    runs_dir: str = "runs"
    seed: int = Field(0, ge=0)
    num_problems: int | None = Field(None, ge=1)
    """Problems to take from the source; null takes all of a file."""
    journeys_per_problem: int = Field(1, ge=1)
    protocol: ProtocolSetting = Dialogue()
    budgets: Budgets = Budgets()
    problems: ProblemSettings = ProblemSettings()
    checkers: CheckerSettings = CheckerSettings()
    policy: PolicySettings = PolicySettings()
    critic: CriticSettings = CriticSettings()
    second: SecondSettings = SecondSettings()
    reward: RewardSettings | None = None
    """The reward model of a search with `scorer: reward`."""
    narrator: NarratorSettings = NarratorSettings()
    export: ExportSettings = ExportSettings()
    decontaminate: DecontaminationSettings = DecontaminationSettings()
    concurrency: int = Field(64, ge=1)
    """Journeys in flight at once."""

    @field_validator("name")
    @classmethod
    def _is_a_folder_name(cls, name: str | None) -> str | None:
        if name is not None and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name):
            raise ValueError("a run's name is letters, digits, '.', '_' and '-', and starts with a letter or digit")
        return name

    @model_validator(mode="after")
    def _confidence_is_recorded_where_it_judges(self) -> Self:
        if getattr(self.protocol, "scorer", None) == "confidence" and not self.policy.logprobs:
            raise ValueError("protocol.scorer: confidence needs policy.logprobs: true")
        return self

    @model_validator(mode="after")
    def _a_reward_model_is_named(self) -> Self:
        if "reward" in self.protocol.roles and self.reward is None:
            raise ValueError("protocol.scorer: reward needs reward.model, a folder that `train ppm` wrote or another's")
        return self

    @model_validator(mode="after")
    def _fits_its_protocol(self) -> Self:
        if self.protocol.kind == "ready-tree" and self.problems.source != "prm800k":
            raise ValueError(
                f"protocol ready-tree walks through steps that people rated, and problems.source "
                f"{self.problems.source!r} has none; set problems.source: prm800k"
            )
        if self.checkers.code and getattr(self.protocol, "grain", "step") != "step":
            raise ValueError("checkers.code: code is run by whole steps; set protocol.grain: step")
        if self.policy.reflection and self.protocol.kind in ("rstar", "ready-tree"):
            raise ValueError(
                f"policy.reflection: protocol {self.protocol.kind} has no finished thought to be looked over again, "
                "for no policy goes on from one there; leave the line out, or take another protocol"
            )
        return self

    def folder(self, recipe: Path | None) -> Path:
        """The run's folder."""
        return Path(self.runs_dir) / (self.name or (recipe.stem if recipe else "run"))

    def binding(self) -> dict[str, Any]:
        """The keys that decide which journeys come out; a resumed run must agree on them.

        Left out: where the folder is, how many journeys run at once, what only concerns this machine, and what is
        derived from the store and can be made again (narration, exports, decontamination).
        """
        config = self.model_dump(mode="json")
        for key in ("name", "runs_dir", "concurrency", "narrator", "export", "decontaminate"):
            del config[key]
        config["checkers"] = self.checkers.binding()
        if config["reward"] is None:  # as in the runs of releases that had no such key
            del config["reward"]
        for role in {"policy", "critic", "second", "reward"} & config.keys():
            for key in MACHINE_KEYS:
                del config[role][key]
        return config

    def digest(self) -> str:
        """A short name for `binding()`; cards and records carry it."""
        return hashlib.sha256(json.dumps(self.binding(), sort_keys=True).encode()).hexdigest()[:12]


MACHINE_KEYS = (
    "api_key_env",
    "max_batch",
    "gpu_memory_utilization",
    "tensor_parallel_size",
    "enforce_eager",
    "request_timeout",
    "deadline",
    "max_retries",
)
