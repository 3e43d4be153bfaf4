"""How wide a batch is, and which rows share it: rows of like length, in an order that seed and epoch alone decide.

transformers has such a sampler, but it draws from the global generator, so a training that goes on in the middle of an
epoch finds another order there. This one finds the same.
"""

import random
from collections.abc import Iterator, Sequence

WIDTH = 32
"""Batches are as wide as a multiple of this. On a CPU oneDNN keeps what it has prepared for every shape it has met:
with widths of all kinds memory grew by 45 MB a step (SmolLM2-135M, LoRA, bfloat16: 12 GB after 250 steps)."""
POOL = 50
"""Batches whose rows are sorted together: enough to save most padding, few enough to keep the order random."""


class LengthSampler:
    """The order of the rows: batches of like length, themselves in random order, the remainder last."""

    def __init__(self, lengths: Sequence[int], *, batch: int, seed: int) -> None:
        self.lengths = lengths
        self.batch = batch
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        draw = random.Random(f"{self.seed} {self.epoch}")
        rows = list(range(len(self.lengths)))
        draw.shuffle(rows)
        # What does not fill a batch is set aside first, so that it is a random remainder and not the longest rows.
        whole = len(rows) - len(rows) % self.batch
        rows, remainder = rows[:whole], rows[whole:]
        batches = []
        for start in range(0, whole, POOL * self.batch):
            pool = sorted(rows[start : start + POOL * self.batch], key=lambda row: self.lengths[row])
            batches += [pool[place : place + self.batch] for place in range(0, len(pool), self.batch)]
        draw.shuffle(batches)
        for batch in batches:
            yield from batch
        yield from remainder
