"""What a protocol asks of its speakers, and the typed messages in which it asks.

A view holds all that a speaker may know. It carries the question's text, never the `Problem`: the reference answer
cannot reach a prompt because it is not there (oracle separation, design section 3).
"""

from typing import Annotated, Literal, Protocol

from autogen_agentchat.messages import StructuredMessage
from pydantic import SkipValidation

from journeys.record import Cost, Evidence, FinishReason, Record, Turn, Verdict

Turns = Annotated[tuple[Turn, ...], SkipValidation]
"""Turns out of the record, valid already: checking them again for every view would cost more with every turn."""


class Piece(Record):
    """Where a search goes on by pieces of text (Marco-o1's 64 or 32 tokens), which may end in the middle of a step."""

    begun: str
    """All that is written so far, to the letter."""
    tokens: int


class PolicyView(Record):
    """What the policy sees when it is asked for the next step."""

    journey_id: str
    question: str
    path: Turns
    turns: Turns
    """Every turn so far, in the order of time, for personas that remember their abandoned tries."""
    seed: int
    action: str = ""
    """Which of its persona's actions it shall take; empty, or one that the persona has no text for: the next step."""
    piece: Piece | None = None
    """Asks for so many tokens in place of a whole step."""

    @property
    def reply_to(self) -> Turn | None:
        """The turn whose critique the next step must answer."""
        last = self.turns[-1] if self.turns else None
        return last if last and last.verdict.move in ("backtrack", "reflect") else None


class Line(Record):
    """A whole step that ends in a piece of text; it may have begun in an earlier one."""

    text: str
    end: int
    """Where in the piece what ends the step ends."""


class Proposal(Record):
    """A step as the policy wrote it, or a piece of text."""

    step: str
    lines: tuple[Line, ...] = ()
    """A piece: the steps that end in it."""
    finish: FinishReason = "stop"
    confidence: float | None = None
    cost: Cost = Cost()


class CriticView(Record):
    """What the critic sees when it is asked for a verdict."""

    journey_id: str
    question: str
    path: Turns
    turns: Turns
    step: str
    evidence: tuple[Evidence, ...]
    answer: str | None
    """The final answer that this step states, if it states one."""
    seed: int


class Judgement(Record):
    """A verdict as the critic gave it, and how well its words could be read."""

    verdict: Verdict
    parse: Literal["ok", "repaired", "failed"] = "ok"
    score: float | None = None
    """How right the step is, from 0 to 1, where the judge is one that says so."""
    cost: Cost = Cost()


class ProposeMessage(StructuredMessage[PolicyView]):
    """Asks the policy for a step."""


class StepMessage(StructuredMessage[Proposal]):
    """The policy's answer."""

    def to_text(self) -> str:
        return self.content.step


class JudgeMessage(StructuredMessage[CriticView]):
    """Asks the critic for a verdict."""


class VerdictMessage(StructuredMessage[Judgement]):
    """The critic's answer."""

    def to_text(self) -> str:
        verdict = self.content.verdict
        return f"{verdict.move}: {verdict.critique}" if verdict.critique else verdict.move.value


class Policy(Protocol):
    """The role that writes steps."""

    async def propose(self, view: PolicyView) -> Proposal:
        """The next step. Raises EngineError when the model cannot be reached."""
        ...


class Critic(Protocol):
    """The role that judges them."""

    async def judge(self, view: CriticView) -> Judgement:
        """A verdict on `view.step`. Raises EngineError when the model cannot be reached."""
        ...
