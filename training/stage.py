"""One training, whatever its method: the same road from a recipe to a model folder for SFT, DPO and PPM.

A method brings its `Material`: rows as ids, and the TRL trainer that learns from them. The rest is here: checking the
folder, loading the model, going on from a checkpoint, stopping when asked to, and writing what came out.
"""

import contextlib
import importlib.metadata
import math
import os
import platform
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from settings import UserError
from settings.files import write_json, writing
from training.folder import ModelFolder
from training.progress import TrainingView
from training.settings import TrainSettings
from training.start import Start, open_model, precision_of, sharded
from training.weights import write_model

VERSIONS = ("torch", "transformers", "trl", "peft", "accelerate")


@dataclass(frozen=True)
class Material:
    """What a method has made of its data, before any model is loaded."""

    method: str
    """`sft`, `dpo` or `ppm`."""
    items: int
    """What a batch is counted in: rows, packs or pairs."""
    facts: dict[str, Any]
    """For training.json and the card: counts, lengths, sources, digests, tags."""
    digest: str
    """Of the rows; a training that goes on must find the same."""
    persona: dict[str, Any]
    """The persona to put beside the weights."""
    tokenizer: Any
    stop_id: int
    trainer: Callable[..., Any]
    """Called with `model`, `adapter` (PEFT's shape of a new one, or None), `arguments` (for the method's TRL config)
    and `callbacks`; gives TRL's trainer."""
    hidden_tags: Sequence[str] = ()
    """Tags that this tokenizer would leave out when it decodes."""
    steps: int | None = None
    """Optimiser steps, where the method itself says so; else max_steps or epochs decide."""
    open: Callable[[Start, TrainSettings], tuple[Any, Any]] = open_model
    """Gives the model to train, and PEFT's shape of its new adapter or None."""
    write: Callable[..., None] = write_model
    """Writes what was trained, as `write_model` does."""
    measure: Callable[[Any], dict[str, Any]] = lambda _: {}
    """Further figures for training.json, of the trainer when it is done."""


@dataclass(frozen=True)
class Outcome:
    """What a training came to."""

    folder: Path
    report: dict[str, Any]
    """training.json."""
    main: bool = True
    """Whether this process is the one that speaks."""


class Writer(Protocol):
    """Writes what people look at: plot and card."""

    def __call__(self, folder: ModelFolder, *, settings: TrainSettings, report: dict[str, Any]) -> None: ...


