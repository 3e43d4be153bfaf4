"""From settings to the engine they name. Nothing heavy is imported before the kind is known."""

import importlib.util
from pathlib import Path

from engines.checkpoint import adapter_base, resolve
from engines.contract import Engine, EngineKind, EngineSettings
from engines.embedded import gguf_file
from settings import UserError


def open_engine(settings: EngineSettings) -> Engine:
    """The engine, not started yet. Raises UserError for settings that cannot work, before any model is loaded."""
    check_model(settings)
    match engine_kind(settings):
        case "transformers":
            _need("torch", "transformers", engine="transformers")
            from engines.transformers_engine import TransformersEngine

            return TransformersEngine(settings)
        case "vllm":
            _need("vllm", engine="vllm")
            from engines.vllm_engine import VLLMEngine

            return VLLMEngine(settings)
        case "vllm-server":
            _need("vllm", engine="vllm-server")
            from engines.vllm_server import VLLMServerEngine

            return VLLMServerEngine(settings)
        case "openai":
            if not is_url(settings.model):
                raise UserError(f"model: engine openai needs a URL such as http://host:8000/v1, got {settings.model}")
            from engines.openai_engine import OpenAIEngine

            return OpenAIEngine(settings)
        case "scripted" | "auto":
            from engines.scripted import scripted_from_file

            if settings.script is None:
                raise UserError("script: engine scripted needs a YAML file of replies")
            return scripted_from_file(Path(settings.script))


def check_model(settings: EngineSettings) -> None:
    """Raise UserError for a model that is not there, as far as can be known without loading or downloading it."""
    if settings.engine in ("scripted", "openai") or settings.script is not None or is_url(settings.model):
        return
    if settings.model == "embedded":
        gguf_file()
    else:
        adapter_base(resolve(settings.model))


def engine_kind(settings: EngineSettings) -> EngineKind:
    """The kind that `auto` stands for: openai for a URL, vllm on a GPU that has it, transformers elsewhere."""
    if settings.engine != "auto":
        return settings.engine
    if settings.script is not None:
        return "scripted"
    if is_url(settings.model):
        return "openai"
    if importlib.util.find_spec("vllm") is not None and _has_gpu():
        return "vllm"
    return "transformers"


def is_url(model: str) -> bool:
    return model.startswith(("http://", "https://"))


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


def _need(*packages: str, engine: str) -> None:
    for package in packages:
        if importlib.util.find_spec(package) is None:
            raise UserError(f"engine: {engine} needs the package {package}; `pip install {package}` or choose another")
