"""Opening a reward model. Whatever its layout, it is a language model's trunk, one direction in it, and a sigmoid.

A linear head is that direction as it stands. Math-Shepherd's softmax over the logits of two tokens is the sigmoid of
their difference, so its direction is the difference of two rows of the vocabulary's matrix.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from engines.checkpoint import adapter_base, dtype_of, first_line, resolve
from engines.rewards.contract import OWN_FILE, Layout, RewardSettings
from engines.rewards.layouts import Renders, renderer, token
from settings import UserError, read_yaml

READS = ("*.safetensors", "*.json", "*.txt", "*.model", "*.jinja", OWN_FILE)
"""What is fetched of a model on the hub: no pickles, no code."""


@dataclass(frozen=True)
class Opened:
    """A reward model in memory."""

    trunk: Any
    weight: Any
    """The direction, float32."""
    bias: Any
    layout: Renders
    pad_id: int
    window: int


def open_reward_model(settings: RewardSettings) -> Opened:
    """The model in evaluation mode, on the GPU if there is one.

    Raises:
        UserError: missing, of no known layout, or not in safetensors.
    """
    import torch
    from transformers import AutoTokenizer

    place = resolve(settings.model)
    layout = layout_of(place, settings)
    try:
        trunk, weight, bias, tokenizer_place = _OPEN[layout](place, settings)
        tokenizer: Any = AutoTokenizer.from_pretrained(tokenizer_place, trust_remote_code=False)
        if layout == "math-shepherd":
            good, bad = (
                token(tokenizer, text, key=key) for key, text in (("good", settings.good), ("bad", settings.bad))
            )
            weight, bias = weight[good] - weight[bad], bias[good] - bias[bad]
    except (OSError, ValueError, KeyError, ImportError, RuntimeError, AttributeError) as error:
        raise UserError(f"reward.model: {settings.model}: cannot be opened: {first_line(error)}") from None
    device = "cuda" if torch.cuda.is_available() else "cpu"
    own = int(getattr(trunk.config.get_text_config(), "max_position_embeddings", 0) or 1 << 20)
    return Opened(
        trunk=trunk.to(device).eval(),
        weight=weight.detach().float().to(device),
        bias=bias.detach().float().to(device),
        layout=renderer(layout, tokenizer, settings),
        pad_id=tokenizer.pad_token_id or 0,
        window=min(settings.max_model_len or own, own),
    )


def layout_of(place: str, settings: RewardSettings) -> Layout:
    """The layout that the recipe names, else the one that the folder shows. Raises UserError if neither tells."""
    if settings.layout != "auto":
        return settings.layout
    folder = Path(place)
    if (folder / OWN_FILE).is_file():
        named = read_yaml(folder / OWN_FILE).get("layout")
        known: tuple[Layout, ...] = get_args(Layout)
        if (layout := next((one for one in known if one == named), None)) is None:
            raise UserError(f"{folder / OWN_FILE}: layout: {named!r} is none of {', '.join(known)}")
        return layout
    if folder.is_dir() and _holder(folder) is not None:
        return "skywork"
    raise UserError(
        f"reward.layout: {settings.model}: cannot tell how it is read; say --reward.layout skywork or math-shepherd"
    )


def _open_ppm(place: str, settings: RewardSettings) -> tuple[Any, Any, Any, str]:
    import torch
    from transformers import AutoModelForSequenceClassification

    base = adapter_base(place)
    model: Any = AutoModelForSequenceClassification.from_pretrained(base or place, num_labels=1, **_options(settings))
    if base:
        from peft import PeftModel

        model = PeftModel.from_pretrained(model, place).merge_and_unload()
    return model.base_model, model.score.weight[0], torch.zeros(()), place


def _open_skywork(place: str, settings: RewardSettings) -> tuple[Any, Any, Any, str]:
    from safetensors import safe_open
    from transformers import AutoModel

    folder = _folder(place)
    if (found := _holder(folder)) is None:
        raise UserError(f"reward.model: {settings.model}: no weights v_head.summary in its .safetensors files")
    file, prefix = found
    trunk = AutoModel.from_pretrained(str(folder), **_options(settings))
    with safe_open(file, framework="pt") as weights:
        return trunk, weights.get_tensor(f"{prefix}.weight")[0], weights.get_tensor(f"{prefix}.bias")[0], str(folder)


def _open_math_shepherd(place: str, settings: RewardSettings) -> tuple[Any, Any, Any, str]:
    import torch
    from transformers import AutoModelForCausalLM

    model: Any = AutoModelForCausalLM.from_pretrained(place, **_options(settings))
    head = model.get_output_embeddings()
    bias = torch.zeros(len(head.weight)) if head.bias is None else head.bias
    return model.base_model, head.weight, bias, place


_OPEN = {"ppm": _open_ppm, "skywork": _open_skywork, "math-shepherd": _open_math_shepherd}


def _options(settings: RewardSettings) -> dict[str, Any]:
    return {
        "dtype": dtype_of(settings),
        "use_safetensors": True,
        "attn_implementation": "sdpa",
        "trust_remote_code": False,
    }


def _folder(place: str) -> Path:
    """The folder behind a name; a hub id's is fetched."""
    if Path(place).is_dir():
        return Path(place)
    from huggingface_hub import snapshot_download

    return Path(snapshot_download(place, allow_patterns=list(READS)))


def _holder(folder: Path) -> tuple[Path, str] | None:
    """The file that holds a value head, and what the head is called in it."""
    from safetensors import safe_open

    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(file, framework="pt") as weights:
            for name in weights.keys():  # noqa: SIM118 - not a mapping
                if name.endswith("v_head.summary.weight"):
                    return file, name.removesuffix(".weight")
    return None
