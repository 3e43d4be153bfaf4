"""Intervals and tests against published values, hand computation and simulation."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.intervals import clustered, holm, mcnemar, paired, wilson


@pytest.mark.parametrize(
    ("right", "total", "low", "high"),
    [
        (0, 10, 0.0, 0.2775),  # Newcombe 1998 and Brown, Cai, DasGupta 2001: rounded as they print them
        (1, 29, 0.0061, 0.1718),
        (15, 148, 0.0624, 0.1605),
        (81, 263, 0.2553, 0.3662),
        (10, 10, 0.7225, 1.0),
    ],
)
def test_wilson_agrees_with_published_intervals(right: int, total: int, low: float, high: float) -> None:
    found = wilson(right, total)
    assert found.low == pytest.approx(low, abs=5e-5)
    assert found.high == pytest.approx(high, abs=5e-5)
    assert found.value == right / total


@given(st.integers(1, 400), st.data())
def test_wilson_holds_its_value_stays_in_bounds_and_mirrors(total: int, data: st.DataObject) -> None:
    right = data.draw(st.integers(0, total))
    found, mirrored = wilson(right, total), wilson(total - right, total)
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert found.low == pytest.approx(1 - mirrored.high)
    wider = wilson(right, total, confidence=0.99)
    assert wider.low <= found.low
    assert wider.high >= found.high


def test_no_tries_are_no_share() -> None:
    with pytest.raises(ValueError, match="0 of 0"):
        wilson(0, 0)


@pytest.mark.parametrize(
    ("only_first", "only_second", "p"),
    [
        (0, 0, 1.0),
        (0, 5, 0.0625),  # 2 / 2**5
        (1, 5, 0.21875),  # 2 * (1 + 6) / 2**6
        (3, 3, 1.0),
        (5, 15, 2 * sum(math.comb(20, k) for k in range(6)) / 2**20),  # 0.0414
        (21, 3, 2 * (1 + 24 + 276 + 2024) / 2**24),
    ],
)
def test_mcnemar_by_hand(only_first: int, only_second: int, p: float) -> None:
    first = [True] * only_first + [False] * only_second + [True, False] * 7  # agreement adds nothing
    second = [False] * only_first + [True] * only_second + [True, False] * 7
    assert mcnemar(first, second) == pytest.approx(p, rel=1e-12)
    assert mcnemar(second, first) == pytest.approx(p, rel=1e-12)


def test_mcnemar_of_thousands_of_problems_does_not_overflow() -> None:
    assert mcnemar([True] * 3000, [False] * 3000) == pytest.approx(0.0)
    assert mcnemar([True, False] * 2000, [False, True] * 2000) == 1.0


def test_a_clustered_interval_covers_as_often_as_it_says() -> None:
    """Problems differ in difficulty, samples of one problem hang together: drawing samples would be far too sure."""
    rng = np.random.default_rng(11)
    covered = naive = 0
    runs, problems, samples = 300, 60, 8
    for run in range(runs):
        chances = rng.beta(0.4, 0.6, size=problems)
        rights = rng.binomial(samples, chances)
        found = clustered([*(rights / samples)], resamples=400, seed=run)
        covered += found.low <= 0.4 <= found.high
        pooled = wilson(int(rights.sum()), problems * samples)
        naive += pooled.low <= 0.4 <= pooled.high
    assert 0.91 <= covered / runs <= 0.98
    assert naive / runs < 0.75


def test_a_clustered_interval_of_no_variance_is_not_a_point() -> None:
    none, every = clustered([0.0] * 20), clustered([1.0] * 20)
    assert (none.low, none.high) == (0.0, wilson(0, 20).high)
    assert (every.low, every.high) == (wilson(20, 20).low, 1.0)


def test_a_bootstrap_gives_the_same_interval_again_also_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    values = [0.0, 0.25, 1.0, 0.5, 0.75, 0.0]
    whole = clustered(values, seed=4)
    assert clustered(values, seed=4) == whole
    assert clustered(values, seed=5) != whole
    monkeypatch.setattr("evaluation.intervals.DRAWN_AT_ONCE", 60)
    assert clustered(values, seed=4) == whole


def test_a_paired_difference_is_found_where_separate_intervals_overlap() -> None:
    rng = np.random.default_rng(3)
    chances = rng.random(300)
    first = [*(rng.binomial(8, chances) / 8)]
    second = [min(1.0, value + 0.125 * (rng.random() < 0.4)) for value in first]
    a, b = clustered(first), clustered(second)
    found = paired(first, second)
    assert a.high > b.low, "apart they cannot be told from each other"
    assert found.low > 0
    assert found.p < 0.01
    assert found.value == pytest.approx(b.value - a.value)
    back = paired(second, first)
    assert back.value == pytest.approx(-found.value)


def test_equal_models_differ_by_nothing() -> None:
    found = paired([0.0, 1.0, 0.5], [0.0, 1.0, 0.5])
    assert (found.value, found.low, found.high, found.p) == (0, 0, 0, 1)


def test_a_paired_bootstrap_seldom_sees_what_is_not_there() -> None:
    rng = np.random.default_rng(5)
    runs = 300
    alarms = 0
    for run in range(runs):
        chances = rng.beta(0.5, 0.5, size=50)
        first, second = rng.binomial(4, chances) / 4, rng.binomial(4, chances) / 4
        alarms += paired([*first], [*second], resamples=400, seed=run).p < 0.05
    assert alarms / runs <= 0.09


def test_exact_takes_its_p_from_mcnemar() -> None:
    first, second = [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0], [0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    found = paired(first, second, exact=True)
    assert found.p == 0.21875
    assert found.method == "McNemar, exact"
    assert found.value == pytest.approx(4 / 7)


def test_paired_figures_need_the_same_problems() -> None:
    with pytest.raises(ValueError, match="same problems"):
        paired([1.0], [1.0, 0.0])


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.6, 0.9]) == [1.0, 1.0]
    assert holm([]) == []
