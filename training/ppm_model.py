"""The process preference model itself: a policy's trunk with one number in place of the vocabulary."""

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engines.rewards.contract import OWN_FILE
from settings import UserError
from settings.files import write_json, write_yaml, writing
from training.settings import TrainSettings
from training.start import Start, adapter_shape, first_line, open_model, precision_of
from training.weights import store_as

if TYPE_CHECKING:
    from training.stage import Material


def open_ppm(start: Start, settings: TrainSettings) -> tuple[Any, Any]:
    """A model to train with a new head, and the shape of its adapter if it is to get one.

    A policy that is an adapter is merged into its base first: one adapter on two bases would be of no use to anybody.
    Precision is as in every training (training/start.py).
    """
    import torch
    from transformers import AutoModelForSequenceClassification

    whole = settings.model_copy(update={"lora": None}) if start.adapter else settings
    causal, _ = open_model(start, whole)
    config = causal.config
    config.num_labels = 1
    try:
        with torch.device("meta"):  # the trunk is there already
            kind: Any = AutoModelForSequenceClassification
            model = kind.from_config(config, attn_implementation=settings.attention)
        setattr(model, model.base_model_prefix, causal.base_model)
        # In float32 as every trained weight: small steps vanish in bfloat16.
        head = torch.nn.Linear(model.score.in_features, 1, bias=False)
    except (ValueError, KeyError, AttributeError) as error:
        raise UserError(f"model: {settings.model}: cannot be given a reward head: {first_line(error)}") from None
    torch.nn.init.normal_(head.weight, std=config.get_text_config().initializer_range)
    model.score = head
    if settings.lora is None:
        return model, None
    shape = adapter_shape(settings.lora)
    shape.task_type, shape.modules_to_save = "SEQ_CLS", ["score"]
    return model, shape


def write_ppm(trainer: Any, folder: Path, *, settings: TrainSettings, start: Start, material: "Material") -> None:
    """Weights, tokenizer and reward.yaml into `folder`: an adapter where its base is a model that can be named."""
    whole = settings.lora is None or settings.merge or start.adapter is not None
    merge = whole and settings.lora is not None
    unmerged = folder / ".unmerged"
    with writing(folder, key="outputs_dir"):
        trainer.save_model(str(unmerged if merge else folder))
        if not trainer.accelerator.is_main_process:
            return
        if merge:
            _merge(start, unmerged, folder, settings=settings)
            shutil.rmtree(unmerged)
        (folder / "training_args.bin").unlink(missing_ok=True)
        store_as(folder, precision_of(settings))
        if not whole:
            file = folder / "adapter_config.json"
            write_json(file, json.loads(file.read_text("utf-8")) | {"base_model_name_or_path": start.base_name})
        material.tokenizer.save_pretrained(folder)
        write_yaml(folder / OWN_FILE, {"layout": "ppm"})


def _merge(start: Start, adapter: Path, folder: Path, *, settings: TrainSettings) -> None:
    """The trunk opened anew with the adapter added in and its head: what was trained may lie in shards."""
    from peft import PeftModel

    trunk, _ = open_ppm(start, settings.model_copy(update={"lora": None}))
    model: Any = PeftModel.from_pretrained(trunk, str(adapter))
    model.merge_and_unload().save_pretrained(folder)
