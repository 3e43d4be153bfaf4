"""AutoGen's messages as the token ids a chat model was trained on.

The words in a message are data. A problem that contains `<|im_end|>` must not end the turn, so whatever the tokenizer
or the template would read as control is broken by a space after its first character (`< |im_end|>`) beforehand.
"""

import re
from collections.abc import Sequence
from typing import Any

from autogen_core.models import AssistantMessage, FunctionExecutionResultMessage, LLMMessage, SystemMessage

from engines.errors import EngineRefused
from settings import UserError

THINKING = re.compile(r"<[|/]{0,2}(?:(?:begin|end)_of_)?(?:think|thinking|thought|solution)\|?>")
"""Tags of a reasoning text. A policy may continue its own; from anyone else they are neutralised."""
MARKER = re.compile(r"<\|[^\s<>|]{1,40}\|>|</?[a-z_]{1,24}>|<</?[A-Z]+>>|\[/?[A-Z_]{3,20}\]|<[a-z]+_of_turn>")
"""What a control marker looks like in the literal text of a chat template."""
ALWAYS = re.compile(r"<\|[A-Za-z_][\w ]{0,38}\|>|</?think(?:ing)?>")
"""Control in most model families, so never passed on even when this tokenizer would not mind."""

FOLLOWING = "A"
"""Stands for the word with which an open message goes on."""


class Chat:
    """Turns messages into prompts for one tokenizer."""

    def __init__(self, tokenizer: Any) -> None:
        if not getattr(tokenizer, "chat_template", None):
            raise UserError(
                f"{tokenizer.name_or_path}: the tokenizer has no chat template; "
                "name an instruction-tuned model, or put chat_template.jinja into the folder"
            )
        self.tokenizer = tokenizer
        self._control = _control_pattern(tokenizer)

    def ids(self, messages: Sequence[LLMMessage], *, continue_final_message: bool = False) -> list[int]:
        """The prompt's token ids; see `text`."""
        rendered = self.text(messages, continue_final_message=continue_final_message)
        return self._open_ids(rendered) if continue_final_message else self._ids(rendered)

    def text(self, messages: Sequence[LLMMessage], *, continue_final_message: bool = False) -> str:
        """The prompt in the model's own chat format, ready for the next assistant turn.

        Args:
            continue_final_message: leave the last (assistant) message open, its text kept to the letter.

        Raises:
            EngineRefused: a message is no plain text, or the last one is not the assistant's but shall be continued.
        """
        turns = [{"role": _role(message), "content": self.neutral(message)} for message in messages]
        if not continue_final_message:
            return self._render(turns, add_generation_prompt=True)
        if not turns or turns[-1]["role"] != "assistant":
            raise EngineRefused("continue_final_message needs an AssistantMessage as the last message")
        # Behind what opens a new turn, as the model itself would write: templates trim and rewrite the messages that
        # they are given (Qwen3 puts an empty thought before one), and so lead elsewhere than the model came from.
        opened = self._render(turns[:-1], add_generation_prompt=True)
        return opened + without_what_stands_there(opened, turns[-1]["content"])

    def _ids(self, text: str) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def _open_ids(self, text: str) -> list[int]:
        """The ids of a text that a word will follow.

        Where a text ends in blank lines many tokenizers make one token of them that never stands before a word: a model
        shown it goes on with another new line. So the ids are those that the text has in front of a word.
        """
        plain = self._ids(text)
        if text == text.rstrip() or not getattr(self.tokenizer, "is_fast", False):
            return plain
        both = self.tokenizer(text + FOLLOWING, add_special_tokens=False, return_offsets_mapping=True)
        ends = [end for _, end in both["offset_mapping"]]
        if len(text) not in ends:  # the last space belongs to the word that follows
            return plain
        return list(both["input_ids"][: ends.index(len(text)) + 1])

    def neutral(self, message: LLMMessage) -> str:
        """A message's text in which nothing acts as control."""
        if isinstance(message, FunctionExecutionResultMessage) or not isinstance(message.content, str):
            raise EngineRefused(f"{type(message).__name__}: only plain text can be sent to this engine")
        own = isinstance(message, AssistantMessage | SystemMessage)

        def defuse(match: re.Match[str]) -> str:
            marker = match.group()
            return marker if own and THINKING.fullmatch(marker) else f"{marker[0]} {marker[1:]}"

        return self._control.sub(defuse, message.content)

    def _render(self, turns: list[dict[str, str]], *, add_generation_prompt: bool) -> str:
        from jinja2 import TemplateError

        def apply(chat: list[dict[str, str]]) -> str:
            options = {"tokenize": False, "add_generation_prompt": add_generation_prompt}
            return str(self.tokenizer.apply_chat_template(chat, **options))

        try:
            return apply(turns)
        except TemplateError as error:
            if len(turns) > 1 and turns[0]["role"] == "system" and turns[1]["role"] == "user":
                # Some families (Gemma, early Mistral) have no system role; the first user message carries it.
                first = {"role": "user", "content": f"{turns[0]['content']}\n\n{turns[1]['content']}"}
                return self._render([first, *turns[2:]], add_generation_prompt=add_generation_prompt)
            raise EngineRefused(f"the model's chat template refuses these messages: {error}") from None


def without_what_stands_there(prompt: str, text: str) -> str:
    """The assistant's text without an opening tag with which the template itself has already opened the thought."""
    opening, newline, rest = text.partition("\n")
    if newline and opening.startswith("<") and opening.endswith(">") and prompt.rstrip().endswith(opening):
        return rest if prompt.endswith("\n") else newline + rest
    return text


def _role(message: LLMMessage) -> str:
    if isinstance(message, SystemMessage):
        return "system"
    return "assistant" if isinstance(message, AssistantMessage) else "user"


def _control_pattern(tokenizer: Any) -> re.Pattern[str]:
    """Everything that could act as control: added tokens, and markers written out in the template."""
    added = {str(token.content) for token in tokenizer.added_tokens_decoder.values()}
    template = tokenizer.chat_template
    texts = template.values() if isinstance(template, dict) else [template]
    written = {marker for text in texts for marker in MARKER.findall(text)}
    markers = {marker for marker in added | written if len(marker.strip()) > 1}
    exact = "|".join(re.escape(marker) for marker in sorted(markers, key=len, reverse=True))
    return re.compile(f"{exact}|{ALWAYS.pattern}" if exact else ALWAYS.pattern)
