"""What the commands print: tables for people, JSON for scripts."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from generation.summary import summary_table
from terminal.printing import harmless, print_json, results

if TYPE_CHECKING:
    from engines.doctor import Finding
    from generation.command import Outcome, Preview

WIDTH = 100
PIPE_WIDTH = 400
"""Into a file or a pipe: wide enough that no path is broken, for someone may copy it."""


def print_outcome(outcome: "Outcome") -> None:
    """The table, the paths of what was written, and one thought to read."""
    console = results(width=PIPE_WIDTH)
    console.print(summary_table(outcome.summary))
    folder = outcome.folder
    paths = Table(title="Written", show_header=False, title_justify="left")
    paths.add_column(style="bold")
    paths.add_column(overflow="fold")
    rows = ", ".join(f"{name} {count}" for name, count in outcome.summary["exports"].items())
    paths.add_row("datasets", f"{folder.exports}/  ({rows})")
    paths.add_row("store", str(folder.database))
    paths.add_row("summary", str(folder.summary))
    paths.add_row("read it", f"python run.py view {folder.path}")
    paths.add_row("send it", f"python run.py report {folder.path}")
    console.print(paths)
    if outcome.sample:
        journey, thought = outcome.sample
        body = Text(f"{harmless(journey.problem.question.strip())}\n\n", style="bold")
        body.append(harmless(thought.text), style="none")
        console.print(Panel(body, title=f"One thought to read: {journey.id}", title_align="left", width=WIDTH))


def print_preview(preview: "Preview", *, as_json: bool) -> None:
    """`--dry-run`."""
    cost = preview.estimate
    ranges = {
        "calls": cost.calls,
        "prompt_tokens": cost.prompt_tokens,
        "completion_tokens": cost.completion_tokens,
        "seconds": tuple(round(seconds) for seconds in cost.seconds),
    }
    prompts = {
        role: [{"role": type(m).__name__.removesuffix("Message").lower(), "content": str(m.content)} for m in messages]
        for role, messages in preview.prompts.items()
    }
    if as_json:
        print_json({"config": preview.config, "prompts": prompts, "estimate": ranges})
        return
    console = results(width=PIPE_WIDTH, markup=False)
    console.print("# Resolved config\n" + preview.config_yaml, soft_wrap=True)
    for role, messages in prompts.items():
        console.print(f"# First prompt of the {role}")
        for message in messages:
            console.print(f"[{message['role']}]\n{harmless(message['content'])}\n", soft_wrap=True)
    console.print(f"# Estimate for {preview.journeys} journeys: typical .. at the limit of the budgets")
    for name, (low, high) in ranges.items():
        console.print(f"{name:>18}  {low:>12,} .. {high:,}")
    console.print("Prompt tokens are counted before prefix caching. Time spans slow to fast machines of each kind.")


def print_findings(findings: Sequence["Finding"], *, as_json: bool) -> None:
    """`doctor`."""
    if as_json:
        print_json([asdict(finding) for finding in findings])
        return
    console = results(width=PIPE_WIDTH)
    table = Table(title="What works on this machine", title_justify="left")
    for column in ("", "what", "found", "what to do"):
        table.add_column(column, overflow="fold")
    for finding in findings:
        mark = "[green]ok[/]" if finding.ok else "[yellow]--[/]"
        table.add_row(mark, Text(finding.name), Text(finding.detail), Text("" if finding.ok else finding.remedy))
    console.print(table)
