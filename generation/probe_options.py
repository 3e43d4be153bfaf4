"""The command `probe` on the command line: options, help, what they stand for. Help imports nothing heavy."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from terminal.commands import add_parser


def add_command(commands: Any, *, shared: argparse.ArgumentParser) -> None:
    """Add `probe` to the commands of run.py."""
    probe = add_parser(
        commands,
        "probe",
        parents=[shared],
        help="finish what a run's critic cut and what it let pass: was it right to?",
        about="Every branch that was taken back in some journeys is finished once by the run's own policy, with\n"
        "nobody judging, and so are some steps that were let pass: backtrack precision and recall. With --against,\n"
        "what a point of solve rate cost over another run on the same problems. Both are kept in RUN/probe.json.",
        examples=(
            "python run.py probe runs/embedded",
            "python run.py probe runs/embedded --num-journeys 400 --passes 4   # what is there stays",
            "python run.py probe runs/embedded --num-journeys 0 --against runs/solo      # no model is loaded",
        ),
    )
    probe.add_argument("place", type=Path, metavar="RUN", help="the folder of a run")
    probe.add_argument("--num-journeys", type=int, default=100, help="journeys to probe, drawn at random (default 100)")
    probe.add_argument("--passes", type=int, default=2, help="steps let pass to finish in each of them (default 2)")
    probe.add_argument("--against", type=Path, metavar="RUN", help="a run on the same problems, without a critic say")
    probe.set_defaults(config=None)


def run(args: argparse.Namespace, flags: Sequence[str]) -> str:
    """Finish the branches. Returns what went wrong with the engine, or ''. Raises UserError, KeyboardInterrupt."""
    import asyncio

    from generation.probe import probe

    ending = asyncio.run(probe(args.place, num_journeys=args.num_journeys, passes=args.passes))
    if ending.interrupted:
        raise KeyboardInterrupt
    return f"the engine gave out: {ending.fault}; run the same command to go on" if ending.fault else ""
