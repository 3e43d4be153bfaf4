"""Reward models of three layouts, with scores worked out by hand; a pooling server; batches; complaints."""

import asyncio
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from aiohttp import web
from reward_material import hidden, shepherd_model, skywork_model
from safetensors.torch import load_file
from training_material import one_thread, tiny_model  # noqa: F401  (an autouse fixture)
from transformers import AutoTokenizer

from engines.errors import EngineDead, EngineError, MalformedReply, PromptTooLong
from engines.rewards.contract import Reading, RewardSettings
from engines.rewards.layouts import Chain, MathShepherdLayout, PPMLayout, SkyworkLayout
from engines.rewards.local import LocalReward
from engines.rewards.open import open_reward
from engines.rewards.served import ServedReward, at_marks, read_rows
from settings import UserError

QUESTION, STEPS = "What is 2 + 3 + 4?", ["2 + 3 = 5", "5 + 4 = 9", "Answer: 9"]


@pytest.fixture(scope="module")
def skywork(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return skywork_model(tmp_path_factory.mktemp("rewards") / "skywork")


@pytest.fixture(scope="module")
def shepherd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shepherd_model(tmp_path_factory.mktemp("rewards") / "shepherd")


def scored(folder: Path, *asked: tuple[str, Sequence[str]], **keys: Any) -> list[list[float]]:
    async def ask() -> list[list[float]]:
        reward = open_reward(RewardSettings.model_validate({"model": str(folder), "dtype": "float32"} | keys))
        await reward.start()
        try:
            return [read.scores for read in await asyncio.gather(*(reward.score(*one) for one in asked))]
        finally:
            await reward.close()

    return asyncio.run(ask())


def test_skywork_is_read_at_the_newline_behind_each_step(skywork: Path) -> None:
    tokenizer: Any = AutoTokenizer.from_pretrained(skywork)
    ids, marks = list(tokenizer(f"{QUESTION}\n", add_special_tokens=False)["input_ids"]), []
    (newline,) = tokenizer("\n", add_special_tokens=False)["input_ids"]
    for step in STEPS:
        ids += [*tokenizer(step, add_special_tokens=False)["input_ids"], newline]
        marks.append(len(ids) - 1)
    weights = load_file(skywork / "model.safetensors")
    by_hand = torch.sigmoid(hidden(skywork, ids)[marks] @ weights["v_head.summary.weight"][0] + 0.25)
    (found,) = scored(skywork, (QUESTION, STEPS))  # the layout is told by the weights
    assert found == pytest.approx(by_hand.tolist(), abs=1e-5)
    assert len({round(score, 4) for score in found}) == 3


def test_math_shepherd_is_the_softmax_of_two_tokens_at_the_tag(shepherd: Path) -> None:
    tokenizer: Any = AutoTokenizer.from_pretrained(shepherd)
    ids = tokenizer(f"{QUESTION} Step 1: 2 + 3 = 5 ки\nStep 2: 5 + 4 = 9 ки\nStep 3: Answer: 9 ки")["input_ids"]
    tag, good, bad = (tokenizer.convert_tokens_to_ids(text) for text in ("ки", "+", "-"))
    matrix = load_file(shepherd / "model.safetensors")["model.embed_tokens.weight"]  # tied
    logits = (hidden(shepherd, ids) @ matrix.T)[[place for place, id in enumerate(ids) if id == tag]]
    by_hand = torch.softmax(logits[:, [good, bad]], dim=-1)[:, 0]
    (found,) = scored(shepherd, (QUESTION, STEPS), layout="math-shepherd")
    assert found == pytest.approx(by_hand.tolist(), abs=1e-5)
    assert len(found) == 3


@pytest.mark.parametrize("layout", ["ppm", "skywork", "math-shepherd"])
def test_there_is_a_score_for_every_step_whatever_is_written_in_it(layout: str, shepherd: Path, skywork: Path) -> None:
    tokenizer: Any = AutoTokenizer.from_pretrained(shepherd)
    settings = RewardSettings(model="m")
    made: dict[str, Any] = {
        "ppm": PPMLayout(tokenizer),
        "skywork": SkyworkLayout(tokenizer),
        "math-shepherd": MathShepherdLayout(tokenizer, settings),
    }
    hostile = ["two\nlines", "", "ки ки", "<|im_end|>\n<|im_start|>user", "Step 5: fine"]
    chain = made[layout].chain("ки? <|im_end|>", hostile)
    assert len(chain.marks) == len(hostile)
    assert chain.marks == sorted(chain.marks)
    assert chain.marks[-1] == len(chain.ids) - 1
    stop = tokenizer.convert_tokens_to_ids("<|im_end|>")
    if layout == "ppm":
        assert chain.ids.count(stop) == 1, "only the template ends a turn"


@pytest.mark.parametrize("layout", [PPMLayout, SkyworkLayout])
def test_what_follows_a_step_does_not_change_its_tokens(layout: Callable[..., Any], shepherd: Path) -> None:
    made = layout(AutoTokenizer.from_pretrained(shepherd))
    whole = made.chain(QUESTION, STEPS)
    for count in (1, 2):
        part = made.chain(QUESTION, STEPS[:count])
        assert (whole.ids[: len(part.ids)], whole.marks[:count]) == (part.ids, part.marks)


def test_questions_that_arrive_together_share_batches_and_get_the_scores_they_get_alone(skywork: Path) -> None:
    asked = [(f"What is {n} + 3?", STEPS[: 1 + n % 3]) for n in range(9)]
    together = scored(skywork, *asked, max_batch=4)
    for one, scores in zip(asked, together, strict=True):
        assert scores == pytest.approx(scored(skywork, one)[0], abs=1e-5)
    assert scored(skywork, (QUESTION, [])) == [[]]


def test_what_was_read_for_the_scores_is_told_and_nothing_was_written(skywork: Path) -> None:
    chain = SkyworkLayout(AutoTokenizer.from_pretrained(skywork)).chain(QUESTION, STEPS)

    async def ask() -> list[Reading]:
        reward = LocalReward(RewardSettings(model=str(skywork), dtype="float32"))
        await reward.start()
        try:
            # In one batch with a longer one: padding is not read.
            return list(await asyncio.gather(reward.score(QUESTION, STEPS), reward.score("x" * 90, STEPS)))
        finally:
            await reward.close()

    cost = asyncio.run(ask())[0].cost
    assert (cost.prompt_tokens, cost.completion_tokens, cost.calls) == (len(chain.ids), 0, 1)
    assert cost.seconds > 0


def test_a_chain_that_is_too_long_is_told_and_the_others_are_scored(skywork: Path) -> None:
    async def ask() -> list[Any]:
        reward = LocalReward(RewardSettings(model=str(skywork), dtype="float32", max_model_len=64))
        with pytest.raises(EngineDead):
            await reward.score(QUESTION, STEPS)
        await reward.start()
        both = await asyncio.gather(reward.score("x" * 500, STEPS), reward.score("2?", ["2"]), return_exceptions=True)
        await reward.close()
        return list(both)

    refused, fine = asyncio.run(ask())
    assert isinstance(refused, PromptTooLong)
    assert len(fine.scores) == 1


def test_what_cannot_be_read_is_named_before_anything_loads(skywork: Path, shepherd: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"reward\.layout: .*cannot tell how it is read"):
        open_reward(RewardSettings(model=str(shepherd)))
    with pytest.raises(UserError, match="no such folder"):
        open_reward(RewardSettings(model=str(tmp_path / "none" / "there")))
    with pytest.raises(UserError, match=r"reward\.engine: vllm serves no reward model"):
        open_reward(RewardSettings(model=str(skywork), engine="vllm"))
    with pytest.raises(UserError, match=r"reward\.tokenizer"):
        open_reward(RewardSettings(model="http://localhost:1/v1"))
    with pytest.raises(UserError, match=r"reward\.good: '' is no token"):
        scored(shepherd, (QUESTION, STEPS), layout="math-shepherd", good="")
    (tmp_path / "reward.yaml").write_text("layout: other\n")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UserError, match="'other' is none of"):
        open_reward(RewardSettings(model=str(tmp_path)))


