"""The arms of the comparison: what each model is taught, and what its name in figures and folders is."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Arm:
    """One way of training, repeated for every seed."""

    name: str
    title: str
    """In tables."""
    method: Literal["sft", "dpo"]
    data_kind: Literal["journey", "shortcut", "from-doubt"] = "journey"
    """SFT: the whole thought, the standing path, or the thought with no loss before its last doubt."""
    learn: Literal["all", "standing"] = "all"
    """SFT: `standing` lets no loss fall on steps that were taken back."""
    tokens_of: str = ""
    """SFT: stop at as many learnt tokens as that arm saw, in place of as many steps."""
    start: str = ""
    """DPO: the arm whose model it starts from."""
    plain: bool = False
    """DPO: without the repairs."""

    @property
    def needs(self) -> str:
        """The arm that must be there first."""
        return self.tokens_of or self.start


BASE = "base"
ARMS = (
    Arm("shortcut", "shortcut SFT", "sft", data_kind="shortcut"),
    Arm("journey", "journey SFT", "sft"),
    Arm("shortcut-tokens", "shortcut SFT, journey's tokens", "sft", data_kind="shortcut", tokens_of="journey"),
    Arm("from-doubt", "journey SFT from the last doubt on", "sft", data_kind="from-doubt"),
    Arm("standing", "journey SFT without its wrong steps", "sft", learn="standing"),
    Arm("dpo", "journey SFT + DPO", "dpo", start="journey"),
    Arm("dpo-plain", "journey SFT + plain DPO", "dpo", start="journey", plain=True),
)
"""In the order in which they are made."""
TITLES = {BASE: "base"} | {arm.name: arm.title for arm in ARMS}

COMPARED = (
    ("shortcut", "journey"),
    ("shortcut-tokens", "journey"),
    ("shortcut", "from-doubt"),
    ("journey", "from-doubt"),
    ("shortcut", "standing"),
    ("journey", "standing"),
    (BASE, "shortcut"),
    (BASE, "journey"),
    ("journey", "dpo"),
    ("journey", "dpo-plain"),
    ("dpo-plain", "dpo"),
)
"""Which arms are compared: the second less the first."""


def compared(arms: Collection[str]) -> list[tuple[str, str]]:
    """The comparisons between arms that there are."""
    return [(first, second) for first, second in COMPARED if {first, second} <= {BASE, *arms}]


def label(arm: str, seed: int) -> str:
    """A model's name: of its folder, and in samples."""
    return f"{arm}-{seed}"
