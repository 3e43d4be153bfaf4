"""The policy: writes one reasoning step at a time."""

import re
from collections.abc import Mapping, Sequence, Set
from itertools import chain
from typing import Any

from autogen_agentchat.agents import BaseChatAgent
from autogen_agentchat.base import Response
from autogen_agentchat.messages import BaseChatMessage
from autogen_core import CancellationToken
from autogen_core.models import (
    AssistantMessage,
    ChatCompletionClient,
    CreateResult,
    LLMMessage,
    SystemMessage,
    UserMessage,
)

from agents.actions import action_messages
from agents.calls import call, confidence, request_args, text_of
from agents.persona import Action, PolicyPersona, Variants
from agents.pieces import lines_in
from agents.roles import Line, Piece, PolicyView, Proposal, ProposeMessage, StepMessage
from agents.slots import fill
from agents.transcript import Transcript
from journeys.code import FAILED_CODE, as_code, code_in, commented, fenced, printed
from journeys.record import Evidence, Move, Turn, seed_for

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
        sampling = self.persona.sampling
        in_code = self.prompt.in_code(view)
        reply_to = view.reply_to
        if self.persona.retry_temperature is not None and reply_to and reply_to.verdict.move is Move.BACKTRACK:
            sampling = sampling.model_copy(update={"temperature": self.persona.retry_temperature})
        more: dict[str, Any] = {"logprobs": True} if self._logprobs else {}
        opening = self.prompt.opening(view)
        messages = self.prompt.messages(view, _begun(opening, in_code=in_code))
        if self.persona.mode == "monologue":
            more["stop"] = (self.persona.delimiter, *sampling.stop)
            more["continue_final_message"] = isinstance(messages[-1], AssistantMessage)
        request_id = f"{self.persona.name}/{view.journey_id}/{len(view.turns)}"
        args = request_args(sampling, seed=view.seed, request_id=f"{request_id}/0", **more)
        reply, cost = await call(self._client, messages, args, cancellation_token=cancellation_token)
        while self.persona.mode == "monologue" and cost.calls <= SILENT_LINES and (silence := self._silence(reply)):
            messages = _continued(messages, silence)
            args |= {"request_id": f"{request_id}/{cost.calls}", "continue_final_message": True}
            reply, spent = await call(self._client, messages, args, cancellation_token=cancellation_token)
            cost = cost.plus(spent)
        written, _ = self._line(reply)
        return Proposal(
            step=_step(opening, written, in_code=in_code),
            finish=reply.finish_reason,
            confidence=confidence(reply.logprobs),
            cost=cost,
        )

    async def _act(self, action: Action, view: PolicyView, cancellation_token: CancellationToken | None) -> Proposal:
        """One reply to the action's own prompt, however many lines it takes."""
        longest = action.max_tokens or self.persona.sampling.max_tokens
        sampling = self.persona.sampling.model_copy(update={"max_tokens": longest, "stop": action.stop})
        messages = action_messages(action, view) if action.ask else self.prompt.messages(view)
        more: dict[str, Any] = {"logprobs": True} if self._logprobs else {}
        more["continue_final_message"] = isinstance(messages[-1], AssistantMessage)
        request_id = f"{self.persona.name}/{view.journey_id}/{len(view.turns)}/0"
        args = request_args(sampling, seed=view.seed, request_id=request_id, **more)
        reply, cost = await call(self._client, messages, args, cancellation_token=cancellation_token)
        text = text_of(reply)
        for tag in (self.persona.opens.strip(), self.persona.closes.strip()):
            text = text.replace(tag, "\n") if tag else text
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        written = "\n".join(lines)
        return Proposal(
            step=f"{action.opens} {written}".strip() if written else "",
            finish=reply.finish_reason,
            confidence=confidence(reply.logprobs),
            cost=cost,
        )

    async def _piece(self, view: PolicyView, piece: Piece, cancellation_token: CancellationToken | None) -> Proposal:
        """So many tokens after what is written, wherever they end; nothing but the text's own end stops them."""
        opening, delimiter = self.prompt.opening(view), self.persona.delimiter
        # Where an answer ended the text, the words that have it looked over begin a new line.
        joint = delimiter if opening and piece.begun and not piece.begun.endswith(delimiter) else ""
        begun = piece.begun + joint
        messages = self.prompt.going_on(view, begun + opening)
        sampling = self.persona.sampling.model_copy(update={"max_tokens": piece.tokens, "stop": ()})
        more: dict[str, Any] = {"logprobs": True} if self._logprobs else {}
        more["continue_final_message"] = isinstance(messages[-1], AssistantMessage)
        request_id = f"{self.persona.name}/{view.journey_id}/{len(view.turns)}/0"
        args = request_args(sampling, seed=view.seed, request_id=request_id, **more)
        reply, cost = await call(self._client, messages, args, cancellation_token=cancellation_token)
        text = opening + text_of(reply)
        lines = lines_in(text, begun=begun, persona=self.persona, ended=reply.finish_reason == "stop")
        return Proposal(
            step=joint + text,
            lines=tuple(Line(text=line.text, end=len(joint) + line.end) for line in lines),
            finish=reply.finish_reason,
            confidence=confidence(reply.logprobs),
            cost=cost,
        )

    def _line(self, reply: CreateResult) -> tuple[str, bool]:
        """What a reply says before the thought's end, and whether the thought ends in it."""
        text, close = text_of(reply), self.persona.closes.strip()
        if not close:
            return text.strip(), False
        written, closed, _ = text.partition(close)
        return written.strip(), bool(closed)

    def _silence(self, reply: CreateResult) -> str:
        """What a line that says nothing adds to the message: a blank line, or the end of the thought. Else ''."""
        written, closed = self._line(reply)
        if written or reply.finish_reason != "stop":
            return ""
        return self.persona.closes.lstrip() if closed else self.persona.delimiter


