"""DPO's own keys, repairs on by default (methods 6): unrepaired, it teaches long thoughts to end without an answer."""

from typing import Any, Literal

from pydantic import Field, model_validator

from training.settings import TrainSettings
from training.trim import Trim

LORA_LEARNING_RATE, FULL_LEARNING_RATE = 5e-6, 5e-7
"""Ours (methods 15): neither O1 Journey nor Marco-o1 prints one. Adapters take ten times the full rate."""

PLAIN = {"sft_weight": 0.0, "prefix_in_prompt": False, "chosen": "random", "thought_only": False, "trim": "none"}
"""What `plain` sets: the sigmoid loss alone, on whole completions, drawn as O1 Journey drew them."""


class DPOSettings(TrainSettings):
    """Everything `python run.py train dpo` does."""

    epochs: float = Field(1.0, gt=0)
    batch: int = Field(4, ge=1)
    """Pairs that one device takes at once."""
    learning_rate: float | None = Field(None, gt=0)
    """The peak; null takes 5e-6 with LoRA, 5e-7 without."""
    beta: float = Field(0.1, gt=0)
    """How closely the model is held to the one it starts from."""
    pairs: Literal["all", "outcome", "step"] = "all"
    """Whole attempts, right against wrong; single steps against the step that replaced them; or both."""
    pairs_per_question: int = Field(5, ge=1)
    """Outcome pairs made of samples at most."""
    sampled_from: str | None = None
    """Whose samples to pair where a file holds those of several models."""
    plain: bool = False
    """Turn all repairs off, whatever the keys below say: the control."""
    sft_weight: float = Field(1.0, ge=0)
    """Weight of the chosen side's own likelihood, token for token, in the loss."""
    prefix_in_prompt: bool = True
    """Move what both sides share into the prompt, where no loss falls on it."""
    chosen: Literal["shortest", "random"] = "shortest"
    """Of the right samples of a question: the shortest in every pair, or one drawn for each."""
    thought_only: bool = False
    """No loss on the answer and the stop behind the thought (STILL-2)."""
    trim: Trim = "none"
    """Cut the chosen side's thought after its first or second correct solution."""

    @property
    def peak_learning_rate(self) -> float:
        return self.learning_rate or (LORA_LEARNING_RATE if self.lora else FULL_LEARNING_RATE)

    @model_validator(mode="before")
    @classmethod
    def _plain_is_one_switch(cls, given: Any) -> Any:
        return {**given, **PLAIN} if isinstance(given, dict) and given.get("plain") is True else given
