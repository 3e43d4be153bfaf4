"""The process preference model's own keys: rStar-Math's recipe (methods 3.7) where it prints one."""

from typing import Literal, Self

from pydantic import Field, model_validator

from training.settings import TrainSettings

LORA_LEARNING_RATE, FULL_LEARNING_RATE = 1e-4, 7e-6
"""rStar-Math trains all weights at 7e-6. The rate of an adapter, which starts from nothing, is ours."""


class PPMSettings(TrainSettings):
    """Everything `python run.py train ppm` does."""

    epochs: float = Field(2.0, gt=0)
    batch: int = Field(8, ge=1)
    """Pairs that one device takes at once."""
    learning_rate: float | None = Field(None, gt=0)
    """The peak; null takes 1e-4 with LoRA, 7e-6 without."""
    schedule: Literal["cosine", "linear", "constant"] = "linear"
    warmup: float = Field(0.0, ge=0, lt=1)
    weight_decay: float = Field(0.1, ge=0)
    max_length: int = Field(2048, ge=8)
    """Tokens of a question with its steps. A longer one is an error."""
    held_out: float = Field(0.05, ge=0, lt=1)
    """The share of the questions whose pairs are not learnt from: how often the better step scores higher is told at
    the end. At least one question, unless 0."""
    center: float = Field(0.01, ge=0)
    """Weight of the squared sum of both scores in the loss. A ranking loss does not know where zero is; with this, 0.5
    after the sigmoid lies between good and bad steps, as a threshold and a prior need it. 0 is the plain loss."""

    @property
    def peak_learning_rate(self) -> float:
        return self.learning_rate or (LORA_LEARNING_RATE if self.lora else FULL_LEARNING_RATE)

    @model_validator(mode="after")
    def _it_speaks_to_nobody(self) -> Self:
        for key in ("persona", "tags"):
            if getattr(self, key) != type(self).model_fields[key].default:
                raise ValueError(f"{key}: a reward model writes nothing, so it has none; take the key out")
        return self
