"""A process preference model on a tiny base: what it learns, what it leaves behind, how it is read."""

import asyncio
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from test_training_dpo import tuned_adapter
from training_material import one_thread, tiny_model  # noqa: F401  (an autouse fixture)

from engines.checkpoint import open_model
from engines.contract import EngineSettings
from engines.rewards.contract import RewardSettings
from engines.rewards.layouts import PPMLayout
from engines.rewards.local import LocalReward
from settings import UserError
from training import ppm
from training.command import preview, train
from training.ppm_settings import PPMSettings
from training.ppm_trainer import ranking_loss
from training.reward_pairs import read_reward_pairs, split
from training.rows import Source

SUMS = [(3, 4), (5, 9), (8, 6), (7, 2), (6, 6), (9, 4), (2, 5), (4, 8)]


def rows() -> list[dict[str, Any]]:
    """Of each sum a right line against a wrong one, and one pair behind a line."""
    made = []
    for left, right in SUMS:
        question = [{"role": "user", "content": f"What is {left} + {right}?"}]
        for begun, weight in (("", 0.5), (f"{left} and {right}\n", 0.25)):
            prompt = [*question, {"role": "assistant", "content": begun}] if begun else question
            better, worse = (f"{left} + {right} = {left + right + off}" for off in (0, 20))
            made.append(
                {
                    "prompt": prompt,
                    "chosen": [{"role": "assistant", "content": better}],
                    "rejected": [{"role": "assistant", "content": worse}],
                    "weight": weight,
                    "kind": "step",
                }
            )
    return made


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("pairs") / "ppm.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows()))
    return file


def recipe(model: Path, data: Path, outputs: Path, **keys: Any) -> PPMSettings:
    settings: dict[str, Any] = {
        "name": "ppm",
        "outputs_dir": str(outputs),
        "model": str(model),
        "data": [str(data)],
        "max_steps": 40,
        "learning_rate": 1e-2,
        "precision": "float32",
        "held_out": 0.1,
        "plot": False,
    }
    return PPMSettings.model_validate(settings | keys)


def scores(folder: Path, question: str, steps: Sequence[str]) -> list[float]:
    async def ask() -> list[float]:
        reward = LocalReward(RewardSettings(model=str(folder), dtype="float32"))
        await reward.start()
        try:
            return (await reward.score(question, steps)).scores
        finally:
            await reward.close()

    return asyncio.run(ask())


@pytest.mark.parametrize(
    ("start", "keys", "weights"),
    [
        ("whole", {"lora": None}, "model.safetensors"),
        ("whole", {}, "adapter_model.safetensors"),
        ("whole", {"merge": True}, "model.safetensors"),
        ("adapter", {}, "model.safetensors"),
    ],
)
def test_it_learns_which_step_is_better_and_is_read_as_it_was_trained(
    start: str,
    keys: dict[str, Any],
    weights: str,
    tiny: Path,
    data: Path,
    tmp_path: Path,
) -> None:
    model = tuned_adapter(tmp_path / "sft", tiny) if start == "adapter" else tiny
    report = train(recipe(model, data, tmp_path, **keys)).report
    folder = tmp_path / "ppm"
    first, last = report["history"][0], report["history"][-1]
    assert first["loss"] > last["loss"]
    assert last["accuracy"] == 1
    assert report["held_out"]["pairs"] == 2
    assert (folder / weights).is_file()
    assert sorted(path.name for path in folder.glob("*.safetensors")) == [weights]
    assert not list(folder.glob("**/*.bin"))
    assert yaml.safe_load((folder / "reward.yaml").read_text()) == {"layout": "ppm"}
    assert "--reward.model" in (folder / "README.md").read_text()

    better = scores(folder, "What is 3 + 4?", ["3 and 4", "3 + 4 = 7"])
    worse = scores(folder, "What is 3 + 4?", ["3 and 4", "3 + 4 = 27"])
    assert better[0] == pytest.approx(worse[0], abs=1e-6), "a step's score does not depend on what follows"
    assert better[1] > 0.5 > worse[1]


def test_the_stored_model_gives_the_trainers_own_scores(tiny: Path, data: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    train(recipe(tiny, data, tmp_path, lora=None, max_steps=4))
    folder = tmp_path / "ppm"
    model: Any = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32)
    chain = PPMLayout(AutoTokenizer.from_pretrained(folder)).chain("What is 3 + 4?", ["3 and 4", "3 + 4 = 7"])
    with torch.inference_mode():
        by_transformers = model(torch.tensor([chain.ids])).logits[0, 0].sigmoid().item()
    assert scores(folder, "What is 3 + 4?", ["3 and 4", "3 + 4 = 7"])[-1] == pytest.approx(by_transformers, abs=1e-5)


