"""The one interface of all protocols, and the cast that grows a journey."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from agents.persona import Trust
from agents.roles import Critic, Policy
from engines.rewards.contract import Reading
from journeys.draft import Budgets, Draft
from journeys.record import Evidence, Journey, Problem, Turn, Verification
from journeys.tree import Tree

Role = Literal["policy", "critic", "self_critic", "second", "reward"]


class Referee(Protocol):
    """What the checking side offers a protocol; `problems.referee.Referee` is the real one."""

    def answer_in(self, step: str) -> str | None: ...

    async def check(
        self, *, question: str, path: Sequence[Turn], step: str, abandoned: Sequence[Turn]
    ) -> tuple[Evidence, ...]: ...

    async def verify(self, problem: Problem, answer: str) -> Verification: ...

    async def same(self, problem: Problem, first: str, second: str) -> bool: ...

    def lucky(self, problem: Problem, path: Sequence[Turn], answer: str) -> tuple[str, ...]: ...


class RewardModel(Protocol):
    """Says how right each step is, from 0 to 1, and never why; `engines.rewards` has the real ones."""

    async def score(self, question: str, steps: Sequence[str]) -> Reading: ...


@dataclass(frozen=True)
class Cast:
    """Who takes part in growing one journey, and within which bounds."""

    policy: Policy
    referee: Referee
    budgets: Budgets
    critic: Critic | None = None
    trust: Trust = "both"
    reflection: str = ""
    """A line put after a finished thought, once, before its answer is accepted; see protocols/reflection.py."""
    second: Policy | None = None
    """Another policy, for protocols that name the role."""
    reward: RewardModel | None = None
    refuted_below: float | None = None
    """The reward below which a step counts as wrong; None: it is only thought less of."""


class GrowsJourneys(Protocol):
    """A way to grow a journey. Implementations are frozen settings, so every number they use is a config key.

    Adding one is a file in protocols/ and a line in protocols/__init__.py.
    """

    @property
    def kind(self) -> str:
        """Its name in recipes and records."""
        ...

    @property
    def roles(self) -> tuple[Role, ...]:
        """The speakers it needs in its cast."""
        ...

    def grow(self, draft: Draft, cast: Cast) -> AsyncIterator[Turn | Journey | Tree]:
        """Grow `draft` to its end: its tree if it searches first, each turn as it is added, last the finished journey.

        A draft that already has turns is continued. Engine errors are raised; what has been yielded stays true.
        """
        ...
