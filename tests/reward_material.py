"""Reward models made by hand, whose scores can be worked out: the trunk counts, the head reads."""

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from training_material import tiny_model, tokenizer_of


def skywork_model(folder: Path) -> Path:
    """A tiny trunk with a value head in Skywork's names beside it."""
    tiny_model(folder)
    file = folder / "model.safetensors"
    weights = load_file(file)
    torch.manual_seed(7)
    head = {"v_head.summary.weight": torch.randn(1, 32), "v_head.summary.bias": torch.tensor([0.25])}
    save_file(weights | head, file, metadata={"format": "pt"})
    return folder


def shepherd_model(folder: Path) -> Path:
    """A tiny language model whose tokenizer has the tag and both marks as tokens of their own."""
    return tiny_model(folder, tokenizer=tokenizer_of("chatml", plain=("ки", "+", "-")))


def hidden(folder: Path, ids: list[int]) -> Any:
    """The last hidden states of the stored trunk, one row for each token."""
    from transformers import AutoModelForCausalLM

    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    with torch.inference_mode():
        return model.model(torch.tensor([ids])).last_hidden_state[0]
