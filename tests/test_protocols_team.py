"""A journey as an AutoGen team: what AutoGen's own parts can do with it."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from autogen_agentchat.agents import BaseChatAgent, SocietyOfMindAgent
from autogen_agentchat.base import Response, TaskResult, Team
from autogen_agentchat.messages import BaseChatMessage, TextMessage
from autogen_agentchat.teams import RoundRobinGroupChat
from autogen_agentchat.ui import Console
from autogen_core import CancellationToken
from autogen_core.models import LLMMessage

from agents.critic import make_critic
from agents.persona import load_critic, load_policy
from agents.policy import PolicyAgent
from agents.roles import Proposal, ProposeMessage, StepMessage
from engines.errors import EngineUnavailable
from engines.scripted import ScriptedEngine
from journeys.draft import Budgets
from journeys.record import Journey, Move, Problem, Voice
from problems.referee import Referee
from protocols.dialogue import Dialogue
from protocols.solo import Solo
from protocols.team import JourneyTeam, ProblemMessage, TurnMessage

PROBLEM = Problem(id="sum", question="How much is (2 + 2) * 3?", answer="12")
TASK = ProblemMessage(content=PROBLEM, source="user")
STEPS = ("2 + 2 = 5", "That was off. 2 + 2 = 4", "4 * 3 = 12", "Answer: 12")


def say_the_steps(messages: Sequence[LLMMessage], request_id: str) -> str:
    return STEPS[int(request_id.split("/")[2])]


@pytest.fixture
async def referee() -> AsyncIterator[Referee]:
    referee = Referee()
    yield referee
    referee.close()


def team_of(referee: Referee, *, policy: Any = None, latency: float = 0.0, seed: int = 3) -> JourneyTeam:
    engine = ScriptedEngine(say_the_steps, latency=latency)
    return JourneyTeam(
        protocol=Dialogue(),
        policy=policy or PolicyAgent(load_policy("stepwise"), engine),
        critic=make_critic(load_critic("evidence"), None),
        referee=referee,
        voices=(Voice(persona="stepwise", model="scripted"), Voice(persona="evidence", model="")),
        seed=seed,
    )


async def test_it_is_a_team_whose_stream_the_console_prints(
    referee: Referee, capsys: pytest.CaptureFixture[str]
) -> None:
    team = team_of(referee)
    assert isinstance(team, Team)
    result = await Console(team.run_stream(task=TASK))
    assert isinstance(result, TaskResult)
    assert result.stop_reason == "solved"
    turns = [message.content for message in result.messages if isinstance(message, TurnMessage)]
    assert [turn.step for turn in turns] == list(STEPS)
    assert turns[0].verdict.move is Move.BACKTRACK
    printed = capsys.readouterr().out
    assert "How much is (2 + 2) * 3?" in printed
    assert "-> backtrack" in printed
    assert team.journey is not None
    assert team.journey.solved
    assert team.journey.turns == tuple(turns)


async def test_a_plain_question_is_a_task_without_a_reference(referee: Referee) -> None:
    team = team_of(referee)
    result = await team.run(task="How much is (2 + 2) * 3?")
    assert result.messages[0].source == "user"
    assert team.journey is not None
    assert team.journey.stop_reason == "unparsed", "nobody can say whether the answer is right"
    assert team.journey.verification is not None
    assert team.journey.verification.given == "12"
    quiet = await team.run(task="How much is (2 + 2) * 3?", output_task_messages=False)
    assert [type(message) for message in quiet.messages] == [TurnMessage] * 4


async def test_it_takes_part_in_an_autogen_group_chat(referee: Referee) -> None:
    team = team_of(referee)

    class Editor(BaseChatAgent):
        def __init__(self) -> None:
            super().__init__("editor", "Reads the result.")
            self.read: list[str] = []

        @property
        def produced_message_types(self) -> Sequence[type[BaseChatMessage]]:
            return (TextMessage,)

        async def on_messages(self, messages: Sequence[BaseChatMessage], token: CancellationToken) -> Response:
            self.read += [message.to_text() for message in messages]
            return Response(chat_message=TextMessage(content="Printed.", source=self.name))

        async def on_reset(self, cancellation_token: CancellationToken) -> None:
            self.read.clear()

    editor = Editor()
    chat = RoundRobinGroupChat(
        [team, editor],
        custom_message_types=[ProblemMessage, TurnMessage],
        max_turns=2,
    )
    result = await chat.run(task=TASK)
    assert [type(message).__name__ for message in result.messages if message.source == "journey"] == ["TurnMessage"] * 4
    assert any("4 * 3 = 12" in text for text in editor.read)
    assert team.journey is not None
    assert team.journey.solved


async def test_it_is_the_mind_of_a_society_of_mind_agent(referee: Referee) -> None:
    speaker = ScriptedEngine("It is twelve.")
    agent = SocietyOfMindAgent("solver", team=team_of(referee), model_client=speaker)
    response = await agent.on_messages([TASK], CancellationToken())
    assert isinstance(response.chat_message, TextMessage)
    assert response.chat_message.content == "It is twelve."


async def test_cancelling_the_token_stops_the_model_call_and_keeps_the_turns(referee: Referee) -> None:
    team = team_of(referee, latency=0.2)
    token = CancellationToken()
    running = asyncio.create_task(team.run(task=TASK, cancellation_token=token))
    while team.draft is None or not team.draft.turns:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    token.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(running, timeout=0.15)
    assert len(team.draft.turns) == 1
    result = await team.run()
    assert result.stop_reason == "solved"
    assert [message.content.id for message in result.messages if isinstance(message, TurnMessage)] == [1, 2, 3]


async def test_paused_it_waits_before_the_next_turn(referee: Referee) -> None:
    team = team_of(referee)
    seen: list[str] = []

    async def listen() -> None:
        async for event in team.run_stream(task=TASK):
            if isinstance(event, TurnMessage):
                seen.append(event.content.step)
                if len(seen) == 2:
                    await team.pause()

    running = asyncio.create_task(listen())
    await asyncio.sleep(0.1)
    assert len(seen) == 2
    assert not running.done()
    await team.resume()
    await asyncio.wait_for(running, timeout=5)
    assert seen == list(STEPS)


@pytest.mark.parametrize("after", range(len(STEPS) + 1))
async def test_state_saved_anywhere_and_loaded_elsewhere_gives_the_same_end(referee: Referee, after: int) -> None:
    whole = await ended(team_of(referee))
    team, seen = team_of(referee), 0
    stream = team.run_stream(task=TASK)
    async for event in stream:
        if seen == after:
            break
        seen += isinstance(event, TurnMessage)
    state = await team.save_state()
    await stream.aclose()
    other = team_of(referee)
    await other.load_state(state)
    await other.run()
    assert other.journey is not None
    assert other.journey.canonical() == whole.canonical()


async def ended(team: JourneyTeam) -> Journey:
    await team.run(task=TASK)
    assert team.journey is not None
    return team.journey


async def test_a_reset_team_forgets_and_asks_for_a_problem(referee: Referee) -> None:
    team = team_of(referee)
    await team.run(task=TASK)
    await team.reset()
    assert (team.journey, team.draft) == (None, None)
    assert await team.save_state() == {}
    with pytest.raises(ValueError, match="a journey needs a problem"):
        await team.run()
    with pytest.raises(ValueError, match="no task"):
        await team.run(task=[])


class ParrotAgent(BaseChatAgent):
    """A user's own agent: no model of ours, no persona, only the typed messages."""

    def __init__(self, *, answers: type[BaseChatMessage] = StepMessage) -> None:
        super().__init__("parrot", "Says what it was told to say.")
        self._answers = answers

    @property
    def produced_message_types(self) -> Sequence[type[BaseChatMessage]]:
        return (self._answers,)

    async def on_messages(self, messages: Sequence[BaseChatMessage], token: CancellationToken) -> Response:
        asked = messages[-1]
        assert isinstance(asked, ProposeMessage)
        if self._answers is TextMessage:
            return Response(chat_message=TextMessage(content="12", source=self.name))
        step = Proposal(step=STEPS[len(asked.content.turns)])
        return Response(chat_message=StepMessage(content=step, source=self.name))

    async def on_reset(self, cancellation_token: CancellationToken) -> None:
        pass


