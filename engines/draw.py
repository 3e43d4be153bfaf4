"""One token for each row from one matrix of logits, every row under its own sampling and its own random numbers."""

import math
import random
from collections.abc import Sequence
from typing import Any

from autogen_core.models import ChatCompletionTokenLogprob, TopLogprob

from engines.contract import Sampling

SHORTLIST = 128
"""Tokens sorted at first. A nucleus that needs more is rare, and only then is a whole row sorted."""
TOP_LOGPROBS = 5


def draw(logits: Any, samplings: Sequence[Sampling], randoms: Sequence[random.Random]) -> list[int]:
    """One token id per row of `logits` (float32, rows x vocabulary).

    Each row takes exactly one number from its own generator whatever else is in the batch; temperature 0 is greedy.
    Filters act in the order temperature, top_k, top_p, min_p.
    """
    chosen: list[int] = logits.argmax(-1).tolist()
    warm = [row for row, sampling in enumerate(samplings) if sampling.temperature > 0]
    if not warm:
        return chosen
    import torch

    scaled = logits[warm] if len(warm) < len(samplings) else logits
    scaled = scaled / torch.tensor([[samplings[row].temperature] for row in warm], device=logits.device)
    total = torch.logsumexp(scaled, -1, keepdim=True)
    top, tokens = scaled.topk(min(SHORTLIST, scaled.shape[-1]), -1)
    probabilities = (top - total).exp().cpu()
    tokens = tokens.cpu()
    covered: list[float] = probabilities.sum(-1).tolist()
    points = [randoms[row].random() for row in warm]
    short: list[int] = []
    for i, row in enumerate(warm):
        if _shortlist_holds(samplings[row], covered[i], points[i]):
            short.append(i)
            continue
        every, order = (scaled[i] - total[i]).exp().sort(descending=True)
        kept = _kept(every[None], [samplings[row]])
        chosen[row] = int(order[_at(kept, [points[i]], whole=[_unfiltered(samplings[row])])[0]])
    if short:
        kept = _kept(probabilities[short], [samplings[warm[i]] for i in short])
        whole = [_unfiltered(samplings[warm[i]]) for i in short]
        places = _at(kept, [points[i] for i in short], whole=whole)
        for i, place in zip(short, places, strict=True):
            chosen[warm[i]] = int(tokens[i, place])
    return chosen


def token_logprobs(logits: Any, token: int, tokenizer: Any) -> ChatCompletionTokenLogprob:
    """The model's own log probability (before temperature) of `token`, with the five likeliest."""
    import torch

    values = torch.log_softmax(logits, -1)
    top, ids = values.topk(TOP_LOGPROBS)
    text = tokenizer.decode([token])
    return ChatCompletionTokenLogprob(
        token=text,
        logprob=float(values[token]),
        bytes=list(text.encode()),
        top_logprobs=[
            TopLogprob(logprob=value, bytes=list(tokenizer.decode([i]).encode()))
            for value, i in zip(top.tolist(), ids.tolist(), strict=True)
        ],
    )


def _unfiltered(sampling: Sampling) -> bool:
    """Whether every token may be drawn: the mass of all is then 1, whether or not all are looked at."""
    return not sampling.top_k and sampling.top_p >= 1 and not sampling.min_p


def _shortlist_holds(sampling: Sampling, covered: float, point: float) -> bool:
    """Whether the token that will be drawn is among the shortlisted.

    Args:
        covered: the shortlist's share of the mass.
        point: where in the mass, the likeliest token first, the draw falls.
    """
    if 0 < sampling.top_k <= SHORTLIST:
        return True
    if _unfiltered(sampling):
        return point < covered - 1e-6
    return covered >= (sampling.top_p if sampling.top_p < 1 else 1 - 1e-6)


def _kept(probabilities: Any, samplings: Sequence[Sampling]) -> Any:
    """Descending probabilities with what the filters drop set to zero; the first always stays."""
    import torch

    device = probabilities.device
    kept = probabilities.clone()
    ranks = torch.arange(kept.shape[-1], device=device)
    if any(sampling.top_k for sampling in samplings):
        limits = torch.tensor([[sampling.top_k or math.inf] for sampling in samplings], device=device)
        kept[ranks[None] >= limits] = 0
    if any(sampling.top_p < 1 for sampling in samplings):
        nucleus = torch.tensor([[sampling.top_p] for sampling in samplings], device=device)
        mass = kept.sum(-1, keepdim=True) if any(sampling.top_k for sampling in samplings) else 1.0
        before = kept.cumsum(-1) - kept
        kept[before >= nucleus * mass] = 0
    if any(sampling.min_p for sampling in samplings):
        floors = torch.tensor([[sampling.min_p] for sampling in samplings], device=device) * probabilities[:, :1]
        kept[kept < floors] = 0
    kept[:, 0] = probabilities[:, 0]
    return kept


def _at(kept: Any, points: Sequence[float], *, whole: Sequence[bool]) -> list[int]:
    """The place in each row where its share of the mass is reached; of a row that is `whole` the mass is 1."""
    import torch

    heap = kept.cumsum(-1)
    mass = torch.where(torch.tensor(whole, device=kept.device)[:, None], 1.0, heap[:, -1:])
    aims = torch.tensor(points, device=kept.device, dtype=heap.dtype)[:, None] * mass
    places = (heap <= aims).sum(-1)
    last = (kept > 0).to(torch.int32).cumsum(-1).argmax(-1)
    return [int(place) for place in torch.minimum(places, last).tolist()]
