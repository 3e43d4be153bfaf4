"""Step labels: what is known of a step, and nothing else."""

from journey_material import PROBLEM, failed, mended, turn

from journeys.record import Move
from journeys.step_labels import step_labels


def test_steps_are_labelled_by_what_is_known_of_them() -> None:
    path, first, second = step_labels(mended(), accepted=True)
    assert (path["steps"], path["ratings"]) == (["17 + 25 = 42", "42 - 8 = 34", "Answer: 34"], [1, 1, 1])
    assert (path["completions"], path["labels"]) == (path["steps"], [True, True, True])
    assert (first["completions"], first["labels"], first["whys"]) == (
        ["17 + 25 = 43"],
        [False],
        ["17 + 25 is 42, not 43."],
    )
    assert (second["steps"], second["ratings"]) == (["17 + 25 = 42", "42 - 8 = 36"], [1, -1])
    assert second["sources"] == ["outcome", "evidence"]
    assert path["prompt"] == PROBLEM.question


def test_steps_of_a_journey_that_came_to_nothing_are_context_and_its_answer_is_wrong() -> None:
    (row,) = step_labels(failed(), accepted=False)
    assert row["ratings"] == [0, 0, -1]
    assert row["prompt"] == f"{PROBLEM.question}\n17 + 25 = 42\n42 - 8 = 36"
    assert (row["completions"], row["labels"]) == (["Answer: 36"], [False])


def test_a_step_removed_without_proof_is_not_labelled() -> None:
    journey = mended()
    doubted = journey.turns[0].model_copy(update={"evidence": ()})
    rows = list(step_labels(journey.model_copy(update={"turns": (doubted, *journey.turns[1:])}), accepted=True))
    assert [row["turns"] for row in rows] == [[1, 3, 4], [1, 2]]


def test_a_longer_branch_is_labelled_where_it_is_known() -> None:
    told = (
        turn(0, None, "Let me add first."),
        turn(1, 0, "The sum is near 40."),
        turn(2, 1, "17 + 25 = 43", Move.BACKTRACK, keep=1, wrong="17 + 25 is 42, not 43."),
        turn(3, 0, "Answer: 34", Move.TERMINATE, answer="34"),
    )
    journey = mended().model_copy(update={"turns": told})
    path, branch = step_labels(journey, accepted=True)
    assert path["ratings"] == [1, 1]
    assert branch["ratings"] == [1, 0, -1]
    assert (branch["completions"], branch["labels"]) == (["17 + 25 = 43"], [False])
    assert branch["prompt"].endswith("Let me add first.\nThe sum is near 40.")
