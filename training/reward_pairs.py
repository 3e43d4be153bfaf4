"""Pairs for a reward model: a question, the steps so far, and two ways to go on, of which one is to score higher."""

import random
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engines.rewards.layouts import PPMLayout
from settings import UserError
from training.ppm_settings import PPMSettings
from training.rows import Source, messages, read_all, written
from training.tokens import Encoded, check_length


@dataclass(frozen=True, slots=True)
class RewardPair:
    """Two texts of steps after the same question."""

    source: Source
    question: str
    chosen: str
    """All lines, those that both sides share included."""
    rejected: str
    weight: float


@dataclass(frozen=True, slots=True)
class EncodedRewards:
    """A pair as ids."""

    chosen: "array[int]"
    rejected: "array[int]"
    weight: float

    @property
    def longer(self) -> Encoded:
        """The longer side as a row that is all prompt: nothing in it is written."""
        return Encoded(max(self.chosen, self.rejected, key=len), array("i"))

    def __len__(self) -> int:
        return len(self.longer)


def read_reward_pairs(settings: PPMSettings) -> tuple[list[RewardPair], Counter[str]]:
    """The pairs of all data, in order, and how many of each kind there are.

    Raises:
        UserError: nothing named, no such file, a row that is no pair, or no pair in all of it.
    """
    kinds: Counter[str] = Counter()
    pairs = []
    for raw, source in read_all(settings.data, exports="ppm"):
        pairs.append(_pair(raw, source))
        kinds[str(raw.get("kind") or "step")] += 1
    return pairs, kinds


def encode_rewards(pairs: Iterable[RewardPair], layout: PPMLayout, *, settings: PPMSettings) -> list[EncodedRewards]:
    """Pairs as the ids that a scorer will make of the same steps. Raises UserError for one that is too long."""
    encoded = []
    for pair in pairs:
        chosen, rejected = (
            array("i", layout.chain(pair.question, [text]).ids) for text in (pair.chosen, pair.rejected)
        )
        one = EncodedRewards(chosen, rejected, pair.weight)
        check_length(len(one), pair.source, max_length=settings.max_length, what="side of a pair")
        encoded.append(one)
    return encoded


def split(pairs: Sequence[RewardPair], *, held_out: float, seed: int) -> tuple[list[int], list[int]]:
    """The places of the pairs to learn from and of those held out: question by question, drawn by the seed.

    Two pairs of a question share its steps; one that is held out must be of a question that was never seen.
    """
    questions = list(dict.fromkeys(pair.question for pair in pairs))
    count = min(len(questions) - 1, max(1, round(held_out * len(questions)))) if held_out else 0
    apart = set(random.Random(f"held out {seed}").sample(questions, count))
    places = range(len(pairs))
    return [n for n in places if pairs[n].question not in apart], [n for n in places if pairs[n].question in apart]


def _pair(raw: Mapping[str, Any], source: Source) -> RewardPair:
    """A row in TRL's columns, in either of its formats, with or without a weight."""
    if missing := [column for column in ("prompt", "chosen", "rejected") if column not in raw]:
        raise UserError(
            f"{source}: column {missing[0]!r} is missing (there is {', '.join(map(str, sorted(raw)))}); "
            "a reward model takes rows of 'prompt', 'chosen', 'rejected' and perhaps 'weight'"
        )
    if isinstance(raw["prompt"], str) and raw.get("kind") == "step":
        raise UserError(
            f"{source}: prompt: a step pair's must be messages, so that what is begun can be told from the question; "
            "export the run with --export.format conversational"
        )
    asked = messages(raw["prompt"], source, column="prompt", default_role="user")
    roles = [message.role for message in asked]
    if roles not in (["user"], ["user", "assistant"]):
        raise UserError(
            f"{source}: prompt: a reward model is shown a question and the steps so far, not {', '.join(roles)}"
        )
    begun = f"{asked[1].content.rstrip()}\n" if len(asked) > 1 else ""
    weight = raw.get("weight", 1.0)
    if not isinstance(weight, int | float) or not 0 < weight < float("inf"):
        raise UserError(f"{source}: weight: expected a number above 0, found {weight!r}")
    chosen, rejected = (begun + written(raw[column], source, column=column) for column in ("chosen", "rejected"))
    return RewardPair(source, asked[0].content, chosen, rejected, float(weight))
