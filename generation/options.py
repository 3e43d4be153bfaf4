"""The command `generate` on the command line: its options and its help. Imports nothing, so that help is quick."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from generation.settings import GenerateSettings


def add_command(commands: Any, *, shared: argparse.ArgumentParser) -> None:
    """Add `generate` to the commands of run.py; every key of its recipe is an option beside these."""
    generate = commands.add_parser(
        "generate",
        parents=[shared],
        help="grow journeys over problems and export a verified dataset",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        description="Policy and critic talk over problems; what they say is verified, stitched and exported.\n"
        "Every key of a recipe is an option: --num-problems 50 --policy.model FOLDER --critic.persona strict",
        epilog="examples:\n"
        "  python run.py generate --config configs/embedded.yaml\n"
        "  python run.py generate --config configs/gsm8k.yaml --policy.model Qwen/Qwen2.5-1.5B-Instruct --name mine\n"
        "  python run.py generate --config configs/embedded.yaml --dry-run\n"
        "  python run.py generate --keys            # every key with its default and meaning",
    )
    generate.add_argument("--config", type=Path, help="the recipe, a YAML file (configs/*.yaml)")
    generate.add_argument("--dry-run", action="store_true", help="show config, first prompts and cost; load nothing")
    generate.add_argument("--keys", action="store_true", help="list every key that a recipe may set")
    generate.set_defaults(settings=settings)


def settings() -> "type[GenerateSettings]":
    """What a recipe of this command holds."""
    from generation.settings import GenerateSettings

    return GenerateSettings
