"""`python run.py train`: from a recipe to a model folder, or with --dry-run to what it would do."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training import dpo, ppm, sft
from training.card import write_card
from training.dpo_settings import DPOSettings
from training.folder import ModelFolder
from training.plot import draw
from training.ppm_settings import PPMSettings
from training.settings import TrainSettings
from training.sft_settings import SFTSettings
from training.stage import Outcome, planned_steps, require_trl, steps_per_epoch
from training.stage import train as run_stage
from training.start import settled


@dataclass(frozen=True)
class Preview:
    """What `--dry-run` shows."""

    config: dict[str, Any]
    facts: dict[str, Any]
    """Of the data, as training.json has them."""
    steps: int
    steps_per_epoch: int
    row: str
    """The first row as the model will see it, what is learnt from marked."""


def train(settings: TrainSettings, *, recipe: Path | None = None, verbose: bool = False) -> Outcome:
    """Fine-tune by the method whose settings these are; the same call goes on where an earlier one was stopped.

    Raises:
        UserError: something the user can mend; found before the model loads wherever it can be known.
        KeyboardInterrupt: stopped by a signal, after a checkpoint.
    """
    require_trl()
    prepared = _prepare(settings)
    settings = _shaped(settings)
    return run_stage(settings, prepared.start, prepared.material, recipe=recipe, write=write_report, verbose=verbose)


def preview(settings: TrainSettings, *, recipe: Path | None = None) -> Preview:
    """What a training would do. No model is loaded and nothing is written."""
    prepared = _prepare(settings)
    settings = _shaped(settings)
    return Preview(
        config=settings.model_copy(update={"name": settings.folder(recipe).name}).model_dump(mode="json"),
        facts=prepared.material.facts,
        steps=planned_steps(settings, prepared.material),
        steps_per_epoch=steps_per_epoch(settings, prepared.material.items),
        row=marked(prepared),
    )


def marked(prepared: sft.Prepared | dpo.Prepared | ppm.Prepared) -> str:
    """The first row decoded, special tokens and all, with »« around what the loss falls on."""
    if isinstance(prepared, ppm.Prepared):
        decode, one = prepared.tokenizer.decode, prepared.encoded[0]
        better, worse = (f"{decode(side[:-1])}»{decode(side[-1:])}«" for side in (one.chosen, one.rejected))
        return f"{better}\n\nis to score higher (weight {one.weight:g}) than\n\n{worse}"
    decode = prepared.encoder.tokenizer.decode
    if isinstance(prepared, sft.Prepared):
        row = prepared.encoded[0]
        return f"{decode(row.prompt)}»{decode(row.completion)}«"
    pair = prepared.encoded[0]
    return f"{decode(pair.prompt)}»{decode(pair.chosen)}«\n\nand not »{decode(pair.rejected)}«"


def write_report(folder: ModelFolder, *, settings: TrainSettings, report: dict[str, Any]) -> None:
    """The picture and the card."""
    if settings.plot and report["history"]:
        draw(report["history"], folder.plot, title=f"{folder.path.name}: {report['method']} on {report['model']}")
    write_card(folder, settings=settings, report=report)


def _shaped(settings: TrainSettings) -> TrainSettings:
    """The recipe with what the model it starts from settles. A reward model gets an adapter of its own."""
    return settings if isinstance(settings, PPMSettings) else settled(settings)


def _prepare(settings: TrainSettings) -> sft.Prepared | dpo.Prepared | ppm.Prepared:
    if isinstance(settings, PPMSettings):
        return ppm.prepare(settings)
    if isinstance(settings, DPOSettings):
        return dpo.prepare(settings)
    if isinstance(settings, SFTSettings):
        return sft.prepare(settings)
    raise TypeError(f"{type(settings).__name__} is no method's settings")
