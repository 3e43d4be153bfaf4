"""What the commands of all experiments do: take a size and keys, run, print, complain in one line."""

import argparse
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from experiments.base import OnOneModel
from experiments.stages import stopped_in_order
from settings import UserError, load, overrides_from_flags

R = TypeVar("R", bound=OnOneModel)


def find_size() -> str:
    """`gpu` where there is one."""
    import torch

    return "gpu" if torch.cuda.is_available() else "cpu"


def command(
    argv: Sequence[str] | None,
    *,
    name: str,
    target: str,
    about: str,
    recipe: type[R],
    sizes: Path,
    run: Callable[[R, str], str],
) -> int:
    """One experiment, end to end. Returns the exit code, as run.py does.

    Args:
        name: of its module.
        target: of the Makefile; the page tells how it is made again.
        recipe: what a size's YAML file holds.
        run: does it, given the recipe and the command that makes it again, and returns what to print.
    """
    parser = argparse.ArgumentParser(prog=f"experiments.{name}", description=about.split("\n")[0])
    known = sorted(file.stem for file in sizes.glob("*.yaml"))
    parser.add_argument("--size", help=f"{', '.join(known)}, or a YAML file; without it a GPU decides")
    args, flags = parser.parse_known_args(argv)
    try:
        size = args.size or find_size()
        file = Path(size) if size.endswith((".yaml", ".yml")) else sizes / f"{size}.yaml"
        settings = load(recipe, file, overrides_from_flags(flags))
        again = f"make {target} SIZE={size}" + (f' ARGS="{shlex.join(flags)}"' if flags else "")
        with stopped_in_order():
            printed = run(settings, again)
    except UserError as error:
        sys.stderr.write(f"experiment: {error}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("experiment: stopped; run the same command to go on where it was\n")
        return 130
    sys.stdout.write(printed)
    return 0
