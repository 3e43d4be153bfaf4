"""The command `evaluate` on the command line: options, help, what they stand for. Help imports nothing heavy."""

import argparse
import contextlib
import signal
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from terminal.commands import add_parser

if TYPE_CHECKING:
    from evaluation.settings import EvaluateSettings

PRESETS = Path(__file__).parent.parent / "configs" / "problems"


def add_command(commands: Any, *, shared: argparse.ArgumentParser) -> None:
    """Add `evaluate` to the commands of run.py; every key of its recipe is an option beside these."""
    evaluate = add_parser(
        commands,
        "evaluate",
        parents=[shared],
        help="sample models on problems, score and compare them",
        about="Each model is sampled once on each problem (samples: N for more); every figure comes from that.\n"
        "Every key of a recipe is an option: --samples 8 --sampling.temperature 0.7 --engine.max-batch 128",
        examples=(
            "python run.py evaluate --config configs/evaluate.yaml",
            "python run.py evaluate --config configs/evaluate.yaml --model embedded --model outputs/sft"
            " --name compared",
            "python run.py evaluate --model outputs/sft --problems gsm8k --num-problems 200",
            "python run.py evaluate --model http://localhost:8000/v1 --problems my_test.jsonl",
            "python run.py evaluate --keys            # every key with its default and meaning",
        ),
    )
    evaluate.add_argument("--config", type=Path, help="the recipe, a YAML file (configs/evaluate.yaml)")
    evaluate.add_argument(
        "--model", action="append", default=[], help="`embedded`, a folder, a hub id or a URL; several are compared"
    )
    evaluate.add_argument(
        "--problems", metavar="WHICH", help="a preset in configs/problems/, a .jsonl or .parquet file, a recipe's YAML"
    )
    evaluate.add_argument("--dry-run", action="store_true", help="show config and first prompts; load no model")
    evaluate.add_argument("--keys", action="store_true", help="list every key that a recipe may set")
    evaluate.set_defaults(settings=settings, run=run)


def settings() -> "type[EvaluateSettings]":
    """What a recipe of this command holds."""
    from evaluation.settings import EvaluateSettings

    return EvaluateSettings


def run(args: argparse.Namespace, flags: Sequence[str]) -> str:
    """Evaluate and print. Returns what went wrong with an engine, in one line, or ''. Raises UserError."""
    import asyncio

    from evaluation import report
    from evaluation.command import evaluate, preview
    from settings import load, overrides_from_flags
    from terminal.printing import print_json

    recipe = load(settings(), args.config, overrides(args, overrides_from_flags(flags)))
    if args.dry_run:
        planned = preview(recipe, recipe=args.config)
        print_json(report.as_json(planned)) if args.json else report.print_preview(planned)
        return ""
    with stopped_in_order():
        outcome = asyncio.run(evaluate(recipe, recipe=args.config))
    if outcome.lost:
        return f"{outcome.lost} samples lost, the last to {outcome.last_error}; run the same command to draw them again"
    print_json(outcome.result) if args.json else report.print_outcome(outcome)
    return ""


@contextlib.contextmanager
def stopped_in_order() -> Iterator[None]:
    """Let SIGTERM do what Ctrl-C does: close engines and workers, and say how to go on."""

    def stop(number: int, frame: object) -> None:
        if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in a shell's background jobs: nobody hears it
            raise KeyboardInterrupt
        signal.raise_signal(signal.SIGINT)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def overrides(args: argparse.Namespace, flags: Mapping[str, Any]) -> dict[str, Any]:
    """The flags as overrides of the recipe, `--model` and `--problems` written out.

    Raises:
        UserError: `--problems` names nothing that is there.
    """
    meant = dict(flags)
    if args.model:
        meant["models"] = list(args.model)
    if args.problems:
        preset = _problems(args.problems)
        meant = preset | meant
        if isinstance(meant.get("problems"), dict):
            meant["problems"] = preset["problems"] | meant["problems"]
    return meant


def _problems(which: str) -> dict[str, Any]:
    """The recipe keys behind `--problems WHICH`: `problems`, and perhaps `num_problems`."""
    from settings import UserError, read_yaml

    if Path(which).suffix in (".jsonl", ".ndjson", ".parquet"):
        return {"problems": {"source": "file", "path": which}}
    file = Path(which) if which.endswith((".yaml", ".yml")) else PRESETS / f"{which}.yaml"
    if not file.is_file() and file.parent == PRESETS:
        known = ", ".join(sorted(preset.stem for preset in PRESETS.glob("*.yaml")))
        raise UserError(f"--problems: no preset {which!r}; there is {known}; or name a .jsonl, .parquet or .yaml file")
    recipe = read_yaml(file)
    if "problems" not in recipe:
        raise UserError(f"{file}: has no key 'problems'")
    return {key: recipe[key] for key in ("problems", "num_problems") if key in recipe}
