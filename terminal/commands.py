"""How a command looks on run.py's command line: its help laid out as it is written, and no abbreviated options."""

import argparse
from collections.abc import Sequence
from typing import Any


def add_parser(
    commands: Any,
    name: str,
    *,
    help: str,
    about: str,
    examples: Sequence[str],
    parents: Sequence[argparse.ArgumentParser] = (),
) -> argparse.ArgumentParser:
    """A command's parser, for its own options.

    Args:
        commands: the subparsers of run.py.
        help: its line in the list of commands.
        about: opens its own help; lines break where they are broken here.
        examples: close it, as they are typed.
        parents: options that it shares with other commands.
    """
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        parents=list(parents),
        help=help,
        description=about,
        epilog="\n".join(["examples:", *(f"  {example}" for example in examples)]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        # An option that is not the command's own may be a key of its recipe.
        allow_abbrev=False,
    )
    return parser
