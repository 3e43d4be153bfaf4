# ruff: noqa: F401, F811  (fixtures are imported, and taken as arguments)
"""Trainings of a tiny model: it stops, it comes out the same again, and engines open what was written."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from autogen_core.models import UserMessage
from safetensors.torch import load_file
from training_material import STOPS, one_thread, sums, tiny, tiny_model, tokenizer_of, write_rows

from engines.contract import EngineSettings, Reply
from engines.transformers_engine import TransformersEngine
from settings import UserError
from training.command import train
from training.report import print_outcome
from training.sft_settings import SFTSettings
from training.stage import Outcome

FULL: dict[str, Any] = {"lora": None, "learning_rate": 1e-2, "batch": 4, "precision": "float32", "plot": False}
LORA: dict[str, Any] = {"lora": {"r": 8}, "learning_rate": 2e-2, "batch": 4, "precision": "float32", "plot": False}


def fit(place: Path, model: Path, rows: Sequence[Any], *, name: str = "tuned", **keys: Any) -> Outcome:
    data = write_rows(place / "rows.jsonl", rows)
    return train(SFTSettings(data=data, model=str(model), outputs_dir=str(place), name=name, **keys))


def ask(folder: Path, question: str) -> Reply:
    """What the real engine makes of a model folder, greedily."""

    async def once() -> Reply:
        engine = TransformersEngine(
            EngineSettings(model=str(folder), engine="transformers", dtype="float32", deadline=120)
        )
        await engine.start()
        try:
            return await engine.create(
                [UserMessage(content=question, source="user")], extra_create_args={"temperature": 0.0, "max_tokens": 60}
            )
        finally:
            await engine.close()

    return asyncio.run(once())


def weights(folder: Path) -> dict[str, Any]:
    file = "model.safetensors" if (folder / "model.safetensors").exists() else "adapter_model.safetensors"
    return load_file(folder / file)


def same(first: Path, second: Path) -> bool:
    one, other = weights(first), weights(second)
    return one.keys() == other.keys() and all(bool((one[name] == other[name]).all()) for name in one)


@pytest.fixture(scope="module")
def overfit(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> Outcome:
    return fit(tmp_path_factory.mktemp("overfit"), tiny, sums(4), max_steps=80, **FULL)


def test_the_trained_model_answers_and_stops(overfit: Outcome) -> None:
    row = sums(4)[2]
    reply = ask(overfit.folder, row["prompt"][0]["content"])
    assert reply.content == row["completion"][0]["content"]
    assert reply.finish_reason == "stop"


def test_the_folder_is_a_model_with_its_recipe_its_report_and_its_voice(overfit: Outcome, tiny: Path) -> None:
    folder, report = overfit.folder, overfit.report
    here = {path.name for path in folder.iterdir()}
    assert here == {
        "README.md", "config.json", "generation_config.json", "logs", "model.safetensors", "persona.yaml",
        "recipe.yaml", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "training.json",
    }  # fmt: skip
    assert json.loads((folder / "training.json").read_text()) == report
    assert report["steps"] == 80 == len(report["history"])
    assert report["data"]["rows"] == 4
    assert report["loss"]["last"] < 0.1 < 4 < report["loss"]["first"]
    assert report["tokens"] == 20 * report["data"]["lengths"]["total"] * 4, "every step took all four rows"
    assert report["peak_memory_bytes"] > 2**27
    persona = yaml.safe_load((folder / "persona.yaml").read_text())
    assert (persona["opens"], persona["closes"], persona["system"]) == ("<think>\n", "\n</think>\n\n", "")
    assert SFTSettings.model_validate(yaml.safe_load((folder / "recipe.yaml").read_text())).max_steps == 80
    card = (folder / "README.md").read_text()
    assert card.startswith("---\nbase_model: tiny\n")
    assert "<!-- evaluation -->" in card
    assert str(tiny) in report["model"]


def test_a_seed_reproduces_a_training_to_the_bit(overfit: Outcome, tmp_path: Path, tiny: Path) -> None:
    again = fit(tmp_path, tiny, sums(4), max_steps=80, **FULL)
    assert same(overfit.folder, again.folder)
    assert [point["loss"] for point in again.report["history"]] == [
        point["loss"] for point in overfit.report["history"]
    ]
    other = fit(tmp_path, tiny, sums(12), name="one", max_steps=3, **FULL)
    assert not same(other.folder, fit(tmp_path, tiny, sums(12), name="two", max_steps=3, seed=1, **FULL).folder)


def test_a_finished_training_is_told_again_and_a_changed_one_refused(overfit: Outcome, tiny: Path) -> None:
    place = overfit.folder.parent
    before = (overfit.folder / "model.safetensors").stat().st_mtime_ns
    assert fit(place, tiny, sums(4), max_steps=80, **FULL).report == overfit.report
    assert (overfit.folder / "model.safetensors").stat().st_mtime_ns == before
    with pytest.raises(UserError, match=r"begun with another recipe or other data \(max_steps: 80 -> 81\); go on with"):
        fit(place, tiny, sums(4), max_steps=81, **FULL)
    with pytest.raises(UserError, match=r"other data \(rows_digest: "):
        fit(place, tiny, [*sums(3), sums(9)[8]], max_steps=80, **FULL)


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> Outcome:
    return fit(tmp_path_factory.mktemp("adapter"), tiny, sums(4), max_steps=60, **LORA)


def test_merged_and_adapter_give_the_same_greedy_text(adapter: Outcome, tiny: Path, tmp_path: Path) -> None:
    merged = fit(tmp_path, tiny, sums(4), max_steps=60, merge=True, **LORA)
    assert (merged.folder / "model.safetensors").exists()
    assert not (merged.folder / "adapter_config.json").exists()
    question = sums(4)[1]["prompt"][0]["content"]
    assert ask(merged.folder, question).content == ask(adapter.folder, question).content != ask(tiny, question).content


def test_an_adapter_goes_on_as_one_adapter_on_the_same_base(
    adapter: Outcome, tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    again = fit(tmp_path, adapter.folder, sums(4), max_steps=2, **(LORA | {"lora": {}}))
    shape = json.loads((again.folder / "adapter_config.json").read_text())
    assert shape["base_model_name_or_path"] == str(tiny)
    assert shape["r"] == 8
    recipe = yaml.safe_load((again.folder / "recipe.yaml").read_text())
    assert (recipe["lora"]["r"], recipe["lora"]["alpha"]) == (8, shape["lora_alpha"])
    assert again.report["continued_from"] == str(adapter.folder)
    print_outcome(again, as_json=False)
    assert f"SFT of {adapter.folder}" in "".join(capsys.readouterr().out.split("\n"))
    begun, came_to = adapter.report["loss"]["first"], adapter.report["loss"]["last"]
    assert again.report["loss"]["first"] < (begun + came_to) / 2, "it began where the adapter had come to"
    assert weights(again.folder).keys() == weights(adapter.folder).keys()
    with pytest.raises(UserError, match=r"lora.r: .* is an adapter of rank 8, the recipe asks for 4; say --lora.r 8"):
        fit(tmp_path, adapter.folder, sums(4), name="other", max_steps=2, **(LORA | {"lora": {"r": 4}}))


def test_whole_training_on_an_adapter_merges_it_first(adapter: Outcome, tmp_path: Path) -> None:
    whole = fit(tmp_path, adapter.folder, sums(4), max_steps=1, **(FULL | {"learning_rate": 1e-9}))
    question = sums(4)[1]["prompt"][0]["content"]
    assert ask(whole.folder, question).content == ask(adapter.folder, question).content
    assert not (whole.folder / "adapter_config.json").exists()


def test_tags_that_are_special_tokens_are_read_by_the_engines(tmp_path: Path) -> None:
    """Decoding leaves special tokens out; a thought without its end would have no answer."""
    tokenizer = tokenizer_of("llama", special=["<think>", "</think>"])
    model = tiny_model(tmp_path / "special", tokenizer=tokenizer)
    tuned = fit(tmp_path, model, sums(4), max_steps=80, **FULL)
    assert tuned.report["data"]["tags"] == {"<think>": "one token", "</think>": "one token"}
    reply = ask(tuned.folder, sums(4)[0]["prompt"][0]["content"])
    assert reply.content == sums(4)[0]["completion"][0]["content"]
    assert reply.finish_reason == "stop"
    eos = json.loads((tuned.folder / "generation_config.json").read_text())["eos_token_id"]
    assert eos[0] == tokenizer.convert_tokens_to_ids(STOPS["llama"]), "the stop that was trained, not the base's alone"


def test_packed_rows_give_the_loss_of_the_same_rows_alone(tmp_path: Path, tiny: Path) -> None:
    keys = FULL | {"batch": 8, "max_steps": 2}
    alone = fit(tmp_path, tiny, sums(8), name="alone", **keys)
    packed = fit(tmp_path, tiny, sums(8), name="packed", packing=True, max_length=100, **keys)
    assert 2 < packed.report["data"]["packs"] < 8
    for one, other in zip(alone.report["history"], packed.report["history"], strict=True):
        assert other["loss"] == pytest.approx(one["loss"], rel=1e-5)
        assert other["tokens"] == one["tokens"]


def test_training_ends_after_about_so_many_learnt_tokens(tmp_path: Path, tiny: Path) -> None:
    short = fit(tmp_path, tiny, sums(8), max_tokens=500, **FULL)
    learnt = short.report["data"]["learnt_tokens"] * short.report["epochs"]
    assert 400 < learnt < 600


@pytest.mark.gpu
@pytest.mark.parametrize("keys", [{}, {"packing": True, "max_length": 256}, {"lora": None, "learning_rate": 1e-4}])
def test_a_gpu_trains_in_bfloat16(tmp_path: Path, keys: dict[str, Any]) -> None:
    tuned = fit(tmp_path, Path("embedded"), sums(32), max_steps=12, batch=8, **keys)
    assert not tuned.report["device"].startswith("CPU")
    assert tuned.report["precision"] == "bfloat16"
    assert tuned.report["loss"]["last"] < tuned.report["loss"]["first"] / 2
    assert ask(tuned.folder, sums(32)[0]["prompt"][0]["content"]).finish_reason == "stop"
