"""One answer out of several samples, and how good that is: pass@k, maj@k, best-of-k, a weighted vote.

One sampling pass serves all. Each function takes the n samples of one problem and gives the chance, over subsets of k
of them, that the selection is right. pass@k and best-of-k have closed forms; votes count every subset where there are
few, else random ones.
"""

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import combinations
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from evaluation.samples import Sample

SUBSETS = 400
"""Subsets that maj@k looks at where counting them all would take more."""


class Scorer(Protocol):
    """What best-of-k chooses by: a process reward model, a length, a likelihood. Never sees a reference answer."""

    def __call__(self, sample: Sample) -> float | None:
        """Higher is better; None where this sample has no score."""
        ...


def logprob(sample: Sample) -> float | None:
    """The mean log-probability of a token of the sample."""
    return sample.mean_logprob


def shortest(sample: Sample) -> float | None:
    """The sample that took the fewest tokens, among those that gave an answer."""
    return None if sample.answer is None else -float(sample.tokens)


def by_reward(rewards: Mapping[tuple[str, str, int], float]) -> Scorer:
    """What a reward model thought of the sample, by its model, problem and number."""

    def reward(sample: Sample) -> float | None:
        return rewards.get((sample.model, sample.problem_id, sample.sample))

    return reward


SCORER_BY_NAME: dict[str, Scorer] = {"logprob": logprob, "shortest": shortest}


def pass_at(n: int, right: int, k: int) -> float:
    """The chance that k of n samples hold a right one: 1 - C(n - right, k) / C(n, k) (Chen et al. 2021)."""
    if not 1 <= k <= n or not 0 <= right <= n:
        raise ValueError(f"pass@{k} of {right} right in {n} samples")
    return 1.0 - math.comb(n - right, k) / math.comb(n, k)


def maj_at(
    groups: Sequence[int | None],
    right: frozenset[int],
    k: int,
    *,
    seed: int,
    weights: Sequence[float | None] | None = None,
) -> float:
    """The share of subsets of k samples whose majority answer is right.

    Votes are counted answer by answer; a tie goes to the answer that an earlier sample gave, and a sample without an
    answer does not vote: where none votes, nothing is right.

    Args:
        groups: for each sample, in order, the number of its answer (equal ones share it) or None.
        right: the numbers of right answers.
        weights: of each sample's vote, None for one that has none; without them every vote counts the same.
    """
    answers = sorted({group for group in groups if group is not None})
    if not right.intersection(answers):
        return 0.0
    given = np.array([[group == answer for answer in answers] for group in groups])
    chosen = _subsets(len(groups), k, seed)
    weighed = np.ones(len(groups)) if weights is None else np.array([weight or 0.0 for weight in weights])
    # Rounded, so that sums of the same weights in another order are equal.
    votes = np.round(chosen @ (given * weighed[:, None]), 9)
    order = np.arange(len(groups))[None, :, None]
    first = np.where(chosen[:, :, None] & given[None], order, len(groups)).min(axis=1)
    winner = np.where(votes == votes.max(axis=1, keepdims=True), first, len(groups) + 1).argmin(axis=1)
    won = np.isin(np.array(answers)[winner], list(right)) & (votes.max(axis=1) > 0)
    return float(won.mean())


def maj_is_exact(n: int, k: int) -> bool:
    """Whether `maj_at` looks at every subset."""
    return math.comb(n, k) <= SUBSETS


def best_of(scores: Sequence[float | None], right: Sequence[bool], k: int) -> float:
    """The chance that the best scored of k samples is right; ties go to the earlier, no score is the lowest score.

    Sorted by score, sample i is the best of a subset when the other k - 1 come after it: C(n - 1 - i, k - 1) subsets.
    """
    n = len(scores)
    order = sorted(range(n), key=lambda place: (-math.inf if (s := scores[place]) is None else s, -place), reverse=True)
    chosen = sum(math.comb(n - 1 - rank, k - 1) for rank, place in enumerate(order) if right[place])
    return chosen / math.comb(n, k)


@lru_cache(maxsize=64)
def _subsets(n: int, k: int, seed: int) -> NDArray[np.bool_]:
    """Subsets of k of n samples, one a row: True for a sample that is in it. All of them, or as many random ones."""
    if maj_is_exact(n, k):
        places = np.array(list(combinations(range(n), k)))
    else:
        places = np.random.default_rng(seed).random((SUBSETS, n)).argsort(axis=1)[:, :k]
    chosen = np.zeros((len(places), n), dtype=np.bool_)
    np.put_along_axis(chosen, places, True, axis=1)
    return chosen
