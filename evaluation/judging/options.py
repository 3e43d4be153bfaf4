"""The command `judge` on the command line: options, help, what they stand for. Help imports nothing heavy."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from terminal.commands import add_parser

if TYPE_CHECKING:
    from evaluation.judging.settings import JudgingSettings


def add_command(commands: Any, *, shared: argparse.ArgumentParser) -> None:
    """Add `judge` to the commands of run.py; every key of its recipe is an option beside these."""
    judge = add_parser(
        commands,
        "judge",
        parents=[shared],
        help="measure critics, checkers and reward models on labelled steps",
        about="Each judge is asked about every labelled step, with what stands before it, as in a run. Positive\n"
        "is an error: precision, recall, F1, MCC, the first error of each solution, cost. Every key of a recipe is an\n"
        "option: --engine.max-batch 128 --limit 100",
        examples=(
            "python run.py judge --data runs/countdown --judge evidence --judge silent",
            "python run.py judge --data mr_gsm8k.jsonl --judge evidence --judge strict@Qwen/Qwen2.5-7B-Instruct",
            "python run.py judge --data runs/countdown --judge evidence --judge reward@outputs/ppm",
            "python run.py judge --data runs/countdown --judge strict --rows critic.jsonl  # rows to train a critic on",
            "python run.py judge --keys",
        ),
    )
    judge.add_argument("--config", type=Path, help="the recipe, a YAML file")
    judge.add_argument(
        "--data",
        nargs="+",
        action="extend",
        default=[],
        metavar="PLACE",
        help="labelled steps: run folders and files",
    )
    judge.add_argument(
        "--judge",
        action="append",
        default=[],
        metavar="PERSONA[@MODEL]",
        help="a critic's persona, and the model that speaks it, or reward@MODEL; repeatable, compared with the first",
    )
    judge.add_argument(
        "--rows", type=Path, metavar="FILE", help="write the steps as rows for `train sft` instead; judges nothing"
    )
    judge.add_argument("--keys", action="store_true", help="list every key that a recipe may set")
    judge.set_defaults(settings=settings, run=run)


def settings() -> "type[JudgingSettings]":
    """What a recipe of this command holds."""
    from evaluation.judging.settings import JudgingSettings

    return JudgingSettings


def run(args: argparse.Namespace, flags: Sequence[str]) -> str:
    """Judge and print. Returns what went wrong with an engine, in one line, or ''. Raises UserError."""
    import asyncio

    from evaluation.judging.command import judge, write_rows
    from evaluation.judging.tables import sheets
    from evaluation.options import stopped_in_order
    from evaluation.report import print_sheets
    from settings import load, overrides_from_flags
    from terminal.printing import print_json

    recipe = load(settings(), args.config, overrides(args, overrides_from_flags(flags)))
    if args.rows:
        count = asyncio.run(write_rows(recipe, args.rows))
        written = {"rows": count, "file": str(args.rows)}
        print_json(written) if args.json else print_sheets((), f"Written: {args.rows}  ({count} rows)")
        return ""
    with stopped_in_order():
        outcome = asyncio.run(judge(recipe, recipe=args.config))
    if outcome.lost:
        return f"{outcome.lost} verdicts lost, the last to {outcome.last_error}; run the same command to ask again"
    if args.json:
        print_json(outcome.result)
    elif outcome.result is not None:
        print_sheets(sheets(outcome.result), f"Written: {outcome.folder}/  (verdicts.jsonl, judging.json, table.md)")
    return ""


def overrides(args: argparse.Namespace, flags: Mapping[str, Any]) -> dict[str, Any]:
    """The flags as overrides of the recipe, `--data` and `--judge` written out."""
    meant = dict(flags)
    if args.data:
        meant["data"] = list(args.data)
    if args.judge:
        meant["judges"] = list(args.judge)
    return meant
