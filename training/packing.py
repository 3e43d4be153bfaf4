"""Several short rows in one row of a batch, kept apart by their positions.

transformers reads the places where position ids start anew as the borders of rows, and masks attention across them, as
long as no attention mask is given. tests/test_training_packing.py holds it to that: the loss of packed rows is the
loss of the same rows alone.
"""

import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from training.tokens import IGNORED


def pack(lengths: Sequence[int], *, capacity: int) -> list[list[int]]:
    """Which rows share a pack: best fit, longest first. Every row's index appears once; no pack exceeds `capacity`."""
    packs: list[list[int]] = []
    free: list[tuple[int, int]] = []
    for row in sorted(range(len(lengths)), key=lambda row: (-lengths[row], row)):
        fit = bisect.bisect_left(free, (lengths[row], -1))
        if fit == len(free):
            packs.append([row])
            space, place = capacity - lengths[row], len(packs) - 1
        else:
            space, place = free.pop(fit)
            packs[place].append(row)
            space -= lengths[row]
        bisect.insort(free, (space, place))
    return packs


@dataclass
class PackCollator:
    """Makes a batch of packs: ids, labels and positions, no attention mask.

    `flat` lays all packs behind one another in a single row, the only shape in which flash attention kernels honour
    positions; otherwise each pack is a row, so that a masked attention costs the square of a pack and not of a batch.
    """

    pad_id: int
    flat: bool = False
    multiple: int = 1
    """The width of a batch is a multiple of this."""

    def __call__(self, examples: Sequence[dict[str, Any]]) -> dict[str, Any]:
        import torch

        if self.flat:
            examples = [{key: list(chain.from_iterable(one[key] for one in examples)) for key in examples[0]}]
        width = -(-max(len(one["input_ids"]) for one in examples) // self.multiple) * self.multiple
        batch: dict[str, list[list[int]]] = {"input_ids": [], "labels": [], "position_ids": []}
        for one in examples:
            spare = width - len(one["input_ids"])
            batch["input_ids"].append([*one["input_ids"], *[self.pad_id] * spare])
            batch["labels"].append([*one["labels"], *[IGNORED] * spare])
            # Padding counts as a row of its own, so nobody sees it.
            batch["position_ids"].append([p for length in (*one["lengths"], spare) for p in range(length)])
        return {name: torch.tensor(values) for name, values in batch.items()}
