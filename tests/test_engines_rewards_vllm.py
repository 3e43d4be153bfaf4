"""A reward model behind a real vLLM server says what the same weights say in this process."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from training_material import tokenizer_of

from engines.contract import EngineSettings
from engines.rewards.contract import OWN_FILE, RewardSettings
from engines.rewards.open import open_reward
from engines.vllm_command import SERVED_NAME
from engines.vllm_server import VLLMServer
from settings.files import write_yaml

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

QUESTION, STEPS = "What is 2 + 3 + 4?", ["2 + 3 = 5\n5 + 4 = 8", "Wait, 5 + 4 = 9", "The answer is 9."]


@pytest.fixture(scope="module")
def ppm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Whole weights as `train ppm --merge true` writes them, random; heads as wide as vLLM's attention takes them."""
    from transformers import LlamaConfig, LlamaForSequenceClassification

    folder, tokenizer = tmp_path_factory.mktemp("rewards") / "ppm", tokenizer_of("chatml")
    torch.manual_seed(5)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=64,
        max_position_embeddings=512,
        initializer_range=0.1,
        pad_token_id=tokenizer.pad_token_id,
    )
    config.num_labels = 1
    model: Any = LlamaForSequenceClassification(config)  # type: ignore[no-untyped-call]
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    write_yaml(folder / OWN_FILE, {"layout": "ppm"})
    return folder


@pytest.fixture(scope="module")
def url(ppm: Path) -> Iterator[str]:
    """The server of docs/judging.md, ready."""
    pytest.importorskip("vllm")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VLLM_CPU_KVCACHE_SPACE", "1")
        server = VLLMServer(EngineSettings(engine="vllm-server", model=str(ppm), dtype="float32", enforce_eager=True))
        server.command += ["--runner", "pooling", "--pooler-config.task", "token_classify"]
        try:
            asyncio.run(server.start(lambda _: None))
            yield f"http://127.0.0.1:{server.port}/v1"
        finally:
            server.stop()


def test_a_served_reward_model_scores_as_the_one_in_this_process(ppm: Path, url: str) -> None:
    async def scores(settings: RewardSettings) -> list[list[float]]:
        reward = open_reward(settings)
        await reward.start()
        try:
            read = await asyncio.gather(*(reward.score(QUESTION, STEPS[:count]) for count in (1, 2, 3)))
            return [list(one.scores) for one in read]
        finally:
            await reward.close()

    here = asyncio.run(scores(RewardSettings(model=str(ppm), dtype="float32")))
    there = asyncio.run(scores(RewardSettings(model=url, tokenizer=str(ppm), served_name=SERVED_NAME)))
    assert [len(one) for one in there] == [1, 2, 3]
    assert there[2][:2] == pytest.approx(there[1], abs=1e-5), "a step's score knows nothing of what comes after it"
    assert len({round(value, 3) for value in here[2]}) == 3, "scores that differ, so that places cannot be mixed up"
    assert there == [pytest.approx(one, abs=1e-5) for one in here]