async def test_any_autogen_agent_that_speaks_the_messages_may_be_the_policy(referee: Referee) -> None:
    assert (await ended(team_of(referee, policy=ParrotAgent()))).solved


async def test_an_agent_that_answers_with_something_else_is_named(referee: Referee) -> None:
    with pytest.raises(TypeError, match=r"'parrot' answered with TextMessage, not a StepMessage"):
        await team_of(referee, policy=ParrotAgent(answers=TextMessage)).run(task=TASK)


async def test_our_agents_refuse_what_they_cannot_answer(referee: Referee) -> None:
    hello = [TextMessage(content="Hello.", source="user")]
    with pytest.raises(ValueError, match="answers ProposeMessage only"):
        await PolicyAgent(load_policy("stepwise"), ScriptedEngine("")).on_messages(hello, CancellationToken())
    with pytest.raises(ValueError, match="answers JudgeMessage only"):
        await make_critic(load_critic("silent"), None).on_messages(hello, CancellationToken())
    with pytest.raises(ValueError, match="needs a model"):
        make_critic(load_critic("strict"), None)


async def test_an_engine_error_comes_through_and_the_journey_can_go_on(referee: Referee) -> None:
    broken = True

    def script(messages: Sequence[LLMMessage], request_id: str) -> str | EngineUnavailable:
        if broken and request_id.split("/")[2] == "2":
            return EngineUnavailable("gone")
        return say_the_steps(messages, request_id)

    team = team_of(referee, policy=PolicyAgent(load_policy("stepwise"), ScriptedEngine(script)))
    with pytest.raises(EngineUnavailable, match="gone"):
        await team.run(task=TASK)
    broken = False
    result = await team.run()
    assert result.stop_reason == "solved"
    assert team.journey is not None
    assert team.journey.canonical() == (await ended(team_of(referee))).canonical()


