"""What `evaluate` prints: tables for people; JSON for scripts is evaluation.json itself."""

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from evaluation.command import Outcome, Preview
from evaluation.tables import Sheet, sheets
from settings.files import as_yaml
from terminal.printing import harmless, results

WIDTH = 140


def print_outcome(outcome: Outcome) -> None:
    """The tables, and the paths of what was written."""
    if outcome.result is None:
        return
    folder = outcome.folder
    paths = ", ".join(file.name for file in (folder.samples.path, folder.result, folder.table, folder.plot))
    print_sheets(
        sheets(outcome.result),
        f"Written: {folder.path}/  ({paths})",
        f"Read the answers: python run.py view {folder.path}",
        f"Send them: python run.py report {folder.path}",
    )


def print_sheets(sheets: Sequence[Sheet], *lines: str) -> None:
    """Tables with their notes, then lines that are never broken."""
    console = results(width=WIDTH)
    for sheet in sheets:
        console.print(_rich(sheet))
        if sheet.note:
            console.print(Text(sheet.note, style="dim"))
    for line in lines:
        console.print(Text(line), soft_wrap=True)


def print_preview(preview: Preview) -> None:
    """`--dry-run`."""
    console = results(width=WIDTH)
    console.print(Text("# Resolved config\n" + as_yaml(preview.config)), soft_wrap=True)
    console.print(Text(f"# {preview.problems} problems, {preview.config['samples']} samples each"))
    for label, messages in preview.prompts.items():
        console.print(Text(f"# First prompt of {label}"))
        for message in messages:
            role = type(message).__name__.removesuffix("Message").lower()
            console.print(Text(f"[{role}]\n{harmless(str(message.content))}\n"), soft_wrap=True)


def as_json(preview: Preview) -> dict[str, object]:
    """`--dry-run --json`."""
    prompts = {
        label: [{"role": type(m).__name__.removesuffix("Message").lower(), "content": str(m.content)} for m in messages]
        for label, messages in preview.prompts.items()
    }
    return {"config": preview.config, "problems": preview.problems, "prompts": prompts}


def _rich(sheet: Sheet) -> Table:
    table = Table(title=sheet.title, title_justify="left")
    for place, column in enumerate(sheet.columns):
        table.add_column(Text(column), justify="right" if place else "left", overflow="fold")
    for row in sheet.rows:
        table.add_row(*(Text(harmless(cell)) for cell in row))
    return table
