"""The policy: writes one reasoning step at a time."""

from collections.abc import Mapping, Sequence
from typing import Any

from autogen_agentchat.agents import BaseChatAgent
from autogen_agentchat.base import Response
from autogen_agentchat.messages import BaseChatMessage
from autogen_core import CancellationToken
from autogen_core.models import AssistantMessage, ChatCompletionClient, CreateResult, LLMMessage

from agents.actions import action_messages
from agents.calls import call, confidence, request_args, text_of
from agents.persona import Action, PolicyPersona
from agents.pieces import lines_in
from agents.policy_prompt import PolicyPrompt
from agents.roles import Line, Piece, PolicyView, Proposal, ProposeMessage, StepMessage
from engines.contract import Sampling
from journeys.code import code_in, commented, fenced
from journeys.record import Cost, Move, Turn

SILENT_LINES = 2
"""Monologue: lines without a word (a blank one, the closing tag) passed over before a step counts as empty."""


class PolicyAgent(BaseChatAgent):
    """An AutoGen agent that answers a `ProposeMessage` with a `StepMessage`.

    One agent serves one journey; the client behind it is shared by all. What it says depends on the view alone.
    """

    def __init__(
        self, persona: PolicyPersona, client: ChatCompletionClient, *, logprobs: bool = False, name: str = "policy"
    ) -> None:
        super().__init__(name, persona.description or "Writes the next step of the solution.")
        self.persona = persona
        self._client = client
        self._logprobs = logprobs
        self.prompt = PolicyPrompt(persona)

    @property
    def produced_message_types(self) -> Sequence[type[BaseChatMessage]]:
        return (StepMessage,)

    async def on_messages(self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken) -> Response:
        """Answer the last `ProposeMessage`; raises ValueError when there is none."""
        asked = next((m for m in reversed(messages) if isinstance(m, ProposeMessage)), None)
        if asked is None:
            raise ValueError(f"{self.name} answers ProposeMessage only, got {[type(m).__name__ for m in messages]}")
        proposal = await self.propose(asked.content, cancellation_token)
        reply = StepMessage(id=f"{asked.id}/step", content=proposal, source=self.name, metadata={})
        return Response(chat_message=reply)

    async def on_reset(self, cancellation_token: CancellationToken) -> None:
        self.prompt = PolicyPrompt(self.persona)

    async def save_state(self) -> Mapping[str, Any]:
        """Nothing: the record is the state."""
        return {}

    async def load_state(self, state: Mapping[str, Any]) -> None:
        self.prompt = PolicyPrompt(self.persona)

    async def propose(self, view: PolicyView, cancellation_token: CancellationToken | None = None) -> Proposal:
        """The next step, opened by the persona's own words where it answers a critique; or what an action asks for."""
        if (action := self.persona.actions.get(view.action)) is not None:
            return await self._act(action, view, cancellation_token)
        if view.piece is not None:
            return await self._piece(view, view.piece, cancellation_token)
        return await self._step(view, cancellation_token)

    async def _step(self, view: PolicyView, cancellation_token: CancellationToken | None) -> Proposal:
        """The next step; a monologue is asked again where it has said nothing yet."""
        opening, in_code = self.prompt.opening(view), self.prompt.in_code(view)
        messages = self.prompt.messages(view, _begun(opening, in_code=in_code))
        sampling = self._sampling(view.reply_to)
        reply, cost = await self._ask(view, messages, sampling, cancellation_token)
        while cost.calls <= SILENT_LINES and (silence := self._silence(reply)):
            messages = _continued(messages, silence)
            reply, spent = await self._ask(view, messages, sampling, cancellation_token, number=cost.calls)
            cost = cost.plus(spent)
        written, _ = self._line(reply)
        return _proposal(_recorded(opening, written, in_code=in_code), reply, cost)

    async def _act(self, action: Action, view: PolicyView, cancellation_token: CancellationToken | None) -> Proposal:
        """One reply to the action's own prompt, however many lines it takes."""
        longest = action.max_tokens or self.persona.sampling.max_tokens
        sampling = self.persona.sampling.model_copy(update={"max_tokens": longest, "stop": action.stop})
        messages = action_messages(action, view) if action.ask else self.prompt.messages(view)
        reply, cost = await self._ask(view, messages, sampling, cancellation_token)
        text = text_of(reply)
        for tag in (self.persona.opens.strip(), self.persona.closes.strip()):
            text = text.replace(tag, "\n") if tag else text
        written = "\n".join(line.strip() for line in text.splitlines() if line.strip())
        return _proposal(f"{action.opens} {written}".strip() if written else "", reply, cost)

    async def _piece(self, view: PolicyView, piece: Piece, cancellation_token: CancellationToken | None) -> Proposal:
        """So many tokens after what is written, wherever they end; nothing but the text's own end stops them."""
        opening, delimiter = self.prompt.opening(view), self.persona.delimiter
        # Where an answer ended the text, the words that have it looked over begin a new line.
        joint = delimiter if opening and piece.begun and not piece.begun.endswith(delimiter) else ""
        begun = piece.begun + joint
        sampling = self.persona.sampling.model_copy(update={"max_tokens": piece.tokens, "stop": ()})
        messages = self.prompt.going_on(view, begun + opening)
        reply, cost = await self._ask(view, messages, sampling, cancellation_token)
        text = opening + text_of(reply)
        lines = lines_in(text, begun=begun, persona=self.persona, ended=reply.finish_reason == "stop")
        placed = tuple(Line(text=line.text, end=len(joint) + line.end) for line in lines)
        return _proposal(joint + text, reply, cost, lines=placed)

    async def _ask(
        self,
        view: PolicyView,
        messages: Sequence[LLMMessage],
        sampling: Sampling,
        cancellation_token: CancellationToken | None,
        *,
        number: int = 0,
    ) -> tuple[CreateResult, Cost]:
        """One call, the `number`th for this view; the policy's own unfinished message is continued."""
        more: dict[str, Any] = {"logprobs": True} if self._logprobs else {}
        if isinstance(messages[-1], AssistantMessage):
            more["continue_final_message"] = True
        request_id = f"{self.persona.name}/{view.journey_id}/{len(view.turns)}/{number}"
        args = request_args(sampling, seed=view.seed, request_id=request_id, **more)
        return await call(self._client, messages, args, cancellation_token=cancellation_token)

    def _sampling(self, reply_to: Turn | None) -> Sampling:
        """How a step is drawn: hotter where one was taken back, if the persona says so, and to the end of a line."""
        changes: dict[str, Any] = {}
        if self.persona.retry_temperature is not None and reply_to and reply_to.verdict.move is Move.BACKTRACK:
            changes["temperature"] = self.persona.retry_temperature
        if self.persona.mode == "monologue":
            changes["stop"] = (self.persona.delimiter, *self.persona.sampling.stop)
        return self.persona.sampling.model_copy(update=changes)

    def _line(self, reply: CreateResult) -> tuple[str, bool]:
        """What a reply says before the thought's end, and whether the thought ends in it."""
        text, close = text_of(reply), self.persona.closes.strip()
        if not close:
            return text.strip(), False
        written, closed, _ = text.partition(close)
        return written.strip(), bool(closed)

    def _silence(self, reply: CreateResult) -> str:
        """What a monologue's line that says nothing adds to it: a blank line, or the end of the thought. Else ''."""
        written, closed = self._line(reply)
        if self.persona.mode != "monologue" or written or reply.finish_reason != "stop":
            return ""
        return self.persona.closes.lstrip() if closed else self.persona.delimiter


def _proposal(step: str, reply: CreateResult, cost: Cost, *, lines: tuple[Line, ...] = ()) -> Proposal:
    sure = confidence(reply.logprobs)
    return Proposal(step=step, lines=lines, finish=reply.finish_reason, confidence=sure, cost=cost)


def _begun(opening: str, *, in_code: bool) -> str:
    """The opening as it stands in the unfinished message: among code a comment on a line of its own."""
    return f"{commented(opening)}\n" if opening and in_code else opening


def _recorded(opening: str, written: str, *, in_code: bool) -> str:
    """The step for the record, where code is fenced; nothing where nothing was written."""
    if not written:
        return ""
    if in_code and not code_in(written):
        return f"{opening}\n{fenced(written)}".strip()
    return f"{opening} {written}".strip()


def _continued(messages: list[LLMMessage], text: str) -> list[LLMMessage]:
    """The messages with `text` added to the assistant's unfinished one."""
    last = messages[-1]
    begun = last.content if isinstance(last, AssistantMessage) else ""
    kept = messages[:-1] if begun else messages
    return [*kept, AssistantMessage(content=f"{begun}{text}", source="policy")]
