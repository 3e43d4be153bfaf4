"""What callers and reward models agree on: a question and steps in, a number for each step out."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from time import perf_counter
from typing import Literal, NamedTuple

from pydantic import Field

from engines.contract import EngineSettings
from journeys.record import Cost

Layout = Literal["ppm", "skywork", "math-shepherd"]
"""How a reward model is shown steps, and where in it their scores are read (engines/rewards/layouts.py)."""
OWN_FILE = "reward.yaml"
"""In a model's folder: says that it is a reward model, and of which layout (training writes it)."""


class RewardSettings(EngineSettings):
    """Which reward model judges, and how it is read."""

    model: str
    """A folder that `train ppm` wrote, a folder or hub id of a published model, or the URL of a vLLM server that was
    started with `--runner pooling`."""
    layout: Literal["auto"] | Layout = "auto"
    """`auto` asks the folder; a hub id that is not a folder here needs it said."""
    threshold: float | None = Field(None, gt=0, lt=1)
    """A step that scores below is held to be wrong: a search does not go on with it. null only prefers."""
    tokenizer: str | None = None
    """A served model's: its folder or hub id, by which questions and steps become token ids here."""
    step_tag: str = "ки"
    """math-shepherd: what stands behind each step."""
    good: str = "+"
    """math-shepherd: the token that says that a step is right."""
    bad: str = "-"


class Reading(NamedTuple):
    """What a reward model made of some steps."""

    scores: list[float]
    """For each step how right it is, from 0 to 1."""
    cost: Cost
    """Tokens read and seconds waited for. It writes none."""


class RewardEngine(ABC):
    """A reward model at work. `start` before the first question, `close` at the end."""

    def __init__(self, settings: RewardSettings) -> None:
        self.settings = settings
        self.model_name = settings.model
        self.faults: Counter[str] = Counter()
        """Errors met by class name."""

    @abstractmethod
    async def start(self) -> None:
        """Load what must be loaded. Raises UserError for a model that cannot be opened."""

    @abstractmethod
    async def close(self) -> None:
        """Give everything back; safe to call twice."""

    async def score(self, question: str, steps: Sequence[str]) -> Reading:
        """How right each step is after those before it, and what it took to know. Raises EngineError."""
        began = perf_counter()
        scores, tokens = await self._read(question, steps) if steps else ([], 0)
        return Reading(scores, Cost(prompt_tokens=tokens, seconds=perf_counter() - began, calls=bool(steps)))

    @abstractmethod
    async def _read(self, question: str, steps: Sequence[str]) -> tuple[list[float], int]:
        """A score for each of some steps, and the tokens that were read for them, padding aside."""