class PolicyPrompt:
    """The messages that ask for a step: fixed text first, then the problem, then what grows."""

    def __init__(self, persona: PolicyPersona) -> None:
        self.persona = persona
        self._chat: Transcript[tuple[LLMMessage, ...]] = Transcript()
        self._head = [*_examples(persona)]
        self._task: tuple[str, UserMessage] | None = None

    def messages(self, view: PolicyView, opening: str = "") -> list[LLMMessage]:
        """The prompt for the next step; in mode monologue its last message is unfinished."""
        if self.persona.mode == "monologue":
            said = view.turns if self.persona.memory == "full" else view.path
            lines = "".join(self.said(turn.step, turn.evidence) for turn in said if turn.step)
            return self.going_on(view, lines + opening)
        task = self._asked(view)
        pairs = self._chat.of(view.path, lambda turn, _: self._exchange(turn, view.turns))
        exchanges = list(chain.from_iterable(pairs))
        ask = self._ask(view.reply_to, view) if view.turns else None
        if ask is None:
            return [*self._head, task]
        return [*self._head, task, *exchanges, ask] if exchanges else [*self._head, _joined(task, ask)]

    def said(self, step: str, evidence: Sequence[Evidence], *, end: str | None = None) -> str:
        """A step as the model wrote it, with what its code printed, or the delimiter (or `end`), behind it."""
        text, output = as_code(step) if self.persona.writes == "code" and code_in(step) else step, printed(evidence)
        if output:
            return text + fill(self.persona.output, printed=output)
        return text + (self.persona.delimiter if end is None else end)

    def in_code(self, view: PolicyView) -> bool:
        """Whether the next step is bare code: it is, for a persona that writes code, until the program has printed."""
        return self.persona.writes == "code" and not any(printed(turn.evidence) for turn in view.path)

    def going_on(self, view: PolicyView, begun: str) -> list[LLMMessage]:
        """The problem, and the policy's own unfinished message, to the letter."""
        text = self.persona.opens + begun
        unfinished: list[LLMMessage] = [AssistantMessage(content=text, source="policy")] if text else []
        return [*self._head, self._asked(view), *unfinished]

    def _asked(self, view: PolicyView) -> UserMessage:
        if self._task is None or self._task[0] != view.question:
            task = UserMessage(content=fill(self.persona.task, question=view.question), source="user")
            self._task = (view.question, task)
        return self._task[1]

    def opening(self, view: PolicyView) -> str:
        """The first-person words with which a step that answers a critique begins.

        Empty in mode chat, and after an empty step: where nothing was said there is nothing to doubt.
        """
        if self.persona.mode == "chat" or (reply_to := view.reply_to) is None or not reply_to.step:
            return ""
        # One line, or a critique would end the step. No space at the end: the model's next token begins with one.
        gone = _numbers(self._taken_along(reply_to, view)) - _numbers(view.question, *(turn.step for turn in view.path))
        return " ".join(_critique(self.persona, reply_to, seed=view.seed, gone=gone).split())

    def _taken_along(self, reply_to: Turn, view: PolicyView) -> str:
        """What a backtrack took off the path besides the step that it judged."""
        standing, lost = {turn.id for turn in view.path}, list[str]()
        parent = reply_to.parent
        while parent is not None and parent not in standing:
            lost.append(view.turns[parent].step)
            parent = view.turns[parent].parent
        return "\n".join(lost)

    def _exchange(self, turn: Turn, turns: Sequence[Turn]) -> tuple[LLMMessage, ...]:
        """A turn on the path: what was asked, and the step. The first step's question is the task itself."""
        said = AssistantMessage(content=self.said(turn.step, turn.evidence, end="").rstrip() or "...", source="policy")
        if turn.parent is None:
            return (said,)
        reply_to = turns[turn.replies_to] if turn.replies_to is not None else None
        return (self._note(reply_to, seed=turn.id), said)

    def _ask(self, reply_to: Turn | None, view: PolicyView) -> LLMMessage:
        note = self._note(reply_to, seed=len(view.turns))
        if reply_to and self.persona.repeated and any(e.kind == "repeated_step" for e in reply_to.evidence):
            on_path = {turn.id for turn in view.path}
            tries = dict.fromkeys(turn.step for turn in view.turns if turn.id not in on_path)
            again = fill(self.persona.repeated, abandoned="\n".join(f"- {step}" for step in tries))
            return UserMessage(content=f"{note.content}\n{again}", source="user")
        return note

    def _note(self, reply_to: Turn | None, *, seed: int) -> UserMessage:
        if reply_to is None:
            return UserMessage(content=_choose(self.persona.proceed, seed), source="user")
        return UserMessage(content=_critique(self.persona, reply_to, seed=reply_to.id), source="user")