@dataclass
class Interrupt:
    """Ctrl-C and SIGTERM end the training after the step in hand, with a checkpoint; a second one ends it at once."""

    asked: bool = False
    _before: dict[int, Any] = field(default_factory=dict)

    @contextlib.contextmanager
    def heeded(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        self._before = {number: signal.signal(number, self._ask) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            self._give_back()

    def _ask(self, number: int, frame: Any) -> None:
        self.asked = True
        self._give_back()

    def _give_back(self) -> None:
        while self._before:
            signal.signal(*self._before.popitem())


def train(
    settings: TrainSettings, start: Start, material: Material, *, recipe: Path | None, write: Writer, verbose: bool
) -> Outcome:
    """Train and write the model folder; called again it goes on from the newest checkpoint, or reports what is done.

    Raises:
        UserError: the folder is another training's, or the model cannot be opened.
        KeyboardInterrupt: stopped by a signal, after a checkpoint.
    """
    main = os.environ.get("RANK", "0") == "0"
    folder = ModelFolder(settings.folder(recipe), main=main)
    begun_with = {"method": material.method, "rows_digest": material.digest, "started_from": start.identity()}
    folder.open(settings, begun_with=begun_with)
    if done := folder.finished():
        return Outcome(folder.path, done, main)
    with folder.held(), quiet(verbose=verbose):
        report = _train(folder, settings, start, material) | {"begun_with": begun_with}
        if main:
            with writing(folder.path, key="outputs_dir"):
                write(folder, settings=settings, report=report)
                write_json(folder.report, report | {"finished": True})
                if not settings.keep_checkpoints:
                    folder.clear_checkpoints()
    return Outcome(folder.path, report | {"finished": True}, main)


def _train(folder: ModelFolder, settings: TrainSettings, start: Start, material: Material) -> dict[str, Any]:
    """Load, learn, save the weights. Gives what training.json will say."""
    import torch
    from accelerate import PartialState  # type: ignore[import-untyped]
    from transformers import PrinterCallback, set_seed

    from training.watch import Watch

    set_seed(settings.seed)
    # The recipe's word on precision. transformers would take bfloat16 from `accelerate launch` over it.
    os.environ["ACCELERATE_MIXED_PRECISION"] = "bf16" if precision_of(settings) == "bfloat16" else "no"
    steps = planned_steps(settings, material)
    resume = folder.checkpoint()
    if folder.main:
        folder.clear_checkpoints(broken_only=True)
    if sharded():  # processes that know of each other read the weights once, and share them out
        PartialState(cpu=not torch.cuda.is_available())
    model, adapter = material.open(start, settings)
    interrupt = Interrupt()
    with TrainingView(total=steps, shown=folder.main) as view, interrupt.heeded():
        view.note(_opening(material, steps=steps))
        watch = Watch(view=view, interrupt=interrupt, logs=folder.logs if folder.main else None)
        trainer = material.trainer(
            model=model,
            adapter=adapter,
            arguments=trl_arguments(settings, folder=folder.path, steps=steps),
            callbacks=[watch],
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train(resume_from_checkpoint=str(resume) if resume else None)
    if interrupt.asked and trainer.state.global_step < steps:
        raise KeyboardInterrupt
    history = watch.history(trainer.state.log_history)
    figures = material.measure(trainer)
    material.write(trainer, folder.path, settings=settings, start=start, material=material)
    cuda = torch.cuda.is_available()
    return {
        "finished": False,
        "method": material.method,
        "model": start.base_name,
        "continued_from": settings.model if start.adapter else None,
        "data": material.facts,
        "steps": trainer.state.global_step,
        "epochs": round(trainer.state.epoch or 0.0, 3),
        "tokens": history[-1]["tokens"] if history else 0,
        "loss": _first_and_last([point["loss"] for point in history]),
        "seconds": round(watch.seconds, 2),
        "tokens_per_second": round(watch.tokens_per_second, 1),
        "peak_memory_bytes": watch.peak_memory(),
        "device": torch.cuda.get_device_name() if cuda else f"CPU, {torch.get_num_threads()} threads",
        "processes": trainer.args.world_size,
        "precision": precision_of(settings),
        "trained_parameters": watch.trained_parameters,
        "seed": settings.seed,
        "recipe_digest": settings.digest(),
        "versions": {name: importlib.metadata.version(name) for name in VERSIONS}
        | {"python": platform.python_version()},
        "history": history,
    } | figures


def planned_steps(settings: TrainSettings, material: Material) -> int:
    """Optimiser steps in all."""
    return (
        material.steps or settings.max_steps or math.ceil(steps_per_epoch(settings, material.items) * settings.epochs)
    )


def steps_per_epoch(settings: TrainSettings, items: int) -> int:
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    return math.ceil(math.ceil(items / (settings.batch * processes)) / settings.accumulate)


def trl_arguments(settings: TrainSettings, *, folder: Path, steps: int) -> dict[str, Any]:
    """What the recipe means in the words of `transformers.TrainingArguments`, for every method."""
    import torch

    cuda = torch.cuda.is_available()
    checkpointing = cuda if settings.gradient_checkpointing is None else settings.gradient_checkpointing
    return {
        "output_dir": str(folder),
        "seed": settings.seed,
        "max_steps": steps,
        "per_device_train_batch_size": settings.batch,
        "gradient_accumulation_steps": settings.accumulate,
        "learning_rate": settings.peak_learning_rate,
        "lr_scheduler_type": settings.schedule,
        "warmup_steps": 0 if settings.schedule == "constant" else math.ceil(steps * settings.warmup),
        "weight_decay": settings.weight_decay,
        "max_grad_norm": settings.max_grad_norm,
        "bf16": precision_of(settings) == "bfloat16",
        "fp16": False,
        "use_cpu": not cuda,
        "dataloader_pin_memory": cuda,
        "gradient_checkpointing": checkpointing,
        "gradient_checkpointing_kwargs": {"use_reentrant": False} if checkpointing else None,
        "save_strategy": "steps",
        "save_steps": settings.save_steps,
        "save_total_limit": None if settings.keep_checkpoints else 1,
        "logging_strategy": "steps",
        "logging_steps": settings.log_steps,
        "logging_first_step": True,
        "logging_nan_inf_filter": False,
        "include_num_input_tokens_seen": "non_padding",
        "report_to": "none",
        "disable_tqdm": True,
        "log_level_replica": "passive",  # what `quiet` says holds in every process
        "push_to_hub": False,
    }


@contextlib.contextmanager
def quiet(*, verbose: bool) -> Iterator[None]:
    """Libraries keep to errors, and to our own progress bar, unless asked to be verbose."""
    import datasets  # type: ignore[import-untyped]
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    data_bars = datasets.are_progress_bars_disabled()
    if not verbose:
        logging.set_verbosity_error()  # type: ignore[no-untyped-call]
        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        datasets.disable_progress_bars()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]
        if not data_bars:
            datasets.enable_progress_bars()


def _opening(material: Material, *, steps: int) -> str:
    """What is about to be learnt, in one line."""
    facts = material.facts
    kinds = "; ".join(f"{tag} is {kind}" for tag, kind in facts["tags"].items()) or "no tags"
    return (
        f"{facts['rows']:,} rows of {facts['lengths']['min']} to {facts['lengths']['max']} tokens, {steps:,} steps; "
        f"{kinds}" + (f"; stops with {facts['stop_token']}" if facts["stop_token"] else "")
    )


def _first_and_last(losses: Sequence[float]) -> dict[str, float | None]:
    """The mean of the first and of the last tenth of the points."""
    if not losses:
        return {"first": None, "last": None}
    tenth = max(1, len(losses) // 10)
    first, last = losses[:tenth], losses[-tenth:]
    return {"first": round(sum(first) / tenth, 4), "last": round(sum(last) / tenth, 4)}


def require_trl() -> None:
    """Raises UserError where the training libraries are not installed."""
    from importlib.util import find_spec

    if missing := [name for name in ("trl", "peft") if find_spec(name) is None]:
        raise UserError(f"train needs {' and '.join(missing)}; install them with `make install`")
