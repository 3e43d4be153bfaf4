"""Rollouts by pieces of text: the text goes on to the letter, judges see whole steps, journeys hold nothing else."""

import asyncio
import random
from itertools import pairwise
from typing import Any

import pytest
from generation_material import scripted
from hypothesis import example, given, settings
from hypothesis import strategies as st
from search_material import events

import run
from agents.persona import PolicyPersona, load_policy
from agents.pieces import lines_in
from agents.policy import PolicyAgent
from agents.roles import CriticView, Judgement, Piece, PolicyView, Proposal
from engines.scripted import ScriptedEngine
from journeys.draft import Budgets, Draft
from journeys.pieces import whole_steps
from journeys.record import Cost, Journey, Move, Problem, Turn, Verdict, Voice
from journeys.tree import Node, Tree, cost_of
from problems.referee import Referee
from protocols.base import Cast
from protocols.mcts import MCTS

PERSONA = load_policy("monologue")
TAGGED = PERSONA.model_copy(update={"opens": "<think>\n", "closes": "\n</think>\n\n"})
PROBLEM = Problem(id="p", question="What is 2 + 3 + 4?", answer="9")


@pytest.mark.parametrize(
    ("begun", "piece", "ended", "lines"),
    [
        ("", "2 + 3 = 5\n5 +", False, [("2 + 3 = 5", 10)]),
        ("2 + 3 = 5\n5 +", " 4 = 9\nAnswer: 9", False, [("5 + 4 = 9", 7)]),
        ("2 + 3 = 5\n5 +", " 4 = 9\nAnswer: 9", True, [("5 + 4 = 9", 7), ("Answer: 9", 16)]),
        ("2 + 3", " = 5", False, []),
        ("2 + 3 = 5", "\n\n \n5", False, [("2 + 3 = 5", 1)]),
        ("2 + 3 = 5\n", "", True, []),
    ],
)
def test_a_piece_is_cut_where_steps_end(begun: str, piece: str, ended: bool, lines: list[tuple[str, int]]) -> None:
    found = lines_in(piece, begun=begun, persona=PERSONA, ended=ended)
    assert [(line.text, line.end) for line in found] == lines


def test_the_tag_that_closes_a_thought_is_no_step() -> None:
    found = lines_in("5 + 4 = 9\n</think>\n\nAnswer: 9", begun="", persona=TAGGED, ended=True)
    assert [line.text for line in found] == ["5 + 4 = 9", "Answer: 9"]


@pytest.mark.parametrize("delimiter", ["\n", "\n\n"])
@given(text=st.text("ab \n", max_size=40), cuts=st.lists(st.integers(0, 40), max_size=6))
def test_wherever_a_text_is_cut_its_steps_are_the_same(delimiter: str, text: str, cuts: list[int]) -> None:
    persona = PERSONA.model_copy(update={"delimiter": delimiter})
    places = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    found: list[str] = []
    for start, end in pairwise(places):
        piece = text[start:end]
        cut = lines_in(piece, begun=text[:start], persona=persona, ended=end == len(text))
        found += [line.text for line in cut]
    assert found == [step.strip() for step in text.split(delimiter) if step.strip()]


# The tree of steps


def piece(id: int, parent: int | None, step: str, *lines: str, **more: Any) -> Node:
    cost = Cost(completion_tokens=1 + id)
    return Node(id=id, parent=parent, step=step, lines=lines, visits=1, policy_cost=cost, **more)


