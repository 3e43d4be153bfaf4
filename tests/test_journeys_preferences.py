"""Preference pairs: whole thoughts, and single steps under a shared prefix."""

from pathlib import Path
from typing import Any

from export_material import STANDARD, exported
from journey_material import PROBLEM, failed, mended

from journeys.exports import ExportSettings
from journeys.preferences import step_pairs
from journeys.record import Evidence, Journey
from journeys.stitching.thought import stitch


def test_outcome_pairs_take_the_shortest_right_thought_and_at_most_the_pairs_allowed(tmp_path: Path) -> None:
    short = mended().turns[1], *mended().turns[3:]
    direct = mended(attempt=9).model_copy(
        update={
            "turns": tuple(
                said.model_copy(update={"id": n, "parent": n - 1 if n else None, "replies_to": None})
                for n, said in enumerate(short)
            )
        }
    )
    wrong = [failed(attempt=n, answer=str(40 + n)) for n in range(1, 5)]
    twin = failed(attempt=6, answer="41")
    settings = ExportSettings(max_pairs_per_problem=3)
    _, rows = exported(tmp_path, [mended(), direct, *wrong, twin], settings)
    pairs = [row for row in rows["preferences"] if row["kind"] == "outcome"]
    assert [pair["rejected_journey"] for pair in pairs] == ["sum-1#1", "sum-1#2", "sum-1#3"]
    for pair in pairs:
        assert pair["chosen_journey"] == direct.id
        assert pair["prompt"] == [{"role": "user", "content": PROBLEM.question}]
        assert pair["chosen"][0]["content"].endswith("</think>\n\nAnswer: 34")
        assert pair["rejected"][0]["content"].endswith(f"Answer: 4{pair['rejected_journey'][-1]}")


def test_attempts_at_different_problems_are_never_paired(tmp_path: Path) -> None:
    other = PROBLEM.model_copy(update={"id": "sum-2"})
    _, rows = exported(tmp_path, [mended(), failed(other)])
    assert [row for row in rows["preferences"] if row["kind"] == "outcome"] == []


def step_rows(journey: Journey, settings: ExportSettings = STANDARD) -> list[dict[str, Any]]:
    return list(step_pairs(journey, settings, lambda told: stitch(told, shortcut=True)))


def test_a_step_pair_shares_its_prefix_and_parts_at_the_first_word() -> None:
    first, second = step_rows(mended())
    assert first["prompt"].startswith(f"{PROBLEM.question}\n\n<think>\n")
    assert first["prompt"].endswith("17 + 25 =")
    assert (first["chosen"].split()[0].strip("."), first["rejected"].split()[0].strip(".")) == ("42", "43")
    assert "17 + 25 = 42" in second["prompt"]
    assert "43" not in second["prompt"]
    assert second["prompt"].endswith("42 - 8 =")
    assert (second["chosen_turn"], second["rejected_turn"], second["why"]) == (3, 2, "false_equation")


def test_a_chosen_step_does_not_own_a_mistake_that_its_prompt_does_not_hold() -> None:
    journey = mended()
    sorry = journey.turns[1].model_copy(update={"step": "Wait, I made a mistake there. 17 + 25 = 42"})
    (first, _) = step_rows(journey.model_copy(update={"turns": (journey.turns[0], sorry, *journey.turns[2:])}))
    assert "mistake" not in first["chosen"] + first["prompt"]
    assert "42" in first["chosen"]


def test_a_step_removed_on_the_critics_word_alone_makes_no_pair() -> None:
    journey = mended()
    unproven = tuple(said.model_copy(update={"evidence": ()}) for said in journey.turns)
    assert step_rows(journey.model_copy(update={"turns": unproven})) == []
    repeated = (Evidence(kind="repeated_step"),)
    only_repeated = tuple(said.model_copy(update={"evidence": repeated}) for said in journey.turns)
    assert step_rows(journey.model_copy(update={"turns": only_repeated})) == []


def test_a_step_pair_whose_sides_say_the_same_is_dropped() -> None:
    journey = mended()
    same = journey.turns[0].model_copy(update={"step": "17 + 25 = 42"})
    rows = step_rows(journey.model_copy(update={"turns": (same, *journey.turns[1:])}))
    assert [row["rejected_turn"] for row in rows] == [2]


def test_an_exhausted_attempt_is_rejected_without_an_answer_line(tmp_path: Path) -> None:
    stopped = failed().model_copy(
        update={"turns": failed().turns[:2], "stop_reason": "exhausted:turns", "verification": None}
    )
    _, rows = exported(tmp_path, [mended(), stopped], STANDARD)
    (pair,) = (row for row in rows["preferences"] if row["kind"] == "outcome")
    assert pair["rejected"].endswith("</think>")
    assert pair["why"] == "exhausted:turns"
