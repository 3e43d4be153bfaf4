"""Rows for the arm that is not taught to be wrong: the same journeys, with no loss before their last doubt.

What stands before the doubt, the wrong line with it, moves into the prompt as what the assistant has already written.
A journey without a backtrack stays as it is, so there are as many rows, and as many steps, as in the other arms.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from journeys.row_files import line


def write_from_doubt(journeys: Path, target: Path) -> None:
    """Make the rows out of a run's exports/journey_sft.jsonl."""
    rows = [from_doubt(json.loads(row)) for row in journeys.read_text("utf-8").splitlines()]
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text("".join(map(line, rows)), encoding="utf-8")


def from_doubt(row: Mapping[str, Any]) -> dict[str, Any]:
    """One row, its completion beginning with its last doubt."""
    text = row["completion"][0]["content"]
    spans = json.loads(row["spans"])
    # One doubt may be several spans in a row: a word of surprise, then the critic's reason.
    befores = ["", *(span["part"] for span in spans)]
    doubts = [span["start"] for span, before in zip(spans, befores, strict=False) if span["part"] == "doubt" != before]
    kept = {key: row[key] for key in ("journey_id", "problem_id", "answer")}
    if not doubts:
        return {"prompt": row["prompt"], "completion": row["completion"]} | kept
    begun = text[: max(doubts)].rstrip()
    return {
        "prompt": [*row["prompt"], {"role": "assistant", "content": begun}],
        "completion": [{"role": "assistant", "content": text[len(begun) :]}],
    } | kept
