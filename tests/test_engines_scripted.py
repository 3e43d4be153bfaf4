"""Replies by request id."""

import asyncio
from pathlib import Path

import pytest
from autogen_core.models import UserMessage

from engines.contract import EngineSettings
from engines.errors import EngineBusy, EngineRefused
from engines.open import engine_kind, open_engine
from engines.scripted import ScriptedEngine, scripted_from_file
from settings import UserError

HELLO = [UserMessage(content="one two three", source="user")]


def write(folder: Path, text: str) -> Path:
    path = folder / "script.yaml"
    path.write_text(text)
    return path


async def reply(engine: ScriptedEngine, request_id: str, **extra: object) -> str:
    result = await engine.create(HELLO, extra_create_args={"request_id": request_id, **extra})
    return str(result.content)


async def test_the_most_literal_pattern_answers_whatever_its_place_in_the_file(tmp_path: Path) -> None:
    engine = scripted_from_file(
        write(tmp_path, 'replies:\n  "policy/*": any\n  "policy/j1/0/0": exact\n  "*/j1/*": journey\nfallback: other')
    )
    assert await reply(engine, "policy/j1/0/0") == "exact"
    assert await reply(engine, "policy/j2/5/0") == "any"
    assert await reply(engine, "critic/j1/5/0") == "journey"
    assert await reply(engine, "critic/j2/5/0") == "other"


async def test_calls_in_any_order_get_the_same_replies(tmp_path: Path) -> None:
    lines = "\n".join(f'  "p/j{n}/0/0": reply {n}' for n in range(20))
    engine = scripted_from_file(write(tmp_path, f"latency: 0.001\nreplies:\n{lines}"))
    ids = [f"p/j{n}/0/0" for n in range(20)]
    forward = await asyncio.gather(*(reply(engine, name) for name in ids))
    backward = await asyncio.gather(*(reply(engine, name) for name in reversed(ids)))
    assert forward == list(reversed(backward)) == [f"reply {n}" for n in range(20)]


async def test_a_list_gives_one_reply_per_try_and_a_mapping_is_json(tmp_path: Path) -> None:
    engine = scripted_from_file(write(tmp_path, 'replies:\n  "c/*": ["broken", {move: continue}]'))
    assert await reply(engine, "c/j/0/0") == "broken"
    assert await reply(engine, "c/j/0/1") == '{"move": "continue"}'
    assert await reply(engine, "c/j/0/9") == '{"move": "continue"}'


async def test_a_fault_is_raised_and_counted(tmp_path: Path) -> None:
    engine = scripted_from_file(write(tmp_path, 'replies:\n  "p/*": {fault: EngineBusy}'))
    with pytest.raises(EngineBusy):
        await reply(engine, "p/j/0/0")
    assert engine.faults == {"EngineBusy": 1}


async def test_a_request_without_reply_is_refused_by_name(tmp_path: Path) -> None:
    engine = scripted_from_file(write(tmp_path, 'replies:\n  "p/*": hi'))
    with pytest.raises(EngineRefused, match=r"critic/j/0/0"):
        await reply(engine, "critic/j/0/0")


async def test_the_text_ends_before_the_stop_string_and_usage_counts_words() -> None:
    engine = ScriptedEngine(lambda messages, request_id: "step one\n\nstep two")
    assert await reply(engine, "p/j/0/0", stop=("\n\n",)) == "step one"
    assert engine.total_usage().prompt_tokens == 3
    assert engine.total_usage().completion_tokens == 2


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("reply: {}", "reply: unknown key"),
        ("replies: [a]", "replies: expected request ids"),
        ('replies:\n  "p": 5', "p: expected text"),
        ('replies:\n  "p": {fault: Oops}', "no engine error"),
        ("latency: soon", "latency: expected seconds"),
    ],
)
def test_a_bad_script_is_refused_in_one_line_naming_file_and_key(tmp_path: Path, text: str, complaint: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(UserError) as error:
        scripted_from_file(path)
    assert str(path) in str(error.value)
    assert complaint in str(error.value)
    assert "\n" not in str(error.value)


def test_auto_takes_the_url_for_a_server_and_a_script_for_itself() -> None:
    assert engine_kind(EngineSettings(model="http://localhost:8000/v1")) == "openai"
    assert engine_kind(EngineSettings(script="demo.yaml")) == "scripted"


def test_settings_that_cannot_work_are_refused_before_a_model_loads() -> None:
    with pytest.raises(UserError, match="URL"):
        open_engine(EngineSettings(engine="openai", model="embedded"))
    with pytest.raises(UserError, match="script"):
        open_engine(EngineSettings(engine="scripted"))
