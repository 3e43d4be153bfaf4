"""The record's invariants (design section 3), for every protocol, under agents that do whatever they like."""

import asyncio
import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.roles import CriticView, Judgement, PolicyView, Proposal
from engines.rewards.contract import Reading
from journeys.costs import costs_of
from journeys.draft import Budgets, Draft
from journeys.record import (
    Cost,
    Evidence,
    Journey,
    Move,
    Problem,
    Speaker,
    Turn,
    Verdict,
    Verification,
    Voice,
    removals,
    standing,
)
from journeys.tree import Tree
from protocols.base import Cast, GrowsJourneys
from protocols.best_of_n import BestOfN
from protocols.bill import Bill, BilledReward
from protocols.debate import Debate
from protocols.dialogue import Dialogue
from protocols.mcts import MCTS
from protocols.rstar import RStar
from protocols.self_critique import SelfCritique
from protocols.solo import Solo
from protocols.tree_search import TreeSearch

VOICE = Voice(persona="r", model="r")
GOLD = "forty-two geese"
PROBLEM = Problem(id="p", question="How much is it?", answer=GOLD)
PROTOCOLS: list[GrowsJourneys] = [
    Dialogue(),
    Solo(),
    SelfCritique(),
    Debate(),
    TreeSearch(width=3, depth=4, beam=3),
    BestOfN(n=4),
    BestOfN(n=3, select="score", scorer="critic", aggregate="mean"),
    BestOfN(n=3, select="consistency"),
    RStar(rollouts=5, votes=2, steps=2),
    RStar(rollouts=4, votes=3, scorer="critic", parallel=3, depth=3),
    MCTS(rollouts=5, more_rollouts=(8,), width=2, depth=5),
    MCTS(rollouts=4, more_rollouts=(), width=3, depth=4, scorer="critic", prior="score", parallel=3),
    TreeSearch(width=2, depth=3, beam=2, prune="soft", scorer="checkers", trials=3),
    TreeSearch(width=3, depth=4, beam=3, scorer="reward"),
    MCTS(rollouts=4, more_rollouts=(), width=3, depth=4, scorer="reward", prior="score"),
]


class RandomSpeaker:
    """Policy and critic in one: steps, answers and verdicts drawn from a seed and the view alone."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.seen: list[str] = []
        self.judged: list[CriticView] = []

    async def propose(self, view: PolicyView) -> Proposal:
        self.seen.append(view.model_dump_json())
        draw = random.Random(f"{self.seed} {view.seed}")
        step = draw.choice(["I think.", "2 + 2 = 5", "", "Answer: 12", f"Answer: {GOLD}", "Hmm."])
        cost = Cost(prompt_tokens=9, completion_tokens=draw.randint(0, 40), seconds=draw.random(), calls=1)
        return Proposal(step=step, cost=cost, finish=draw.choice(["stop", "length"]))

    async def judge(self, view: CriticView) -> Judgement:
        self.judged.append(view)
        self.seen.append(view.model_dump_json())
        draw = random.Random(f"{self.seed} critic {view.seed}")
        verdict = Verdict(
            move=draw.choice(list(Move)),
            critique=draw.choice(["", "That is off."]),
            quote=draw.choice(["", "2 + 2", "nowhere"]),
            keep=draw.randint(-1, 9),
        )
        return Judgement(verdict=verdict, parse=draw.choice(["ok", "ok", "failed"]), cost=Cost(completion_tokens=3))


class RandomReward:
    """Scores drawn from a seed and the steps alone."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    async def score(self, question: str, steps: Sequence[str]) -> Reading:
        scores = [random.Random(f"{self.seed} {steps[: n + 1]}").random() for n in range(len(steps))]
        return Reading(scores, Cost(prompt_tokens=5 * len(steps), calls=1))


