"""Mutual consistency by hand: what is shown, what survives, what is chosen, and that no reference has a way in."""

import asyncio
import inspect
import json
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from generation_material import run_cli, summary_of, write_problems
from hypothesis import given
from hypothesis import strategies as st
from search_material import events

from agents.roles import PolicyView, Proposal
from journeys.costs import costs_of
from journeys.draft import Budgets, Draft
from journeys.record import Cost, Journey, Problem, Voice
from journeys.store import Store
from journeys.tree import Completion, Tree
from problems.referee import Referee
from protocols.best_of_n import BestOfN
from protocols.consistency import Candidate, Consistency, beginnings, most_consistent, numbered, survives

PROBLEM = Problem(id="p", question="What is 2 + 3 + 4?", answer="9")
STEPS = ("one two three four", "five six", "seven eight nine ten")


@pytest.mark.parametrize(
    ("settings", "shown"),
    [
        ({}, [0, 0, 1, 1]),  # at most 2, 3, 4, 5 of ten words; whole lines of 4, 2 and 4
        ({"cuts": 1}, [0]),
        ({"cuts": 3, "shortest": 0.4, "longest": 0.8}, [1, 2, 2]),
        ({"cuts": 2, "shortest": 0.9, "longest": 0.9}, [2, 2]),
    ],
)
def test_beginnings_end_with_whole_lines_within_their_share_of_the_words(
    settings: dict[str, Any], shown: list[int]
) -> None:
    assert beginnings(STEPS, Consistency(**settings)) == [STEPS[:count] for count in shown]


def test_a_step_of_several_lines_and_sentences_is_cut_between_them() -> None:
    solution = ["First I add. 2 + 3.5 = 5.5\nThen I go on."]
    assert beginnings(solution, Consistency(cuts=2, shortest=0.3, longest=0.7)) == [
        ("First I add.",),
        ("First I add.", "2 + 3.5 = 5.5"),
    ]


def test_a_step_with_code_is_shown_whole_or_not_at_all() -> None:
    solution = ["```python\na = 2 + 3\nb = a + 4\n```", "```python\nprint(b)\n```", "Answer: 9"]
    for cut in (0.1, 0.3, 0.5, 0.7, 0.9):
        (shown,) = beginnings(solution, Consistency(cuts=1, shortest=cut, longest=cut))
        assert list(shown) == solution[: len(shown)]


@given(st.lists(st.text(), max_size=8), st.floats(0, 0.99), st.floats(0, 0.99), st.integers(1, 6))
def test_the_end_of_a_solution_is_never_shown(steps: list[str], one: float, other: float, cuts: int) -> None:
    whole = " ".join(" ".join(steps).split())
    for shown in beginnings(steps, Consistency(cuts=cuts, shortest=min(one, other), longest=max(one, other))):
        begun = " ".join(" ".join(shown).split())
        assert whole.startswith(begun)
        assert begun != whole or not whole


@pytest.mark.parametrize(
    ("agreeing", "standing"),
    [(0, (False, False, False)), (1, (True, False, False)), (2, (True, True, False)), (4, (True, True, True))],
)
def test_loose_mid_and_strict_ask_for_one_half_and_all(agreeing: int, standing: tuple[bool, ...]) -> None:
    completions = [Completion(leaf=0, shown=(), steps=(), agrees=place < agreeing) for place in range(4)]
    modes = ("loose", "mid", "strict")
    assert tuple(survives(completions, Consistency(agreement=mode)) for mode in modes) == standing


@pytest.mark.parametrize(
    ("candidates", "chosen"),
    [
        ([], None),
        ([Candidate(None)], None),
        ([Candidate(None), Candidate(0)], 1),
        # Two of three survivors say 1: 2/3 + 2/2 against 1/3 + 1/2.
        ([Candidate(0), Candidate(0, survives=False), Candidate(1), Candidate(1)], 2),
        # One of three solutions survives: 1/2 + 1/3; the rare answer with nothing lost has 1/2 + 1.
        ([Candidate(0), Candidate(0, survives=False), Candidate(0, survives=False), Candidate(1)], 3),
        # A tie goes to the earlier answer; within an answer to the most confident of its survivors.
        ([Candidate(1), Candidate(0)], 0),
        ([Candidate(0, 0.2), Candidate(0, 0.9), Candidate(0, 1.0, survives=False), Candidate(1, 0.1)], 1),
        ([Candidate(0, 0.2), Candidate(0, 0.9), Candidate(1, 0.1)], 1),
        # None survives: the answer with most confidence, as before anybody was asked.
        ([Candidate(0, 0.4, survives=False), Candidate(1, 0.9, survives=False)], 1),
        ([Candidate(0, 0.0), Candidate(1, 0.0)], 0),
    ],
)
def test_the_answer_of_most_confidence_and_survival_is_chosen(candidates: list[Candidate], chosen: int | None) -> None:
    assert most_consistent(candidates) == chosen


