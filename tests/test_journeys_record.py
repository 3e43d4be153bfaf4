"""The invariants of the record, on journeys that grew by random moves."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from journey_material import HOSTILE, draft, grown, mended, turn, turns

from journeys.draft import Budgets, Draft
from journeys.record import Journey, Move, StopReason, Verification, removals, seed_for, standing

RIGHT = Verification(status="right", given="34", method="math-verify")


@given(grown())
def test_the_path_is_a_chain_from_root_to_head(growing: Draft) -> None:
    parents = [turn.parent for turn in growing.path]
    assert parents == [None, *(turn.id for turn in growing.path)][: len(parents)]


@given(grown())
def test_every_turn_is_on_the_path_or_was_removed_by_exactly_one_verdict(growing: Draft) -> None:
    removed = [turn.id for _, branch in removals(growing.turns) for turn in branch]
    assert sorted(removed + [turn.id for turn in growing.path]) == [turn.id for turn in growing.turns]
    assert removed == [turn.id for turn in growing.abandoned]


@given(grown())
def test_a_verdict_removes_the_step_it_judges(growing: Draft) -> None:
    for judged, branch in removals(growing.turns):
        assert branch[-1] is judged


@given(grown())
def test_what_stands_is_the_same_told_by_the_draft_and_by_its_turns(growing: Draft) -> None:
    assert standing(growing.turns) == tuple(growing.path)
    assert growing.finish("wrong").path == tuple(growing.path)


@given(grown(), st.data())
def test_a_draft_resumed_at_any_moment_goes_on_as_the_one_that_never_stopped(
    growing: Draft, data: st.DataObject
) -> None:
    stopped_after = data.draw(st.integers(0, len(growing.turns)))
    resumed = draft()
    for said in growing.turns[:stopped_after]:
        resumed.add(said)
    resumed = Draft(**_header(resumed), turns=resumed.turns)
    for said in growing.turns[stopped_after:]:
        resumed.add(said)
    assert vars(resumed) == vars(growing)


@given(grown())
def test_a_journey_survives_json_and_keeps_its_digest(growing: Draft) -> None:
    journey = growing.finish("exhausted:turns")
    again = Journey.model_validate_json(journey.model_dump_json())
    assert again == journey
    assert again.digest() == journey.digest()


@given(grown(), st.floats(0, 1e6))
def test_the_canonical_form_forgets_the_machine_and_nothing_else(growing: Draft, seconds: float) -> None:
    journey = growing.finish("exhausted:turns")
    slower = journey.model_copy(
        update={
            "turns": tuple(
                said.model_copy(
                    update={"policy_cost": said.policy_cost.model_copy(update={"seconds": seconds, "cached_tokens": 7})}
                )
                for said in journey.turns
            )
        }
    )
    assert slower.canonical() == journey.canonical()
    left_out = {"seconds", "cached_tokens"}
    whole, kept = json.loads(journey.model_dump_json()), json.loads(journey.canonical())
    del whole["lost"]
    whole["search_cost"] = {key: value for key, value in whole["search_cost"].items() if key not in left_out}
    for said in whole["turns"]:
        for cost in ("policy_cost", "critic_cost"):
            said[cost] = {key: value for key, value in said[cost].items() if key not in left_out}
    assert kept == whole


@given(grown(), st.data())
def test_a_turn_that_does_not_continue_the_head_is_refused(growing: Draft, data: st.DataObject) -> None:
    fitting = data.draw(turns(growing, texts=HOSTILE))
    stranger = len(growing.turns) + 1
    for wrong in ({"id": stranger}, {"parent": stranger}):
        with pytest.raises(ValueError, match="does not continue"):
            growing.add(fitting.model_copy(update=wrong))


def test_a_verdict_cannot_keep_more_steps_than_came_before_the_one_it_rejects() -> None:
    growing = draft()
    growing.add(turn(0, None, "one"))
    with pytest.raises(ValueError, match="cannot keep 2 of 1"):
        growing.add(turn(1, 0, "two", Move.BACKTRACK, keep=2))
    growing.add(turn(1, 0, "two", Move.BACKTRACK, keep=1))
    assert [said.id for said in growing.path] == [0]


@given(grown())
def test_solved_needs_the_verifiers_yes_and_its_yes_means_solved(growing: Draft) -> None:
    wrong = Verification(status="wrong", given="1", method="math-verify")
    said: list[tuple[StopReason, Verification | None]] = [
        ("solved", None),
        ("solved", wrong),
        ("wrong", RIGHT),
        ("exhausted:turns", RIGHT),
    ]
    for stop, verification in said:
        with pytest.raises(ValueError, match="stop reason"):
            growing.finish(stop, verification=verification)
    assert growing.finish("solved", verification=RIGHT).solved


@given(grown())
def test_every_budget_ends_a_journey_that_reaches_it(growing: Draft) -> None:
    count = len(growing.turns)
    wide = Budgets(max_turns=100, max_backtracks=100, max_tokens=10**6)
    assert growing.spent(wide) is None
    if count:
        assert growing.spent(wide.model_copy(update={"max_turns": count})) == "exhausted:turns"
        assert growing.spent(wide.model_copy(update={"max_tokens": 5 * count})) == "exhausted:tokens"
    if growing.backtracks:
        tight = wide.model_copy(update={"max_backtracks": growing.backtracks - 1})
        assert growing.spent(tight) == "exhausted:backtracks"


def test_a_journey_knows_its_path_answer_and_moves() -> None:
    journey = mended()
    assert [said.id for said in journey.path] == [1, 3, 4]
    assert journey.answer == "34"
    assert (journey.count(Move.BACKTRACK), journey.outcome, journey.hinted) == (2, "solved", False)


def test_seeds_depend_on_every_part_and_on_nothing_else() -> None:
    assert seed_for(0, "a", 1) == seed_for(0, "a", 1)
    assert len({seed_for(0, "a", n) for n in range(1000)}) == 1000
    assert seed_for("a", "bc") != seed_for("ab", "c")
    assert 0 <= seed_for(1) < 2**31


def _header(of: Draft) -> dict[str, Any]:
    return {
        "journey_id": of.id,
        "problem": of.problem,
        "attempt": of.attempt,
        "seed": of.seed,
        "protocol": of.protocol,
        "policy": of.policy,
        "critic": of.critic,
    }
