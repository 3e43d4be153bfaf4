"""The command `train` on the command line: options, help, what they stand for. Help imports nothing heavy."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from terminal.commands import add_parser

if TYPE_CHECKING:
    from training.settings import TrainSettings


def add_command(commands: Any, *, shared: argparse.ArgumentParser) -> None:
    """Add `train` to the commands of run.py; every key of its recipe is an option beside these."""
    train = add_parser(
        commands,
        "train",
        help="fine-tune a model on journeys: SFT, then DPO; or a reward model on searches",
        about="Rows of runs or files in, a model folder out, which generate and evaluate take as a model.\n"
        "Every key of a recipe is an option: --epochs 2 --lora.r 32 --lora null --max-length 8192",
        examples=(
            "python run.py train sft --config configs/sft.yaml --data runs/mine",
            "python run.py train sft --data runs/mine --data-kind shortcut --name phase1      # first the format,",
            "python run.py train sft --data runs/mine --model outputs/phase1 --name phase2    # then the journeys",
            "python run.py train dpo --config configs/dpo.yaml --model outputs/phase2 --data outputs/samples",
            "python run.py train ppm --config configs/ppm.yaml --data runs/mcts     # a judge of steps",
            "python run.py train sft --data runs/mine --dry-run",
            "accelerate launch --config_file configs/accelerate/fsdp.yaml run.py train sft --data runs/mine",
            "python run.py train sft --keys            # every key with its default and meaning",
        ),
    )
    methods = train.add_subparsers(dest="method", required=True, metavar="METHOD")
    for method, help, settings in (
        ("sft", "supervised fine-tuning on rows", sft_settings),
        ("dpo", "direct preference optimisation on pairs", dpo_settings),
        ("ppm", "a process preference model on pairs out of searches", ppm_settings),
    ):
        one = methods.add_parser(method, parents=[shared], help=help, allow_abbrev=False)
        one.add_argument("--config", type=Path, help=f"the recipe, a YAML file (configs/{method}.yaml)")
        one.add_argument(
            "--data", nargs="+", action="extend", default=[], metavar="PLACE", help="run folders and files"
        )
        one.add_argument("--dry-run", action="store_true", help="show config, a row as it is learnt, lengths, steps")
        one.add_argument("--keys", action="store_true", help="list every key that a recipe may set")
        one.set_defaults(settings=settings, run=run)


def sft_settings() -> "type[TrainSettings]":
    """What a recipe of `train sft` holds."""
    from training.sft_settings import SFTSettings

    return SFTSettings


def dpo_settings() -> "type[TrainSettings]":
    """What a recipe of `train dpo` holds."""
    from training.dpo_settings import DPOSettings

    return DPOSettings


def ppm_settings() -> "type[TrainSettings]":
    """What a recipe of `train ppm` holds."""
    from training.ppm_settings import PPMSettings

    return PPMSettings


def run(args: argparse.Namespace, flags: Sequence[str]) -> str:
    """Train and print. Returns '', as nothing goes wrong that is not an exception. Raises UserError."""
    from settings import load, overrides_from_flags
    from training import report
    from training.command import preview, train

    recipe = load(args.settings(), args.config, overrides(args, overrides_from_flags(flags)))
    if args.dry_run:
        report.print_preview(preview(recipe, recipe=args.config), as_json=args.json)
        return ""
    outcome = train(recipe, recipe=args.config, verbose=args.verbose)
    if outcome.main:
        report.print_outcome(outcome, as_json=args.json)
    return ""


def overrides(args: argparse.Namespace, flags: Mapping[str, Any]) -> dict[str, Any]:
    """The flags as overrides of the recipe; places named with --data replace those of the recipe."""
    return {**flags, **({"data": list(args.data)} if args.data else {})}
