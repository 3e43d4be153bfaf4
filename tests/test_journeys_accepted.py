"""Which journeys are learnt from, and how the others are counted."""

from pathlib import Path
from typing import Any

import pytest
from export_material import CONVERSATIONAL, exported
from journey_material import PROBLEM, failed, mended

from journeys.exports import ExportSettings, accepted
from journeys.record import Journey, Move
from journeys.stitching.gate import GateReport
from journeys.stitching.thought import Thought, stitch


def hinted() -> Journey:
    journey = mended()
    told = journey.turns[2].model_copy(update={"rulings": ("refused_answer",)})
    return journey.model_copy(update={"turns": (*journey.turns[:2], told, *journey.turns[3:])})


@pytest.mark.parametrize(
    ("journey", "more", "reason"),
    [
        (failed(attempt=0), {}, "unsolved"),
        (mended(lucky=("no equation gives 34",)), {}, "lucky"),
        (hinted(), {}, "hinted"),
        (mended(), {"dirty": {PROBLEM.id: "what is 17 25 8"}}, "contaminated"),
        (mended(), {"stitch": lambda journey, shortcut: broken(journey, shortcut)}, "gate"),
        (mended(), {"stitch": lambda journey, shortcut: tagged(journey, shortcut)}, "tags_in_text"),
    ],
    ids=["unsolved", "lucky", "hinted", "contaminated", "gate", "tags in text"],
)
def test_a_journey_that_should_not_be_learnt_from_is_kept_out_and_counted(
    tmp_path: Path, journey: Journey, more: dict[str, Any], reason: str
) -> None:
    counts, rows = exported(tmp_path, [journey], **more)
    assert counts.refused == {reason: 1}
    assert counts.accepted == len(rows["journey_sft"]) == len(rows["shortcut_sft"]) == len(rows["preferences"]) == 0


def broken(journey: Journey, shortcut: bool) -> Thought:
    """A stitcher whose shortcuts break a rule of the gate."""
    report = GateReport(passed=not shortcut, failures=("agent_trace: the critic",) if shortcut else ())
    return stitch(journey, shortcut=shortcut).model_copy(update={"gate": report})


def tagged(journey: Journey, shortcut: bool) -> Thought:
    return stitch(journey, shortcut=shortcut).model_copy(update={"text": "I think </think> so."})


def test_gate_failures_are_counted_by_rule(tmp_path: Path) -> None:
    counts, _ = exported(tmp_path, [mended()], stitch=broken)
    assert counts.gate_failures == {"agent_trace": 1}


def test_hinted_journeys_are_accepted_when_allowed() -> None:
    assert accepted(hinted(), ExportSettings(allow_hinted=True)) is None


def guessing(tries: int) -> Journey:
    """`mended` with its first wrong step taken so many times in a row."""
    journey = mended()
    wrong = [journey.turns[0].model_copy(update={"id": n, "step": f"17 + 25 = {50 + n}"}) for n in range(tries)]
    moved = [
        said.model_copy(
            update={
                "id": said.id + tries - 1,
                "parent": None if said.parent is None else said.parent + tries - 1,
                "replies_to": None if said.replies_to is None else said.replies_to + tries - 1,
            }
        )
        for said in journey.turns[1:]
    ]
    return journey.model_copy(update={"turns": (*wrong, *moved)})


def test_a_step_found_after_too_many_tries_was_guessed(tmp_path: Path) -> None:
    assert [accepted(guessing(tries), CONVERSATIONAL) for tries in (1, 6, 7)] == [None, None, "guessed"]
    assert accepted(guessing(3), ExportSettings(max_tries=2)) == "guessed"
    counts, rows = exported(tmp_path, [guessing(7)])
    assert (counts.refused, rows["journey_sft"], rows["shortcut_sft"]) == ({"guessed": 1}, [], [])
    card = (tmp_path / "exports" / "README.md").read_text("utf-8")
    assert "| guessed | 1 |" in card
    assert "more than 6 failed" in card


def test_failed_tries_at_different_places_do_not_add_up() -> None:
    assert accepted(mended(), ExportSettings(max_tries=1)) is None
    assert mended().count(Move.BACKTRACK) == 2
