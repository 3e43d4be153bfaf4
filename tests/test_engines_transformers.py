# ruff: noqa: F401, F811  (a fixture is imported, and taken as an argument)
"""The embedded model, answering for real on this machine."""

import asyncio
import json
import random
import time
from pathlib import Path
from typing import Any, Literal

import pytest
from autogen_core import CancellationToken
from autogen_core.models import AssistantMessage, LLMMessage, SystemMessage, UserMessage
from engine_fixtures import small_engine
from pydantic import BaseModel

import engines.draw
from engines.contract import EngineSettings, Reply, Sampling
from engines.draw import draw
from engines.embedded import embedded_folder
from engines.errors import EngineDead, EngineRefused, PromptTooLong
from engines.open import open_engine
from engines.prefix_cache import PrefixCache
from engines.transformers_engine import TransformersEngine
from settings import UserError

LONG = "You solve sums in small steps and never skip one. " * 12


def ask(text: str, system: str = "You add numbers.") -> list[LLMMessage]:
    return [SystemMessage(content=system), UserMessage(content=text, source="user")]


async def say(engine: TransformersEngine, messages: list[LLMMessage], **extra: Any) -> Reply:
    return await engine.create(messages, extra_create_args={"max_tokens": 12, "temperature": 0.0, **extra})


@pytest.mark.slow
async def test_greedy_text_equals_what_transformers_itself_generates(small_engine: TransformersEngine) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    messages = ask("What is 12 + 9?")
    ids = small_engine.chat.ids(messages)
    model = AutoModelForCausalLM.from_pretrained(embedded_folder(), dtype=torch.bfloat16)
    out = model.generate(  # type: ignore[misc]
        torch.tensor([ids]), max_new_tokens=12, do_sample=False
    )[0, len(ids) :]
    expected = small_engine.chat.tokenizer.decode(out, skip_special_tokens=True)
    assert (await say(small_engine, messages)).content == expected


@pytest.mark.slow
async def test_rows_in_one_batch_say_what_they_say_alone(small_engine: TransformersEngine) -> None:
    prompts = [ask(f"What is {n} + {2 * n}?", LONG) for n in range(3, 11)]
    together = await asyncio.gather(*(say(small_engine, prompt) for prompt in prompts))
    alone = [await say(small_engine, prompt) for prompt in prompts]
    same = sum(a.content == b.content for a, b in zip(together, alone, strict=True))
    assert same >= 6  # bfloat16 sums differ in the last bit with the shape of a batch, which may tip a token


async def test_the_same_seed_gives_the_same_text_and_another_seed_another(small_engine: TransformersEngine) -> None:
    first, again, other = [
        await say(small_engine, ask("Tell me about the sea."), temperature=1.0, seed=seed) for seed in (7, 7, 8)
    ]
    assert first.content == again.content != other.content


async def test_each_request_has_its_own_length_and_stop(small_engine: TransformersEngine) -> None:
    short, stopped = await asyncio.gather(
        say(small_engine, ask("Count from one to ten."), max_tokens=2),
        say(small_engine, ask("What is 12 + 9?"), max_tokens=24, stop=(" ",)),
    )
    assert short.usage.completion_tokens == 2
    assert short.finish_reason == "length"
    assert stopped.finish_reason == "stop"
    assert " " not in str(stopped.content)


async def test_a_prefix_is_read_once_for_all_requests(small_engine: TransformersEngine) -> None:
    before = small_engine.batch.prompt_tokens_read
    system = "Every sum is worked out slowly and with care. " * 20
    replies = await asyncio.gather(*(say(small_engine, ask(f"{n} + 4?", system), max_tokens=3) for n in range(40)))
    read = small_engine.batch.prompt_tokens_read - before
    total = sum(reply.usage.prompt_tokens for reply in replies)
    assert read < 0.15 * total
    assert read == total - sum(reply.cached_tokens for reply in replies)
    assert any(trunk.ids for trunk in small_engine.batch.trunks)