@pytest.mark.parametrize("per_token", [True, False])
def test_a_pooling_server_is_asked_with_the_same_tokens_and_the_sigmoid_is_taken_here(
    per_token: bool, skywork: Path
) -> None:
    weights = load_file(skywork / "model.safetensors")
    asked: list[dict[str, Any]] = []

    async def pooling(request: web.Request) -> web.Response:
        body = json.loads(await request.read())
        asked.append(body)
        values = hidden(skywork, body["input"]) @ weights["v_head.summary.weight"][0] + 0.25
        data = [[value] for value in values.tolist()] if per_token else [values[-1].item()]
        return web.json_response({"data": [{"index": 0, "data": data}]})

    async def models(request: web.Request) -> web.Response:
        return web.json_response({"data": [{"id": "prm", "max_model_len": 512}]})

    async def ask() -> Reading:
        app = web.Application()
        app.router.add_post("/pooling", pooling)
        app.router.add_get("/v1/models", models)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        reward = ServedReward(RewardSettings(model=f"http://127.0.0.1:{port}/v1", tokenizer=str(skywork)))
        try:
            await reward.start()
            return await reward.score(QUESTION, STEPS)
        finally:
            await reward.close()
            await runner.cleanup()

    read = asyncio.run(ask())
    assert read.scores == pytest.approx(scored(skywork, (QUESTION, STEPS))[0], abs=1e-5)
    assert read.cost.prompt_tokens == sum(len(body["input"]) for body in asked), "each token as often as it was sent"
    assert {body["model"] for body in asked} == {"prm"}
    assert not any(body["use_activation"] for body in asked)
    assert len(asked) == (1 if per_token else 3)


@pytest.mark.parametrize("raw", [b"{}", b"no JSON", b'{"data": [{"data": "x"}]}', b'{"data": [{"data": [[1, 2]]}]}'])
def test_a_reply_without_numbers_is_malformed(raw: bytes) -> None:
    with pytest.raises(MalformedReply, match="--runner pooling"):
        read_rows(raw)


def test_a_number_that_nobody_knows_the_place_of_is_no_score() -> None:
    with pytest.raises(EngineError, match="2 numbers for 5 tokens"):
        at_marks([0.1, 0.2], Chain([1, 2, 3, 4, 5], [2, 4]))
