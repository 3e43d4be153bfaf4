"""What a training leaves behind: tags and voice, card, picture, weights on disk."""

import json
from pathlib import Path
from typing import Any

import pytest
from training_material import tokenizer_of

from agents.persona import load_policy
from journeys.formats import TAG_STYLES, Tags
from settings import UserError
from settings.files import write_yaml
from training.card import write_card
from training.folder import ModelFolder
from training.plot import draw, smoothed
from training.rows import Message
from training.settings import LoraSettings, TrainSettings
from training.sft_settings import SFTSettings
from training.start import Start
from training.tags import find_system, find_tags, fitted, load_persona, own_persona, voice
from training.weights import store_as, write_tokenizer

REPORT: dict[str, Any] = {
    "method": "sft",
    "model": "embedded",
    "continued_from": None,
    "data": {
        "sources": {"runs/mine/exports/journey_sft.jsonl": 7},
        "rows": 7,
        "digest": "d1",
        "tags": {"<think>": "one token"},
        "stop_token": "<|im_end|>",
    },
    "steps": 3,
    "epochs": 1.0,
    "loss": {"first": 2.0, "last": 1.0},
    "tokens_per_second": 100.0,
    "device": "CPU, 2 threads",
    "precision": "bfloat16",
    "seed": 0,
    "recipe_digest": "abc",
    "history": [],
}


@pytest.mark.parametrize("style", sorted(TAG_STYLES))
def test_the_tags_of_a_data_set_are_found_with_the_blanks_around_them(style: str) -> None:
    tags = TAG_STYLES[style]
    text = f"{tags.open}1 + 1 = 2{tags.close}{tags.answer_open}Answer: 2{tags.answer_close}"
    found, carriers = find_tags([text, "plain", text], asked="auto")
    assert (found.open, found.close + found.answer_open) == (tags.open, tags.close + tags.answer_open)
    assert carriers == 2
    tight = text.replace("\n", "")
    assert find_tags([tight], asked="auto")[0].open == tags.open.strip()


def test_rows_without_tags_have_none_and_those_asked_for_are_taken_as_they_are() -> None:
    assert find_tags(["Answer: 2"], asked="auto") == (Tags(open="", close=""), 0)
    own = Tags(open="[[", close="]]")
    assert find_tags(["[[so]]Answer: 2", "no"], asked=own) == (own, 1)
    assert find_tags(["x"], asked="think") == (TAG_STYLES["think"], 0)


def test_the_persona_in_the_folder_is_one_that_agents_can_speak_with(tmp_path: Path) -> None:
    tags = TAG_STYLES["begin_of_thought"]
    write_yaml(tmp_path / "persona.yaml", fitted(load_persona("tuned"), tags=tags, system="Think."))
    persona = load_policy(str(tmp_path / "persona.yaml"))
    assert persona.mode == "monologue"
    assert (persona.opens, persona.closes) == (tags.open, tags.close + tags.answer_open)
    assert persona.system == "Think."


def test_a_model_that_is_trained_on_keeps_its_voice_unless_another_one_is_named(tmp_path: Path) -> None:
    mine = load_persona("number-game") | {"name": "mine"}
    write_yaml(tmp_path / "persona.yaml", mine)
    assert own_persona(Start("embedded", "embedded", tmp_path)) == own_persona(Start(str(tmp_path), "x", None)) == mine
    assert own_persona(Start(str(tmp_path / "bare"), "bare", None)) == {}
    assert voice("auto", mine) == mine
    assert voice("auto", {}) == voice("tuned", mine) == load_persona("tuned")


def test_a_system_message_is_the_personas_only_if_all_rows_have_it() -> None:
    ask, told = (Message("user", "2 + 2?"),), (Message("system", "Think."), Message("user", "2 + 2?"))
    assert find_system([told, told]) == "Think."
    assert find_system([told, ask]) == find_system([ask]) == ""