async def test_the_next_turn_reads_only_what_is_new(small_engine: TransformersEngine) -> None:
    messages = ask("What is 30 + 12?", LONG)
    first = await say(small_engine, messages)
    grown = [
        *messages,
        AssistantMessage(content=str(first.content), source="policy"),
        UserMessage(content="Go on.", source="user"),
    ]
    second = await say(small_engine, grown)
    assert second.usage.prompt_tokens - second.cached_tokens < 30


async def test_a_message_is_continued_without_a_new_turn(small_engine: TransformersEngine) -> None:
    messages = [*ask("What is 2 + 3?"), AssistantMessage(content="2 + 3 =", source="policy")]
    reply = await say(small_engine, messages, continue_final_message=True, max_tokens=3)
    assert "5" in str(reply.content)


async def test_logprobs_name_the_chosen_token_and_five_likeliest(small_engine: TransformersEngine) -> None:
    reply = await say(small_engine, ask("What is 12 + 9?"), logprobs=True, max_tokens=3)
    assert reply.logprobs is not None
    assert len(reply.logprobs) == 3
    first = reply.logprobs[0]
    assert first.logprob <= 0
    assert first.top_logprobs is not None
    assert len(first.top_logprobs) == 5
    assert first.top_logprobs[0].logprob == pytest.approx(first.logprob)  # greedy takes the likeliest
    assert "".join(entry.token for entry in reply.logprobs) == reply.content


class Remark(BaseModel):
    move: Literal["continue", "backtrack"]
    critique: str


async def test_structured_output_is_valid_even_from_a_model_this_small(small_engine: TransformersEngine) -> None:
    pytest.importorskip("xgrammar")
    free, held = await asyncio.gather(
        say(small_engine, ask("Is 2 + 2 = 5 right?")),
        small_engine.create(
            ask("Is 2 + 2 = 5 right?"), json_output=Remark, extra_create_args={"max_tokens": 400, "temperature": 0.0}
        ),
    )
    assert held.finish_reason == "stop"
    Remark.model_validate_json(str(held.content))
    assert not str(free.content).startswith("{")


async def test_a_cancelled_request_leaves_the_batch(small_engine: TransformersEngine) -> None:
    token = CancellationToken()
    call = asyncio.ensure_future(
        small_engine.create(
            ask("Tell me a long story."), extra_create_args={"max_tokens": 2000}, cancellation_token=token
        )
    )
    await asyncio.sleep(0.5)
    token.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    began = time.monotonic()
    await say(small_engine, ask("hi"), max_tokens=1)
    assert time.monotonic() - began < 20
    assert len(small_engine.batch.rows) == 0  # 2000 tokens would still be running


async def test_a_prompt_beyond_the_window_is_refused(small_engine: TransformersEngine) -> None:
    with pytest.raises(PromptTooLong, match="window"):
        await say(small_engine, ask("sum " * 9000))


async def test_an_unknown_key_or_value_is_refused_by_name(small_engine: TransformersEngine) -> None:
    with pytest.raises(EngineRefused, match="temprature"):
        await say(small_engine, ask("hi"), temprature=1)
    with pytest.raises(EngineRefused, match="top_p"):
        await say(small_engine, ask("hi"), top_p=3)


async def test_an_engine_that_was_not_started_says_so() -> None:
    with pytest.raises(EngineDead, match="start"):
        await say(TransformersEngine(EngineSettings()), ask("hi"))