def test_the_loss_is_the_paired_one_weighted_and_centred() -> None:
    rewards = torch.tensor([2.0, 0.0, 1.0, 1.0])  # better: 2 and 0, worse: 1 and 1
    first, second = -math.log(1 / (1 + math.exp(-1))), -math.log(1 / (1 + math.exp(1)))
    plain = ranking_loss(rewards, torch.tensor([1.0, 0.25]), center=0.0)
    assert plain.item() == pytest.approx((first + 0.25 * second) / 2)
    centred = ranking_loss(rewards, torch.tensor([1.0, 0.25]), center=0.1)
    assert centred.item() == pytest.approx((first + 0.1 * 9 + 0.25 * (second + 0.1 * 1)) / 2)


def test_the_seed_decides_the_weights_and_a_broken_training_goes_on_to_the_same(
    tiny: Path,
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from safetensors.torch import load_file

    keys: dict[str, Any] = {"max_steps": 6, "save_steps": 2, "batch": 4}
    train(recipe(tiny, data, tmp_path / "a", **keys))
    stopped = RuntimeError("the power went")

    def cut(*_: Any, **__: Any) -> Any:
        raise stopped

    settings = recipe(tiny, data, tmp_path / "b", **keys, keep_checkpoints=True)
    with monkeypatch.context() as patch:
        patch.setattr("training.ppm.measure", cut)
        with pytest.raises(RuntimeError, match="the power went"):
            train(settings)
    for checkpoint in (tmp_path / "b" / "ppm").glob("checkpoint-[46]"):
        (checkpoint / "trainer_state.json").unlink()  # as if killed between the second and the fourth step
    assert train(settings).report["steps"] == 6
    one, other = (load_file(tmp_path / name / "ppm" / "adapter_model.safetensors") for name in "ab")
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_questions_are_held_out_whole(data: Path, tiny: Path, tmp_path: Path) -> None:
    pairs, kinds = read_reward_pairs(recipe(tiny, data, tmp_path))
    learnt, apart = split(pairs, held_out=0.3, seed=1)
    assert kinds == {"step": 16}
    assert len(apart) == 4
    assert not {pairs[place].question for place in learnt} & {pairs[place].question for place in apart}
    assert split(pairs, held_out=0.0, seed=1) == (list(range(16)), [])
    assert len(split(pairs, held_out=0.01, seed=1)[1]) == 2, "at least one question"


def test_what_is_told_of_held_out_pairs_is_a_mean_over_pairs(data: Path, tiny: Path, tmp_path: Path) -> None:
    """Not over batches, in which the last pairs would count for more."""
    settings = recipe(tiny, data, tmp_path, held_out=0.6, max_steps=1, batch=8)
    pairs, _ = read_reward_pairs(settings)
    apart = [pairs[place] for place in split(pairs, held_out=0.6, seed=settings.seed)[1]]
    assert len(apart) % settings.batch, "a last batch that is not full"
    told = train(settings).report["held_out"]

    def last(question: str, lines: str) -> float:
        return scores(tmp_path / "ppm", question, [lines])[-1]

    right = [last(pair.question, pair.chosen) > last(pair.question, pair.rejected) for pair in apart]
    assert 0 < sum(right) < len(right)
    assert told["pairs"] == len(apart)
    assert told["accuracy"] == pytest.approx(sum(right) / len(right), abs=1e-3)


def test_the_preview_shows_where_a_pair_is_read(data: Path, tiny: Path, tmp_path: Path) -> None:
    shown = preview(recipe(tiny, data, tmp_path))
    assert "3 + 4 = 7»\n«" in shown.row
    assert "is to score higher (weight 0.5) than" in shown.row


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ({"prompt": "1 + 1?", "chosen": "2"}, "column 'rejected' is missing"),
        ({"prompt": "1 + 1?", "chosen": "2", "rejected": "3", "weight": 0}, "weight: expected a number above 0"),
        (
            {
                "prompt": [{"role": "system", "content": "s"}, {"role": "user", "content": "q"}],
                "chosen": "2",
                "rejected": "3",
            },
            "not system, user",
        ),
        ({"prompt": "1 + 1?", "chosen": "2", "rejected": "3", "kind": "step"}, "export.format conversational"),
        ({"prompt": "1 + 1?", "chosen": "2" * 600, "rejected": "3"}, "tokens long"),
    ],
)
def test_bad_rows_are_named_in_one_line(row: Any, complaint: str, tiny: Path, tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text(json.dumps(row))
    with pytest.raises(UserError, match=complaint) as told:
        ppm.prepare(recipe(tiny, file, tmp_path))
    assert str(told.value).startswith(str(Source(str(file), 1)))


def test_a_reward_model_is_no_policy_and_no_start_of_another(tiny: Path, data: Path, tmp_path: Path) -> None:
    train(recipe(tiny, data, tmp_path, max_steps=1))
    with pytest.raises(UserError, match="is a reward model and writes nothing"):
        open_model(EngineSettings(model=str(tmp_path / "ppm")), attention="sdpa")
    with pytest.raises(UserError, match="start from the policy that it shall judge"):
        ppm.prepare(recipe(tmp_path / "ppm", data, tmp_path, name="again"))
