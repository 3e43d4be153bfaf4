"""What `train` prints: a table for people, JSON for scripts."""

from dataclasses import asdict
from typing import Any

from rich.table import Table
from rich.text import Text

from settings.files import as_yaml
from terminal.printing import harmless, print_json, results
from training.command import Preview
from training.stage import Outcome

WIDTH = 100


def print_outcome(outcome: Outcome, *, as_json: bool) -> None:
    """The training in numbers, and where the model lies."""
    if as_json:
        print_json({"folder": str(outcome.folder)} | outcome.report)
        return
    report, data, loss = outcome.report, outcome.report["data"], outcome.report["loss"]
    start = report["continued_from"] or report["model"]
    title = Text(f"{report['method'].upper()} of {start}", style="table.title")
    table = Table(title=title, show_header=False, title_justify="left")
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    left_out = sum(data["left_out"].values())
    noun = "rows" if report["method"] == "sft" else "pairs"
    rows = {
        noun: f"{data['rows']:,}" + (f" ({left_out:,} left out)" if left_out else ""),
        **({"objective": data["objective"]} if "objective" in data else {}),
        f"tokens a {noun[:-1]}": "{min} .. {median} .. {max}".format(**data["lengths"]),
        "tokens": f"{report['tokens']:,} read",
        "steps": f"{report['steps']:,} ({report['epochs']:g} epochs)",
        "loss": f"{loss['first']} -> {loss['last']}",
        **_first_and_last("margin", report["history"], "rewards/margins"),
        **_first_and_last("log-probability of the chosen", report["history"], "logps/chosen"),
        **_held_out(report.get("held_out")),
        "speed": f"{report['tokens_per_second']:,.0f} tokens/s, {_minutes(report['seconds'])}",
        "peak memory": f"{report['peak_memory_bytes'] / 2**30:.2f} GiB",
        "on": f"{report['device']}, {report['precision']}",
        "model": f"{outcome.folder}/",
        "curves": f"python run.py view {outcome.folder}",
        "send it": f"python run.py report {outcome.folder}",
    }
    for name, value in rows.items():
        table.add_row(name, Text(value))
    results(width=WIDTH).print(table)


def print_preview(preview: Preview, *, as_json: bool) -> None:
    """`--dry-run`."""
    if as_json:
        print_json(asdict(preview))
        return
    console, facts = results(width=WIDTH, markup=False), preview.facts
    console.print("# Resolved config\n" + as_yaml(preview.config), soft_wrap=True)
    console.print("# The first row; learnt from is what stands between » and «")
    console.print(harmless(preview.row) + "\n", soft_wrap=True)
    console.print("# Data")
    for place, rows in facts["sources"].items():
        console.print(f"{rows:>10,} rows of {place}", soft_wrap=True)
    for reason, rows in facts["left_out"].items():
        console.print(f"{rows:>10,} left out: {reason}", soft_wrap=True)
    for tag, kind in facts["tags"].items():
        console.print(f"       tag {tag}: {kind}", soft_wrap=True)
    if facts["stop_token"]:
        console.print(f"      stop {facts['stop_token']}")
    console.print(
        "    tokens a row: {min} shortest, {median} middle, {p95} 95%, {max} longest".format(**facts["lengths"])
    )
    console.print(
        f"    {facts['lengths']['total']:,} tokens an epoch, of which {facts['learnt_tokens']:,} are learnt from"
    )
    console.print(f"    {preview.steps:,} steps, {preview.steps_per_epoch:,} an epoch")


def _held_out(told: dict[str, Any] | None) -> dict[str, str]:
    if not told:
        return {}
    return {"held out": f"{told['pairs']} pairs, the better scores higher in {told['accuracy']:.1%}"}


def _first_and_last(name: str, history: list[dict[str, Any]], key: str) -> dict[str, str]:
    values = [point[key] for point in history if key in point]
    return {name: f"{values[0]:.3f} -> {values[-1]:.3f}"} if values else {}


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.1f} minutes" if seconds >= 90 else f"{seconds:.0f} seconds"
