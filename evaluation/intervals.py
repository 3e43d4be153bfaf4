"""Intervals and paired tests. A problem is what was drawn at random; several samples of one problem are a cluster.

wilson           one sample a problem: Wilson's score interval (Wilson 1927)
clustered        several: percentile bootstrap that draws problems, with all their samples
ratio            a sum over a sum, such as tokens for each row: the same draws of problems, above and below the line
mcnemar          two models, one sample a problem: exact test on the problems where they differ (McNemar 1947)
paired           two models: percentile bootstrap of the difference over problems both were given
holm             several comparisons at once: Holm's step-down adjustment (Holm 1979)
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from functools import lru_cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from journeys.record import Record

DRAWN_AT_ONCE = 2_000_000
"""Indices drawn in one piece, so that memory stays flat for large sets."""

Values = NDArray[np.float64]


class Estimate(Record):
    """A figure with its interval."""

    value: float
    low: float
    high: float
    method: str


class Difference(Record):
    """A paired comparison: the second model less the first, in the same unit as the figure."""

    value: float
    low: float
    high: float
    p: float
    """Two-sided."""
    method: str


def wilson(right: int, total: int, *, confidence: float = 0.95) -> Estimate:
    """The share of `right` among `total` independent tries."""
    if total < 1 or not 0 <= right <= total:
        raise ValueError(f"{right} of {total} is no share")
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    share = right / total
    middle = (share + z * z / (2 * total)) / (1 + z * z / total)
    half = z / (1 + z * z / total) * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    # At the ends the bound is the share itself; rounding must not put it a hair beside.
    low = 0.0 if right == 0 else max(0.0, middle - half)
    high = 1.0 if right == total else min(1.0, middle + half)
    return Estimate(value=share, low=low, high=high, method="wilson")


def clustered(values: Sequence[float], *, confidence: float = 0.95, resamples: int = 2000, seed: int = 0) -> Estimate:
    """The mean of one value in [0, 1] for each problem, such as the share of its samples that are right.

    Where every problem has the value 0, or every one 1, a bootstrap has nothing to draw from: the interval is then
    Wilson's over problems, each counted once.
    """
    array = np.asarray(values, dtype=np.float64)
    mean = float(array.mean())
    if array.min() == array.max() and mean in (0.0, 1.0):
        return wilson(round(mean * len(array)), len(array), confidence=confidence)
    means = _resampled(array, resamples=resamples, seed=seed)
    low, high = _percentiles(means, confidence)
    return Estimate(value=mean, low=low, high=high, method=f"bootstrap over problems ({resamples})")


def ratio(
    over: Sequence[float],
    under: Sequence[float],
    *,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Estimate:
    """`sum(over) / sum(under)`, each given problem by problem. Draws with nothing below the line are left out.

    Where the ratio is 0, or a share that is 1 in every problem, there is nothing to draw from: the interval is then
    Wilson's over the problems that have anything below the line, each counted once.

    Raises:
        ValueError: there is nothing below the line at all.
    """
    above, below = np.asarray(over, dtype=np.float64), np.asarray(under, dtype=np.float64)
    if above.shape != below.shape or not below.sum():
        raise ValueError("a ratio needs the same problems on both sides, and something below the line")
    value = float(above.sum() / below.sum())
    if not above.any() or (above == below).all():
        many = int(np.count_nonzero(below))
        return wilson(many if above.any() else 0, many, confidence=confidence)
    tops, bottoms = (_resampled(values, resamples=resamples, seed=seed) for values in (above, below))
    low, high = _percentiles(tops[bottoms != 0] / bottoms[bottoms != 0], confidence)
    return Estimate(value=value, low=low, high=high, method=f"bootstrap over problems ({resamples})")


def mcnemar(first: Sequence[bool], second: Sequence[bool]) -> float:
    """Two-sided exact p: how likely so uneven a split of the problems is on which just one of two models is right."""
    only_first = sum(a and not b for a, b in zip(first, second, strict=True))
    only_second = sum(b and not a for a, b in zip(first, second, strict=True))
    differing = only_first + only_second
    if not differing:
        return 1.0
    ways = tail = 1
    for few in range(min(only_first, only_second)):
        ways = ways * (differing - few) // (few + 1)  # from C(n, few) to C(n, few + 1)
        tail += ways
    return min(1.0, float(Fraction(2 * tail, 2**differing)))


def paired(
    first: Sequence[float],
    second: Sequence[float],
    *,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
    exact: bool = False,
) -> Difference:
    """The mean of `second - first`, problem by problem, with a bootstrap interval.

    `exact` takes the p-value from McNemar's test (every value is 0 or 1, one sample a problem); otherwise it is the
    bootstrap's own: twice the share of resamples on the other side of 0.
    """
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if a.shape != b.shape:
        raise ValueError("paired figures need the same problems on both sides")
    differences = b - a
    means = _resampled(differences, resamples=resamples, seed=seed)
    low, high = _percentiles(means, confidence)
    if exact:
        p = mcnemar([value == 1 for value in first], [value == 1 for value in second])
    else:
        beside = min(int((means <= 0).sum()), int((means >= 0).sum()))
        p = min(1.0, 2 * (beside + 1) / (resamples + 1))
    method = "McNemar, exact" if exact else f"paired bootstrap over problems ({resamples})"
    return Difference(value=float(differences.mean()), low=low, high=high, p=p, method=method)


def holm(ps: Sequence[float]) -> list[float]:
    """Each p adjusted for being one of several, in the order given."""
    adjusted = [0.0] * len(ps)
    highest = 0.0
    for rank, place in enumerate(sorted(range(len(ps)), key=ps.__getitem__)):
        highest = max(highest, min(1.0, (len(ps) - rank) * ps[place]))
        adjusted[place] = highest
    return adjusted


def _resampled(values: Values, *, resamples: int, seed: int) -> Values:
    """The means of `resamples` draws of as many values, with replacement; rounded, so that 0 is 0."""
    many = len(values)
    pieces = [draws @ values / many for draws in _draws(many, resamples, seed)]
    return np.concatenate(pieces).round(12)


def _draws(many: int, resamples: int, seed: int) -> Iterable[Values]:
    """For each resample how often each of `many` is in it. Figures of one size share their draws, and their cost."""
    if many * resamples <= DRAWN_AT_ONCE:
        return _kept_draws(many, resamples, seed)
    return _drawn(many, resamples, seed)


@lru_cache(maxsize=8)
def _kept_draws(many: int, resamples: int, seed: int) -> tuple[Values, ...]:
    return tuple(_drawn(many, resamples, seed))


def _drawn(many: int, resamples: int, seed: int) -> Iterator[Values]:
    rng = np.random.default_rng(seed)
    at_once = max(1, DRAWN_AT_ONCE // many)
    for done in range(0, resamples, at_once):
        rows = min(at_once, resamples - done)
        places = rng.integers(0, many, size=(rows, many)) + many * np.arange(rows)[:, None]
        yield np.bincount(places.ravel(), minlength=rows * many).reshape(rows, many).astype(np.float64)


def _percentiles(means: Values, confidence: float) -> tuple[float, float]:
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)