def test_pieces_become_the_steps_that_they_spell() -> None:
    tree = Tree(
        nodes=(
            piece(0, None, "2 +"),
            piece(1, 0, " 3 = 5\n5 + 4 = 9\nAns", "2 + 3 = 5", "5 + 4 = 9"),
            piece(2, 0, " 3 = 5\n5", "2 + 3 = 5", score=1.0),
            piece(3, 1, "wer: 9", "Answer: 9", answer="9"),
            piece(4, 2, " + 4 = 8\n", "5 + 4 = 8", refuted=True, reason="No."),
            piece(5, 2, " and so"),
        ),
        rollouts=3,
    )
    steps = whole_steps(tree)
    assert [(one.step, one.parent, one.visits, one.cost.completion_tokens) for one in steps.nodes] == [
        ("2 + 3 = 5", None, 2, 3),  # of two pieces; only in the second it is the last
        ("5 + 4 = 9", 0, 1, 2),
        ("Answer: 9", 1, 1, 4),
        ("5 + 4 = 8", 0, 1, 5),
    ]
    assert (steps.nodes[0].score, steps.nodes[2].answer, steps.nodes[3].reason) == (1.0, "9", "No.")
    assert steps.rollouts == 3
    assert whole_steps(steps) is steps


# The search


class Typist:
    """Goes on with a text of its own choice, some characters at a time; a critic that now and then objects."""

    def __init__(self, *texts: str, seed: int = 0, persona: PolicyPersona = PERSONA) -> None:
        self.texts, self.seed, self.persona = texts, seed, persona
        self.begun: list[str] = []
        self.judged: list[str] = []

    async def propose(self, view: PolicyView) -> Proposal:
        assert view.piece is not None
        begun = view.piece.begun
        self.begun.append(begun)
        draw = random.Random(f"{self.seed} {view.seed}")
        text = draw.choice([text for text in self.texts if text.startswith(begun)])[len(begun) :]
        written = text[: view.piece.tokens]
        ended = len(written) == len(text)
        lines = tuple(lines_in(written, begun=begun, persona=self.persona, ended=ended))
        finish = "stop" if ended else "length"
        return Proposal(step=written, lines=lines, finish=finish, cost=Cost(completion_tokens=len(written)))

    async def judge(self, view: CriticView) -> Judgement:
        self.judged.append(view.step)
        objects = random.Random(f"{self.seed} {view.step}").random() < 0.2
        move = Move.BACKTRACK if objects else Move.CONTINUE
        return Judgement(verdict=Verdict(move=move, critique="Off." if objects else ""), cost=Cost(completion_tokens=1))


RIGHT, WRONG, SHORT = "2 + 3 = 5\n5 + 4 = 9\nAnswer: 9", "2 + 3 = 5\n5 + 4 = 8\nAnswer: 8", "2 + 3 = 5\nHm"


def searched(protocol: MCTS, speaker: Any, **budgets: Any) -> tuple[Tree, Journey]:
    draft = Draft("p#0", PROBLEM, protocol=protocol.kind, policy=Voice(persona="w", model="w"))
    tree, *_, journey = events(protocol, draft, policy=speaker, critic=speaker, budgets=Budgets(**budgets))
    return tree, journey


@pytest.mark.parametrize("scorer", ["checkers", "critic"])
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), grain=st.integers(4, 40))
@example(seed=253541, grain=19)  # a judge refutes the right answer, and the walk ends elsewhere
@example(seed=38, grain=19)  # and here it ends there for want of a better end
def test_the_text_goes_on_to_the_letter_and_journeys_hold_whole_steps(scorer: Any, seed: int, grain: int) -> None:
    speaker = Typist(RIGHT, WRONG, SHORT, seed=seed)
    protocol = MCTS(rollouts=4, more_rollouts=(), width=2, depth=20, grain=grain, scorer=scorer)
    tree, journey = searched(protocol, speaker)
    steps = {line for text in (RIGHT, WRONG, SHORT) for line in text.split("\n")}
    for node in tree.nodes:
        written = "".join(one.step for one in tree.way_to(node))
        assert any(text.startswith(written) for text in (RIGHT, WRONG, SHORT)), "no letter is lost or added"
        if node.answer is not None:
            assert written in (RIGHT, WRONG)
    assert set(speaker.judged) <= steps, "nobody judges half a step"
    assert {turn.step for turn in journey.turns} <= steps
    right = [node for node in tree.nodes if node.right]
    assert any(not node.refuted for node in right) <= journey.solved <= bool(right)
    assert journey.completion_tokens == cost_of(tree.nodes).completion_tokens
    assert journey.search_cost.completion_tokens >= 0
    if scorer == "checkers":
        assert not any("5 + 4 = 8\n" in "".join(one.step for one in tree.way_to(node)[:-1]) for node in tree.nodes), (
            "a piece ends with the step that is wrong"
        )