def _critique(persona: PolicyPersona, reply_to: Turn, *, seed: int, gone: Set[str] = frozenset()) -> str:
    """The persona's words on a critique.

    Args:
        gone: numbers that no standing step has any more; an equation that begins with one is not done again.
    """
    verdict = reply_to.verdict
    values = {"critique": verdict.critique, "quote": verdict.quote or reply_to.step, "step": reply_to.step}
    if verdict.move is Move.REFLECT:
        return fill(_choose(persona.reflect, seed), **values)
    left, equals, _ = verdict.quote.rpartition("=")
    found = {evidence.kind for evidence in reply_to.evidence}
    only_repeated = "repeated_step" in found and "false_equation" not in found  # calculating it again repeats it again
    left = re.split(r"[.!?:]\s", left)[-1]  # a quote may begin with the words that opened the step
    is_code = FAILED_CODE in found  # `pans = eggs // 4` is no equation
    if equals and persona.recompute and not (only_repeated or is_code or _numbers(left) & gone):
        return fill(_choose(persona.recompute, seed), left=left.strip(), **values)
    return fill(_choose(persona.backtrack, seed), **values)


def _numbers(*texts: str) -> set[str]:
    return {number for text in texts for number in re.findall(r"\d+(?:[.,]\d+)*", text)}


def _begun(opening: str, *, in_code: bool) -> str:
    """The opening as it stands in the unfinished message: among code a comment on a line of its own."""
    return f"{commented(opening)}\n" if opening and in_code else opening


def _step(opening: str, written: str, *, in_code: bool) -> str:
    """The step for the record, where code is fenced; nothing where nothing was written."""
    if not written:
        return ""
    if in_code and not code_in(written):
        return f"{opening}\n{fenced(written)}".strip()
    return f"{opening} {written}".strip()


def _choose(texts: Variants, seed: int) -> str:
    return texts[0] if len(texts) == 1 else texts[seed_for("variant", seed) % len(texts)]


def _examples(persona: PolicyPersona) -> list[LLMMessage]:
    """The persona's system text and worked exchanges, in its own mode."""
    messages: list[LLMMessage] = [SystemMessage(content=persona.system)] if persona.system else []
    for example in persona.examples:
        messages.append(UserMessage(content=fill(persona.task, question=example.question), source="user"))
        if persona.mode == "monologue":
            messages.append(AssistantMessage(content=persona.delimiter.join(example.steps), source="policy"))
            continue
        for number, step in enumerate(example.steps):
            if number:
                messages.append(UserMessage(content=persona.proceed[0], source="user"))
            messages.append(AssistantMessage(content=step, source="policy"))
    return messages


def _continued(messages: list[LLMMessage], text: str) -> list[LLMMessage]:
    """The messages with `text` added to the assistant's unfinished one."""
    last = messages[-1]
    begun = last.content if isinstance(last, AssistantMessage) else ""
    kept = messages[:-1] if begun else messages
    return [*kept, AssistantMessage(content=f"{begun}{text}", source="policy")]


def _joined(task: UserMessage, ask: LLMMessage) -> UserMessage:
    """The task and a critique in one user turn, for when no step is left on the path between them."""
    return UserMessage(content=f"{task.content}\n\n{ask.content}", source="user")
