"""The recipe of an evaluation, and which of its keys a resumed one may change."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from engines.contract import EngineSettings, Sampling
from engines.rewards.contract import RewardSettings
from problems.sources import ProblemSettings
from settings import Settings

SCORERS = ("logprob", "shortest", "reward")
"""By what best-of-k may choose; see evaluation/selectors.py."""

MACHINE_KEYS = (
    "api_key_env",
    "max_batch",
    "gpu_memory_utilization",
    "tensor_parallel_size",
    "request_timeout",
    "deadline",
    "max_retries",
)
"""Engine keys that only concern this machine."""


class ModelSettings(EngineSettings):
    """One model under test. A plain string in the recipe is its `model`; what is not set here `engine` gives."""

    label: str = ""
    """Its name in tables and in samples.jsonl; the model's own unless given."""
    persona: str | None = None
    """Asks this model with that persona, whatever its folder holds; null takes the folder's own, else `persona`."""

    def __str__(self) -> str:
        return label_of(self)


class EvaluationSampling(Sampling):
    """How a solution is drawn, in place of the persona's own sampling; temperature 0 is greedy."""

    temperature: float = Field(0.0, ge=0, le=10)
    top_p: float = Field(1.0, gt=0, le=1)
    max_tokens: int = Field(1024, ge=1)
    """Tokens that one solution may take, its thought included."""


class EvaluateSettings(Settings):
    """Everything `python run.py evaluate` does, in one value."""

    name: str | None = None
    """The evaluation's folder in outputs_dir; null takes the recipe's name."""
    outputs_dir: str = "outputs"
    seed: int = Field(0, ge=0)
    problems: ProblemSettings = ProblemSettings()
    num_problems: int | None = Field(None, ge=1)
    """Problems to take from the source; null takes all of a file."""
    models: tuple[ModelSettings, ...] = (ModelSettings(),)
    """`embedded`, folders, hub ids or URLs, or mappings with engine keys of their own; compared in this order."""
    engine: EngineSettings = EngineSettings()
    """What the models share: engine, dtype, max_batch, ... (`model` is not read here)."""
    persona: str = "monologue"
    """How a model is asked whose own folder holds no persona.yaml: a persona of mode monologue, all at once."""
    samples: int = Field(1, ge=1)
    """Samples of each problem. More may be added to a finished evaluation: those there are stay."""
    sampling: EvaluationSampling = EvaluationSampling()
    logprobs: bool | None = None
    """Ask for log-probabilities, for best-of-k; null asks where there are several samples of a problem."""
    k: tuple[int, ...] | None = None
    """For pass@k, maj@k and best-of-k; null takes 1, 2, 4, ... and `samples` itself."""
    best_of: tuple[str, ...] = ("logprob",)
    """Scorers for best-of-k: `logprob` (mean log-probability of a token), `shortest`, `reward` (if named)."""
    reward: RewardSettings | None = None
    """A reward model that reads every sample's lines, for best-of-k and a weighted vote."""
    aggregate: Literal["last", "min", "mean"] = "last"
    """What of its lines' scores a sample is judged by: the last, which speaks of the whole, the lowest, or the mean."""
    compare: Literal["auto", "all", "first"] = "auto"
    """Which models are compared: every pair, or each with the first; `auto` takes every pair of up to five models."""
    confidence: float = Field(0.95, gt=0.5, lt=1)
    """Level of every interval."""
    resamples: int = Field(2000, ge=100)
    """Bootstrap resamples of problems."""
    card: bool = True
    """Put a row about this evaluation into the README.md of each model folder that training wrote."""
    verify_timeout: float = Field(3.0, gt=0)
    """Seconds of CPU time that one comparison of answers may take; past it the answer is `unparsed`."""

    @field_validator("name")
    @classmethod
    def _is_a_folder_name(cls, name: str | None) -> str | None:
        if name is not None and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name):
            raise ValueError("an evaluation's name is letters, digits, '.', '_' and '-', first a letter or digit")
        return name

    @field_validator("models", mode="before")
    @classmethod
    def _a_name_is_a_model(cls, value: Any) -> Any:
        listed = value if isinstance(value, Sequence) and not isinstance(value, str) else [value]
        return [{"model": one} if isinstance(one, str) else one for one in listed]

    @field_validator("best_of")
    @classmethod
    def _known_scorers(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if name not in SCORERS:
                raise ValueError(f"unknown scorer {name!r}; known: {', '.join(SCORERS)}")
        return names

    @model_validator(mode="after")
    def _holds_together(self) -> "EvaluateSettings":
        if not self.models:
            raise ValueError("models: name at least one model, as in --model FOLDER")
        labels = [label_of(model) for model in self.models]
        if twice := next((label for label in labels if labels.count(label) > 1), None):
            raise ValueError(f"models: {twice!r} is there twice; give one of them another label")
        if self.samples > 1 and self.sampling.temperature == 0:
            raise ValueError(
                f"samples: {self.samples} greedy samples of a problem are all the same; "
                "set samples: 1 or sampling.temperature above 0"
            )
        if "reward" in self.best_of and self.reward is None:
            raise ValueError("best_of: reward needs reward.model, a folder that `train ppm` wrote or another's")
        if bad := [k for k in self.k or () if not 1 <= k <= self.samples]:
            raise ValueError(f"k: {bad[0]} needs as many samples of a problem, and samples is {self.samples}")
        return self

    @property
    def ks(self) -> tuple[int, ...]:
        """The k of pass@k, maj@k and best-of-k, ascending."""
        if self.k is not None:
            return tuple(sorted(set(self.k)))
        powers = [1 << exponent for exponent in range(self.samples.bit_length())]
        return tuple(sorted({*(k for k in powers if k <= self.samples), self.samples}))

    @property
    def scorers(self) -> tuple[str, ...]:
        """By what best-of-k chooses: a reward model that is named is used."""
        return (*self.best_of, "reward") if self.reward and "reward" not in self.best_of else self.best_of

    @property
    def wants_logprobs(self) -> bool:
        return self.samples > 1 and "logprob" in self.best_of if self.logprobs is None else self.logprobs

    def folder(self, recipe: Path | None) -> Path:
        """The evaluation's folder."""
        return Path(self.outputs_dir) / (self.name or (recipe.stem if recipe else "evaluate"))

    def engine_of(self, model: ModelSettings) -> EngineSettings:
        """The engine settings of one model: its own keys over those that all share."""
        shared = self.engine.model_dump() | {"model": model.model}
        own = {key: getattr(model, key) for key in model.model_fields_set if key in EngineSettings.model_fields}
        return EngineSettings.model_validate(shared | own)

    def written_out(self) -> dict[str, Any]:
        """The recipe in full, to be read again. What a model leaves to `engine` stays left to it."""
        models = [model.model_dump(mode="json", exclude_unset=True) for model in self.models]
        return self.model_dump(mode="json") | {"models": models}

    def binding(self) -> dict[str, Any]:
        """The keys that decide which text a model gives to which problem; a resumed evaluation must agree on them.

        How each model is asked and what is in its folder bind as well, model by model (evaluation/asking.py).
        """
        config = self.model_dump(mode="json")
        return {key: config[key] for key in ("seed", "problems", "num_problems", "sampling")}


def label_of(model: ModelSettings) -> str:
    return model.label or model.model


def plain_engine(engine: EngineSettings) -> Mapping[str, Any]:
    """What of an engine's settings can change a text."""
    return {key: value for key, value in engine.model_dump(mode="json").items() if key not in MACHINE_KEYS}
