"""From a journey to a thought: one long, coherent chain of thought in which every span knows its turn."""

import re
from typing import Literal, Protocol

from journeys.code import code_in, fenced
from journeys.record import Journey, Record
from journeys.stitching.align import align
from journeys.stitching.gate import GateReport, inspect
from journeys.stitching.narrator import Telling, tell
from journeys.stitching.page import Layout, Span
from journeys.stitching.prose import raw_equations

__all__ = ["GateReport", "Narrator", "Rewrite", "Span", "Thought", "must_keep", "narrate", "stitch"]


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
    rejected: tuple[str, ...] = ()
    """After a fall back: what the gate held against the model's text."""
    gate: GateReport
    """The gate's word on `text`."""


class Narrator(Protocol):
    """Tells a journey without a model."""

    def __call__(self, journey: Journey, *, shortcut: bool = False, layout: Layout = "prose") -> Telling: ...


class Rewrite(Protocol):
    """A model that rewrites a draft, supplied from above."""

    async def __call__(self, draft: str, *, must_keep: tuple[str, ...], journey_id: str) -> str: ...


def stitch(
    journey: Journey, *, shortcut: bool = False, layout: Layout = "prose", narrator: Narrator | None = None
) -> Thought:
    """The journey's thought, by template; with `shortcut` the path alone, without its wrong turns."""
    telling = (narrator or tell)(journey, shortcut=shortcut, layout=layout)
    return Thought(
        journey_id=journey.id,
        text=telling.text,
        answer=journey.answer,
        spans=telling.spans,
        narrator="template",
        gate=inspect(telling.text, journey, shortcut=shortcut, draft=None if narrator else telling),
    )


async def narrate(journey: Journey, rewrite: Rewrite) -> Thought:
    """The journey's thought in a model's words, or the template's where the gate refuses those.

    Raises:
        Whatever `rewrite` raises: an engine's fault is its caller's to handle.
    """
    draft = tell(journey)
    written = (await rewrite(draft.text, must_keep=must_keep(journey), journey_id=journey.id)).strip()
    report = inspect(written, journey, draft=draft)
    thought = stitch(journey)
    if not report.passed:
        return thought.model_copy(update={"fell_back": True, "rejected": report.failures})
    spans = align(written, draft)
    return thought.model_copy(update={"text": written, "spans": spans, "narrator": "model", "gate": report})


def must_keep(journey: Journey) -> tuple[str, ...]:
    """What a rewrite has to hold unchanged: every equation, wrong ones too, steps without any, and the answer.

    Of a failed try that the draft tells in a few words only what those name.
    """
    kept: list[str] = []
    telling = tell(journey)
    for one, how in zip(telling.told, telling.tries, strict=True):
        if how.telling == "again":
            continue  # told before in other words
        if how.telling == "value":
            kept.append(how.value)
            continue
        if code := code_in(one.text):
            kept.append(fenced(code))
            continue
        kept += raw_equations(one.text) or ([one.text] if re.search(r"\w", one.text) and len(one.text) <= 160 else [])
    return tuple(dict.fromkeys([*kept, *([journey.answer] if journey.answer else [])]))
