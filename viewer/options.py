"""The commands `view` and `report` on the command line: their options and help. Help imports nothing heavy."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from terminal.commands import add_parser


def add_command(commands: Any, *, shared: argparse.ArgumentParser) -> None:
    """Add `view` and `report` to the commands of run.py."""
    view = add_parser(
        commands,
        "view",
        parents=[shared],
        help="look at runs, evaluations and trainings in a browser, and judge what you read",
        about="A web app for this machine alone: it prints a link with a token, and needs no network.\n"
        "Nothing is changed in a folder but its judgements.db, where your judgements are kept.",
        examples=(
            "python run.py view                                # everything in runs/ and outputs/",
            "python run.py view runs/countdown outputs/evaluate",
            "python run.py view runs/countdown --port 8080     # then, from elsewhere: ssh -L 8080:127.0.0.1:8080 HOST",
        ),
    )
    view.add_argument("places", nargs="*", type=Path, metavar="FOLDER", help="folders, or folders that hold some")
    view.add_argument("--port", type=int, default=0, help="the port on 127.0.0.1; a free one by default")
    view.set_defaults(run=run_view)
    report = add_parser(
        commands,
        "report",
        parents=[shared],
        help="write a run, an evaluation or a training as one HTML file to send around",
        about="Figures, plots and a sample of journeys in one file that needs no network.",
        examples=(
            "python run.py report runs/countdown",
            "python run.py report runs/countdown --out mine.html --journeys 30",
        ),
    )
    report.add_argument("place", type=Path, metavar="FOLDER", help="what generate, evaluate or train has written")
    report.add_argument("--out", type=Path, help="the file to write; FOLDER/report.html by default")
    report.add_argument("--journeys", type=int, default=12, help="how many are told in full (default 12)")
    report.set_defaults(run=run_report)


def run_view(args: argparse.Namespace, flags: Sequence[str]) -> str:
    """Serve until interrupted. Returns '', as nothing goes wrong that is not an exception. Raises UserError."""
    from viewer.command import view

    _no_more(flags, "view")
    view(args.places, port=args.port, as_json=args.json)
    return ""


def run_report(args: argparse.Namespace, flags: Sequence[str]) -> str:
    """Write the file and say where. Returns ''. Raises UserError."""
    from viewer.command import report

    _no_more(flags, "report")
    report(args.place, out=args.out, journeys=args.journeys, as_json=args.json)
    return ""


def _no_more(flags: Sequence[str], command: str) -> None:
    from settings import UserError

    if flags:
        raise UserError(f"command line: {flags[0]!r} is not an option of {command}")
