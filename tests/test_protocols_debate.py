"""Debate by hand: whose step stands, what becomes of the other one, and what a real run makes of two voices."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from generation_material import journeys_of, run_cli, summary_of, write_problems
from hypothesis import given, settings
from hypothesis import strategies as st
from search_material import events
from test_protocols_journeys import RandomSpeaker, budgets_drawn, grow_from

from agents.roles import CriticView, Judgement, PolicyView, Proposal
from generation.cast import Company
from generation.settings import GenerateSettings
from generation.spending import Spending
from journeys.costs import costs_of
from journeys.draft import Budgets, Draft
from journeys.record import Cost, Journey, Move, Problem, Turn, Verdict, Voice
from protocols.debate import Debate, _said

PROBLEM = Problem(id="p", question="What is 2 + 3 + 4?", answer="9")
VOICE = Voice(persona="w", model="w")


class Says:
    """A policy that says one thing after another, whatever it is shown."""

    def __init__(self, *steps: str) -> None:
        self.steps = list(steps)
        self.seen: list[PolicyView] = []

    async def propose(self, view: PolicyView) -> Proposal:
        self.seen.append(view)
        return Proposal(step=self.steps[len(self.seen) - 1], cost=Cost(completion_tokens=10, calls=1))


class Takes:
    """A critic that takes back what it is told to, with a reason and as far as it is told."""

    def __init__(self, wrong: Mapping[str, int] = {}) -> None:
        self.wrong = wrong

    async def judge(self, view: CriticView) -> Judgement:
        cost = Cost(completion_tokens=1, calls=1)
        if view.step in self.wrong:
            keep = self.wrong[view.step]
            return Judgement(verdict=Verdict(move=Move.BACKTRACK, critique="Not so.", keep=keep), cost=cost)
        return Judgement(verdict=Verdict(move=Move.TERMINATE if view.answer else Move.CONTINUE), cost=cost)


def debated(
    mine: Sequence[str], other: Sequence[str], wrong: Mapping[str, int] = {}, *, seed: int = 0, **budgets: Any
) -> tuple[Journey, Says, Says]:
    one, two = Says(*mine), Says(*other)
    draft = Draft("p#0", PROBLEM, seed=seed, protocol="debate", policy=VOICE, second=VOICE)
    *_, journey = events(Debate(), draft, policy=one, second=two, critic=Takes(wrong), budgets=Budgets(**budgets))
    return journey, one, two


def told(journey: Journey) -> list[tuple[str, str, str]]:
    return [(turn.step, turn.by, turn.verdict.move.value) for turn in journey.turns]


def written(journey: Journey) -> dict[str, int]:
    """Tokens by speaker."""
    return {speaker: cost.completion_tokens for speaker, cost in costs_of(journey).items()}


def test_the_same_step_is_one_step() -> None:
    journey, *_ = debated(["2 + 3 = 5", "Answer: 9"], ["2+3=5.", "answer: 9"])
    assert told(journey) == [("2 + 3 = 5", "both", "continue"), ("Answer: 9", "both", "terminate")]
    assert journey.solved
    assert not any(turn.rival for turn in journey.turns)
    assert journey.completion_tokens == 4 * 10 + 2, "two steps were written and one was judged, twice"
    assert written(journey) == {"policy": 20, "second": 20, "critic": 2}
    spending = Spending()
    spending.add(journey)
    tokens = spending.told()["tokens"]
    assert tokens["completion"] == 42
    shares = {name: tokens[f"{name}_completion"] for name in ("policy", "second", "critic", "search", "lost")}
    assert shares == {"policy": 20, "second": 20, "critic": 2, "search": 0, "lost": 0}, "as in summary.json"


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("2 + 3 = 5", "2+3 = 5.", True),
        ("First, 3 × 6 = 18", "first, 3 * 6 = 18", True),
        ("It has 1,200 seats", "It has 1200 seats", True),
        ("2 + 3 = 5", "3 + 2 = 5", False),
        ("That gives 2 + 3 = 5", "2 + 3 = 5", False),
    ],
)
def test_when_two_steps_are_the_same(first: str, second: str, same: bool) -> None:
    assert (_said(first) == _said(second)) is same


def test_what_one_got_wrong_is_a_turn_taken_back_and_the_other_stands() -> None:
    journey, one, two = debated(["2 + 3 = 6", "Answer: 9"], ["2 + 3 = 5", "Answer: 9"])
    assert told(journey) == [
        ("2 + 3 = 6", "policy", "backtrack"),
        ("2 + 3 = 5", "second", "continue"),
        ("Answer: 9", "both", "terminate"),
    ]
    assert journey.turns[0].verdict.critique == "2 + 3 is not 6."
    assert journey.turns[1].replies_to == 0
    assert [len(view.turns) for view in (*one.seen, *two.seen)] == [0, 2, 0, 2], "asked side by side, round by round"
    assert one.seen[0].journey_id != two.seen[0].journey_id
    assert one.seen[0].seed != two.seen[0].seed


def test_both_refuted_are_both_taken_back_and_both_read_why() -> None:
    journey, one, two = debated(["2 + 3 = 6", "2 + 3 = 5", "Answer: 9"], ["2 + 3 = 7", "2 + 3 = 5", "Answer: 9"])
    assert sorted(told(journey)[:2]) == [("2 + 3 = 6", "policy", "backtrack"), ("2 + 3 = 7", "second", "backtrack")]
    for policy in (one, two):
        assert policy.seen[1].reply_to == journey.turns[1]
        assert [turn.step for turn in policy.seen[1].turns] == [turn.step for turn in journey.turns[:2]]
        assert policy.seen[1].path == ()


def test_only_the_last_refuted_step_of_a_round_takes_earlier_ones_with_it() -> None:
    lines = ["2 + 3 = 5", "so far so good", "Answer: 9"], ["2 + 3 = 5", "that was easy", "Answer: 9"]
    journey, *_ = debated(*lines, {"so far so good": 0})
    assert told(journey)[1:3] == [("so far so good", "policy", "backtrack"), ("that was easy", "second", "continue")]
    assert journey.turns[1].verdict.keep == 1, "the other one was written for the same place"
    assert journey.turns[1].rulings == ("keep_clamped",)
    assert journey.turns[1].said is not None
    assert journey.turns[1].said.keep == 0
    both, *_ = debated(*lines, {"so far so good": 0, "that was easy": 0}, max_turns=4)
    assert [turn.verdict.keep for turn in both.turns[1:3]] == [1, 0]


def test_where_nobody_is_refuted_the_sides_take_turns_and_the_other_step_is_kept_untold() -> None:
    mine, other = ["I add 2.", "I add 3.", "I add 4.", "Answer: 9"], ["Take 2.", "Take 3.", "Take 4.", "Answer: 9"]
    beginners = set()
    for seed in range(12):
        journey, *_ = debated(mine, other, seed=seed)
        by = [turn.by for turn in journey.turns]
        assert by in (["policy", "second", "policy", "both"], ["second", "policy", "second", "both"])
        beginners.add(by[0])
        for turn, pair in zip(journey.turns[:3], zip(mine, other, strict=True), strict=False):
            assert turn.rival is not None
            assert {turn.step, turn.rival.step} == set(pair)
            assert turn.rival.verdict.move is Move.CONTINUE
            assert (turn.policy_cost.completion_tokens, turn.critic_cost.completion_tokens) == (20, 2)
        assert not any(turn.removes for turn in journey.turns), "nobody said that anything was wrong"
        assert journey.completion_tokens == 8 * 10 + 7
        assert written(journey) == {"policy": 40, "second": 40, "critic": 7}
    assert beginners == {"policy", "second"}, "the seed draws who begins"


def test_with_room_for_one_turn_the_refuted_step_stands_beside_the_other() -> None:
    journey, *_ = debated(["2 + 3 = 6"], ["2 + 3 = 5"], max_turns=1)
    assert told(journey) == [("2 + 3 = 5", "second", "continue")]
    assert journey.turns[0].rival is not None
    assert journey.turns[0].rival.verdict.move is Move.BACKTRACK
    assert journey.stop_reason == "exhausted:turns"


def test_a_refused_answer_is_taken_back_whoever_gave_it() -> None:
    mine, other = ["2 + 3 = 6", "Answer: 9"], ["Answer: 5", "Answer: 9"]
    journey, *_ = debated(mine, other, max_refusals=1)
    assert told(journey) == [
        ("2 + 3 = 6", "policy", "backtrack"),
        ("Answer: 5", "second", "backtrack"),
        ("Answer: 9", "both", "terminate"),
    ]
    assert journey.hinted


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 10**6), budgets=budgets_drawn)
def test_every_token_and_every_word_of_both_is_kept(seed: int, budgets: Budgets) -> None:
    speakers: list[RandomSpeaker] = []
    written: list[Proposal] = []

    class Noted(RandomSpeaker):
        async def propose(self, view: PolicyView) -> Proposal:
            written.append(await super().propose(view))
            return written[-1]

    speakers.append(Noted(seed))
    _, journey, _ = grow_from(Debate(), seed, budgets, speaker=speakers[0])
    kept = [turn.step for turn in journey.turns] + [turn.rival.step for turn in journey.turns if turn.rival]
    assert {proposal.step for proposal in written} == set(kept)
    tokens = sum(turn.policy_cost.completion_tokens for turn in journey.turns)
    assert tokens == sum(proposal.cost.completion_tokens for proposal in written)
    for turn in journey.turns:
        assert turn.rival is None or turn.rival.by != turn.by


# In a run


SCRIPT = """
replies:
  "stepwise/*~second/0/*": "2 + 2 = 5"
  "stepwise/*/0/*": "2 + 2 = 4"
  "stepwise/*/2/*": "4 * 3 = 12"
  "stepwise/*/3/*": "Answer: 12"
