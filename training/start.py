"""What a training starts from: the base model, the adapter it goes on with, the tokenizer, and the precision."""

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from engines.checkpoint import adapter_base, resolve
from settings import UserError
from training.settings import LoraSettings, TrainSettings


@dataclass(frozen=True, slots=True)
class Start:
    """Where the weights come from."""

    base: str
    """The folder or hub id to open."""
    base_name: str
    """The same as the user would name it: `embedded`, a hub id, or an absolute path."""
    adapter: Path | None
    """The adapter's folder, if the model named is one."""

    def identity(self) -> dict[str, str]:
        """What must be the same when a training goes on: the names, and the content of an adapter."""
        weights = self.adapter / "adapter_model.safetensors" if self.adapter else None
        if weights is None or not weights.is_file():
            return {"base": self.base_name}
        with weights.open("rb") as stream:
            return {"base": self.base_name, "adapter": hashlib.file_digest(stream, "sha256").hexdigest()[:16]}

    @property
    def tokenizer_place(self) -> str:
        if self.adapter and any(
            (self.adapter / name).is_file() for name in ("tokenizer.json", "tokenizer_config.json")
        ):
            return str(self.adapter)
        return self.base


def find_start(settings: TrainSettings) -> Start:
    """Look the model up; nothing is loaded.

    Raises:
        UserError: no such folder, a URL, or an adapter without its base.
    """
    if "://" in settings.model:
        raise UserError(f"model: {settings.model}: a server's weights cannot be trained; name a folder or a hub id")
    place = resolve(settings.model)
    base = adapter_base(place)
    if base is None:
        return Start(place, _lasting_name(settings.model), None)
    config = json.loads((Path(place) / "adapter_config.json").read_text("utf-8"))
    return Start(base, _lasting_name(str(config["base_model_name_or_path"])), Path(place))


def settled(settings: TrainSettings) -> TrainSettings:
    """The recipe with the shape of the adapter that it goes on with, so that a folder's recipe.yaml makes it again.

    Raises:
        UserError: the recipe asks for another rank than that adapter has.
    """
    asked = settings.lora
    if asked is None or "://" in settings.model or adapter_base(place := resolve(settings.model)) is None:
        return settings
    config = json.loads((Path(place) / "adapter_config.json").read_text("utf-8"))
    if "r" in asked.model_fields_set and asked.r != config.get("r"):
        raise UserError(
            f"lora.r: {settings.model} is an adapter of rank {config.get('r')}, the recipe asks for {asked.r}; say "
            f"--lora.r {config.get('r')}, or start from the whole weights of that model (train it with --merge true)"
        )
    shape = {"r": config["r"], "alpha": config["lora_alpha"], "dropout": config.get("lora_dropout", 0.0)}
    return settings.model_copy(update={"lora": asked.model_copy(update=shape)})


def open_tokenizer(start: Start) -> Any:
    """The tokenizer of the model that a training starts from."""
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(start.tokenizer_place, trust_remote_code=False)
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise UserError(f"model: {start.base_name}: its tokenizer cannot be opened: {first_line(error)}") from None


def window_of(start: Start) -> int | None:
    """Tokens that the model reads at once, as its configuration says. Raises UserError for what is no model's."""
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(start.base, trust_remote_code=False)
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise UserError(f"model: {start.base_name}: cannot be opened: {first_line(error)}") from None
    return getattr(config.get_text_config(), "max_position_embeddings", None)


def precision_of(settings: TrainSettings) -> Literal["bfloat16", "float32"]:
    """The precision of the arithmetic on this machine."""
    import torch

    if settings.precision != "auto":
        return settings.precision
    if torch.cuda.is_available():
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float32"
    # Without hardware for it bfloat16 is emulated, several times slower than float32.
    return "bfloat16" if getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)() else "float32"


def sharded() -> bool:
    """Whether `accelerate launch` was told to shard weights by FSDP."""
    return os.environ.get("ACCELERATE_USE_FSDP", "").lower() == "true"


@contextlib.contextmanager
def in_every_process() -> Iterator[None]:
    """Models opened in here are whole in every process; under FSDP others are read by the first alone."""
    name = "FSDP_CPU_RAM_EFFICIENT_LOADING"
    before = os.environ.get(name)
    os.environ[name] = "false"
    try:
        yield
    finally:
        del os.environ[name]
        if before is not None:
            os.environ[name] = before


def open_model(start: Start, settings: TrainSettings) -> tuple[Any, Any]:
    """The model to train, and the shape of its adapter if it is to get a new one.

    Full training keeps float32 weights whatever the precision: steps of 1e-5 vanish in bfloat16. Under LoRA the base
    stands still and is loaded in the precision itself; PEFT keeps the adapter's weights in float32.
    An adapter's folder goes on with that adapter, or, without `lora`, is merged into its base first.
    """
    import torch
    from transformers import AutoModelForCausalLM

    # FSDP 2 wants one dtype for all weights of a layer; it computes in bfloat16 all the same.
    dtype = getattr(torch, precision_of(settings)) if settings.lora and not sharded() else torch.float32
    try:
        model: Any = AutoModelForCausalLM.from_pretrained(
            start.base,
            dtype=dtype,
            use_safetensors=True,
            attn_implementation=settings.attention,
            trust_remote_code=False,
        )
        if start.adapter:
            from peft import PeftModel

            model = PeftModel.from_pretrained(model, str(start.adapter), is_trainable=settings.lora is not None)
            # PEFT looks at the base's configuration when it saves; `embedded` is a name that only we know.
            model.peft_config["default"].base_model_name_or_path = start.base
            if settings.lora is None:
                model = model.merge_and_unload().requires_grad_(True)
    except (OSError, ValueError, KeyError, ImportError, RuntimeError, AttributeError) as error:
        raise UserError(f"model: {settings.model}: cannot be opened: {first_line(error)}") from None
    if settings.lora is None or start.adapter:
        return model, None
    return model, adapter_shape(settings.lora)


def adapter_shape(lora: LoraSettings) -> Any:
    """PEFT's configuration of a new adapter."""
    from peft import LoraConfig

    return LoraConfig(
        task_type="CAUSAL_LM",
        r=lora.r,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=lora.target if isinstance(lora.target, str) else list(lora.target),
    )


def _lasting_name(model: str) -> str:
    """A name that still holds when the command runs from elsewhere: a folder by its absolute path."""
    folder = Path(model).expanduser()
    return str(folder.resolve()) if model != "embedded" and folder.is_dir() else model


def first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__)[:240]
