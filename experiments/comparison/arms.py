"""The arms: the ways to grow journeys that are compared. Another protocol is one more entry."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Arm:
    """One way to grow journeys, as keys of a recipe of `generate` over what all arms share."""

    name: str
    title: str
    """In tables and sentences."""
    recipe: Mapping[str, Any]
    part: Literal["baseline", "critic", "search"] = "baseline"
    """Which question of the page it belongs to."""
    rivals: tuple[str, ...] = ()
    """The arms that it is set beside in words: what it must beat to be worth its name."""
    needs_reward: bool = False
    """Whether it is there only where the recipe names a reward model, which it is given."""


SOLO, REJECTION = "solo", "rejection"
BASELINES = (SOLO, REJECTION)
"""What every arm is compared with in the table of differences."""
ARMS = (
    Arm(SOLO, "solo", {"protocol": {"kind": "solo"}}),
    Arm(REJECTION, "rejection sampling", {"protocol": {"kind": "best-of-n", "n": 4, "select": "verifier"}}),
    Arm(
        "self-critique",
        "self-critique",
        {"protocol": {"kind": "self-critique"}, "critic": {"persona": "self", "sampling": {"max_tokens": 96}}},
        part="critic",
        rivals=(SOLO, "random"),
    ),
    Arm(
        "evidence",
        "dialogue, evidence critic",
        {"protocol": {"kind": "dialogue"}, "critic": {"persona": "evidence"}},
        part="critic",
        rivals=(SOLO, "silent", "random"),
    ),
    Arm(
        "model",
        "dialogue, model critic",
        {"protocol": {"kind": "dialogue"}, "critic": {"persona": "lenient"}},
        part="critic",
        rivals=(SOLO, "evidence", "random"),
    ),
    Arm(
        "silent",
        "dialogue, silent critic",
        {"protocol": {"kind": "dialogue"}, "critic": {"persona": "silent"}},
        part="critic",
        rivals=(SOLO,),
    ),
    Arm(
        "random",
        "dialogue, random critic",
        {"protocol": {"kind": "dialogue"}, "critic": {"persona": "random"}},
        part="critic",
        rivals=(SOLO,),
    ),
    Arm(
        "debate",
        "debate, evidence critic",
        {
            "protocol": {"kind": "debate"},
            "second": {"sampling": {"temperature": 1.3, "top_p": 1.0, "max_tokens": 64}},
            "critic": {"persona": "evidence"},
        },
        part="critic",
        rivals=(SOLO, "evidence"),
    ),
    Arm(
        "tree-search",
        "tree search",
        {"protocol": {"kind": "tree-search", "width": 3, "beam": 4, "depth": 12, "scorer": "checkers"}},
        part="search",
        rivals=(REJECTION, "evidence"),
    ),
    Arm(
        "mcts",
        "MCTS",
        {"protocol": {"kind": "mcts", "rollouts": 8, "more_rollouts": [16], "width": 3, "depth": 14}},
        part="search",
        rivals=(REJECTION, "evidence"),
    ),
    Arm(
        "rstar",
        "rStar, no reference in the search",
        {
            "protocol": {"kind": "rstar", "rollouts": 8, "depth": 8, "votes": 3, "subquestions": 2},
            "policy": {"persona": "rstar-small"},
            "second": {"persona": "auto"},
        },
        part="search",
        rivals=(SOLO, REJECTION, "mcts"),
    ),
    Arm(
        "mcts-ppm",
        "MCTS with a reward model",
        {
            "protocol": {
                "kind": "mcts",
                "rollouts": 8,
                "more_rollouts": [16],
                "width": 3,
                "depth": 14,
                "scorer": "reward",
                "prior": "score",
            }
        },
        part="search",
        rivals=("mcts", REJECTION),
        needs_reward=True,
    ),
)
"""In the order of tables."""
BY_NAME = {arm.name: arm for arm in ARMS}