class Checks:
    """A referee whose rules fit on a page."""

    def answer_in(self, step: str) -> str | None:
        return step.removeprefix("Answer: ") if step.startswith("Answer: ") else None

    async def check(
        self, *, question: str, path: Sequence[Turn], step: str, abandoned: Sequence[Turn]
    ) -> tuple[Evidence, ...]:
        return (Evidence(kind="false_equation", quote="2 + 2 = 5"),) if "= 5" in step else ()

    async def verify(self, problem: Problem, answer: str) -> Verification:
        status = "right" if answer == problem.answer else "wrong"
        return Verification(status=status, given=answer, method="text")

    async def same(self, problem: Problem, first: str, second: str) -> bool:
        return first == second

    def lucky(self, problem: Problem, path: Sequence[Turn], answer: str) -> tuple[str, ...]:
        return ("no step leads there",) if len(path) == 1 else ()


def grow(protocol: GrowsJourneys, seed: int, budgets: Budgets) -> tuple[list[Turn], Journey]:
    turns, journey, _ = grow_from(protocol, seed, budgets)
    return turns, journey


def grow_from(
    protocol: GrowsJourneys,
    seed: int,
    budgets: Budgets,
    turns: Sequence[Turn] = (),
    tree: Tree | None = None,
    speaker: RandomSpeaker | None = None,
) -> tuple[list[Turn], Journey, Tree | None]:
    """The turns that were added, the journey, and what was searched, from what the store holds."""
    speaker = speaker or RandomSpeaker(seed)
    reward = RandomReward(seed)
    cast = Cast(
        policy=speaker,
        critic=speaker,
        second=speaker,
        referee=Checks(),
        budgets=budgets,
        reward=reward,
        refuted_below=seed % 3 / 4 or None,
    )
    draft = Draft("p#0", PROBLEM, seed=seed, protocol=protocol.kind, policy=VOICE, turns=turns, tree=tree)

    async def run() -> tuple[list[Turn], Journey]:
        events = [event async for event in protocol.grow(draft, cast)]
        *grown, journey = events
        assert isinstance(journey, Journey), "the last event is the finished journey"
        return [turn for turn in grown if isinstance(turn, Turn)], journey

    result = asyncio.run(run())
    written = {turn.step for turn in result[1].turns} | {node.step for node in (draft.tree or Tree()).nodes}
    written |= {turn.rival.step for turn in result[1].turns if turn.rival}
    if draft.tree:
        written |= {vote for node in draft.tree.nodes for vote in node.votes}
        written |= {step for completion in draft.tree.completions for step in completion.steps}
    for shown in speaker.seen:
        assert GOLD not in shown or any(GOLD in step for step in written), "the reference reached a prompt by itself"
    return *result, draft.tree


budgets_drawn = st.builds(
    Budgets,
    max_turns=st.integers(1, 30),
    max_backtracks=st.integers(0, 6),
    max_reflects=st.integers(0, 3),
    max_tokens=st.integers(1, 600),
    max_seconds=st.none() | st.floats(0.5, 9),
    max_refusals=st.integers(0, 2),
)


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda protocol: protocol.kind)
@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 10**6), budgets=budgets_drawn)
def test_every_journey_keeps_the_invariants(protocol: GrowsJourneys, seed: int, budgets: Budgets) -> None:
    turns, journey = grow(protocol, seed, budgets)
    assert tuple(turns) == journey.turns
    # 1: it ends within its budgets, with a named reason
    assert len(turns) <= budgets.max_turns
    assert sum(turn.removes for turn in turns) <= budgets.max_backtracks + 1
    assert journey.stop_reason in ("solved", "wrong") or journey.stop_reason.startswith("exhausted:")
    # 2: the path is a chain; every turn off it was removed by exactly one verdict
    path = journey.path
    assert [turn.parent for turn in path] == [None, *(turn.id for turn in path)][: len(path)]
    removed = [turn.id for _, gone in removals(turns) for turn in gone]
    assert sorted(removed) == sorted({turn.id for turn in turns} - {turn.id for turn in path})
    # 3: solved if and only if the verifier said yes to the final answer
    assert journey.solved == (journey.verification is not None and journey.verification.status == "right")
    assert not journey.solved or path[-1].answer == GOLD
    # lucky only where the referee says so, and hints only where they were allowed
    assert not journey.lucky or (journey.solved and len(path) == 1)
    assert sum("refused_answer" in turn.rulings for turn in turns) <= budgets.max_refusals


