"""The prompt of an action: a few worked exchanges, then the problem with what was written so far."""

from collections.abc import Sequence

from autogen_core.models import AssistantMessage, LLMMessage, SystemMessage, UserMessage

from agents.persona import Action
from agents.roles import PolicyView
from agents.slots import fill


def action_messages(action: Action, view: PolicyView) -> list[LLMMessage]:
    """Fixed text first; its last message is unfinished where the action has words to begin with."""
    messages: list[LLMMessage] = [SystemMessage(content=action.system)] if action.system else []
    for example in action.examples:
        messages.append(_asked(action, example.question, example.steps))
        messages.append(AssistantMessage(content=f"{action.opens} {example.reply}".strip(), source="policy"))
    messages.append(_asked(action, view.question, [turn.step for turn in view.path]))
    return [*messages, AssistantMessage(content=action.opens, source="policy")] if action.opens else messages


def _asked(action: Action, question: str, steps: Sequence[str]) -> UserMessage:
    last = steps[-1].partition("\n")[0] if steps else ""
    slots = {"question": question, "steps": "\n".join(steps), "before": "\n".join(steps[:-1]), "last": last}
    return UserMessage(content=fill(action.ask, **slots), source="user")
