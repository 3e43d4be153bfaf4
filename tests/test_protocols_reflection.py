"""The forced reflection: once, before an answer counts, on record as forced, under every protocol."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from generation_material import write_problems
from hypothesis import given, settings
from hypothesis import strategies as st
from search_material import events

import run
from agents.roles import CriticView, Judgement, PolicyView, Proposal
from journeys.draft import Budgets, Draft
from journeys.record import Cost, Journey, Move, Problem, Turn, Verdict, Voice
from journeys.stitching.thought import stitch
from journeys.store import Store
from journeys.tree import Tree
from protocols.base import GrowsJourneys
from protocols.best_of_n import BestOfN
from protocols.debate import Debate
from protocols.dialogue import Dialogue
from protocols.mcts import MCTS
from protocols.solo import Solo
from protocols.tree_search import TreeSearch

LINE = "Is that right? I go through it once more from the beginning."
PROBLEM = Problem(id="p", question="What is 2 + 3 + 4?", answer="9")
PROTOCOLS: list[GrowsJourneys] = [
    Solo(),
    Dialogue(),
    Debate(),
    BestOfN(n=2),
    TreeSearch(width=1, depth=8, scorer="checkers"),
    MCTS(rollouts=2, more_rollouts=(), width=1, scorer="checkers"),
]


class Writer:
    """A policy whose next step depends on the path alone, and a critic who is content."""

    def __init__(self, steps: Mapping[tuple[str, ...], str]) -> None:
        self.steps = steps
        self.views: list[PolicyView] = []

    async def propose(self, view: PolicyView) -> Proposal:
        self.views.append(view)
        return Proposal(step=self.steps[tuple(turn.step for turn in view.path)], cost=Cost(completion_tokens=5))

    async def judge(self, view: CriticView) -> Judgement:
        return Judgement(verdict=Verdict(move=Move.CONTINUE))


def straight(*steps: str) -> dict[tuple[str, ...], str]:
    return {steps[:place]: step for place, step in enumerate(steps)}


def grown(protocol: GrowsJourneys, speaker: Any, *, line: str = LINE, **budgets: Any) -> tuple[Journey, Tree | None]:
    draft = Draft("p#0", PROBLEM, protocol=protocol.kind, policy=Voice(persona="w", model="w"))
    speakers = {"policy": speaker, "critic": speaker, "second": speaker}
    *_, journey = events(protocol, draft, **speakers, budgets=Budgets(**budgets), reflection=line)
    return journey, draft.tree


FOUND_OUT = straight("2 + 3 = 5", "Answer: 5", "2 + 3 = 5", "5 + 4 = 9", "Answer: 9")


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda protocol: protocol.kind)
def test_a_finished_thought_is_looked_over_once_before_its_answer_counts(protocol: GrowsJourneys) -> None:
    speaker = Writer(FOUND_OUT)
    journey, tree = grown(protocol, speaker)
    assert journey.solved
    assert journey.forced
    assert [turn.verdict.move.value for turn in journey.turns] == [
        "continue",
        "reflect",
        "continue",
        "continue",
        "terminate",
    ]
    reflected = journey.turns[1]
    assert (reflected.verdict.critique, reflected.rulings[-1], reflected.answer) == (LINE, "forced_reflection", "5")
    assert journey.turns[2].replies_to == 1
    assert not any(turn.evidence for turn in journey.turns), "a second look may say again what the first one said"
    asked = [view.reply_to for view in speaker.views if len(view.path) == 2]
    assert asked
    assert all(turn is not None and turn.verdict.critique == LINE for turn in asked)
    if tree:
        first = next(node for node in tree.nodes if node.reflection)
        assert first.rulings == ("forced_reflection",)
        assert (first.answer, first.ends, first.right) == ("5", False, False)
        assert first.verification is not None
        assert first.verification.status == "wrong", "what the first answer was worth is known"


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda protocol: protocol.kind)
def test_without_a_line_the_first_answer_counts(protocol: GrowsJourneys) -> None:
    journey, _ = grown(protocol, Writer(FOUND_OUT), line="")
    assert (journey.stop_reason, journey.answer, journey.forced) == ("wrong", "5", False)


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda protocol: protocol.kind)
def test_a_right_answer_that_is_given_up_for_a_wrong_one_is_not_right(protocol: GrowsJourneys) -> None:
    steps = straight("5 + 4 = 9", "Answer: 9", "5 + 4 = 9 leaves the 2 out", "Answer: 11")
    journey, tree = grown(protocol, Writer(steps))
    assert (journey.stop_reason, journey.answer) == ("wrong", "11")
    assert tree is None or list(tree.solutions) == []


@pytest.mark.parametrize("protocol", PROTOCOLS[:3], ids=lambda protocol: protocol.kind)
def test_a_thought_that_is_never_finished_again_has_no_answer(protocol: GrowsJourneys) -> None:
    journey, _ = grown(protocol, Writer(straight("5 + 4 = 9", "Answer: 9", "Hm.", "Well.")), max_turns=3)
    assert journey.stop_reason == "exhausted:turns"


def test_the_last_turn_of_a_conversation_is_not_spent_on_a_second_look() -> None:
    journey, _ = grown(Solo(), Writer(straight("5 + 4 = 9", "Answer: 9")), max_turns=2)
    assert journey.solved


def test_the_thought_tells_first_answer_line_and_second_look() -> None:
    journey, _ = grown(Solo(), Writer(FOUND_OUT))
    for layout in ("prose", "lines"):
        thought = stitch(journey, layout=layout)
        assert thought.gate.passed, thought.gate.failures
        assert thought.answer == "9"
        assert "once more from the beginning" in thought.text


@pytest.mark.parametrize("opening", ["Let me check that. ", "Hold on. ", ""])
def test_the_words_with_which_a_persona_opens_a_second_look_are_told_once(opening: str) -> None:
    steps = straight("2 + 3 = 5", "5 + 4 = 9", "Answer: 9", f"{opening}{LINE} 2 + 3 + 4 = 9", "Answer: 9")
    thought = stitch(grown(Solo(), Writer(steps))[0])
    assert thought.gate.passed, thought.gate.failures
    assert thought.text.count("once more from the beginning") == 1


class Random:
    """Steps drawn from the view alone."""

    def __init__(self, seed: int, words: Sequence[str] = ("Hm.", "2 + 2 = 5", "Answer: 9", "Answer: 8")) -> None:
        self.seed, self.words = seed, words

    async def propose(self, view: PolicyView) -> Proposal:
        return Proposal(step=self.words[(self.seed + view.seed) % len(self.words)], cost=Cost(completion_tokens=3))

    async def judge(self, view: CriticView) -> Judgement:
        moves = list(Move)
        return Judgement(verdict=Verdict(move=moves[(self.seed + view.seed) % 4], critique="That is off."))


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda protocol: protocol.kind)
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), max_turns=st.integers(1, 12))
def test_no_answer_counts_before_the_line_and_no_path_holds_it_twice(
    protocol: GrowsJourneys, seed: int, max_turns: int
) -> None:
    journey, _ = grown(protocol, Random(seed), max_turns=max_turns)
    path: list[Turn] = []
    for turn in journey.turns:
        path.append(turn)
        forced = [one for one in path if "forced_reflection" in one.rulings]
        assert len(forced) <= 1
        if turn.verdict.move is Move.TERMINATE:
            assert forced or len(journey.turns) == max_turns
        if turn.removes:
            del path[turn.verdict.keep :]
    assert journey.solved == (journey.verification is not None and journey.verification.status == "right")


def test_a_recipe_sets_the_line_and_the_card_tells_of_it(tmp_path: Path) -> None:
    (tmp_path / "script.yaml").write_text(
        'replies:\n  "*/0/*": "2 + 2 = 4"\n  "*/1/*": "Answer: 4"\n  "*/2/*": "4 * 3 = 12"\nfallback: "Answer: 12"\n'
    )
    argv = [
        *("generate", "--runs-dir", str(tmp_path / "runs"), "--name", "run", "--protocol", "solo"),
        *("--problems.source", "file", "--problems.path", str(write_problems(tmp_path, 3))),
        *("--policy.engine", "scripted", "--policy.script", str(tmp_path / "script.yaml")),
        *("--policy.reflection", LINE),
    ]
    assert run.main(argv) == 0
    folder = tmp_path / "runs" / "run"
    with Store(folder / "journeys.db", read_only=True) as store:
        assert all(journey.forced and journey.solved for journey in store.journeys())
    assert "put there by the recipe" in " ".join((folder / "exports" / "README.md").read_text().split())
    assert json.loads((folder / "summary.json").read_text())["accepted"] == 3


@pytest.mark.parametrize("protocol", ["rstar", "ready-tree"])
def test_where_no_thought_is_gone_on_with_the_line_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], protocol: str
) -> None:
    argv = ["generate", "--runs-dir", str(tmp_path), "--protocol", protocol, "--policy.reflection", LINE]
    assert run.main([*argv, "--problems.source", "prm800k", "--problems.path", "x.jsonl"]) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert "policy.reflection" in said
    assert protocol in said
