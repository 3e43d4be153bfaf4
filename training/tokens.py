"""Rows as token ids: what the model is shown, what it learns to write, and the one token with which it stops.

Prompts go through the very code that the engines use (engines/chat.py), so a tuned model is asked with the ids it was
trained on. What the assistant writes is text plus the stop token that its own chat template puts behind an
assistant's words, found by rendering and not by name. Nothing is ever cut.
"""

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from autogen_core.models import AssistantMessage, LLMMessage, SystemMessage, UserMessage

from engines.chat import Chat, without_what_stands_there
from engines.errors import EngineRefused
from journeys.formats import Tags
from settings import UserError
from training.rows import Message, SFTRow, Source

IGNORED = -100
"""The label of a token that no loss falls on."""
STAND_IN = "RETRACE-ANSWER"
Learn = Literal["all", "standing"]


@dataclass(frozen=True, slots=True)
class Encoded:
    """A row as ids. Arrays, because a long training set holds a hundred million of them."""

    prompt: "array[int]"
    completion: "array[int]"
    unlearnt: frozenset[int] = frozenset()
    """Places in the completion that no loss falls on."""

    def __len__(self) -> int:
        return len(self.prompt) + len(self.completion)

    @property
    def input_ids(self) -> list[int]:
        return [*self.prompt, *self.completion]

    @property
    def labels(self) -> list[int]:
        learnt = (IGNORED if at in self.unlearnt else token for at, token in enumerate(self.completion))
        return [*[IGNORED] * len(self.prompt), *learnt]

    @property
    def learnt(self) -> int:
        """Tokens that a loss falls on."""
        return len(self.completion) - len(self.unlearnt)


class Encoder:
    """Turns messages and completions into ids for one tokenizer.

    Raises:
        UserError: the tokenizer has no chat template, or neither its template nor itself names a stop token.
    """

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self.chat = Chat(tokenizer)
        self.stop_id = _stop_id(tokenizer)
        self.stop_text = str(tokenizer.convert_ids_to_tokens(self.stop_id))

    def prompt(self, messages: Sequence[Message]) -> list[int]:
        """The ids of a prompt; a last message of the assistant's is left open, to be continued."""
        return self._ids(self.prompt_text(messages))

    def prompt_text(self, messages: Sequence[Message]) -> str:
        """The prompt as the template writes it. Raises EngineRefused if the template refuses the messages."""
        begun = messages[-1].role == "assistant"
        return self.chat.text([_as_autogen(message) for message in messages], continue_final_message=begun)

    def completion(self, text: str, *, ends: bool = True) -> list[int]:
        """The ids of what the assistant writes, with one stop token behind it if the message `ends` there.

        Whatever in the text would act as control is broken as the engines break it, the stop token itself included;
        a stop token that the text already ends in is not doubled.
        """
        if ends:
            text = text.rstrip()
            while text.endswith(self.stop_text):
                text = text.removesuffix(self.stop_text).rstrip()
        ids = self._ids_within(self.chat.neutral(AssistantMessage(content=text, source="assistant")))
        return [*ids, self.stop_id] if ends else ids

    def encode(self, row: SFTRow, *, learn: Learn = "all") -> Encoded:
        """An SFT row as ids.

        Args:
            learn: `standing` lets no loss fall on steps that were taken back; they are read, not imitated.

        Raises:
            UserError: the chat template refuses the row's messages.
        """
        try:
            prompt = self.prompt_text(row.prompt)
        except EngineRefused as error:
            raise UserError(f"{row.source}: {error}") from None
        text = row.completion
        if row.prompt[-1].role != "assistant":
            text = without_what_stands_there(prompt, text)
        ids = self.completion(text)
        cut = len(row.completion) - len(text)  # what stands there already is a beginning
        gone = [(start - cut, end - cut) for start, end in row.gone] if learn == "standing" else []
        return Encoded(array("i", self._ids(prompt)), array("i", ids), self._within(text, gone, count=len(ids)))

    def asked_alike(self, row: SFTRow) -> bool:
        """Whether an engine that goes on with an unfinished message sends the ids that the row was trained as.

        A tokenizer may merge the last sign of the prompt with the first of what follows.
        """
        if row.prompt[-1].role == "assistant":
            return True
        whole = Message("assistant", row.completion.rstrip())
        return self.prompt([*row.prompt, whole]) == self.encode(row).input_ids[:-1]

    def _ids(self, text: str) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def _within(self, text: str, places: Sequence[tuple[int, int]], *, count: int) -> frozenset[int]:
        """Which of a completion's `count` tokens begin within these places of its text.

        Tokens are counted in what stands before a place, so that it matters neither how a tokenizer writes offsets nor
        that control words in the text were broken up. A token that reaches across the border counts as outside.
        """
        found: set[int] = set()
        for start, end in places:
            stands = text[: max(start, 0)].rstrip(" ")  # the space before a word is part of its first token
            before = len(self.completion(stands, ends=False)) if stands else 0
            found.update(range(before, min(len(self.completion(text[:end], ends=False)), count - 1)))
        return frozenset(found)

    def _ids_within(self, text: str) -> list[int]:
        """The ids of a text in the middle of another; some tokenizers put a space before every beginning."""
        alone = self._ids(text)
        if not alone or not str(self.tokenizer.convert_ids_to_tokens(alone[0])).startswith("▁") or text[0] == " ":
            return alone
        before = self._ids("\n")
        both = self._ids("\n" + text)
        return both[len(before) :] if both[: len(before)] == before else alone


