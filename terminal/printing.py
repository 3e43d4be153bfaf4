"""Results on stdout: tables for people, JSON for scripts, and no text that could command a terminal."""

import json
import sys
from typing import Any

from rich.console import Console


def results(*, width: int, markup: bool = True) -> Console:
    """A console for stdout, as wide as the terminal.

    Args:
        width: columns where stdout is a file or a pipe.
    """
    console = Console(highlight=False, markup=markup)
    return console if console.is_terminal else Console(highlight=False, markup=markup, width=width)


def print_json(value: Any) -> None:
    """For scripts: JSON on stdout and nothing else."""
    sys.stdout.write(json.dumps(value, indent=2) + "\n")


def harmless(text: str) -> str:
    """The text with its lines, without what could command a terminal: problems, labels and model text are hostile."""
    return "\n".join(_visible(line) for line in text.splitlines())


def one_line(text: str) -> str:
    """The same on one line."""
    return " ".join(_visible(text).split())


def _visible(text: str) -> str:
    return "".join(mark if mark.isprintable() else " " for mark in text)