@pytest.mark.parametrize("kind", ["missing", "empty", "file", "adapter"])
async def test_a_folder_that_is_no_model_is_named_in_one_line(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / kind
    match kind:
        case "empty":
            folder.mkdir()
        case "file":
            folder.write_text("x")
        case "adapter":
            folder.mkdir()
            (folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": str(tmp_path / "gone")}))
    with pytest.raises(UserError) as error:
        await open_engine(EngineSettings(engine="transformers", model=str(folder))).start()
    assert str(folder) in str(error.value)
    assert "\n" not in str(error.value)


# The parts


def test_a_row_draws_the_same_token_whoever_else_is_in_the_batch() -> None:
    import torch

    logits = torch.randn(6, 5000, generator=torch.Generator().manual_seed(1))
    samplings = [Sampling(temperature=t, top_p=p, top_k=k) for t, p, k in [(1, 1, 0), (0.7, 0.9, 0), (2, 1, 5)] * 2]
    together = draw(logits, samplings, [random.Random(n) for n in range(6)])
    alone = [draw(logits[n : n + 1], samplings[n : n + 1], [random.Random(n)])[0] for n in range(6)]
    assert together == alone


@pytest.mark.parametrize("peak", [0.0, 8.0, 14.0])
def test_the_shortlist_draws_what_the_whole_row_would(peak: float, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    logits = torch.randn(8, 3000, generator=torch.Generator().manual_seed(2))
    logits[:, 7] += peak
    wishes = [Sampling(temperature=t, top_p=p) for t, p in [(1, 1), (0.6, 1), (1, 0.95), (1.5, 1)] * 2]

    def drawn() -> list[list[int]]:
        return [draw(logits, wishes, [random.Random(f"{n} {row}") for row in range(8)]) for n in range(40)]

    found = drawn()
    monkeypatch.setattr(engines.draw, "SHORTLIST", 3000)
    assert drawn() == found
    assert len({token for row in found for token in row}) > 8, "more than the likeliest is drawn"


def test_drawn_shares_follow_the_filtered_distribution() -> None:
    import torch

    logits = torch.log(torch.tensor([[0.5, 0.3, 0.15, 0.05]]))
    source = random.Random(3)

    def shares(**sampling: float) -> list[float]:
        wishes = Sampling.model_validate({"temperature": 1, "top_p": 1, **sampling})
        drawn = [draw(logits, [wishes], [source])[0] for _ in range(2000)]
        return [drawn.count(token) / len(drawn) for token in range(4)]

    assert shares() == pytest.approx([0.5, 0.3, 0.15, 0.05], abs=0.04)
    assert shares(top_k=2) == pytest.approx([0.625, 0.375, 0, 0], abs=0.04)
    assert shares(top_p=0.75) == pytest.approx([0.625, 0.375, 0, 0], abs=0.04)
    assert shares(min_p=0.5) == pytest.approx([0.625, 0.375, 0, 0], abs=0.04)


def test_the_prefix_cache_gives_back_what_was_stored_and_stays_within_its_bound() -> None:
    import torch

    def kv(ids: list[int]) -> Any:
        return torch.tensor(ids, dtype=torch.float32)[None, None, None, :, None]

    source = random.Random(5)
    cache = PrefixCache(max_tokens=300)
    for _ in range(300):
        ids = [source.randrange(3) for _ in range(source.randrange(1, 40))]
        cache.insert(ids, lambda start, stop, ids=ids: kv(ids[start:stop]).clone())  # type: ignore[misc]
        known = cache.known(ids)
        path = cache.match(ids)
        spelled = [token for node in path for token in node.ids]
        assert spelled == ids[: len(spelled)]
        assert len(spelled) == known
        assert all(node.kv.flatten().tolist() == node.ids for node in path)
        assert cache.tokens <= 300


@pytest.mark.slow
async def test_a_lora_adapter_speaks_through_its_base(tmp_path: Path) -> None:
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    base = AutoModelForCausalLM.from_pretrained(embedded_folder(), dtype=torch.bfloat16)
    tuned = get_peft_model(base, LoraConfig(r=4, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM"))
    with torch.no_grad():
        for name, weight in tuned.named_parameters():
            if "lora_B" in name:
                weight.fill_(0.05)
    tuned.save_pretrained(str(tmp_path))

    engine = TransformersEngine(EngineSettings(engine="transformers", model=str(tmp_path)))
    await engine.start()
    messages = ask("What is 12 + 9?")
    ids = torch.tensor([engine.chat.ids(messages)])
    with torch.inference_mode():
        expected = tuned.merge_and_unload()(ids).logits[0, -1].float().log_softmax(-1)
    reply = await say(engine, messages, logprobs=True, max_tokens=1)
    await engine.close()
    assert reply.logprobs is not None
    assert reply.logprobs[0].logprob == pytest.approx(float(expected.max()), abs=0.1)
