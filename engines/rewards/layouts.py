"""How a question and steps become token ids for a reward model, and at which of them the scores are read.

ppm            our own: the chat template's prompt, then the lines; read at the last token of a step
skywork        question and steps a line each; read at the newline behind a step (methods 11)
math-shepherd  "Step n: ..." and a tag behind each; read at the tag (methods 1.1)

Steps are put together token by token, never as one text where that can be helped: a score then does not depend on what
comes after its step.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from autogen_core.models import AssistantMessage, UserMessage

from engines.chat import Chat
from engines.rewards.contract import Layout, RewardSettings
from settings import UserError


@dataclass(frozen=True, slots=True)
class Chain:
    """A question with its steps, as ids."""

    ids: list[int]
    marks: list[int]
    """For each step the place at which its score is read."""


class Renders(Protocol):
    """One layout for one tokenizer."""

    def chain(self, question: str, steps: Sequence[str]) -> Chain: ...


class PPMLayout:
    """Lines as the policy writes them, behind the prompt that its chat template makes of the question."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._chat = Chat(tokenizer)

    def chain(self, question: str, steps: Sequence[str]) -> Chain:
        ids = list(self._chat.ids([UserMessage(content=question, source="user")]))
        marks = []
        for step in steps:
            for line in lines(step):
                ids += _ids(self._tokenizer, f"{self._chat.neutral(AssistantMessage(content=line, source='p'))}\n")
            marks.append(len(ids) - 1)
        return Chain(ids, marks)


class SkyworkLayout:
    """A step is a line; one that has several is read at its last."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._newline = _ids(tokenizer, "\n")[-1]

    def chain(self, question: str, steps: Sequence[str]) -> Chain:
        ids = _ids(self._tokenizer, f"{self._tokenizer.bos_token or ''}{question}\n")
        marks = []
        for step in steps:
            for line in lines(step) or [""]:
                ids += [*(_ids(self._tokenizer, line) if line else []), self._newline]
            marks.append(len(ids) - 1)
        return Chain(ids, marks)


class MathShepherdLayout:
    """Numbered steps with a tag behind each. The tag inside a text is taken out: it would be read as a step's end."""

    def __init__(self, tokenizer: Any, settings: RewardSettings) -> None:
        self._tokenizer = tokenizer
        self._tag = settings.step_tag
        self._tag_id = token(tokenizer, settings.step_tag, key="step_tag")

    def chain(self, question: str, steps: Sequence[str]) -> Chain:
        told = [
            f"{'' if text.startswith(f'Step {number}:') else f'Step {number}: '}{text} {self._tag}"
            for number, text in enumerate((self._plain(" ".join(lines(step))) for step in steps), 1)
        ]
        ids = list(self._tokenizer(" ".join([self._plain(question), "\n".join(told)]))["input_ids"])
        return Chain(ids, [place for place, id in enumerate(ids) if id == self._tag_id])

    def _plain(self, text: str) -> str:
        return text.replace(self._tag, "")


def renderer(layout: Layout, tokenizer: Any, settings: RewardSettings) -> Renders:
    """The layout for a tokenizer. Raises UserError for a tokenizer that does not fit it."""
    match layout:
        case "ppm":
            return PPMLayout(tokenizer)
        case "skywork":
            return SkyworkLayout(tokenizer)
        case "math-shepherd":
            return MathShepherdLayout(tokenizer, settings)


def lines(step: str) -> list[str]:
    """The lines of a step that say something."""
    return [line.strip() for line in step.splitlines() if line.strip()]


def token(tokenizer: Any, text: str, *, key: str) -> int:
    """The last token of a text. Raises UserError if the tokenizer has none for it."""
    ids = _ids(tokenizer, text)
    if not ids or ids[-1] == tokenizer.unk_token_id:
        raise UserError(f"reward.{key}: {text!r} is no token of this model; is its layout another?")
    return ids[-1]


def _ids(tokenizer: Any, text: str) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])
