"""What drawing a token for each row costs beside the forward pass: with the shortlist, and with every token ranked.

PYTHONPATH=. python benchmarks/drawing.py
"""

import random
import statistics
import time

import torch

import engines.draw
from engines.contract import Sampling
from engines.draw import draw

ROWS, VOCABULARY, STEPS = 64, 49_152, 12
LIKELIEST = (12.0, 15.0, 22.0)
"""By how much one token stands out among normal logits: from a choice of many to hardly any."""


def milliseconds(logits: torch.Tensor, samplings: list[Sampling]) -> float:
    """The median of several steps."""
    taken = []
    for step in range(STEPS):
        randoms = [random.Random(f"{step} {row}") for row in range(ROWS)]
        began = time.perf_counter()
        draw(logits, samplings, randoms)
        taken.append(time.perf_counter() - began)
    return 1000 * statistics.median(taken)


def main() -> None:
    torch.set_num_threads(1)
    shortlist = engines.draw.SHORTLIST
    samplings = [Sampling(temperature=0.7, top_p=1.0)] * ROWS
    print(f"{'likeliest by':>14}{'shortlist':>12}{'all ranked':>12}")
    for peak in LIKELIEST:
        source = torch.Generator().manual_seed(0)
        logits = 3 * torch.randn(ROWS, VOCABULARY, generator=source)
        logits[torch.arange(ROWS), torch.randint(0, VOCABULARY, (ROWS,), generator=source)] += peak
        engines.draw.SHORTLIST = shortlist
        short = milliseconds(logits, samplings)
        engines.draw.SHORTLIST = VOCABULARY
        print(f"{peak:14.0f}{short:12.1f}{milliseconds(logits, samplings):12.1f}")


if __name__ == "__main__":
    main()
