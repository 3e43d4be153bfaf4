"""Self-critique: one model proposes a step and then picks its own move from the same conversation.

Source: O1 Journey's propose-critique loop (methods 1.2): the action set is given, prompts and bounds are ours. The
checkers' evidence is recorded but neither shown nor acted on: the model judges alone.
It does see what a step's code printed, and code that does not run is taken back whatever it thinks (docs/code.md).
"""

from collections.abc import AsyncIterator
from typing import ClassVar, Literal

from agents.roles import Judgement
from journeys.code import CODE_OUTPUT
from journeys.draft import Draft
from journeys.record import Evidence, Journey, Turn
from protocols.base import Cast, Role
from protocols.conversation import ask_critic, converse
from settings import Settings


class SelfCritique(Settings):
    """One model in two roles."""

    kind: Literal["self-critique"] = "self-critique"
    roles: ClassVar[tuple[Role, ...]] = ("policy", "self_critic")

    def grow(self, draft: Draft, cast: Cast) -> AsyncIterator[Turn | Journey]:
        return converse(draft, cast, judge=_without_evidence, trust="critic")


async def _without_evidence(
    draft: Draft, cast: Cast, step: str, evidence: tuple[Evidence, ...], answer: str | None
) -> Judgement:
    output = tuple(found for found in evidence if found.kind == CODE_OUTPUT)
    return await ask_critic(draft, cast, step, output, answer)