def test_a_card_written_again_keeps_what_an_evaluation_put_there(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "mine" / "exports"
    run.mkdir(parents=True)
    (run / "README.md").write_text("| configuration | 0123456789ab |\n")
    report = REPORT | {"data": REPORT["data"] | {"sources": {str(run / "journey_sft.jsonl"): 7}}}
    folder = ModelFolder(tmp_path)
    settings = SFTSettings(license="apache-2.0")
    write_card(folder, settings=settings, report=report)
    card = folder.card.read_text()
    assert card.startswith(
        "---\nbase_model: HuggingFaceTB/SmolLM2-135M-Instruct\nlibrary_name: peft\nlicense: apache-2.0\n"
    )
    assert "(7 rows), run recipe 0123456789ab |" in card
    folder.card.write_text(card.replace("<!-- evaluation -->\n", "<!-- evaluation -->\n| held out | 71% |\n"))
    write_card(folder, settings=settings, report=report)
    assert "<!-- evaluation -->\n| held out | 71% |\n<!-- /evaluation -->" in folder.card.read_text()


def test_the_picture_has_a_panel_for_each_figure_that_was_noted(tmp_path: Path) -> None:
    plain = [{"step": n, "loss": 2 - n / 50} for n in range(60)]
    pairs = [point | {"rewards/margins": n / 10, "rewards/accuracies": 0.5} for n, point in enumerate(plain)]
    for name, points in (("sft", plain), ("dpo", pairs), ("short", plain[:1])):
        draw(points, tmp_path / f"{name}.png", title=name)
    heights = [int.from_bytes((tmp_path / f"{name}.png").read_bytes()[20:24]) for name in ("sft", "dpo")]
    assert heights[1] > 2 * heights[0]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dpo.png", "sft.png", "short.png"]
    assert smoothed([3.0] * 100) == pytest.approx([3.0] * 100)


def test_weights_are_stored_in_the_precision_of_the_arithmetic(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    stored = {"a": torch.tensor([1.0, 1.0 + 2**-20]), "count": torch.tensor([3])}
    save_file(stored, tmp_path / "model.safetensors", metadata={"format": "pt"})
    (tmp_path / "config.json").write_text(json.dumps({"dtype": "float32", "vocab_size": 7}))
    store_as(tmp_path, "bfloat16")
    found = load_file(tmp_path / "model.safetensors")
    assert found["a"].dtype == torch.bfloat16
    assert found["count"].dtype == torch.int64
    assert json.loads((tmp_path / "config.json").read_text()) == {"dtype": "bfloat16", "vocab_size": 7}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "model.safetensors"]


def test_a_tokenizer_is_stored_with_the_trained_stop_and_readable_tags(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = tokenizer_of("llama", special=["<think>"])
    stop = tokenizer.convert_tokens_to_ids("<|eot_id|>")
    write_tokenizer(tokenizer, tmp_path, stop_id=stop, hidden_tags=["<think>"])
    assert tokenizer.eos_token == "<|endoftext|>", "the caller's own is as it was"
    stored = AutoTokenizer.from_pretrained(tmp_path)
    assert stored.eos_token_id == stop
    assert stored.decode(stored("<think>\nSo<|eot_id|>")["input_ids"], skip_special_tokens=True) == "<think>\nSo"
    assert stored("<think>")["input_ids"] == tokenizer("<think>")["input_ids"]


@pytest.mark.parametrize("name", ["../up", "a b", "", ".hidden"])
def test_a_models_name_is_a_folder_name(name: str) -> None:
    with pytest.raises(ValueError, match="a model's name is letters"):
        TrainSettings(name=name)


def test_a_folder_with_another_model_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UserError, match=r"holds config.json that no training here has written; use another --name"):
        ModelFolder(tmp_path).open(SFTSettings(), begun_with={})


def test_adapters_learn_faster_than_whole_weights_unless_told() -> None:
    assert SFTSettings().peak_learning_rate == 2e-4
    assert SFTSettings(lora=None).peak_learning_rate == 1e-5
    assert SFTSettings(lora=LoraSettings(r=4), learning_rate=3e-4).peak_learning_rate == 3e-4
