"""Journeys exported as a run does it."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from journey_material import CRITIC, VOICE, redraft

from journeys.exports import SETS, ExportCounts, ExportSettings, Provenance, export
from journeys.record import Journey
from journeys.store import Store

RUN = Provenance(
    name="demo",
    protocol="dialogue",
    policy=VOICE,
    critic=CRITIC,
    problems="written here",
    num_problems=1,
    seed=0,
    digest="d1",
)
CONVERSATIONAL, STANDARD = ExportSettings(), ExportSettings(format="standard")


def exported(
    folder: Path, journeys: Iterable[Journey], settings: ExportSettings = CONVERSATIONAL, **more: Any
) -> tuple[ExportCounts, dict[str, list[dict[str, Any]]]]:
    """What `export` counts, and the rows of each set as JSONL has them."""
    with Store(folder / "journeys.db") as store:
        for journey in journeys:
            store.begin(redraft(journey))
            store.finish(journey)
        counts = export(store, folder / "exports", settings, run=RUN, **more)
    return counts, {name: lines(folder / "exports" / f"{name}.jsonl") for name in SETS}


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]
