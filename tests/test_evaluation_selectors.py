"""pass@k, maj@k and best-of-k against counting every subset."""

from collections.abc import Sequence
from fractions import Fraction
from itertools import combinations

import pytest
from evaluation_material import facts, problem
from hypothesis import given
from hypothesis import strategies as st

from evaluation.samples import Sample
from evaluation.scores import scored
from evaluation.selectors import best_of, maj_at, maj_is_exact, pass_at, shortest
from evaluation.settings import EvaluateSettings

RIGHTS = st.lists(st.booleans(), min_size=1, max_size=9)


@given(RIGHTS, st.data())
def test_pass_at_k_is_the_share_of_subsets_that_hold_a_right_sample(rights: list[bool], data: st.DataObject) -> None:
    k = data.draw(st.integers(1, len(rights)))
    subsets = list(combinations(rights, k))
    assert pass_at(len(rights), sum(rights), k) == pytest.approx(sum(map(any, subsets)) / len(subsets))


def test_pass_at_k_of_many_samples_is_exact() -> None:
    assert pass_at(200, 1, 100) == pytest.approx(0.5)
    assert pass_at(1000, 3, 1) == pytest.approx(0.003)
    assert pass_at(5, 0, 5) == 0
    assert pass_at(5, 1, 5) == 1


@pytest.mark.parametrize(("n", "right", "k"), [(3, 1, 4), (3, 4, 1), (3, 1, 0)])
def test_pass_at_more_than_there_are_is_refused(n: int, right: int, k: int) -> None:
    with pytest.raises(ValueError, match="pass@"):
        pass_at(n, right, k)


def majority(groups: Sequence[int | None]) -> int | None:
    """The definition: most votes, ties to the one that was voted for first."""
    voted = [group for group in groups if group is not None]
    return max(dict.fromkeys(voted), key=voted.count, default=None)


def test_a_tie_goes_to_the_answer_that_was_given_first() -> None:
    for groups, winner in (([2, 1, 1, 2], 2), ([None, 1, 2], 1), ([3, 1, 1], 1), ([0], 0)):
        assert majority(groups) == winner
        for answer in {1, 2, 3, 0}:
            assert maj_at(groups, frozenset((answer,)), len(groups), seed=0) == (answer == winner)
    assert maj_at([None, None], frozenset((0,)), 2, seed=0) == 0


@given(st.lists(st.sampled_from([None, 0, 1, 2]), min_size=1, max_size=7), st.data())
def test_maj_at_k_counts_every_subset(groups: list[int | None], data: st.DataObject) -> None:
    k = data.draw(st.integers(1, len(groups)))
    subsets = list(combinations(groups, k))
    wanted = sum(majority(subset) in (0, 2) for subset in subsets) / len(subsets)
    assert maj_at(groups, frozenset((0, 2)), k, seed=0) == pytest.approx(wanted)


def test_maj_at_k_of_many_samples_is_estimated_close_to_the_truth() -> None:
    groups = [0] * 11 + [1] * 9
    assert not maj_is_exact(20, 5)
    wins = Fraction(sum(sum(groups[i] == 0 for i in s) >= 3 for s in combinations(range(20), 5)), 15504)
    estimates = [maj_at(groups, frozenset((0,)), 5, seed=seed) for seed in range(8)]
    assert sum(estimates) / 8 == pytest.approx(float(wins), abs=0.03)
    assert maj_at(groups, frozenset((0,)), 5, seed=1) == maj_at(groups, frozenset((0,)), 5, seed=1)


@given(st.lists(st.tuples(st.sampled_from([None, -2.0, -1.0, 0.0]), st.booleans()), min_size=1, max_size=8), st.data())
def test_best_of_k_counts_every_subset(samples: list[tuple[float | None, bool]], data: st.DataObject) -> None:
    k = data.draw(st.integers(1, len(samples)))
    subsets = list(combinations(samples, k))
    won = sum(max(s, key=lambda one: -9.0 if one[0] is None else one[0])[1] for s in subsets)  # max: first of equals
    found = best_of([score for score, _ in samples], [right for _, right in samples], k)
    assert found == pytest.approx(won / len(subsets))


def test_a_sample_without_an_answer_is_never_the_shortest() -> None:
    sample = Sample(
        model="m",
        problem_id="p",
        family="f",
        question="?",
        sample=0,
        text="t",
        seed=1,
        finish="stop",
        status="right",
        answer="4",
        tokens=7,
        prompt_tokens=1,
        seconds=0.1,
        mean_logprob=None,
    )
    assert shortest(sample) == -7
    assert shortest(sample.model_copy(update={"answer": None})) is None


def test_every_selector_comes_from_one_set_of_samples() -> None:
    settings = EvaluateSettings.model_validate(
        {"samples": 4, "sampling": {"temperature": 1.0}, "best_of": ["logprob"], "resamples": 100}
    )
    problems = [problem("a", True, True, False, False), problem("b", False, False, False, True)]
    for one in problems:  # the later, the likelier
        one.samples = [facts(f.number, right=f.right, group=f.group, scores=(float(f.number),)) for f in one.samples]
    found = scored(problems, settings)
    assert found["accuracy"]["value"] == pytest.approx(3 / 8)
    assert {k: round(v["value"], 4) for k, v in found["pass_at"].items()} == {
        "1": 0.375,
        "2": round((1 - 1 / 6 + 1 - 3 / 6) / 2, 4),
        "4": 1.0,
    }
    assert found["maj_at"]["4"]["value"] == 0.5, "a is a tie that the earlier answer wins, b is outvoted"
    assert found["maj_at"]["4"]["over"] == "all subsets"
    assert found["best_of"]["logprob"]["4"]["value"] == 0.5, "the last of a is wrong, the last of b right"
    assert found["best_of"]["logprob"]["1"]["value"] == pytest.approx(found["accuracy"]["value"])
    assert found["accuracy"]["method"].startswith("bootstrap over problems")
