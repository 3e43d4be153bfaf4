#!/usr/bin/env python
"""Retrace's command line: parses, wires, prints. `python run.py COMMAND --help` shows examples."""

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

EXIT_FAULT, EXIT_USER, EXIT_INTERRUPTED = 1, 2, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Returns the exit code: 0 done, 1 a fault, 2 something to mend, 130 interrupted."""
    try:
        code = _main(argv)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        return _complain("stopped; run the same command to go on where it was", EXIT_INTERRUPTED)
    except BrokenPipeError:  # the reader of a pipe went away
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAULT


def _main(argv: Sequence[str] | None) -> int:
    from settings import UserError

    verbose = False
    try:
        args, overrides = _parser().parse_known_args(argv)
        verbose = args.verbose
        _log(verbose=verbose)
        if getattr(args, "keys", False):
            return _keys(args)
        if overrides and args.command in ("doctor", "probe"):  # nothing of theirs is a key of a recipe
            raise UserError(f"command line: {overrides[0]!r} is not an option of {args.command}")
        if args.command == "doctor":
            return _doctor(args)
        complaint = _probe(args, overrides) if args.command == "probe" else args.run(args, overrides)
        return _complain(complaint, EXIT_FAULT) if complaint else 0
    except UserError as error:
        return _complain(str(error), EXIT_USER)
    except BrokenPipeError:
        raise
    except Exception as error:
        if verbose:
            raise
        return _complain(f"{type(error).__name__}: {error}"[:500] + " (--verbose shows where)", EXIT_FAULT)


class _OneLineParser(argparse.ArgumentParser):
    """Complains as everything here does: in one line that says what to do."""

    def error(self, message: str) -> NoReturn:
        from settings import UserError

        raise UserError(f"command line: {message}; `python {self.prog} --help` shows how it is used")


def _parser() -> _OneLineParser:
    """Each room brings its command's options and help, and where to find its settings and what runs it."""
    import evaluation.judging.options
    import evaluation.options
    import generation.options
    import generation.probe_options
    import training.options
    import viewer.options

    parser = _OneLineParser(prog="run.py", description="Reflective long-thought data from two agents in talk.")
    shared = _OneLineParser(add_help=False)
    shared.add_argument("--verbose", action="store_true", help="logs on stderr, and tracebacks")
    shared.add_argument("--json", action="store_true", help="print the result as JSON on stdout, and nothing else")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    judging, probing = evaluation.judging.options, generation.probe_options
    for room in (generation.options, training.options, evaluation.options, judging, probing, viewer.options):
        room.add_command(commands, shared=shared)
    doctor = commands.add_parser(
        "doctor",
        parents=[shared],
        help="say what works on this machine and what to install",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example:\n  python run.py doctor",
    )
    doctor.set_defaults(config=None)
    return parser


def _keys(args: argparse.Namespace) -> int:
    from settings.keys import keys

    print(keys(args.settings()))
    return 0


def _probe(args: argparse.Namespace, flags: Sequence[str]) -> str:
    """Here, because generation finishes the branches and evaluation says what they mean; neither knows the other."""
    from evaluation.probed import told
    from generation.probe_options import run

    fault = run(args, flags)
    if not fault:
        told(args.place, finishes=args.place / "probe.db", against=args.against, as_json=args.json)
    return fault


def _doctor(args: argparse.Namespace) -> int:
    from engines.doctor import examine
    from generation import report

    findings = examine()
    report.print_findings(findings, as_json=args.json)
    return 0 if all(finding.ok for finding in findings) else EXIT_FAULT


def _log(*, verbose: bool) -> None:
    """Logs on stderr: everything with --verbose, else warnings of our own rooms only."""
    logging.basicConfig(level=logging.INFO if verbose else logging.ERROR, format="%(levelname)s %(message)s")
    if not verbose:
        for room in (
            *("engines", "problems", "journeys", "agents", "protocols", "generation", "training", "evaluation"),
            "viewer",
        ):
            logging.getLogger(room).setLevel(logging.WARNING)


def _complain(message: str, code: int) -> int:
    from terminal.printing import one_line

    print("retrace:", one_line(message), file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
