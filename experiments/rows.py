"""The rows that the SFT arms learn from: the same journeys, told three ways.

    journey      the whole thought, wrong turns and repairs included
    shortcut     the standing path alone
    from-doubt   the whole thought, with no loss before its last doubt: what stands before it, the wrong line too, moves
                 into the prompt as what the assistant has already written

A policy that is mostly right gives few journeys with a wrong turn, and without one the tellings hardly differ. So those
without are thinned out, for all arms alike. Where the recipe says so, those that go in circles are left out too: a
thought that gives up `7 + 7 = 14` twice teaches to write it twice.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any

from journeys.row_files import line
from problems.equations import equations
from settings import UserError

KINDS = ("journey", "shortcut", "from-doubt")


def write_rows(exports: Path, folder: Path, *, share: float, seed: int, circles: bool = True) -> None:
    """Write a file for each kind, row for row the same journeys; `share` of them hold a backtrack, if enough do.

    Args:
        circles: keep journeys that say the same calculations in two lines.

    Raises:
        UserError: no accepted journey holds a backtrack, so there would be nothing to compare.
    """
    journeys, shortcuts = (_by_journey(exports / f"{name}_sft.jsonl") for name in ("journey", "shortcut"))
    kept = [row for row in journeys.values() if circles or not goes_in_circles(row)]
    chosen = _chosen(kept, share=share, seed=seed)
    told = {
        "journey": [journeys[name] for name in chosen],
        "shortcut": [shortcuts[name] for name in chosen],
        "from-doubt": [from_doubt(journeys[name]) for name in chosen],
    }
    folder.mkdir(parents=True, exist_ok=True)
    for kind, rows in told.items():
        (folder / f"{kind}.jsonl").write_text("".join(map(line, rows)), encoding="utf-8")


def from_doubt(row: Mapping[str, Any]) -> dict[str, Any]:
    """One row, its completion beginning with its last doubt."""
    text = row["completion"][0]["content"]
    spans = json.loads(row["spans"])
    # One doubt may be several spans in a row: a word of surprise, then the critic's reason.
    befores = ["", *(span["part"] for span in spans)]
    doubts = [span["start"] for span, before in zip(spans, befores, strict=False) if span["part"] == "doubt" != before]
    if not doubts:
        return dict(row)
    begun = text[: max(doubts)].rstrip()
    return {
        **row,
        "prompt": [*row["prompt"], {"role": "assistant", "content": begun}],
        "completion": [{"role": "assistant", "content": text[len(begun) :]}],
    }


def goes_in_circles(row: Mapping[str, Any]) -> bool:
    """Whether two lines of a thought calculate the same."""
    lines = row["completion"][0]["content"].splitlines()
    said = [tuple(equation.quote for equation in equations(line)) for line in lines]
    calculated = [line for line in said if line]
    return len({*calculated}) < len(calculated)


def _chosen(journeys: list[dict[str, Any]], *, share: float, seed: int) -> list[str]:
    """The journeys to learn from, in their order."""
    turned = [row["journey_id"] for row in journeys if row["num_backtracks"]]
    straight = [row["journey_id"] for row in journeys if not row["num_backtracks"]]
    if not turned:
        raise UserError("data: no accepted journey holds a backtrack; make more journeys, or hotter ones")
    kept = min(len(straight), round(len(turned) * (1 - share) / share))
    chosen = {*turned, *Random(f"rows {seed}").sample(straight, kept)}
    return [row["journey_id"] for row in journeys if row["journey_id"] in chosen]


def read_rows(file: Path) -> list[dict[str, Any]]:
    return [json.loads(row) for row in file.read_text("utf-8").splitlines()]


def _by_journey(file: Path) -> dict[str, dict[str, Any]]:
    return {row["journey_id"]: row for row in read_rows(file)}
