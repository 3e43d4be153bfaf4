"""Read what a probe left, write RUN/probe.json, print it."""

import json
from pathlib import Path
from typing import Any

from evaluation.probing import backtracks, gained, sheets
from evaluation.report import print_sheets
from journeys.store import Store
from settings import UserError
from settings.files import write_json, writing
from terminal.printing import print_json

KEPT = "probe.json"


def told(run: Path, *, finishes: Path, against: Path | None, as_json: bool) -> dict[str, Any]:
    """The figures of a run, kept in its folder and shown.

    Raises:
        UserError: a store is missing or cannot be read, or the two runs have no problem in common.
    """
    kept = run / KEPT
    figures: dict[str, Any] = json.loads(kept.read_text("utf-8")) if kept.is_file() else {}
    with Store(run / "journeys.db", read_only=True) as journeys:
        if finishes.is_file():
            with Store(finishes, read_only=True) as finished:
                figures["backtracks"] = backtracks(journeys, finished)
        if against is not None:
            with Store(against / "journeys.db", read_only=True) as baseline:
                figures["against"] = gained(journeys, baseline, name=str(against))
    if not figures:
        raise UserError(f"{run}: nothing probed yet; give --num-journeys more than 0, or --against RUN")
    with writing(run, key="runs_dir"):
        write_json(kept, figures)
    if as_json:
        print_json(figures)
    else:
        print_sheets(sheets(figures), f"Written: {kept}")
    return figures
