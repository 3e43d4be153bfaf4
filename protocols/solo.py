"""Solo: a policy without a critic, the control arm for "does the critic help?".

Source: g1's prompt-only step chain (methods 7), with our step and answer conventions. Checkers still run, so that
evidence is on record and lucky chains are found, but nobody acts on it.
"""

from collections.abc import AsyncIterator
from typing import ClassVar, Literal

from agents.roles import Judgement
from agents.verdicts import NEUTRAL
from journeys.draft import Draft
from journeys.record import Evidence, Journey, Turn
from protocols.base import Cast, Role
from protocols.conversation import converse
from settings import Settings


class Solo(Settings):
    """One agent; every step stands, and an answer ends the journey."""

    kind: Literal["solo"] = "solo"
    roles: ClassVar[tuple[Role, ...]] = ("policy",)

    def grow(self, draft: Draft, cast: Cast) -> AsyncIterator[Turn | Journey]:
        return converse(draft, cast, judge=_nobody, trust="critic")


async def _nobody(draft: Draft, cast: Cast, step: str, evidence: tuple[Evidence, ...], answer: str | None) -> Judgement:
    return Judgement(verdict=NEUTRAL)
