"""The recipe of a training: the keys that SFT and DPO have in common."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from journeys.formats import Tags
from settings import Settings

LORA_LEARNING_RATE, FULL_LEARNING_RATE = 2e-4, 1e-5
"""Open-O1's full fine-tuning (methods 8) takes 1e-5; adapters, which start from nothing, take twenty times that."""

PLACES = ("name", "outputs_dir", "save_steps", "keep_checkpoints", "log_steps", "plot", "license")
"""Keys that do not decide which weights come out."""


class LoraSettings(Settings):
    """A low-rank adapter in place of full fine-tuning."""

    r: int = Field(16, ge=1)
    alpha: int = Field(32, ge=1)
    dropout: float = Field(0.0, ge=0, lt=1)
    target: str | tuple[str, ...] = "all-linear"
    """`all-linear`, or the names of the modules that get an adapter."""


class TrainSettings(Settings):
    """What every training has; `SFTSettings` and DPO's settings add their own keys."""

    name: str | None = None
    """The model's folder in outputs_dir; null takes the recipe's name."""
    outputs_dir: str = "outputs"
    model: str = "embedded"
    """What to start from: `embedded`, a hub id, or a folder; an adapter's folder goes on with that adapter."""
    data: tuple[str, ...] = ()
    """Run folders (runs/NAME) or files of rows (.jsonl, .parquet); several are put together in order."""
    limit: int | None = Field(None, ge=1)
    """Rows to take at most, drawn by the seed; null takes all."""
    tags: Literal["auto", "think", "begin_of_thought", "thought_output"] | Tags = "auto"
    """What stands around a thought in the rows; `auto` finds out which of the known styles it is."""
    persona: str = "auto"
    """The policy persona put beside the weights, its tags filled in; a name or a YAML file. `auto` is the one in the
    folder of the model that it starts from, so that it keeps its voice, and `tuned` where there is none."""
    seed: int = Field(0, ge=0)
    epochs: float = Field(3.0, gt=0)
    max_steps: int | None = Field(None, ge=1)
    """Optimiser steps in all; in place of `epochs`."""
    learning_rate: float | None = Field(None, gt=0)
    """The peak; null takes the method's own (SFT: 2e-4 with LoRA, 1e-5 without)."""
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    warmup: float = Field(0.1, ge=0, lt=1)
    """The share of the steps in which the learning rate rises; `constant` has none."""
    weight_decay: float = Field(0.0, ge=0)
    max_grad_norm: float = Field(1.0, gt=0)
    batch: int = Field(8, ge=1)
    """Rows (with packing: packs) that one device takes at once."""
    accumulate: int = Field(1, ge=1)
    """Batches whose gradients make one step."""
    max_length: int = Field(4096, ge=8)
    """Tokens of a row, prompt included. A longer row is an error: a thought that is cut has lost its answer."""
    lora: LoraSettings | None = LoraSettings()
    """null trains all weights."""
    merge: bool = False
    """Write whole weights even after LoRA."""
    precision: Literal["auto", "bfloat16", "float32"] = "auto"
    """Of the arithmetic; `auto` is bfloat16 where the hardware has it. Trained weights are float32 throughout."""
    gradient_checkpointing: bool | None = None
    """Less memory for about a third more time; null does so on a GPU."""
    attention: Literal["sdpa", "flash_attention_2", "eager"] = "sdpa"
    save_steps: int = Field(50, ge=1)
    """Steps between checkpoints that an interrupted training goes on from."""
    keep_checkpoints: bool = False
    """Leave them there at the end."""
    log_steps: int = Field(1, ge=1)
    """Steps between points of the history, the plot and TensorBoard."""
    plot: bool = True
    license: str = "other"
    """The licence named on the model card, as a Hugging Face licence id; base model and data have a say in it."""

    @field_validator("data", mode="before")
    @classmethod
    def _one_is_a_list_of_one(cls, data: Any) -> Any:
        return (data,) if isinstance(data, str) else data

    @field_validator("name")
    @classmethod
    def _is_a_folder_name(cls, name: str | None) -> str | None:
        if name is not None and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name):
            raise ValueError("a model's name is letters, digits, '.', '_' and '-', and starts with a letter or digit")
        return name

    @model_validator(mode="after")
    def _merge_needs_an_adapter(self) -> Self:
        if self.merge and self.lora is None:
            raise ValueError("merge: true is for LoRA; without lora whole weights are written anyway")
        return self

    @property
    def peak_learning_rate(self) -> float:
        return self.learning_rate or (LORA_LEARNING_RATE if self.lora else FULL_LEARNING_RATE)

    def folder(self, recipe: Path | None) -> Path:
        """The model's folder."""
        return Path(self.outputs_dir) / (self.name or (recipe.stem if recipe else "model"))

    def binding(self) -> dict[str, Any]:
        """The keys that decide which weights come out; a training that goes on must agree on them."""
        config = self.model_dump(mode="json")
        return {key: value for key, value in config.items() if key not in PLACES}

    def digest(self) -> str:
        """A short name for `binding()`."""
        return hashlib.sha256(json.dumps(self.binding(), sort_keys=True).encode()).hexdigest()[:12]
