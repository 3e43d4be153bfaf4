"""Opening a model folder: checks a user can act on first, then transformers; LoRA adapters are merged in memory."""

import json
import os
import socket
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

from engines.contract import EngineSettings
from engines.embedded import embedded_folder
from settings import UserError

PROBE_SECONDS = 5.0
"""How long the hub may take to accept a connection."""


def resolve(model: str) -> str:
    """The folder or hub id behind a model's name. Raises UserError for a folder that is missing or holds no model."""
    if model == "embedded":
        return str(embedded_folder())
    folder = Path(model).expanduser()
    if folder.is_dir():
        if not any((folder / name).is_file() for name in ("config.json", "adapter_config.json")):
            raise UserError(f"model: {model}: neither config.json nor adapter_config.json in it; is it a checkpoint?")
        return str(folder)
    looks_like_path = model.startswith(("/", "./", "../", "~")) or model.count("/") > 1
    looks_like_path |= "/" in model and folder.parent.is_dir()  # outputs/typo beside outputs/sft
    if folder.exists():
        raise UserError(f"model: {model}: is a file; name the checkpoint folder that holds config.json")
    if looks_like_path:
        raise UserError(f"model: {model}: no such folder")
    _use_the_cache_where_no_hub_answers()
    return model


def _use_the_cache_where_no_hub_answers() -> None:
    """Take the hub's client offline when the hub is out of reach: it would try for minutes, file by file."""
    from huggingface_hub import constants

    hub = urlsplit(constants.ENDPOINT)
    if constants.HF_HUB_OFFLINE or getproxies() or not hub.hostname:
        return
    try:
        socket.create_connection((hub.hostname, hub.port or 443), timeout=PROBE_SECONDS).close()
    except OSError:
        os.environ["HF_HUB_OFFLINE"] = "1"  # for processes started from here
        constants.HF_HUB_OFFLINE = True


def adapter_base(name: str) -> str | None:
    """The base model of a LoRA adapter folder, None for a whole model. Raises UserError if it names no base."""
    file = Path(name) / "adapter_config.json"
    if not file.is_file():
        return None
    try:
        base = json.loads(file.read_text("utf-8")).get("base_model_name_or_path")
    except (OSError, ValueError, AttributeError):
        raise UserError(f"{file}: cannot be read as JSON; was the training run cut off?") from None
    if not base:
        raise UserError(f"{file}: base_model_name_or_path is empty; write the base model's folder or hub id there")
    try:
        return resolve(str(base))
    except UserError as error:
        raise UserError(f"{file}: the adapter's base is not there: {error}") from None


def open_model(settings: EngineSettings, *, attention: str) -> tuple[Any, Any]:
    """The model, in evaluation mode on the GPU if there is one, and its tokenizer.

    Raises:
        UserError: missing, not a language model, not in safetensors, or an adapter without its base.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    name = resolve(settings.model)
    if (Path(name) / "reward.yaml").is_file():
        raise UserError(f"model: {settings.model}: is a reward model and writes nothing; name it as reward.model")
    base = adapter_base(name)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    options = {"trust_remote_code": False}
    try:
        model: Any = AutoModelForCausalLM.from_pretrained(
            base or name, dtype=dtype_of(settings), use_safetensors=True, attn_implementation=attention, **options
        )
        if base:
            from peft import PeftModel

            model = PeftModel.from_pretrained(model, name).merge_and_unload()
        own_tokenizer = any((Path(name) / file).is_file() for file in ("tokenizer.json", "tokenizer_config.json"))
        tokenizer = AutoTokenizer.from_pretrained(base if base and not own_tokenizer else name, **options)
    except (OSError, ValueError, KeyError, ImportError, RuntimeError, AttributeError) as error:
        raise UserError(f"model: {settings.model}: cannot be opened: {first_line(error)}") from None
    return model.to(device).eval(), tokenizer


def context_window(model: Any, settings: EngineSettings) -> int:
    """Tokens of prompt and completion together."""
    own = int(getattr(model.config.get_text_config(), "max_position_embeddings", 0) or 1 << 20)
    return min(settings.max_model_len, own) if settings.max_model_len else own


def dtype_of(settings: EngineSettings) -> Any:
    import torch

    if settings.dtype != "auto":
        return getattr(torch, settings.dtype)
    if torch.cuda.is_available():
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    # Without hardware for it bfloat16 is emulated, several times slower than float32.
    has_bf16 = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)()
    return torch.bfloat16 if has_bf16 else torch.float32


def first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return f"{lines[0] if lines else type(error).__name__:.240}"