def test_a_walk_through_pieces_that_was_broken_off_ends_the_same() -> None:
    protocol = MCTS(rollouts=4, more_rollouts=(), width=2, grain=11)
    tree, journey = searched(protocol, Typist(RIGHT, WRONG))
    draft = Draft(
        "p#0", PROBLEM, protocol="mcts", policy=Voice(persona="w", model="w"), turns=journey.turns[:2], tree=tree
    )
    silent = Typist()
    referee = Referee()
    cast = Cast(policy=silent, referee=referee, budgets=Budgets())

    async def rest() -> list[Any]:
        return [event async for event in protocol.grow(draft, cast)]

    *_, again = asyncio.run(rest())
    referee.close()
    assert silent.begun == []
    assert again.canonical() == journey.canonical()


def test_a_text_that_ends_without_an_answer_is_not_gone_on_with() -> None:
    speaker = Typist(SHORT)
    tree, journey = searched(MCTS(rollouts=3, more_rollouts=(), width=1, grain=8), speaker)
    assert "".join(node.step for node in tree.nodes) == SHORT
    assert journey.stop_reason == "exhausted:turns"
    assert [node.step for node in whole_steps(tree).nodes] == ["2 + 3 = 5", "Hm"]


# The policy


def test_a_chat_persona_is_refused_before_a_model_loads(tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
    argv = scripted(tmp_path, "--protocol.kind", "mcts", "--protocol.grain", "64")
    assert run.main(argv) == 2
    (said,) = capsys.readouterr().err.splitlines()
    for part in ("protocol.grain", "64 tokens", "monologue", "'stepwise'"):
        assert part in said


def test_a_piece_is_asked_for_with_the_text_as_it_stands() -> None:
    view = PolicyView(
        journey_id="p~0.1", question="?", path=(), turns=(), seed=1, piece=Piece(begun="2 + 3 = 5\n5 +", tokens=8)
    )
    prompt = PolicyAgent(TAGGED, ScriptedEngine("")).prompt.going_on(view, view.piece.begun)  # type: ignore[union-attr]
    assert prompt[-1].content == "<think>\n2 + 3 = 5\n5 +"


def test_a_forced_reflection_begins_a_line_of_its_own() -> None:
    reflected = Turn(id=7, parent=None, step="Answer: 5", verdict=Verdict(move=Move.REFLECT, critique="Is that right?"))
    view = PolicyView(
        journey_id="p~3.0",
        question="?",
        path=(reflected,),
        turns=(reflected,),
        seed=1,
        piece=Piece(begun="2 + 3 = 5\nAnswer: 5", tokens=8),
    )
    asked: list[str] = []

    def script(messages: Any, request_id: str) -> str:
        asked.append(messages[-1].content)
        return " The 4 is missing.\n5 + 4 = 9"

    proposal = asyncio.run(PolicyAgent(PERSONA, ScriptedEngine(script)).propose(view))
    assert asked[0].startswith("2 + 3 = 5\nAnswer: 5\n")
    assert asked[0].endswith("Is that right?")
    first, second = proposal.lines
    assert first.text.endswith("Is that right? The 4 is missing.")
    assert proposal.step[: first.end] == f"\n{first.text}\n"
    assert (second.text, second.end) == ("5 + 4 = 9", len(proposal.step)), "the reply ended with it"