"""


def test_a_run_casts_two_voices_and_tells_what_the_debate_took_back(tmp_path: Path) -> None:
    (tmp_path / "script.yaml").write_text(SCRIPT)
    argv = [
        *("generate", "--runs-dir", str(tmp_path / "runs"), "--name", "run", "--json", "--protocol.kind", "debate"),
        *("--problems.source", "file", "--problems.path", str(write_problems(tmp_path, 4))),
        *("--policy.engine", "scripted", "--policy.script", str(tmp_path / "script.yaml")),
    ]
    done = run_cli(argv)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert (summary["accepted"], summary["accepted_with_error_removed"]) == (4, 4)
    journeys = journeys_of(tmp_path / "runs" / "run")
    assert [(turn.step, turn.by) for turn in journeys[0].turns] == [
        ("2 + 2 = 5", "second"),
        ("2 + 2 = 4", "policy"),
        ("4 * 3 = 12", "both"),
        ("Answer: 12", "both"),
    ]
    assert journeys[0].second == Voice(persona="stepwise", model="script.yaml")
    refused = run_cli([*argv, "--second.sampling.temperature", "0.5"])
    assert refused.returncode == 2
    assert "second.sampling.temperature" in refused.stderr, "the second voice binds a run as the first one does"


def test_the_second_policy_has_a_voice_an_engine_and_a_heat_of_its_own() -> None:
    alone = Company(GenerateSettings.model_validate({"protocol": "dialogue"}))
    assert alone.second is None
    assert alone.second_voice is None
    asked = {"protocol": "debate", "policy": {"persona": "monologue"}}
    shared = Company(GenerateSettings.model_validate(asked))
    assert shared.second is not None
    assert (shared.second.name, shared.second.sampling.temperature) == ("monologue", 1.0)
    assert shared.second_engine is shared.policy_engine
    own = {"model": "http://127.0.0.1:1", "persona": "stepwise", "sampling": {"max_tokens": 9}}
    other = Company(GenerateSettings.model_validate(asked | {"second": own}))
    assert other.second is not None
    assert (other.second.name, other.second.sampling.max_tokens) == ("stepwise", 9)
    assert other.second_engine is not other.policy_engine
    assert len(other.engines) == 2


def test_a_second_persona_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    done = run_cli(["generate", "--protocol.kind", "debate", "--second.persona", "nobody", "--runs-dir", str(tmp_path)])
    assert done.returncode == 2
    assert "second.persona: no persona 'nobody'" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.slow
def test_the_recipe_debates_on_the_embedded_model(tmp_path: Path) -> None:
    argv = ["generate", "--config", "configs/debate.yaml", "--runs-dir", str(tmp_path), "--num-problems", "4"]
    done = run_cli([*argv, "--name", "run"], timeout=280)
    assert done.returncode == 0, done.stderr
    assert summary_of(tmp_path / "run")["journeys"] == 4
    turns: list[Turn] = [turn for journey in journeys_of(tmp_path / "run") for turn in journey.turns]
    assert {turn.by for turn in turns} >= {"policy", "second"}, "two that draw hot do not always agree"
