"""The policy agent: how it begins a step, and what it makes of silence."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from autogen_core.models import AssistantMessage, LLMMessage
from prompt_material import CHAT, journey, monologue, policy_view

from agents.persona import load_policy
from agents.policy import PolicyAgent
from engines.scripted import ScriptedEngine


async def test_a_monologue_step_begins_with_its_opening_and_says_that_it_continues() -> None:
    seen: list[Sequence[LLMMessage]] = []

    def script(messages: Sequence[LLMMessage], request_id: str) -> str:
        seen.append(messages)
        return " 12\nand what comes after the delimiter"

    agent = PolicyAgent(monologue("path").persona, ScriptedEngine(script))
    proposal = await agent.propose(policy_view(journey()[:5]))
    assert proposal.step == "Again: 4 * 3 = 12"
    assert isinstance(seen[0][-1], AssistantMessage)
    assert (await PolicyAgent(CHAT, ScriptedEngine("")).propose(policy_view([]))).step == ""


@dataclass
class Spoken:
    """A model that says these lines one after the other, and the messages it was asked with."""

    lines: list[str]
    asked: list[str] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)

    def __call__(self, messages: Sequence[LLMMessage], request_id: str) -> str:
        self.asked.append(str(messages[-1].content) if isinstance(messages[-1], AssistantMessage) else "")
        self.ids.append(request_id)
        return self.lines[len(self.asked) - 1]


@pytest.mark.parametrize("closing", ["</think>", "", "  </think>"])
async def test_a_tuned_model_goes_on_behind_its_thought_to_the_answer(closing: str) -> None:
    tuned = load_policy("tuned")
    says = Spoken([closing, "Answer: 12"])
    turns = journey()[:6]
    proposal = await PolicyAgent(tuned, ScriptedEngine(says)).propose(policy_view(turns))
    assert (proposal.step, proposal.cost.calls) == ("Answer: 12", 2)
    said = "<think>\nBrackets first.\n2 + 2 = 4\nSo 4.\nNo, there is a factor.\n4 * 3 = 13\n4 * 3 = 12\n"
    assert says.asked == [said, f"{said}</think>\n\n" if closing else f"{said}\n"]
    assert len(set(says.ids)) == 2
    last_line = Spoken(["So 12.</think>"])
    assert (await PolicyAgent(tuned, ScriptedEngine(last_line)).propose(policy_view(turns))).step == "So 12."


async def test_a_model_that_never_says_a_word_gives_an_empty_step() -> None:
    says = Spoken([""] * 3)
    proposal = await PolicyAgent(load_policy("tuned"), ScriptedEngine(says)).propose(policy_view([]))
    assert (proposal.step, proposal.cost.calls) == ("", 3)
    assert says.asked == ["<think>\n", "<think>\n\n", "<think>\n\n\n"]
