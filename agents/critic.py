"""The critic: answers each step with one move."""

import random
from collections.abc import Mapping, Sequence
from typing import Any

from autogen_agentchat.agents import BaseChatAgent
from autogen_agentchat.base import Response
from autogen_agentchat.messages import BaseChatMessage
from autogen_core import CancellationToken
from autogen_core.models import AssistantMessage, ChatCompletionClient, LLMMessage, SystemMessage, UserMessage

from agents.calls import call, request_args, text_of
from agents.persona import CriticPersona
from agents.policy_prompt import PolicyPrompt
from agents.roles import CriticView, Judgement, JudgeMessage, PolicyView, VerdictMessage
from agents.slots import fill
from agents.transcript import Transcript
from agents.verdicts import NEUTRAL, VerdictForm, complaint
from engines.structured import parse_json
from journeys.code import CODE_OUTPUT, with_output
from journeys.record import Cost, Move, Verdict, seed_for


class CriticAgent(BaseChatAgent):
    """An AutoGen agent that answers a `JudgeMessage` with a `VerdictMessage`; subclasses say how it decides."""

    def __init__(self, persona: CriticPersona) -> None:
        super().__init__("critic", persona.description or "Judges the newest step.")
        self.persona = persona

    @property
    def produced_message_types(self) -> Sequence[type[BaseChatMessage]]:
        return (VerdictMessage,)

    async def on_messages(self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken) -> Response:
        """Answer the last `JudgeMessage`; raises ValueError when there is none."""
        asked = next((m for m in reversed(messages) if isinstance(m, JudgeMessage)), None)
        if asked is None:
            raise ValueError(f"{self.name} answers JudgeMessage only, got {[type(m).__name__ for m in messages]}")
        judgement = await self.judge(asked.content, cancellation_token)
        reply = VerdictMessage(id=f"{asked.id}/verdict", content=judgement, source=self.name, metadata={})
        return Response(chat_message=reply)

    async def on_reset(self, cancellation_token: CancellationToken) -> None:
        """Nothing to forget: what it says depends on the view alone."""

    async def save_state(self) -> Mapping[str, Any]:
        return {}

    async def load_state(self, state: Mapping[str, Any]) -> None:
        """Nothing to restore."""

    async def judge(self, view: CriticView, cancellation_token: CancellationToken | None = None) -> Judgement:
        """A verdict on the newest step."""
        raise NotImplementedError


class CriticPrompt:
    """How a persona asks for a verdict. One for each journey: it remembers the steps that it has written out."""

    def __init__(self, persona: CriticPersona) -> None:
        self.persona = persona
        self._system = SystemMessage(content=persona.system)
        self._steps: Transcript[str] = Transcript()

    def messages(self, view: CriticView) -> list[LLMMessage]:
        """Fixed text, problem, numbered steps, then what is asked: two prompts of one journey share all but the end."""
        listed = self._steps.of(view.path, lambda turn, number: f"{number}. {with_output(turn.step, turn.evidence)}\n")
        number = str(len(listed) + 1)
        task = fill(self.persona.task, question=view.question)
        asked = fill(self.persona.ask, number=number, **_optional(self.persona, view))
        step = with_output(view.step, view.evidence)
        text = f"{task}{''.join(listed)}{number}. {step}\n{asked}"
        return [self._system, UserMessage(content=text, source="user")]


class ModelCritic(CriticAgent):
    """Asks a language model for a `VerdictForm`: one attempt, one repair, then a neutral `continue`."""

    def __init__(self, persona: CriticPersona, client: ChatCompletionClient) -> None:
        super().__init__(persona)
        self._client = client
        self._asking = CriticPrompt(persona)

    async def judge(self, view: CriticView, cancellation_token: CancellationToken | None = None) -> Judgement:
        messages = self.messages(view)
        cost: Cost | None = None
        for attempt in (0, 1):
            args = request_args(
                self.persona.sampling,
                seed=seed_for(view.seed, attempt),
                request_id=f"{self.persona.name}/{view.journey_id}/{len(view.turns)}/{attempt}",
            )
            reply, spent = await call(
                self._client, messages, args, schema=VerdictForm, cancellation_token=cancellation_token
            )
            cost = cost.plus(spent) if cost else spent
            said = text_of(reply)
            form = parse_json(said, VerdictForm)
            if form is not None:
                return Judgement(verdict=form.verdict(), parse="repaired" if attempt else "ok", cost=cost)
            messages = [
                *messages,
                AssistantMessage(content=said[:2000] or "...", source="critic"),
                UserMessage(content=fill(self.persona.repair, error=complaint(said)), source="user"),
            ]
        return Judgement(verdict=NEUTRAL, parse="failed", cost=cost or Cost())

    def messages(self, view: CriticView) -> list[LLMMessage]:
        """The prompt for this view."""
        return self._asking.messages(view)


