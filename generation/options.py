"""The command `generate` on the command line: options, help, what they stand for. Help imports nothing heavy."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from terminal.commands import add_parser

if TYPE_CHECKING:
    from generation.settings import GenerateSettings


def add_command(commands: Any, *, shared: argparse.ArgumentParser) -> None:
    """Add `generate` to the commands of run.py; every key of its recipe is an option beside these."""
    generate = add_parser(
        commands,
        "generate",
        parents=[shared],
        help="grow journeys over problems and export a verified dataset",
        about="Policy and critic talk over problems; what they say is verified, stitched and exported.\n"
        "Every key of a recipe is an option: --num-problems 50 --policy.model FOLDER --critic.persona strict",
        examples=(
            "python run.py generate --config configs/countdown.yaml",
            "python run.py generate --config configs/gsm8k.yaml --policy.model Qwen/Qwen2.5-1.5B-Instruct --name mine",
            "python run.py generate --config configs/countdown.yaml --dry-run",
            "python run.py generate --keys            # every key with its default and meaning",
        ),
    )
    generate.add_argument("--config", type=Path, help="the recipe, a YAML file (configs/*.yaml)")
    generate.add_argument("--dry-run", action="store_true", help="show config, first prompts and cost; load nothing")
    generate.add_argument("--keys", action="store_true", help="list every key that a recipe may set")
    generate.set_defaults(settings=settings, run=run)


def settings() -> "type[GenerateSettings]":
    """What a recipe of this command holds."""
    from generation.settings import GenerateSettings

    return GenerateSettings


def run(args: argparse.Namespace, flags: Sequence[str]) -> str:
    """Generate and print. Returns what went wrong with an engine, in one line, or ''.

    Raises:
        UserError: the recipe, the problems or the run's folder are not as they must be.
        KeyboardInterrupt: it was stopped, in order.
    """
    import asyncio

    from generation import report
    from generation.command import generate, preview
    from settings import load, overrides_from_flags
    from terminal.printing import print_json

    recipe = load(settings(), args.config, overrides_from_flags(flags))
    if args.dry_run:
        report.print_preview(preview(recipe, recipe=args.config), as_json=args.json)
        return ""
    outcome = asyncio.run(generate(recipe, recipe=args.config))
    print_json(outcome.summary) if args.json else report.print_outcome(outcome)
    if outcome.ending.fault:
        return f"the engine gave out: {outcome.ending.fault}; run the same command to go on"
    if broken := outcome.summary["engine_error"]:
        return (
            f"{broken} journeys were broken off by engine errors, the last one: "
            f"{outcome.ending.last_error}; run the same command to go on with them"
        )
    if outcome.ending.interrupted:
        raise KeyboardInterrupt
    return ""