GOLD = "74213"


async def test_the_reference_reaches_no_prompt_before_the_policy_wrote_it(referee: Referee) -> None:
    """Oracle separation, end to end: real prompts of every role, a gold answer that cannot turn up by chance."""
    problem = Problem(id="gold", question="Which number do I think of?", answer=GOLD)
    draw = random.Random(11)
    wrong = 0
    for protocol, critic in ((Dialogue(), "strict"), (Dialogue(), "socratic"), (Dialogue(), "evidence"), (Solo(), "")):
        for _ in range(20):
            written = False
            prompts = 0

            def script(messages: Sequence[LLMMessage], request_id: str) -> str:
                nonlocal written, prompts
                prompts += 1
                said = "\n".join(str(message.content) for message in messages)
                assert written or GOLD not in said, f"{request_id} was told the answer"
                if not request_id.startswith("stepwise"):
                    move = draw.choice(["continue", "backtrack", "reflect", "terminate"])
                    return f'{{"critique": "Are you sure?", "quote": "", "move": "{move}", "keep": 0}}'
                step = draw.choice(["It is 4 + 4 = 9.", "Hmm.", "Answer: 55555", "Answer: 55556", f"Answer: {GOLD}"])
                written = written or GOLD in step
                return step

            engine = ScriptedEngine(script)
            team = JourneyTeam(
                protocol=protocol,
                policy=PolicyAgent(load_policy("stepwise"), engine),
                critic=make_critic(load_critic(critic), engine) if critic else None,
                referee=referee,
                budgets=Budgets(max_refusals=3, max_turns=12),
            )
            await team.run(task=ProblemMessage(content=problem, source="user"))
            assert team.journey is not None
            assert prompts >= len(team.journey.turns) > 0
            wrong += sum("refused_answer" in turn.rulings for turn in team.journey.turns)
    assert wrong > 20, "answers were refused, so something was said about them"