class SelfCritic(ModelCritic):
    """The policy asked, in its own conversation, which move to make next (O1 Journey's propose-critique loop,
    methods 1.2). The checkers' evidence is not shown to it: it judges alone."""

    def __init__(self, persona: CriticPersona, client: ChatCompletionClient, prompt: PolicyPrompt) -> None:
        super().__init__(persona, client)
        self._prompt = prompt

    def messages(self, view: CriticView) -> list[LLMMessage]:
        asked = PolicyView(
            journey_id=view.journey_id, question=view.question, path=view.path, turns=view.turns, seed=view.seed
        )
        said = self._prompt.said(view.step, view.evidence, end="")
        messages = self._prompt.messages(asked, said)
        if self._prompt.persona.mode == "chat":
            messages.append(AssistantMessage(content=said.rstrip(), source="policy"))
        number = str(len(view.path) + 1)
        ask = fill(self.persona.ask, number=number, **_optional(self.persona, view))
        return [*messages, UserMessage(content=f"{self.persona.system}\n{ask}", source="user")]


class EvidenceCritic(CriticAgent):
    """Follows the checkers and no model: a fatal finding removes the step, an answer ends the journey."""

    async def judge(self, view: CriticView, cancellation_token: CancellationToken | None = None) -> Judgement:
        found = next((evidence for evidence in view.evidence if evidence.fatal), None)
        if found is None:
            return Judgement(verdict=Verdict(move=Move.TERMINATE if view.answer else Move.CONTINUE))
        texts = self.persona.critiques.get(found.kind) or self.persona.critiques["default"]
        text = texts[seed_for("variant", view.seed) % len(texts)]
        return Judgement(
            verdict=Verdict(
                move=Move.BACKTRACK,
                critique=fill(text, detail=found.detail, quote=found.quote).strip(),
                quote=found.quote,
                keep=len(view.path) - self._fed_up(view),
            )
        )

    def _fed_up(self, view: CriticView) -> int:
        """1 when so many tries failed at this place that the step before it goes too, else 0."""
        parent = view.path[-1].id if view.path else None
        failed_here = 1
        for turn in reversed(view.turns):
            if turn.parent != parent or not turn.removes:
                break
            failed_here += 1
        return int(bool(view.path) and failed_here % self.persona.patience == 0)


class SilentCritic(CriticAgent):
    """Always continues: the control that shows what the dialogue is worth."""

    async def judge(self, view: CriticView, cancellation_token: CancellationToken | None = None) -> Judgement:
        return Judgement(verdict=NEUTRAL)


class RandomCritic(CriticAgent):
    """Draws its move from the persona's weights: the control that shows what *informed* moves are worth."""

    async def judge(self, view: CriticView, cancellation_token: CancellationToken | None = None) -> Judgement:
        draw = random.Random(view.seed)
        moves, weights = zip(*sorted(self.persona.weights.items()), strict=True)
        move = Move(draw.choices(moves, weights)[0])
        keep = draw.randint(0, len(view.path)) if move is Move.BACKTRACK else 0
        return Judgement(verdict=Verdict(move=move, keep=keep))


def make_critic(persona: CriticPersona, client: ChatCompletionClient | None) -> CriticAgent:
    """The critic of the persona's kind. Raises ValueError when a model critic gets no client."""
    match persona.kind:
        case "evidence":
            return EvidenceCritic(persona)
        case "silent":
            return SilentCritic(persona)
        case "random":
            return RandomCritic(persona)
        case "model":
            if client is None:
                raise ValueError(f"critic persona {persona.name!r} needs a model")
            return ModelCritic(persona, client)


def _optional(persona: CriticPersona, view: CriticView) -> dict[str, str]:
    findings = " ".join(
        evidence.detail for evidence in view.evidence if evidence.detail and evidence.kind != CODE_OUTPUT
    )
    return {
        "evidence": fill(persona.evidence, findings=findings) if findings else "",
        "answer": view.answer or "none yet",
    }


__all__ = [
    "CriticAgent",
    "CriticPrompt",
    "EvidenceCritic",
    "ModelCritic",
    "RandomCritic",
    "SelfCritic",
    "SilentCritic",
    "make_critic",
]
