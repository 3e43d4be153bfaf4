"""DPO with TRL's real trainer on a tiny model: what it is held to, what it learns, what it leaves behind."""

import dataclasses
import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from training_material import one_thread  # noqa: F401  (an autouse fixture)

from engines.checkpoint import open_model
from engines.contract import EngineSettings
from settings import UserError
from training import dpo
from training.command import train, write_report
from training.dpo_settings import DPOSettings
from training.stage import train as run_stage

TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
ROOT = Path(__file__).parent.parent


def tiny_model(folder: Path) -> Path:
    """A Llama of two narrow layers that reads bytes."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = Tokenizer(models.BPE(vocab={letter: place for place, letter in enumerate(letters)}, merges=[]))
    words.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    words.decoder = decoders.ByteLevel()
    tokenizer: Any = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=words, eos_token="<|im_end|>", pad_token="<|pad|>", extra_special_tokens=["<|im_start|>"]
    )
    tokenizer.chat_template = TEMPLATE
    torch.manual_seed(3)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        initializer_range=0.3,  # wide enough that its guesses differ from one another
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    LlamaForCausalLM(config).save_pretrained(folder)  # type: ignore[no-untyped-call]
    tokenizer.save_pretrained(folder)
    return folder


def tuned_adapter(folder: Path, base: Path) -> Path:
    """An adapter that is far from nothing, as after SFT, with the persona that `train sft` leaves beside it."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.manual_seed(5)
    model = AutoModelForCausalLM.from_pretrained(base)
    shape = LoraConfig(task_type="CAUSAL_LM", r=4, lora_alpha=8, target_modules="all-linear")
    adapted = get_peft_model(model, shape)
    for name, weight in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.1)
    adapted.save_pretrained(str(folder))
    AutoTokenizer.from_pretrained(base).save_pretrained(folder)
    persona = {"name": "tuned", "role": "policy", "opens": "<think>\n", "closes": "\n</think>\n\n", "system": ""}
    (folder / "persona.yaml").write_text(yaml.safe_dump(persona))
    return folder


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("tiny") / "base")


