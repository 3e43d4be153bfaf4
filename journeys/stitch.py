"""From a journey to a thought: one long, coherent chain of thought in which every span knows its turn."""

from typing import Literal, Protocol

from journeys.gate import GateReport, inspect
from journeys.narrator import Span, Telling, tell
from journeys.record import Journey, Record

__all__ = ["GateReport", "Narrator", "Rewrite", "Span", "Thought", "stitch"]


class Thought(Record):
    """A journey told in the first person."""

    journey_id: str
    text: str
    answer: str | None
    """The final answer as the policy wrote it; None where the journey has none."""
    spans: tuple[Span, ...]
    """Cover `text` in order and without overlap; only whitespace lies between them."""
    narrator: Literal["template", "model"]
    """Who wrote `text`."""
    fell_back: bool = False
    """Whether a model's text failed the gate and the template's stands in its place."""
    gate: GateReport
    """The gate's word on `text`; after a fall back, on the rejected text."""


class Narrator(Protocol):
    """Tells a journey without a model."""

    def __call__(self, journey: Journey, *, shortcut: bool = False) -> Telling: ...


class Rewrite(Protocol):
    """A model that rewrites a draft, supplied from above."""

    async def __call__(self, draft: str, *, must_keep: tuple[str, ...], journey_id: str) -> str: ...


def stitch(journey: Journey, *, shortcut: bool = False, narrator: Narrator | None = None) -> Thought:
    """The journey's thought, by template; with `shortcut` the path alone, without its wrong turns."""
    telling = (narrator or tell)(journey, shortcut=shortcut)
    return Thought(
        journey_id=journey.id,
        text=telling.text,
        answer=journey.answer,
        spans=telling.spans,
        narrator="template",
        gate=inspect(telling.text, journey, shortcut=shortcut),
    )
