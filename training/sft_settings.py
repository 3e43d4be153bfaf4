"""SFT's own keys."""

from typing import Literal, Self

from pydantic import Field, model_validator

from training.foreign import ForeignSettings
from training.settings import TrainSettings
from training.tokens import Learn
from training.trim import Trim
from training.worked import WorkedSettings


class SFTSettings(TrainSettings):
    """Everything `python run.py train sft` does."""

    data_kind: Literal["journey", "shortcut"] = "journey"
    """Which rows to read from a run folder: whole thoughts, or the standing path alone (the control)."""
    foreign: ForeignSettings = ForeignSettings()
    """How to read files of long thoughts from elsewhere, which are known by their columns."""
    worked: WorkedSettings | None = None
    """Rows that a program writes: worked solutions for a cold start, added to those of `data`."""
    learn: Learn = "all"
    """`standing`: no loss falls on steps that were taken back. The model reads them, and learns to doubt and to mend
    them, but not to make them. Needs rows that know their turns: those of a run."""
    trim: Trim = "none"
    """Cut a thought behind its first correct solution (fcs), or behind one check of it (fcs_reflection)."""
    max_tokens: int | None = Field(None, ge=1)
    """Stop after about this many learnt tokens, whatever `epochs` says: to compare data sets token for token."""
    packing: bool = False
    """Fill each row of a batch with several short ones, which do not see each other."""
    group_by_length: bool = True
    """Put rows of like length into a batch, which saves padding; packing has no use for it."""

    @model_validator(mode="after")
    def _one_end(self) -> Self:
        if self.max_steps is not None and self.max_tokens is not None:
            raise ValueError("max_steps and max_tokens both say when to stop; set one of them")
        if self.learn == "standing" and self.trim != "none":
            raise ValueError("learn: standing knows where steps stand in whole thoughts only; set trim: none")
        return self