class Billed:
    """One of the speakers, with a note of what each of its replies took."""

    def __init__(self, name: Speaker, seed: int, bill: Bill) -> None:
        self.name = name
        self.speaker = RandomSpeaker(seed)
        self.bill = bill

    async def propose(self, view: PolicyView) -> Proposal:
        said = await self.speaker.propose(view)
        self.bill.add(self.name, said.cost)
        return said

    async def judge(self, view: CriticView) -> Judgement:
        said = await self.speaker.judge(view)
        self.bill.add(self.name, said.cost)
        return said


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda protocol: protocol.kind)
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), budgets=budgets_drawn)
def test_what_each_speaker_took_is_told_of_it_and_counted_once(
    protocol: GrowsJourneys, seed: int, budgets: Budgets
) -> None:
    bill = Bill()
    cast = Cast(
        policy=Billed("policy", seed, bill),
        critic=Billed("critic", seed, bill),
        second=Billed("second", seed + 1, bill),
        reward=BilledReward(RandomReward(seed), bill),
        referee=Checks(),
        budgets=budgets,
    )
    name = "prm" if "reward" in protocol.roles else ""
    draft = Draft("p#0", PROBLEM, seed=seed, protocol=protocol.kind, policy=VOICE, reward=name)

    async def run() -> Journey:
        return [event async for event in protocol.grow(draft, cast)][-1]  # type: ignore[return-value]

    journey = asyncio.run(run())
    told, billed = costs_of(journey), bill.costs

    def tokens(of: dict[Speaker, Cost]) -> dict[Speaker, tuple[int, int]]:
        counted = {speaker: (cost.prompt_tokens, cost.completion_tokens) for speaker, cost in of.items()}
        return {speaker: both for speaker, both in counted.items() if any(both)}

    assert tokens(told) == tokens(billed)
    assert journey.completion_tokens == sum(cost.completion_tokens for cost in billed.values())


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda protocol: protocol.kind)
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), budgets=budgets_drawn, data=st.data())
def test_a_journey_taken_up_in_the_middle_ends_the_same(
    protocol: GrowsJourneys, seed: int, budgets: Budgets, data: st.DataObject
) -> None:
    turns, journey, tree = grow_from(protocol, seed, budgets)
    kept = data.draw(st.integers(0, len(turns)))
    assert standing(turns[:kept]) is not None
    # A tree is stored before the first turn; a process that died before that searches again.
    tree = tree if kept or data.draw(st.booleans()) else None
    _, again, _ = grow_from(protocol, seed, budgets, turns[:kept], tree)
    assert again.canonical() == journey.canonical()


def test_equal_seeds_give_equal_journeys_and_others_differ() -> None:
    digests = [grow(Dialogue(), seed, Budgets())[1].digest() for seed in (1, 1, 2)]
    assert digests[0] == digests[1] != digests[2]


def test_solo_never_moves_the_head_back() -> None:
    for seed in range(30):
        turns, _ = grow(Solo(), seed, Budgets())
        assert not any(turn.removes for turn in turns if "refused_answer" not in turn.rulings)


def test_self_critique_is_not_shown_the_evidence() -> None:
    speaker = RandomSpeaker(3)
    cast = Cast(policy=speaker, critic=speaker, referee=Checks(), budgets=Budgets())
    draft = Draft("p#0", PROBLEM, protocol="self-critique", policy=Voice(persona="r", model="r"))

    async def run() -> Journey:
        return [event async for event in SelfCritique().grow(draft, cast)][-1]  # type: ignore[return-value]

    journey = asyncio.run(run())
    assert any(turn.evidence for turn in journey.turns), "choose a seed whose journey has a false equation"
    assert speaker.judged
    assert all(view.evidence == () for view in speaker.judged)
