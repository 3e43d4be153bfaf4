"""Every right way of a search as a shortcut row: which ways, in which order, and what the rows say."""

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet  # type: ignore[import-untyped]
import pytest
from journey_material import PROBLEM, VOICE

from journeys.draft import Draft
from journeys.exports import ExportSettings, Provenance, export
from journeys.record import Journey, Move, Verdict, Verification
from journeys.shortcuts import other_ways
from journeys.store import Store
from journeys.tree import Node, Tree

RIGHT = Verification(status="right", given="34", method="math-verify")
RUN = Provenance(name="demo", protocol="mcts", policy=VOICE, problems="here", num_problems=1, seed=0, digest="d1")


def node(id: int, parent: int | None, step: str, **more: Any) -> Node:
    answers = {"answer": "34", "verification": RIGHT} if step.startswith("Answer") else {}
    return Node(id=id, parent=parent, step=step, **(answers | more))


#   0 17 + 25 = 42        1 25 - 8 = 17          2 17 - 8 = 9 (doubted)   3 Answer: 34 (lucky)
#   4 42 - 8 = 34         5 17 + 17 = 34         6 9 + 25 = 34
#   7 Answer   8 Answer   9 Answer               10 Answer
TREE = Tree(
    nodes=(
        node(0, None, "17 + 25 = 42"),
        node(1, None, "25 - 8 = 17"),
        node(2, None, "17 - 8 = 9", refuted=True, reason="Not in that order."),
        node(3, None, "Answer: 34", lucky=("no step leads there",)),
        node(4, 0, "42 - 8 = 34"),
        node(5, 1, "17 + 17 = 34"),
        node(6, 2, "9 + 25 = 34"),
        node(7, 4, "Answer: 34"),
        node(8, 4, "Answer:  34"),
        node(9, 5, "Answer: 34"),
        node(10, 6, "Answer: 34"),
        node(11, 9, "17 + 17 = 34 again"),
        node(12, 11, "Answer: 34"),
    )
)


def walked(*ids: int) -> Journey:
    """The journey that goes straight along these nodes."""
    draft = Draft(f"{PROBLEM.id}#0", PROBLEM, protocol="mcts", policy=VOICE)
    draft.keep(TREE)
    for place, id in enumerate(ids):
        move = Move.TERMINATE if id == ids[-1] else Move.CONTINUE
        draft.add(TREE.nodes[id].as_turn(id=place, parent=place - 1 if place else None, verdict=Verdict(move=move)))
    return draft.finish("solved", verification=RIGHT)


def exported(folder: Path, **settings: Any) -> list[dict[str, Any]]:
    journey = walked(0, 4, 7)
    with Store(folder / "journeys.db") as store:
        draft = Draft(journey.id, PROBLEM, protocol="mcts", policy=VOICE)
        store.begin(draft)
        store.add_tree(journey.id, TREE)
        store.finish(journey)
        export(store, folder / "exports", ExportSettings(layout="lines", **settings), run=RUN)
    text = (folder / "exports" / "shortcut_sft.jsonl").read_text("utf-8")
    rows: list[dict[str, Any]] = [json.loads(line) for line in text.splitlines()]
    assert pyarrow.parquet.read_table(folder / "exports" / "shortcut_sft.parquet").to_pylist() == rows
    return rows


def test_other_ways_are_right_throughout_and_say_something_else_the_shortest_first() -> None:
    # Not by 2 (a judge doubts it), not 3 (luck), not 8 (the told way in other spaces).
    assert [leaf for leaf, _ in other_ways(walked(0, 4, 7), TREE, most=9)] == [9, 12]
    assert [leaf for leaf, _ in other_ways(walked(0, 4, 7), TREE, most=1)] == [9]
    assert [leaf for leaf, _ in other_ways(walked(1, 5, 9), TREE, most=1)] == [7]
    (_, way), *_ = other_ways(walked(0, 4, 7), TREE, most=1)
    assert [turn.step for turn in way.path] == ["25 - 8 = 17", "17 + 17 = 34", "Answer: 34"]
    assert way.solved
    assert (way.answer, way.problem) == ("34", PROBLEM)


@pytest.mark.parametrize(
    ("settings", "leaves"),
    [
        ({}, [None]),
        ({"shortcuts": "all"}, [None, 9, 12]),
        ({"shortcuts": "all", "max_shortcuts": 2}, [None, 9]),
        ({"shortcuts": "all", "max_shortcuts": 1}, [None]),
    ],
)
def test_shortcuts_are_the_told_way_or_all(tmp_path: Path, settings: dict[str, Any], leaves: list[int | None]) -> None:
    rows = exported(tmp_path, **settings)
    assert [row["leaf"] for row in rows] == leaves
    assert {row["journey_id"] for row in rows} == {f"{PROBLEM.id}#0"}
    assert len({row["completion"][0]["content"] for row in rows}) == len(rows), "no row twice"
    journeys = (tmp_path / "exports" / "journey_sft.jsonl").read_text().splitlines()
    assert len(journeys) == 1, "one journey is told once, whatever becomes of its search"


def test_another_way_is_told_by_its_own_steps(tmp_path: Path) -> None:
    told, other, _ = exported(tmp_path, shortcuts="all")
    assert "17 + 25 = 42" in told["completion"][0]["content"]
    text = other["completion"][0]["content"]
    assert "17 + 17 = 34" in text
    assert "17 + 25" not in text
    assert text.endswith("Answer: 34")
    assert (other["num_turns"], other["num_backtracks"]) == (3, 0)
    assert "other right ways" in (tmp_path / "exports" / "README.md").read_text()
