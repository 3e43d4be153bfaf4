"""The recipe of `make compare-protocols`."""

from typing import Any, Self

from pydantic import Field, JsonValue, model_validator

from experiments.base import OnOneModel
from experiments.comparison.arms import ARMS, BASELINES, BY_NAME, Arm
from journeys.stitching.page import Layout
from problems.sources import TaskSettings


class ComparisonSettings(OnOneModel):
    """Everything that it does at one size."""

    arms: tuple[str, ...] = tuple(arm.name for arm in ARMS)
    """Which of experiments/comparison/arms.py to run."""
    tasks: tuple[TaskSettings, ...]
    """reasoning-gym tasks whose answers are numbers."""
    problems: int = Field(ge=1)
    """The same for all arms and seeds."""
    held_out: int = Field(ge=1)
    """Other problems, for one answer out of eight."""
    budget: int = Field(ge=1)
    """Tokens that the policy and its judges may write for each problem on average, in every arm and with every seed."""
    most_attempts: int = Field(64, ge=1)
    """Of one problem in one arm; an arm that has spent less by then is reported as it is."""
    sampling: dict[str, JsonValue] = {"temperature": 1.0, "top_p": 1.0, "max_tokens": 64}
    """How the policy draws, in all arms."""
    budgets: dict[str, JsonValue] = {"max_turns": 28, "max_backtracks": 10}
    """Of every journey."""
    layout: Layout = "lines"
    """How thoughts are told."""
    samples: int = Field(8, ge=2)
    """Of each held-out problem: best of these against their majority."""
    searched: int = Field(0, ge=0)
    """Other problems, grown by MCTS: their trees give the pairs that a process preference model is trained on. 0 trains
    none."""
    reward: str | None = None
    """A reward model that is there already, in place of one trained here."""
    ppm: dict[str, JsonValue] = {}
    """Keys of `train ppm` for the one trained here."""
    best_of: tuple[str, ...] = ("logprob", "shortest")
    """Scorers of `evaluate` that choose among them."""
    temperature: float = Field(0.7, gt=0)
    """Of these samples."""
    max_tokens: int = Field(192, ge=16)
    """That each may take."""

    @model_validator(mode="after")
    def _arms_are_known(self) -> Self:
        for name in self.arms:
            if name not in BY_NAME:
                raise ValueError(f"arms: unknown arm {name!r}; known: {', '.join(BY_NAME)}")
        if missing := [name for name in BASELINES if name not in self.arms]:
            raise ValueError(f"arms: {missing[0]} is what the others are compared with")
        return self

    @property
    def run_arms(self) -> tuple[Arm, ...]:
        """In the order of tables; without a reward model those that need one are left out."""
        return tuple(arm for arm in ARMS if arm.name in self.arms and (self.reward_model or not arm.needs_reward))

    @property
    def teaches_reward(self) -> bool:
        """Whether a process preference model is trained here."""
        return bool(self.searched) and not self.reward

    @property
    def reward_model(self) -> str | None:
        """For the arms that need one and for one answer out of eight."""
        return str(self.folder / "models" / "ppm") if self.teaches_reward else self.reward

    @property
    def scorers(self) -> tuple[str, ...]:
        """By what one sample is chosen."""
        return (*self.best_of, "reward") if self.reward_model else self.best_of

    @property
    def tokens(self) -> int:
        """The budget of an arm with one seed, over all problems."""
        return self.budget * self.problems

    def problem_recipe(self) -> dict[str, Any]:
        """What binds the problem sets to the recipe."""
        keys = {"draw", "tasks", "problems", "held_out", "searched"}
        return self.model_dump(mode="json", include=keys) | {"base": self.base_model}
