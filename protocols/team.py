"""A journey as an AutoGen team: `run`, `run_stream` and `TaskResult`, without AutoGen's group-chat runtime.

Group chats only append and cost about 1.3 ms of CPU a message; driving `on_messages` directly costs 0.03 ms and lets a
protocol backtrack (docs/decisions.md). Everything that takes a `Team` (Console, nested teams) takes this one.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

from autogen_agentchat.base import ChatAgent, TaskResult, Team
from autogen_agentchat.messages import BaseAgentEvent, BaseChatMessage, StructuredMessage, TextMessage
from autogen_core import CancellationToken
from pydantic import BaseModel

from agents.persona import Trust
from agents.roles import (
    CriticView,
    Judgement,
    JudgeMessage,
    PolicyView,
    Proposal,
    ProposeMessage,
    StepMessage,
    VerdictMessage,
)
from engines.errors import EngineError
from journeys.costs import together, without
from journeys.draft import Budgets, Draft
from journeys.record import Journey, Problem, Speaker, Turn, Voice
from journeys.tree import Tree
from protocols.base import Cast, GrowsJourneys, Referee, RewardModel
from protocols.bill import Bill, BilledReward


class ProblemMessage(StructuredMessage[Problem]):
    """A task with a checkable answer."""

    def to_text(self) -> str:
        return self.content.question


class TurnMessage(StructuredMessage[Turn]):
    """A step with the verdict it met."""

    def to_text(self) -> str:
        verdict = self.content.verdict
        return f"{self.content.step}\n-> {verdict.move} {verdict.critique}".rstrip()


class TreeMessage(StructuredMessage[Tree]):
    """What a search grew, before the journey walks through it."""

    def to_text(self) -> str:
        return f"A tree of {len(self.content.nodes)} steps."


class JourneyTeam(Team):
    """A policy and a critic (any AutoGen agents that speak the typed messages of agents/roles.py) under a protocol.

    A team grows one journey at a time. `journey` holds the finished one, `draft` the one being grown; a run that was
    cancelled goes on when `run` is called without a task.
    """

    component_type = "team"
    component_config_schema = BaseModel

    def __init__(
        self,
        *,
        protocol: GrowsJourneys,
        policy: ChatAgent,
        referee: Referee,
        critic: ChatAgent | None = None,
        budgets: Budgets = Budgets(),  # noqa: B008  (frozen)
        trust: Trust = "both",
        reflection: str = "",
        reward: RewardModel | None = None,
        refuted_below: float | None = None,
        voices: tuple[Voice, Voice | None] = (Voice(persona="", model=""), None),
        second: ChatAgent | None = None,
        second_voice: Voice | None = None,
        reward_name: str = "",
        seed: int = 0,
    ) -> None:
        self._protocol = protocol
        # A role never points back to its team: a team without reference cycles is freed the moment it is dropped.
        speakers: tuple[tuple[Speaker, ChatAgent | None], ...]
        speakers = (("policy", policy), ("critic", critic), ("second", second))
        self._bill = Bill()
        self._roles = [_Role(agent, speaker, self._bill) for speaker, agent in speakers if agent is not None]
        self._voices = voices
        self._second_voice = second_voice
        self._reward_name = reward_name
        self._seed = seed
        self._may_go_on = asyncio.Event()
        self._may_go_on.set()
        self._cast = Cast(
            policy=self._roles[0],
            critic=self._roles[1] if critic else None,
            referee=referee,
            budgets=budgets,
            trust=trust,
            reflection=reflection,
            second=self._roles[-1] if second else None,
            reward=BilledReward(reward, self._bill) if reward else None,
            refuted_below=refuted_below,
        )
        self.draft: Draft | None = None
        self.journey: Journey | None = None

    @property
    def name(self) -> str:
        return "journey"

    @property
    def description(self) -> str:
        return f"Grows a reasoning journey by {self._protocol.kind}."

    async def run(
        self,
        *,
        task: str | BaseChatMessage | Sequence[BaseChatMessage] | None = None,
        cancellation_token: CancellationToken | None = None,
        output_task_messages: bool = True,
    ) -> TaskResult:
        """Grow the journey and return its turns as messages."""
        result = TaskResult(messages=[])
        async for event in self.run_stream(
            task=task, cancellation_token=cancellation_token, output_task_messages=output_task_messages
        ):
            if isinstance(event, TaskResult):
                result = event  # the stream is run to its end: one left early would be closed by the event loop, later
        return result

    async def run_stream(
        self,
        *,
        task: str | BaseChatMessage | Sequence[BaseChatMessage] | None = None,
        cancellation_token: CancellationToken | None = None,
        output_task_messages: bool = True,
    ) -> AsyncGenerator[BaseAgentEvent | BaseChatMessage | TaskResult, None]:
        """Yield a `TurnMessage` for each turn, then the `TaskResult`; its stop reason is the journey's.

        Raises:
            EngineError: a model could not be reached. The draft keeps its turns, and knows what was spent beside them
                (`lost`); run again without a task to go on.
            ValueError: there is no task and nothing to go on with.
        """
        for role in self._roles:
            role.token = cancellation_token or CancellationToken()
        messages: list[BaseAgentEvent | BaseChatMessage] = []
        if task is not None:
            asked = _task_message(task)
            self.draft = self._begin(asked)
            if output_task_messages:
                messages.append(asked)
                yield asked
        if self.draft is None:
            raise ValueError("a journey needs a problem: pass task=...")
        self.journey = None
        async for event in self._grown(self.draft):
            if isinstance(event, Journey):
                self.journey = event
                continue
            if isinstance(event, Tree):
                yield TreeMessage(id=f"{self.draft.id}/tree", content=event, source=self.name, metadata={})
                continue
            message = TurnMessage(id=f"{self.draft.id}/{event.id}", content=event, source=self.name, metadata={})
            messages.append(message)
            yield message
            await self._may_go_on.wait()
        yield TaskResult(messages=messages, stop_reason=self.journey.stop_reason if self.journey else None)

    async def _grown(self, draft: Draft) -> AsyncGenerator[Turn | Journey | Tree, None]:
        """What the protocol yields. Where an engine gives out, the draft is told what was spent and stands nowhere."""
        before = draft.costs
        self._bill.clear()
        try:
            async for event in self._protocol.grow(draft, self._cast):
                yield event
        except EngineError:
            draft.lost = together(draft.lost, without(self._bill.costs, without(draft.costs, before)))
            raise

    def continue_from(self, draft: Draft) -> None:
        """Make `draft` the journey that the next `run` without a task goes on with."""
        draft.reward = self._reward_name or draft.reward
        draft.second = self._second_voice or draft.second  # the store's rows have no place for it; the recipe binds it
        self.draft, self.journey = draft, None

    async def reset(self) -> None:
        self.draft = self.journey = None
        for role in self._roles:
            await role.agent.on_reset(CancellationToken())

    async def pause(self) -> None:
        """Stop before the next turn; the one being written is finished."""
        self._may_go_on.clear()

    async def resume(self) -> None:
        self._may_go_on.set()

    async def save_state(self) -> Mapping[str, Any]:
        """The record of the draft: all the state there is."""
        if self.draft is None:
            return {}
        return {
            "id": self.draft.id,
            "problem": self.draft.problem.model_dump(mode="json"),
            "turns": [turn.model_dump(mode="json") for turn in self.draft.turns],
        }

    async def load_state(self, state: Mapping[str, Any]) -> None:
        if not state:
            self.draft = None
            return
        turns = [Turn.model_validate(turn) for turn in state["turns"]]
        self.continue_from(self._draft(state["id"], Problem.model_validate(state["problem"]), turns))

    def _begin(self, asked: BaseChatMessage) -> Draft:
        if isinstance(asked, ProblemMessage):
            return self._draft(asked.content.id, asked.content)
        return self._draft(asked.id, Problem(id=asked.id, question=asked.to_text()))

    def _draft(self, journey_id: str, problem: Problem, turns: Sequence[Turn] = ()) -> Draft:
        policy, critic = self._voices
        return Draft(
            journey_id,
            problem,
            seed=self._seed,
            protocol=self._protocol.kind,
            policy=policy,
            critic=critic,
            second=self._second_voice,
            reward=self._reward_name,
            turns=turns,
        )


class _Role:
    """An agent as the protocol sees it: somebody to ask, in typed messages."""

    def __init__(self, agent: ChatAgent, speaker: Speaker, bill: Bill) -> None:
        self.agent = agent
        self._speaker = speaker
        self._bill = bill
        self.token = CancellationToken()

    async def propose(self, view: PolicyView) -> Proposal:
        question = ProposeMessage(id=_message_id(view), content=view, source="journey", metadata={})
        reply = (await self.agent.on_messages([question], self.token)).chat_message
        if not isinstance(reply, StepMessage):
            raise TypeError(f"agent {self.agent.name!r} answered with {type(reply).__name__}, not a StepMessage")
        self._bill.add(self._speaker, reply.content.cost)
        return reply.content

    async def judge(self, view: CriticView) -> Judgement:
        question = JudgeMessage(id=_message_id(view), content=view, source="journey", metadata={})
        reply = (await self.agent.on_messages([question], self.token)).chat_message
        if not isinstance(reply, VerdictMessage):
            raise TypeError(f"agent {self.agent.name!r} answered with {type(reply).__name__}, not a VerdictMessage")
        self._bill.add(self._speaker, reply.content.cost)
        return reply.content


def _message_id(view: PolicyView | CriticView) -> str:
    """Names the question by journey and turn: the same run gives the same ids, at a tenth of a random one's cost."""
    return f"{view.journey_id}/{len(view.turns)}"


def _task_message(task: str | BaseChatMessage | Sequence[BaseChatMessage]) -> BaseChatMessage:
    if isinstance(task, str):
        return TextMessage(content=task, source="user")
    if isinstance(task, BaseChatMessage):
        return task
    if not task:
        raise ValueError("an empty list of messages is no task")
    return task[-1]