@pytest.fixture(scope="module")
def adapter(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tuned_adapter(tmp_path_factory.mktemp("tuned") / "sft", base)


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight questions, each with one right and one wrong sample."""
    rows = []
    for n in range(8):
        for status, answer in (("right", n + 1), ("wrong", n)):
            text = f"<think>\n{n} + 1 = {answer}.\n</think>\n\nAnswer: {answer}"
            row = {"model": "m", "problem_id": f"p{n}", "question": f"{n} + 1?", "sample": n, "text": text}
            rows.append(row | {"status": status, "finish": "stop", "answer": str(answer), "tokens": len(text)})
    file = tmp_path_factory.mktemp("samples") / "samples.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def recipe(model: Path, data: Path, outputs: Path, **keys: Any) -> DPOSettings:
    usual: dict[str, Any] = {"name": "dpo", "batch": 8, "max_steps": 1, "max_length": 256, "precision": "float32"}
    given = {"learning_rate": 1e-3, "plot": False, "outputs_dir": str(outputs), "data": str(data), "model": str(model)}
    return DPOSettings.model_validate({**usual, **given, **keys})


def run(settings: DPOSettings) -> tuple[dict[str, Any], Any]:
    """Train. Gives training.json and TRL's trainer."""
    prepared = dpo.prepare(settings)
    made: list[Any] = []

    def trainer(**parts: Any) -> Any:
        made.append(prepared.material.trainer(**parts))
        return made[0]

    material = dataclasses.replace(prepared.material, trainer=trainer)
    outcome = run_stage(settings, prepared.start, material, recipe=None, write=write_report, verbose=False)
    return outcome.report, made[0] if made else None


def weights(folder: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    (file,) = folder.glob("*.safetensors")
    return load_file(file)


def same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def greedy(model: Any, tokenizer: Any, prompts: Sequence[str]) -> list[str]:
    said = []
    for prompt in prompts:
        ids = tokenizer(prompt, return_tensors="pt", add_special_tokens=False)
        out = model.generate(**ids, max_new_tokens=24, do_sample=False)
        said.append(tokenizer.decode(out[0]))
    return said


PROMPTS = [f"<|im_start|>user\n{n} + 1?<|im_end|>\n<|im_start|>assistant\n" for n in range(3)]


@pytest.mark.parametrize("start", ["adapter", "new adapter", "whole", "whole from adapter"])
@pytest.mark.parametrize("plain", [False, True])
def test_at_the_first_step_the_model_is_its_own_reference(
    start: str, plain: bool, base: Path, adapter: Path, samples: Path, tmp_path: Path
) -> None:
    model = adapter if "adapter" in start and start != "new adapter" else base
    keys: dict[str, Any] = {"lora": None} if start.startswith("whole") else {}
    report, _ = run(recipe(model, samples, tmp_path, plain=plain, **keys))
    first = report["history"][0]
    # The reference of a whole model goes through TRL's own last layer, which adds up in another order.
    assert first["rewards/margins"] == pytest.approx(0, abs=1e-5)
    pairs, chosen_tokens = report["data"]["rows"], report["data"]["chosen_tokens"]
    likelihood = -first["logps/chosen"] * pairs / chosen_tokens
    assert pairs == 8
    assert first["loss"] == pytest.approx(math.log(2) + (0 if plain else likelihood), abs=2e-4)


def test_margins_rise_and_the_sft_term_keeps_the_chosen_side_likely(
    adapter: Path, samples: Path, tmp_path: Path
) -> None:
    report, _ = run(recipe(adapter, samples, tmp_path, max_steps=12, learning_rate=2e-2))
    first, last = report["history"][0], report["history"][-1]
    assert last["rewards/margins"] > first["rewards/margins"] + 0.05
    assert first["rewards/accuracies"] == 0
    assert last["rewards/accuracies"] > 0.8
    assert last["logps/chosen"] > first["logps/chosen"]


def test_what_both_sides_share_changes_nothing_for_dpo_itself_wherever_it_stands(
    adapter: Path, samples: Path, tmp_path: Path
) -> None:
    """The shared tokens' terms cancel in the margin; the move matters to the SFT term and to what is logged."""
    runs = [
        run(recipe(adapter, samples, tmp_path, name=f"p{place}", max_steps=4, sft_weight=0, prefix_in_prompt=place))[0]
        for place in (True, False)
    ]
    moved, whole = ([point["loss"] for point in one["history"]] for one in runs)
    assert moved == pytest.approx(whole, abs=1e-4)
    assert moved[0] > moved[-1]
    assert runs[0]["data"]["chosen_tokens"] < runs[1]["data"]["chosen_tokens"]


def test_one_adapter_comes_out_and_the_engines_read_it_as_it_was_trained(
    adapter: Path, base: Path, samples: Path, tmp_path: Path
) -> None:
    _, trainer = run(recipe(adapter, samples, tmp_path, max_steps=6, learning_rate=2e-2))
    folder = tmp_path / "dpo"
    assert not list(folder.glob("**/ref/*"))
    assert not list(folder.glob("checkpoint-*"))
    config = json.loads((folder / "adapter_config.json").read_text())
    assert (config["r"], config["base_model_name_or_path"]) == (4, str(base))
    trained, start = weights(folder), weights(adapter)
    assert trained.keys() == start.keys()
    assert not same(trained, start)
    frozen = {name for name, weight in trainer.model.named_parameters() if ".ref." in name and weight.requires_grad}
    assert not frozen

    model, tokenizer = open_model(EngineSettings(model=str(folder), dtype="float32"), attention="sdpa")
    before, _ = open_model(EngineSettings(model=str(adapter), dtype="float32"), attention="sdpa")
    assert greedy(trainer.model.eval(), tokenizer, PROMPTS) == greedy(model, tokenizer, PROMPTS)
    assert greedy(before, tokenizer, PROMPTS) != greedy(model, tokenizer, PROMPTS)
    assert yaml.safe_load((folder / "persona.yaml").read_text())["opens"] == "<think>\n"


def test_the_seed_decides_the_weights(adapter: Path, samples: Path, tmp_path: Path) -> None:
    found = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        run(recipe(adapter, samples, tmp_path, name=name, seed=seed, batch=2, max_steps=3))
        found.append(weights(tmp_path / name))
    assert same(found[0], found[1])
    assert not same(found[0], found[2])


@pytest.mark.slow
def test_a_training_killed_half_way_goes_on_to_the_same_weights(adapter: Path, samples: Path, tmp_path: Path) -> None:
    keys: dict[str, Any] = {"batch": 2, "max_steps": 24, "save_steps": 2, "learning_rate": 1e-2}
    run(recipe(adapter, samples, tmp_path / "whole", **keys))
    settings = recipe(adapter, samples, tmp_path / "cut", **keys)
    config = tmp_path / "dpo.yaml"
    config.write_text(yaml.safe_dump(settings.model_dump(mode="json", exclude_unset=True)))
    command = [sys.executable, "run.py", "train", "dpo", "--config", str(config), "--json"]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    folder = tmp_path / "cut" / "dpo"
    until = time.monotonic() + 200
    while not list(folder.glob("checkpoint-*/trainer_state.json")):
        assert process.poll() is None, process.communicate()[1][-2000:]
        assert time.monotonic() < until
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert not (folder / "adapter_model.safetensors").exists()

    report = train(settings).report
    assert report["steps"] == 24
    assert [point["step"] for point in report["history"]] == list(range(1, 25))
    for name, weight in weights(tmp_path / "whole" / "dpo").items():
        assert torch.equal(weight, weights(folder)[name]), name


def test_a_model_goes_on_being_asked_as_before(adapter: Path, samples: Path, tmp_path: Path) -> None:
    asked = tmp_path / "asked"
    asked.mkdir()
    for file in adapter.iterdir():
        (asked / file.name).write_bytes(file.read_bytes())
    persona = yaml.safe_load((asked / "persona.yaml").read_text()) | {"system": "Think first.", "name": "mine"}
    (asked / "persona.yaml").write_text(yaml.safe_dump(persona))

    prepared = dpo.prepare(recipe(asked, samples, tmp_path))
    assert prepared.material.persona == persona
    decoded = prepared.encoder.tokenizer.decode(list(prepared.encoded[0].prompt))
    assert decoded.startswith("<|im_start|>system\nThink first.<|im_end|>\n<|im_start|>user\n0 + 1?")

    turns = {"prompt": "0 + 1?", "chosen": "<think>\n1\n</think>\n\n1", "rejected": "<think>\n0\n</think>\n\n0"}
    rows = tmp_path / "rows.jsonl"
    rows.write_text(json.dumps(turns))
    with pytest.raises(UserError, match=r"its system message is '', but .* is asked under 'Think first\.'"):
        dpo.prepare(recipe(asked, rows, tmp_path))
    assert dpo.prepare(recipe(asked, rows, tmp_path, persona="tuned")).material.persona["system"] == ""


def test_single_steps_tell_their_tags_by_the_opening_one(base: Path, tmp_path: Path) -> None:
    begun = {"role": "assistant", "content": "<Thought>\nFirst, 1 + 1 = 2."}
    row = {"prompt": [{"role": "user", "content": "1 + 1 + 1?"}, begun], "kind": "step"}
    rows = tmp_path / "rows.jsonl"
    rows.write_text(json.dumps(row | {"chosen": " Then 2 + 1 = 3.", "rejected": " Then 2 + 1 = 4."}))
    prepared = dpo.prepare(recipe(base, rows, tmp_path))
    assert prepared.material.persona["opens"] == "<Thought>\n"
    assert prepared.material.facts["step_pairs"] == 1
    assert prepared.encoder.tokenizer.decode(list(prepared.encoded[0].chosen)) == "3."
