"""README.md of a model folder: what it was made from, how, and how to use it. `evaluate` adds its rows later."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from settings.files import write_text
from training.folder import ModelFolder
from training.settings import TrainSettings

HUB_NAMES = {"embedded": "HuggingFaceTB/SmolLM2-135M-Instruct"}
METHODS = {
    "sft": "supervised fine-tuning",
    "dpo": "direct preference optimisation",
    "ppm": "training as a process preference model",
}
USE = {
    "ppm": "As the judge of a search, which it tells how likely a step is to be right:\n\n"
    "```sh\npython run.py generate --config configs/mcts.yaml "
    "--protocol.scorer reward --protocol.prior score --reward.model FOLDER\n```\n"
}
ASKED = (
    "As the policy of a run, asked as it was trained (persona.yaml):\n\n"
    "```sh\npython run.py generate --config configs/countdown.yaml "
    "--policy.persona auto --policy.model FOLDER\n```\n"
)


def write_card(folder: ModelFolder, *, settings: TrainSettings, report: Mapping[str, Any]) -> None:
    """Write the card; rows that an evaluation has put into an earlier one are kept."""
    kept = _evaluations(folder.card)
    adapter = settings.lora is not None and not settings.merge
    whole = "an adapter" if adapter else "whole weights"
    data, loss = report["data"], report["loss"]
    method = report["method"]
    rows = "rows" if method == "sft" else "pairs"
    front = {
        "base_model": _base_name(report["model"]),
        "library_name": "peft" if adapter else "transformers",
        "license": settings.license,
        "pipeline_tag": "text-classification" if method == "ppm" else "text-generation",
        "tags": ["retrace", report["method"], *(["lora"] if settings.lora else [])],
    }
    lines = [
        f"---\n{yaml.safe_dump(front, sort_keys=False).strip()}\n---\n",
        f"# {folder.path.name}\n",
        f"{front['base_model']} after {METHODS.get(report['method'], report['method'])} on {data['rows']} {rows}, "
        f"as {whole}. Made by Retrace.\n",
        "| | |\n| --- | --- |",
        _row("base", front["base_model"]),
        *([_row("goes on from", report["continued_from"])] if report["continued_from"] else []),
        *(_row("data", f"{name} ({count} {rows}){_run_digest(name)}") for name, count in data["sources"].items()),
        *([_row("objective", data["objective"])] if "objective" in data else []),
        _row("data digest", data["digest"]),
        *_tokens(data),
        _row("training", _in_words(settings)),
        _row("steps, epochs", f"{report['steps']}, {report['epochs']}"),
        _row("loss", f"{loss['first']} -> {loss['last']}"),
        *([_row("held out", _held_out(report["held_out"]))] if "held_out" in report else []),
        _row("speed", f"{report['tokens_per_second']} tokens/s on {report['device']}, {report['precision']}"),
        _row("seed, recipe digest", f"{report['seed']}, `{report['recipe_digest']}`"),
        "\n![loss](training.png)\n" if settings.plot else "",
        "## Use\n",
        USE.get(method, ASKED).replace("FOLDER", str(folder.path)),
        "`recipe.yaml` and the data make it again; `training.json` has every figure.\n",
        "## Evaluation\n",
        f"<!-- evaluation -->{kept}<!-- /evaluation -->",
    ]
    write_text(folder.card, "\n".join(line for line in lines if line) + "\n")


def _tokens(data: Mapping[str, Any]) -> list[str]:
    """What was made of tags and of the end, for models that write."""
    if data["stop_token"] is None:
        return []
    tags = ", ".join(f"`{tag}` ({kind})" for tag, kind in data["tags"].items()) or "none"
    return [_row("tags", tags), _row("stop token", f"`{data['stop_token']}`")]


def _held_out(told: Mapping[str, Any]) -> str:
    return f"{told['pairs']} pairs; the better scores higher in {told['accuracy']:.1%}, loss {told['loss']}"


def _base_name(model: str) -> str:
    """The base as the hub knows it; of a local folder the name alone."""
    return Path(model).name if model.startswith("/") else HUB_NAMES.get(model, model)


def _row(name: str, value: Any) -> str:
    text = " ".join(str(value).split()).replace("|", "\\|")
    return f"| {name} | {text} |"


def _in_words(settings: TrainSettings) -> str:
    lora = settings.lora
    what = f"LoRA r {lora.r}, alpha {lora.alpha}, dropout {lora.dropout:g}, {lora.target}" if lora else "all weights"
    return (
        f"{what}; learning rate {settings.peak_learning_rate:g}, {settings.schedule}, warmup {settings.warmup:g}; "
        f"batch {settings.batch} x {settings.accumulate}; up to {settings.max_length} tokens a row"
    )


def _run_digest(source: str) -> str:
    """The digest of the run's recipe, if the source lies in a run whose card tells it."""
    card = Path(source).parent / "README.md"
    try:
        found = re.search(r"\| configuration \| \W*([0-9a-f]{12})", card.read_text("utf-8"), re.IGNORECASE)
    except (OSError, UnicodeDecodeError):
        return ""
    return f", run recipe {found[1]}" if found else ""


def _evaluations(card: Path) -> str:
    try:
        found = re.search(r"<!-- evaluation -->(.*?)<!-- /evaluation -->", card.read_text("utf-8"), re.DOTALL)
    except (OSError, UnicodeDecodeError):
        return "\n"
    return found[1] if found else "\n"