def test_the_selector_has_no_parameter_through_which_a_reference_could_come() -> None:
    assert list(inspect.signature(most_consistent).parameters) == ["candidates"]
    assert {field.name for field in fields(Candidate)} == {"answer", "confidence", "survives"}
    # Numbers alone: an answer's text is not there to be compared with anything.
    assert get_type_hints(Candidate) == {"answer": int | None, "confidence": float, "survives": bool}


def test_equal_answers_share_a_number_by_the_comparison_that_grades() -> None:
    referee = Referee()

    async def run() -> Any:
        async def same(first: str, second: str) -> bool:
            return await referee.same(PROBLEM, first, second)

        return await numbered(["1/2", None, "3", "0.5", "3 apples", "4"], same)

    try:
        assert asyncio.run(run()) == (0, None, 1, 0, 1, 2)
    finally:
        referee.close()


# As the selector of best-of-n


class Solves:
    """Solutions by their number; a second policy goes on from what it is shown as it was told to."""

    def __init__(self, *solutions: Sequence[str], completes: dict[int, list[str]]) -> None:
        self.solutions = solutions
        self.completes = completes
        """Its answers for each solution, cut by cut."""
        self.shown: list[tuple[str, ...]] = []

    async def propose(self, view: PolicyView) -> Proposal:
        number, _, cut = view.journey_id.rpartition(".")
        if "~second" in view.journey_id:
            leaf = int(number.rpartition(".")[2])
            self.shown.append(tuple(turn.step for turn in view.path))
            return Proposal(step=f"Answer: {self.completes[leaf][int(cut)]}", cost=Cost(completion_tokens=3, calls=1))
        way = self.solutions[int(cut) // 24 if not view.path else self._number(view.path[0].step)]
        return Proposal(step=way[len(view.path)], cost=Cost(completion_tokens=10, calls=1))

    def _number(self, first: str) -> int:
        return next(place for place, way in enumerate(self.solutions) if way[0] == first)


WAYS = (("2 + 3 = 5", "Answer: 5"), ("3 + 4 = 7", "7 + 2 = 9", "Answer: 9"), ("2 + 4 = 6", "Answer: 6"))
AGREE = {1: ["9", "9", "5", "5"], 4: ["8", "9", "9", "9"], 6: ["9", "9", "6", "9"]}


def run(speaker: Solves, protocol: BestOfN, *, problem: Problem = PROBLEM, **budgets: Any) -> tuple[Tree, Journey]:
    draft = Draft("p#0", problem, protocol=protocol.kind, policy=Voice(persona="w", model="w"))
    tree, *_, journey = events(protocol, draft, policy=speaker, second=speaker, budgets=Budgets(**budgets))
    return tree, journey


@pytest.mark.parametrize(
    ("agreement", "told"),
    [
        ("mid", "5"),  # 5 (two of four) and 9 (three of four) survive alike; 6 does not; of equals the earlier
        ("strict", "5"),  # nobody survives, nothing is known, the first of equal answers
    ],
)
def test_the_solution_whose_answer_comes_again_is_told(agreement: str, told: str) -> None:
    settings = BestOfN.model_validate({"n": 3, "select": "consistency", "consistency": {"agreement": agreement}})
    _, journey = run(Solves(*WAYS, completes=AGREE), settings)
    assert journey.answer == told


def test_what_does_not_come_again_is_not_told() -> None:
    speaker = Solves(*WAYS, completes=AGREE | {1: ["9", "9", "9", "5"]})
    tree, journey = run(speaker, BestOfN(n=3, select="consistency"))
    assert [turn.step for turn in journey.turns] == list(WAYS[1])
    assert tree.chosen == 4
    assert len(tree.completions) == 12
    assert [one.agrees for one in tree.completions if one.leaf == 4] == [False, True, True, True]
    assert ("3 + 4 = 7",) in speaker.shown, "a beginning"
    assert not any("Answer" in step for shown in speaker.shown for step in shown)
    # Every token counts: seven steps were written and one walked three, and twelve completions of three tokens.
    assert journey.completion_tokens == 7 * 10 + 12 * 3
    assert journey.search_cost.completion_tokens == 4 * 10 + 12 * 3
    assert {speaker: cost.completion_tokens for speaker, cost in costs_of(journey).items()} == {
        "policy": 70,
        "second": 36,
    }


def test_another_reference_chooses_the_same() -> None:
    for answer in ("9", "5", "6", "0"):
        speaker = Solves(*WAYS, completes=AGREE | {1: ["9", "9", "9", "5"]})
        problem = PROBLEM.model_copy(update={"answer": answer})
        tree, journey = run(speaker, BestOfN(n=3, select="consistency"), problem=problem)
        assert (tree.chosen, journey.answer) == (4, "9")


def test_nobody_is_asked_where_all_agree_or_the_budget_is_spent() -> None:
    agreed, _ = run(Solves(WAYS[0], ("3 + 2 = 5", "Answer: 5"), completes={}), BestOfN(n=2, select="consistency"))
    assert (agreed.completions, agreed.chosen) == ((), 1)
    poor, journey = run(Solves(*WAYS, completes={}), BestOfN(n=3, select="consistency"), max_tokens=60)
    assert poor.completions == ()
    assert journey.answer == "5"


def test_a_completion_without_an_answer_ends_and_does_not_agree() -> None:
    class Talks(Solves):
        async def propose(self, view: PolicyView) -> Proposal:
            if "~second" in view.journey_id:
                return Proposal(step="Hmm.", cost=Cost(completion_tokens=50, calls=1))
            return await super().propose(view)

    settings = BestOfN.model_validate({"n": 3, "select": "consistency", "consistency": {"max_tokens": 101}})
    tree, journey = run(Talks(*WAYS, completes={}), settings)
    assert {len(one.steps) for one in tree.completions} == {3}
    assert not any(one.agrees for one in tree.completions)
    assert journey.answer == "5"


# In a run

SCRIPT = """
replies:
  "stepwise/p-*~root.0/*": "2 + 2 = 4"
  "stepwise/p-*~0.1/*": "Answer: 4"
  "stepwise/p-*~root.24/*": "2 + 2 = 4, so 4 * 3 = 12"
  "stepwise/p-*~24.25/*": "Answer: 12"
  "stepwise/p-*~second*": "Answer: 12"
"""


def test_a_run_keeps_the_second_opinions_and_goes_on(tmp_path: Path) -> None:
    (tmp_path / "script.yaml").write_text(SCRIPT)
    argv = [
        *("generate", "--runs-dir", str(tmp_path), "--name", "run", "--json"),
        *("--problems.source", "file", "--problems.path", str(write_problems(tmp_path, 3))),
        *("--policy.engine", "scripted", "--policy.script", str(tmp_path / "script.yaml")),
        *("--protocol.kind", "best-of-n", "--protocol.n", "2", "--protocol.select", "consistency"),
    ]
    done = run_cli(argv)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["solved"] == 3
    with Store(tmp_path / "run" / "journeys.db", read_only=True) as store:
        for journey in store.journeys():
            tree = store.tree(journey.id)
            assert tree is not None
            assert len(tree.completions) == 8
            assert journey.second == Voice(persona="stepwise", model="script.yaml")
            assert journey.completion_tokens == tree.cost.completion_tokens
    assert run_cli(argv).returncode == 0
    assert summary_of(tmp_path / "run")["journeys"] == 3


def test_shares_the_wrong_way_round_are_one_line(tmp_path: Path) -> None:
    done = run_cli(
        [
            *("generate", "--protocol.kind", "best-of-n", "--protocol.consistency.shortest", "0.9"),
            *("--runs-dir", str(tmp_path)),
        ]
    )
    assert done.returncode == 2
    assert "shortest must not be more than longest" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
