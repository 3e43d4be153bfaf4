"""What the policy reads: fixed text first, then the problem, then what grows."""

import re
from collections.abc import Sequence
from itertools import chain

from autogen_core.models import AssistantMessage, LLMMessage, SystemMessage, UserMessage

from agents.persona import PolicyPersona, Variants
from agents.roles import PolicyView
from agents.slots import fill
from agents.transcript import Transcript
from journeys.code import FAILED_CODE, as_code, code_in, printed
from journeys.record import Evidence, Move, Turn, seed_for

_TRUE_BUT_IDLE = frozenset(("repeated_step", "missed_target", "unavailable_number"))
"""Evidence against steps that may be calculated rightly."""

_EQUATIONS = re.compile(r"[\d\s().,;+\-*/×÷−]+=[\d\s().,;+\-*/×÷−=]+[,;]\s*")
"""What a line calculates before an equation, and nothing else."""


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
        begun = _left_side(reply_to)
        rootless = bool((_numbers(begun) - _results(begun)) & self._gone(reply_to, view))
        if rootless and self.persona.memory == "path":
            return ""  # words about that equation would have it done again, on a number that stands nowhere
        # One line, or a critique would end the step. No space at the end: the model's next token begins with one.
        return " ".join(_critique(self.persona, reply_to, seed=view.seed, again=not rootless).split())

    def _gone(self, reply_to: Turn, view: PolicyView) -> set[str]:
        """Numbers that only given-up steps have: their results, and all in what went together with the judged step."""
        standing = {turn.id for turn in view.path}
        given_up = [turn for turn in view.turns if turn.id not in standing and turn.id != reply_to.id]
        gone = _numbers(*(result for turn in given_up for result in re.findall(r"=([^=\n]*)", turn.step)))
        parent = reply_to.parent
        while parent is not None and parent not in standing:
            gone |= _numbers(view.turns[parent].step)
            parent = view.turns[parent].parent
        return gone - _numbers(view.question, *(turn.step for turn in view.path))

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


def _critique(persona: PolicyPersona, reply_to: Turn, *, seed: int, again: bool = True) -> str:
    """The persona's words on a critique; `again`: an equation may be begun anew."""
    verdict = reply_to.verdict
    values = {"critique": verdict.critique, "quote": verdict.quote or reply_to.step, "step": reply_to.step}
    if verdict.move is Move.REFLECT:
        return fill(_choose(persona.reflect, seed), **values)
    found = {evidence.kind for evidence in reply_to.evidence}
    true_but_idle = found & _TRUE_BUT_IDLE and "false_equation" not in found  # calculating it again repeats it
    is_code = FAILED_CODE in found  # `pans = eggs // 4` is no equation
    if again and (left := _left_side(reply_to)) and persona.recompute and not (true_but_idle or is_code):
        return fill(_choose(persona.recompute, seed), left=left, **values)
    return fill(_choose(persona.backtrack, seed), **values)


def _left_side(reply_to: Turn) -> str:
    """Of the equation that a critique quotes, behind those that its line calculates first; "" where it quotes none."""
    quote = reply_to.verdict.quote
    left, _, _ = quote.rpartition("=")
    begun = re.split(r"[.!?:]\s", left)[-1].strip()  # a quote may begin with the words that opened the step
    if not begun:
        return ""
    before = re.split(r"[.!?:]\s", reply_to.step.partition(quote)[0])[-1]
    return (before + begun).strip() if _EQUATIONS.fullmatch(before) else begun


def _results(text: str) -> set[str]:
    return set(re.findall(r"=\s*(\d+(?:[.,]\d+)*)", text))


def _numbers(*texts: str) -> set[str]:
    return {number for text in texts for number in re.findall(r"\d+(?:[.,]\d+)*", text)}


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


def _joined(task: UserMessage, ask: LLMMessage) -> UserMessage:
    """The task and a critique in one user turn, for when no step is left on the path between them."""
    return UserMessage(content=f"{task.content}\n\n{ask.content}", source="user")