def encode_all(
    rows: Iterable[SFTRow], encoder: Encoder, *, max_length: int, window: int | None = None, learn: Learn = "all"
) -> list[Encoded]:
    """All rows as ids.

    Raises:
        UserError: a row is longer than `max_length` or the model's `window`, named with its file, number and length.
    """
    encoded = []
    for row in rows:
        one = encoder.encode(row, learn=learn)
        check_length(len(one), row.source, max_length=max_length, window=window)
        encoded.append(one)
    return encoded


def check_length(length: int, source: Source, *, max_length: int, window: int | None = None, what: str = "row") -> None:
    """Raises UserError for more tokens than `max_length` or than the model reads: cut, a thought loses its answer."""
    if window is not None and length > window:
        raise UserError(
            f"{source}: this {what} is {length} tokens long, the model reads no more than {window}; take the {what} out"
        )
    if length > max_length:
        raise UserError(
            f"{source}: this {what} is {length} tokens long, max_length is {max_length}; "
            f"raise it (--max-length {length}) or take the {what} out"
        )


def tag_kinds(tokenizer: Any, tags: Tags) -> dict[str, str]:
    """How the tokenizer reads each tag: `one token`, or `plain text, N tokens`.

    Raises:
        UserError: a tag is neither: some piece of it is a token of its own kind, so that the rest would be noise.
    """
    added = set(tokenizer.added_tokens_decoder)
    kinds = {}
    for tag in (tags.open, tags.close, tags.answer_open, tags.answer_close):
        if not (core := tag.strip()):
            continue
        ids = list(tokenizer(core, add_special_tokens=False)["input_ids"])
        if len(ids) == 1:
            kinds[core] = "one token"
        elif special := sorted(added.intersection(ids)):
            piece = tokenizer.convert_ids_to_tokens(special[0])
            raise UserError(
                f"tags: {core!r} is neither one token of this tokenizer nor plain text: {piece!r} in it is a token of "
                "its own; choose other tags (export.tags of the run)"
            )
        else:
            kinds[core] = f"plain text, {len(ids)} tokens"
        own = Chat(tokenizer).neutral(AssistantMessage(content=core, source="assistant"))
        if own != core:
            raise UserError(
                f"tags: {core!r} is a control token of this tokenizer, which engines break up in a model's own words; "
                "choose other tags (export.tags of the run)"
            )
    return kinds


def hidden_tags(tokenizer: Any, tags: Tags) -> tuple[str, ...]:
    """The tags that are special tokens, which engines leave out when they decode."""
    special = {str(token.content) for token in tokenizer.added_tokens_decoder.values() if token.special}
    marks = (tags.open, tags.close, tags.answer_open, tags.answer_close)
    return tuple(mark.strip() for mark in marks if mark.strip() in special)


def _stop_id(tokenizer: Any) -> int:
    """The token with which this template ends an assistant's message, else the tokenizer's end-of-text token."""
    turns = [{"role": "user", "content": "?"}, {"role": "assistant", "content": STAND_IN}]
    rendered = str(tokenizer.apply_chat_template(turns, tokenize=False))
    _, found, after = rendered.rpartition(STAND_IN)
    ids = list(tokenizer(after, add_special_tokens=False)["input_ids"]) if found else []
    if ids and ids[0] in tokenizer.added_tokens_decoder:
        return int(ids[0])
    if tokenizer.eos_token_id is None:
        raise UserError(
            f"{tokenizer.name_or_path}: neither the chat template nor the tokenizer says how an answer ends; "
            "set eos_token in tokenizer_config.json"
        )
    return int(tokenizer.eos_token_id)


def _as_autogen(message: Message) -> LLMMessage:
    if message.role == "system":
        return SystemMessage(content=message.content)
    if message.role == "assistant":
        return AssistantMessage(content=message.content, source="assistant")
    return UserMessage(content=message.content, source="user")
