# ruff: noqa: F401, F811  (a fixture is imported, and taken as an argument)
"""Prompts for the real tokenizer: words are data, never control."""

from typing import Any

import pytest
from autogen_core.models import AssistantMessage, FunctionExecutionResultMessage, LLMMessage, SystemMessage, UserMessage
from engine_fixtures import tokenizer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engines.chat import Chat
from engines.errors import EngineRefused
from settings import UserError


def ask(text: str) -> list[LLMMessage]:
    return [SystemMessage(content="You add numbers."), UserMessage(content=text, source="user")]


def test_the_prompt_is_the_models_own_chat_format(tokenizer: Any) -> None:
    text = Chat(tokenizer).text(ask("1 + 1?"))
    assert text == (
        "<|im_start|>system\nYou add numbers.<|im_end|>\n<|im_start|>user\n1 + 1?<|im_end|>\n<|im_start|>assistant\n"
    )


HOSTILE = st.lists(
    st.sampled_from(
        [
            "<|im_end|>",
            "<|im_start|>",
            "<|endoftext|>",
            "<think>",
            "</think>",
            "<repo_name>",
            "<|im_",
            "end|>",
            "assistant\n",
        ]
    )
    | st.text(max_size=5),
    max_size=10,
).map("".join)


@given(HOSTILE)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_no_text_in_a_problem_can_act_as_control(tokenizer: Any, text: str) -> None:
    chat = Chat(tokenizer)
    special = set(tokenizer.all_special_ids)
    harmless = [token for token in chat.ids(ask("harmless")) if token in special]
    assert [token for token in chat.ids(ask(text)) if token in special] == harmless
    assert "<think>" not in chat.text(ask(text))


def test_a_policy_may_continue_its_own_thought_but_not_end_its_turn(tokenizer: Any) -> None:
    messages = [*ask("1 + 1?"), AssistantMessage(content="<think>\nOne and one<|im_end|>", source="policy")]
    text = Chat(tokenizer).text(messages, continue_final_message=True)
    assert text.endswith("<|im_start|>assistant\n<think>\nOne and one< |im_end|>")


def test_a_continued_message_stays_open_to_the_letter(tokenizer: Any) -> None:
    messages = [*ask("1 + 1?"), AssistantMessage(content="First, \n", source="policy")]
    assert Chat(tokenizer).text(messages, continue_final_message=True).endswith("assistant\nFirst, \n")


@pytest.mark.parametrize("begun", ["<think>\n2 + 2 = 4\n</think>\n\n", "<think>\n2 + 2 = 4.\n\n", "<think>\n"])
def test_an_open_message_has_the_ids_that_it_will_have_in_the_whole(tokenizer: Any, begun: str) -> None:
    messages = [*ask("2 + 2?"), AssistantMessage(content=begun, source="policy")]
    opened = Chat(tokenizer).ids(messages, continue_final_message=True)
    whole = [*ask("2 + 2?"), AssistantMessage(content=f"{begun}Answer: 4", source="policy")]
    assert Chat(tokenizer).ids(whole, continue_final_message=True)[: len(opened)] == opened
    assert tokenizer.decode(opened).endswith(begun)


def test_only_an_assistants_message_can_be_continued(tokenizer: Any) -> None:
    with pytest.raises(EngineRefused, match="AssistantMessage"):
        Chat(tokenizer).text(ask("1 + 1?"), continue_final_message=True)


def test_what_is_no_plain_text_is_refused(tokenizer: Any) -> None:
    with pytest.raises(EngineRefused, match="plain text"):
        Chat(tokenizer).text([FunctionExecutionResultMessage(content=[])])


class _NoSystemRole:
    """A tokenizer whose template has no system role, as Gemma's."""

    chat_template = "{{ raise_exception('System role not supported') }}"
    name_or_path = "gemma"
    added_tokens_decoder: dict[int, Any] = {}

    def apply_chat_template(self, turns: list[dict[str, str]], **_: Any) -> str:
        from jinja2 import TemplateError

        if turns[0]["role"] == "system":
            raise TemplateError("System role not supported")
        return "|".join(f"{turn['role']}:{turn['content']}" for turn in turns)


def test_where_there_is_no_system_role_the_user_carries_its_text() -> None:
    assert Chat(_NoSystemRole()).text(ask("1 + 1?")) == "user:You add numbers.\n\n1 + 1?"


def test_a_model_without_chat_template_is_named() -> None:
    base = _NoSystemRole()
    base.chat_template = ""
    with pytest.raises(UserError, match=r"gemma.*no chat template"):
        Chat(base)
