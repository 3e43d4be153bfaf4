"""rStar by hand: what may follow what, where rollouts go, what they are worth, and which trajectory is told."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from generation_material import journeys_of, run_cli, summary_of
from hypothesis import given, settings
from hypothesis import strategies as st
from search_material import events
from test_protocols_journeys import RandomSpeaker, grow_from

from agents.actions import action_messages
from agents.persona import Action, PolicyPersona, load_policy
from agents.policy import PolicyAgent
from agents.roles import PolicyView, Proposal
from engines.scripted import ScriptedEngine
from generation.cast import Company
from generation.settings import GenerateSettings
from journeys.draft import Budgets, Draft
from journeys.record import Cost, Journey, Move, Problem, Turn, Verdict, Voice
from journeys.store import Store
from journeys.tree import Node, Tree
from problems.referee import Referee
from protocols.base import Cast
from protocols.rollouts import Rollout
from protocols.rstar import FOLLOW, RStar, _Search
from settings import UserError

PROBLEM = Problem(id="p", question="What is 2 + 3 + 4?", answer="9")
VOICE = Voice(persona="w", model="w")

Says = Callable[[PolicyView, int], str]


class Acts:
    """A policy that answers an action as it is told to; the second one always comes to `again`."""

    def __init__(self, says: Says, *, again: str = "9") -> None:
        self.says = says
        self.again = again
        self.asked: list[PolicyView] = []

    async def propose(self, view: PolicyView) -> Proposal:
        cost = Cost(completion_tokens=10, calls=1)
        if "~second" in view.journey_id:
            return Proposal(step=f"Answer: {self.again}", cost=cost)
        self.asked.append(view)
        return Proposal(step=self.says(view, int(view.journey_id.rpartition(".")[2])), cost=cost)


def searching(speaker: Acts, **keys: Any) -> _Search:
    draft = Draft("p#0", PROBLEM, protocol="rstar", policy=VOICE)
    cast = Cast(policy=speaker, second=speaker, referee=Referee(), budgets=Budgets())
    return _Search(RStar(**keys), draft, cast)


def grown(speaker: Acts, *, problem: Problem = PROBLEM, **keys: Any) -> tuple[Tree, Journey]:
    draft = Draft("p#0", problem, protocol="rstar", policy=VOICE)
    budgets = Budgets(max_tokens=10**6)
    tree, *_, journey = events(RStar(**keys), draft, policy=speaker, second=speaker, budgets=budgets)
    return tree, journey


def talk(view: PolicyView, number: int) -> str:
    """Finishing gives 9, the third and fourth sample 8; anything else says what it is."""
    if view.action == "finish":
        return f"Answer: {9 if number < 2 else 8}"
    return f"{view.action} {number} after {len(view.path)}"


@pytest.mark.parametrize(
    ("last", "follow"),
    [
        ("", ["step"] * 3 + ["finish"] + ["subquestion"] * 3 + ["rephrase"]),
        ("rephrase", ["step"] * 3 + ["finish"] + ["subquestion"] * 3),
        ("subquestion", ["step"] * 3 + ["finish"] + ["subquestion"] * 3 + ["reanswer"]),
        ("reanswer", ["step"] * 3 + ["finish"] + ["subquestion"] * 3),
        ("step", ["step"] * 3 + ["finish"]),
        ("finish", []),
    ],
)
def test_what_may_follow_what(last: str, follow: list[str]) -> None:
    search = searching(Acts(talk))
    head = search.place(Node(id=0, parent=None, step="x", action=last)) if last else None
    assert [action for action, _ in search.open(head)] == follow


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_every_way_keeps_to_the_allowed_successors_and_the_depth(seed: int) -> None:
    protocol = RStar(rollouts=6, votes=2, depth=3, steps=2, subquestions=1)
    _, _, tree = grow_from(protocol, seed, Budgets(max_tokens=10**6), speaker=RandomSpeaker(seed))
    assert tree is not None
    for node in tree.nodes:
        way = tree.way_to(node)
        assert len(way) <= 3
        for before, after in zip(["", *(one.action for one in way)], [one.action for one in way], strict=False):
            assert after in FOLLOW[before]
    for parent, children in tree.children.items():
        count = [child.action for child in children].count
        assert count("step") <= 2, parent
        assert max(count("subquestion"), count("finish"), count("rephrase"), count("reanswer")) <= 1, parent


def test_unwritten_children_come_first_then_uct() -> None:
    """Two children a node. After both were tried: 9 of four samples agree in two, so `finish` has Q 1/2; a step whose
    rollouts end without an answer has 0."""
    keys: dict[str, Any] = {"actions": ("step", "finish"), "steps": 1, "depth": 1, "votes": 4, "parallel": 1}
    # By hand, c = 2. Visits (finish, step) after each rollout; from the third one on UCT decides:
    # 3: finish 0.5 + 2 sqrt(ln 2) = 2.17 against 1.67; 4: 0.5 + 2 sqrt(ln 3 / 2) = 1.98 against 2 sqrt(ln 3) = 2.10;
    # 5: 0.5 + 2 sqrt(ln 4 / 2) = 2.17 against 1.67.
    for rollouts, visits in ((1, 1), (2, 2), (3, (2, 1)), (4, (2, 2)), (5, (3, 2))):
        tree, _ = grown(Acts(talk), rollouts=rollouts, **keys)
        by_action = {node.action: node for node in tree.nodes}
        if isinstance(visits, int):
            assert sum(node.visits for node in tree.nodes) == visits
            assert len(tree.nodes) == visits, "a new child each time"
            continue
        assert (by_action["finish"].visits, by_action["step"].visits) == visits, rollouts
        assert (by_action["finish"].value, by_action["finish"].q) == (visits[0] / 2, 1 / 2)
        assert by_action["step"].value == 0


def test_which_unwritten_child_is_drawn_depends_on_the_seed_alone() -> None:
    first = {grown(Acts(talk), rollouts=1, depth=1)[0].nodes[0].action for _ in range(3)}
    assert len(first) == 1
    drawn = set()
    for number in range(20):
        search, rollout = searching(Acts(talk)), Rollout(number)
        search._descend(rollout)
        drawn.add(search.taken[number])
        assert search.taken[number] not in search.open(None), "another rollout beside it writes another child"
    assert len(drawn) > 4


def test_an_answer_is_sampled_and_its_share_is_its_worth() -> None:
    tree, journey = grown(Acts(talk), rollouts=3, depth=1, votes=4, actions=("finish",))
    (node,) = tree.nodes
    assert (node.answer, node.score, node.visits, node.value) == ("9", 0.5, 3, 1.5)
    assert node.votes == ("Answer: 9", "Answer: 8", "Answer: 8")
    assert journey.completion_tokens == 40, "of equal answers the earlier, and nothing that was written is lost"
    assert journey.solved


def test_a_step_that_answers_is_sampled_too() -> None:
    def answers(view: PolicyView, number: int) -> str:
        return ("Answer: 9", "Hmm.", "Answer: 9", "Answer: 7")[number % 4]

    tree, _ = grown(Acts(answers), rollouts=1, depth=2, votes=4, actions=("step",), steps=1)
    (node,) = tree.nodes
    assert (node.answer, node.score, len(node.votes)) == ("9", 0.5, 3)


def test_what_does_not_answer_or_is_refuted_is_worth_nothing() -> None:
    def wrong(view: PolicyView, number: int) -> str:
        return "2 + 3 = 6\nAnswer: 9" if view.action == "finish" else "I wonder."

    tree, journey = grown(Acts(wrong), rollouts=6, depth=2, votes=2, actions=("step", "finish"), steps=1)
    assert {node.value for node in tree.nodes} == {0}
    assert any(node.refuted and node.reason == "2 + 3 is not 6." for node in tree.nodes)
    assert journey.stop_reason == "solved", "where every answer is refuted one of them is told all the same"


def test_steps_that_say_the_same_are_one() -> None:
    tree, journey = grown(Acts(lambda view, _: "I wonder."), rollouts=3, depth=1, actions=("step",), parallel=3)
    assert len(tree.nodes) == 1
    assert (tree.nodes[0].visits, journey.completion_tokens) == (3, 30)


def test_the_trajectory_whose_answer_comes_again_is_told_with_trips_into_what_was_refuted() -> None:
    def says(view: PolicyView, number: int) -> str:
        if view.action == "rephrase":
            return "Condition 1: there are 2, 3 and 4.\nQuestion: how much is that?"
        if view.action == "step":
            return "2 + 3 = 6"
        return "2 + 3 = 5\n5 + 4 = 9\nAnswer: 9" if view.path else "2 + 4 = 6\nAnswer: 6"

    keys: dict[str, Any] = {
        "rollouts": 12,
        "depth": 2,
        "votes": 1,
        "actions": ("step", "finish", "rephrase"),
        "steps": 1,
    }
    tree, journey = grown(Acts(says), **keys)
    assert sum(node.answer is not None for node in tree.nodes) == 2
    assert {one.agrees for one in tree.completions} == {True, False}
    told = [(turn.step.splitlines()[0], turn.verdict.move.value) for turn in journey.turns]
    assert ("Condition 1: there are 2, 3 and 4.", "continue") in told
    assert told[-1] == ("2 + 3 = 5", "terminate")
    assert ("2 + 3 = 6", "backtrack") in told
    assert ("2 + 4 = 6", "backtrack") not in told, "nobody said what is wrong with it"
    for answer in ("9", "6", "0"):
        other, _ = grown(Acts(says), problem=PROBLEM.model_copy(update={"answer": answer}), **keys)
        assert other.chosen == tree.chosen, "another reference chooses the same"
        assert [node.value for node in other.nodes] == [node.value for node in tree.nodes]


def test_replies_in_any_order_give_the_same_tree() -> None:
    class Slow(Acts):
        def __init__(self, pace: int) -> None:
            super().__init__(talk)
            self.pace = pace

        async def propose(self, view: PolicyView) -> Proposal:
            await asyncio.sleep((view.seed % 7) / 1000 * self.pace)
            return await super().propose(view)

    def tree_of(pace: int) -> Tree:
        return grown(Slow(pace), rollouts=8, depth=3, votes=2)[0]

    assert tree_of(0) == tree_of(1)


# Prompts and personas


def view_of(action: str, steps: Sequence[str] = ()) -> PolicyView:
    turns = tuple(
        Turn(id=n, parent=n - 1 if n else None, step=step, verdict=Verdict(move=Move.CONTINUE))
        for n, step in enumerate(steps)
    )
    return PolicyView(journey_id="p#0", question="How many?", path=turns, turns=turns, seed=0, action=action)


def test_an_action_is_asked_for_by_its_own_examples_and_slots() -> None:
    action = Action.model_validate(
        {
            "ask": "$question|$steps|$before|$last",
            "opens": "So:",
            "examples": [{"question": "Why?", "steps": ["a"], "reply": "b"}],
        }
    )
    said = [str(message.content) for message in action_messages(action, view_of("x", ["one", "two?\n2"]))]
    assert said == ["Why?|a||a", "So: b", "How many?|one\ntwo?\n2|one|two?", "So:"]


async def test_a_persona_without_a_text_takes_a_step_and_one_that_goes_on_by_itself_finishes() -> None:
    seen: list[str] = []

    def reply(messages: Sequence[Any], request_id: str) -> str:
        seen.append(str(messages[-1].content))
        return "2 + 2 = 4\n</think>\n\nAnswer: 4"

    agent = PolicyAgent(load_policy("rstar-small"), ScriptedEngine(reply))
    assert (await agent.propose(view_of("step", ["1 + 1 = 2"]))).step == "2 + 2 = 4"
    assert (await agent.propose(view_of("finish", ["1 + 1 = 2"]))).step == "2 + 2 = 4\nAnswer: 4"
    assert seen == ["<think>\n1 + 1 = 2\n"] * 2
    assert (await agent.propose(view_of("rephrase"))).step.startswith("To add up: 2 + 2 = 4")


def test_shipped_personas_have_a_text_for_every_action() -> None:
    for name in ("rstar", "rstar-small"):
        assert set(load_policy(name).actions) == set(FOLLOW) - {"", "step"}


def test_a_chat_persona_must_ask() -> None:
    plain = load_policy("stepwise").model_dump() | {"actions": {"finish": {"max_tokens": 9}}}
    with pytest.raises(ValueError, match=r"actions\.finish\.ask: missing"):
        PolicyPersona.model_validate(plain)


def test_an_action_that_the_persona_has_no_text_for_is_one_line_before_anything_is_loaded() -> None:
    asked = {"protocol": {"kind": "rstar", "actions": ["step", "rephrase"]}, "policy": {"persona": "stepwise"}}
    with pytest.raises(UserError, match=r"policy\.persona: protocol 'rstar' asks for action 'rephrase'"):
        Company(GenerateSettings.model_validate(asked))
    with pytest.raises(ValueError, match="name step, finish or both"):
        RStar(actions=("rephrase",))


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_recipe_searches_on_the_embedded_model(tmp_path: Path) -> None:
    argv = ["generate", "--config", "configs/rstar.yaml", "--runs-dir", str(tmp_path), "--num-problems", "2"]
    done = run_cli([*argv, "--name", "run", "--protocol.rollouts", "6"], timeout=580)
    assert done.returncode == 0, done.stderr
    assert summary_of(tmp_path / "run")["journeys"] == 2
    with Store(tmp_path / "run" / "journeys.db", read_only=True) as store:
        trees = [store.tree(journey.id) for journey in journeys_of(tmp_path / "run")]
    nodes = [node for tree in trees if tree for node in tree.nodes]
    assert len({node.action for node in nodes}) >= 3
    assert any(node.votes and node.answer for node in nodes)
