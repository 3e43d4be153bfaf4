"""How a journey grows: one file for each way, one small interface (`protocols.base.GrowsJourneys`)."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from protocols.best_of_n import BestOfN
from protocols.debate import Debate
from protocols.dialogue import Dialogue
from protocols.mcts import MCTS
from protocols.ready_tree import ReadyTree
from protocols.rstar import RStar
from protocols.self_critique import SelfCritique
from protocols.solo import Solo
from protocols.tree_search import TreeSearch


def _name_is_enough(value: Any) -> Any:
    return {"kind": value} if isinstance(value, str) else value


AnyProtocol = Annotated[
    BestOfN | Debate | Dialogue | MCTS | ReadyTree | RStar | SelfCritique | Solo | TreeSearch,
    Field(discriminator="kind"),
]
"""Every protocol a recipe can name."""

ProtocolSetting = Annotated[AnyProtocol, BeforeValidator(_name_is_enough)]
"""`protocol: solo` and `protocol: {kind: solo}` mean the same."""
