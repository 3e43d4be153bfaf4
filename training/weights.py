"""The weights of a finished training, written as a model folder that engines and later trainings open."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from settings.files import write_json, write_yaml, writing
from training.settings import TrainSettings
from training.start import Start, precision_of

if TYPE_CHECKING:
    from training.stage import Material

ADAPTER = "adapter_model.safetensors"


def write_model(trainer: Any, folder: Path, *, settings: TrainSettings, start: Start, material: "Material") -> None:
    """Weights, tokenizer and persona into `folder`.

    Weights are stored in the precision of the training's arithmetic: bfloat16 halves a file whose last bits the next
    reader rounds away anyway. All processes must call this, because sharded weights are gathered here.
    """
    whole = settings.lora is None
    with writing(folder, key="outputs_dir"):
        if settings.merge:
            unmerged = folder / ".unmerged"
            trainer.save_model(str(unmerged))
            if trainer.accelerator.is_main_process:
                _merge(start, unmerged, folder, settings=settings, stop_id=material.stop_id)
                shutil.rmtree(unmerged)
        else:
            trainer.save_model(str(folder))
        if not trainer.accelerator.is_main_process:
            return
        (folder / "training_args.bin").unlink(missing_ok=True)  # a pickle, and of use to nobody
        if not settings.merge:
            store_as(folder, precision_of(settings))
        if whole:
            write_stops(trainer.accelerator.unwrap_model(trainer.model).generation_config, folder, material.stop_id)
        elif not settings.merge:
            _name_base(folder, start.base_name)
        write_tokenizer(material.tokenizer, folder, stop_id=material.stop_id, hidden_tags=material.hidden_tags)
        write_yaml(folder / "persona.yaml", material.persona)


def store_as(folder: Path, precision: str) -> None:
    """Rewrite the folder's weights in another precision, file by file."""
    import torch
    from safetensors import safe_open
    from safetensors.torch import save_file

    dtype = getattr(torch, precision)
    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(file, framework="pt") as stored:
            metadata = stored.metadata()
            weights = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118 - not a mapping
        if any(weight.dtype != dtype for weight in weights.values() if weight.is_floating_point()):
            cast = {
                name: weight.to(dtype).contiguous() if weight.is_floating_point() else weight
                for name, weight in weights.items()
            }
            save_file(cast, file.with_suffix(".new"), metadata=metadata)
            file.with_suffix(".new").replace(file)
        file.chmod(0o644)
    config = folder / "config.json"
    if config.exists():
        write_json(config, json.loads(config.read_text("utf-8")) | {"dtype": precision})


def write_stops(generation_config: Any, folder: Path, stop_id: int) -> None:
    """generation_config.json, in which the trained stop token ends a text beside those that did before."""
    known = generation_config.eos_token_id
    known = [] if known is None else [known] if isinstance(known, int) else list(known)
    generation_config.eos_token_id = [stop_id, *(token for token in known if token != stop_id)]
    generation_config.save_pretrained(folder)


def write_tokenizer(tokenizer: Any, folder: Path, *, stop_id: int, hidden_tags: Sequence[str]) -> None:
    """The tokenizer whose end-of-text token is the one the model was taught to stop with.

    Engines decode without special tokens. A tag that is one would vanish from every text, so it is stored as an
    ordinary added token.
    """
    stop = tokenizer.convert_ids_to_tokens(stop_id)
    before, tokenizer.eos_token = tokenizer.eos_token, stop
    try:
        tokenizer.save_pretrained(folder)
    finally:
        tokenizer.eos_token = before
    for name in ("tokenizer.json", "tokenizer_config.json"):
        file = folder / name
        if hidden_tags and file.exists():
            stored = json.loads(file.read_text("utf-8"))
            listed = stored.get("added_tokens") or list(stored.get("added_tokens_decoder", {}).values())
            for token in listed:
                if token.get("content") in hidden_tags:
                    token["special"] = False
            for key in ("additional_special_tokens", "extra_special_tokens"):
                if isinstance(stored.get(key), list):
                    stored[key] = [token for token in stored[key] if token not in hidden_tags]
            write_json(file, stored)


def _merge(start: Start, adapter: Path, folder: Path, *, settings: TrainSettings, stop_id: int) -> None:
    """The base with the adapter added in, computed in float32 and stored in the training's precision."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    base = AutoModelForCausalLM.from_pretrained(
        start.base, dtype=torch.float32, use_safetensors=True, trust_remote_code=False
    )
    model: Any = PeftModel.from_pretrained(base, str(adapter))
    merged = model.merge_and_unload().to(getattr(torch, precision_of(settings)))
    merged.save_pretrained(folder)
    write_stops(merged.generation_config, folder, stop_id)


def _name_base(folder: Path, name: str) -> None:
    """Write into the adapter's configuration by which name its base is to be found."""
    file = folder / "adapter_config.json"
    write_json(file, json.loads(file.read_text("utf-8")) | {"base_model_name_or_path": name})
