"""The recipe of an experiment: how large it is and what its stages are given."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, JsonValue, model_validator

from experiments.arms import ARMS, BASE, Arm
from experiments.base import OnOneModel
from journeys.stitching.page import Layout
from problems.number_games import TASKS as GAMES
from problems.sources import TaskSettings
from settings import Settings


class Counts(Settings):
    """Problems in each of the sets; no question is in two of them."""

    data: int = Field(ge=1)
    """To make journeys from."""
    held_out: int = Field(ge=1)
    """Of the trained families, and as many of the untrained: what the page reports on."""
    validation: int = Field(ge=1)
    """Of the trained families: which model is plugged in, and nothing else, is chosen by them."""
    preference: int = Field(ge=1)
    """Sampled many times for outcome DPO."""
    fresh: int = Field(ge=1)
    """For the run with the tuned policy and the one without."""


class ExperimentSettings(OnOneModel):
    """Everything `make experiment` does at one size."""

    cold_start: str = ""
    """A recipe of `train sft` that makes the base first, where the trained families are not known to any model there
    is; its worked problems count as seen."""
    errors: Literal["slips", "dead-ends"] = "slips"
    """What there is to take back in the trained families: slips of calculation, or tries that miss. The page explains
    what is asked accordingly."""
    page_name: str = "journey-vs-shortcut"
    """Of the page, without its ending; its pictures are called after it."""
    arms: tuple[str, ...] = ("shortcut", "journey", "shortcut-tokens", "dpo", "dpo-plain")
    """Which of experiments/arms.py to train."""
    count: Counts
    trained: tuple[TaskSettings, ...]
    """reasoning-gym tasks that the journeys are made from; their answers are numbers."""
    untrained: tuple[TaskSettings, ...]
    """Tasks of which no arm sees a problem."""
    layout: Layout = "lines"
    """How thoughts are told: `lines` as the base itself writes them; docs/training.md has what prose did to it."""
    journeys_per_problem: int = Field(2, ge=1)
    data_sampling: dict[str, JsonValue] = {"temperature": 1.3, "top_p": 1.0}
    """How the policy draws its lines while data is made: hot, so that there is something to take back."""
    retry_temperature: float = Field(1.0, ge=0)
    """Of a line in place of one that was taken back, while data is made."""
    share_backtracked: float = Field(0.5, gt=0, le=1)
    """Of the rows to learn from; journeys without a backtrack are left out until it is reached, for all arms alike."""
    circles: bool = True
    """Whether journeys that say the same calculations twice are learnt from, by all arms alike."""
    budgets: dict[str, JsonValue] = {"max_turns": 28, "max_backtracks": 10}
    """Of every journey."""
    sft: dict[str, JsonValue] = {}
    """Keys over the recipe of every SFT; the same for all arms."""
    dpo: dict[str, JsonValue] = {}
    """Keys over the recipe of both DPO arms."""
    samples_per_question: int = Field(20, ge=2)
    """For outcome DPO (O1 Journey: 20)."""
    temperature: float = Field(0.7, gt=0)
    """Of the sampled evaluations, and of the samples for DPO."""
    samples: int = Field(1, ge=1)
    """Of each problem in the sampled evaluations."""
    max_tokens: int = Field(256, ge=16)
    """Tokens that a solution may take."""

    @model_validator(mode="after")
    def _arms_can_be_made(self) -> Self:
        known = {arm.name: arm for arm in ARMS}
        for name in self.arms:
            if name not in known:
                raise ValueError(f"arms: unknown arm {name!r}; known: {', '.join(known)}")
            if (needed := known[name].needs) and needed not in self.arms:
                raise ValueError(f"arms: {name} needs {needed}")
        if not {"shortcut", "shortcut-tokens", "journey"} <= {*self.arms}:
            raise ValueError("arms: shortcut, shortcut-tokens and journey are what is asked about")
        return self

    @property
    def base_model(self) -> str:
        """The base as commands take it; with a cold start it is there once that was made."""
        return str(self.folder / "models" / BASE) if self.cold_start else super().base_model

    @property
    def verifier(self) -> str:
        """How the drawn problems are graded: as numbers, unless some bring their own scorer."""
        return "auto" if any(task.name in GAMES for task in (*self.trained, *self.untrained)) else "math"

    @property
    def trained_arms(self) -> tuple[Arm, ...]:
        """In the order in which they are made."""
        return tuple(arm for arm in ARMS if arm.name in self.arms)

    @property
    def dpo_arms(self) -> tuple[Arm, ...]:
        return tuple(arm for arm in self.trained_arms if arm.method == "dpo")

    @property
    def tuned_persona(self) -> str:
        """The voice of the trained models: the base's own, so that they are asked alike when one takes its place."""
        own = Path(self.base_model) / "persona.yaml"
        return str(own) if own.is_file() else "tuned"
