"""Dialogue: the policy proposes a step, the critic answers with a move, the verifier has the last word.

Source: O1 Journey's third attempt, policy and critic in conversation (methods 1.3), with the moves of its second (1.2).
The report leaves open step size, bounds and what the critic sees; here: one step a turn, budgets on every loop, and
the reference answer in neither prompt.
"""

from collections.abc import AsyncIterator
from typing import ClassVar, Literal

from journeys.draft import Draft
from journeys.record import Journey, Turn
from protocols.base import Cast, Role
from protocols.conversation import ask_critic, converse
from settings import Settings


class Dialogue(Settings):
    """Two agents: a policy, and a critic that sees the checkers' evidence."""

    kind: Literal["dialogue"] = "dialogue"
    roles: ClassVar[tuple[Role, ...]] = ("policy", "critic")

    def grow(self, draft: Draft, cast: Cast) -> AsyncIterator[Turn | Journey]:
        return converse(draft, cast, judge=ask_critic, trust=cast.trust)
