"""Any journey that a policy and a critic could grow gives a thought that passes the gate."""

import re
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stitch_material import CRITIQUES, assert_covered, false, grow, turns_of

from journeys.record import Journey
from journeys.stitching.page import Layout
from journeys.stitching.steps import told_turns
from journeys.stitching.thought import stitch

expressions = st.tuples(st.integers(1, 60), st.sampled_from("+-*"), st.integers(1, 60), st.integers(-90, 3600)).map(
    lambda parts: f"{parts[0]} {parts[1]} {parts[2]} = {parts[3]}"
)
prose = st.sampled_from(
    [
        "Tom gives half of the apples to Ann.",
        "So the remaining part goes to the third box.",
        "every side of the square is equally long",
        "Suppose the second statement is false.",
        "\\frac{1}{2} of the cake is left.",
        "Let $y = 2x + 1$.",
        "Wait, I made a mistake.",
        "Hmm, that's not right. Let me look again.",
        "",
        "The price is $2 per egg.",
    ]
)
labels = st.sampled_from(
    ["", "", "", "Step 2: ", "4. ", "Policy: ", "**Step 1:** ", "- ", "Wait, ", "Next, ", "<|im_end|>"]
)
steps = st.builds(lambda label, one, end, two: label + one + end + two, labels, expressions | prose, st.sampled_from(
    [". ", "\n", ", and so ", ""]
), expressions | prose | st.just(""))  # fmt: skip
critiques = st.sampled_from(
    [*CRITIQUES, "", "Wrong.", "Why?", "The critic disagrees.", "Good.", "Bananas are yellow.", "7"]
)
tries = st.builds(
    lambda opening, equation, end: opening + equation + end,
    st.sampled_from(["", "", "No, let me redo that. ", "Wait, that was wrong. ", "I forgot to carry. "]),
    st.sampled_from(["2 + 2 = 5", "2 + 2 = 6", "2 + 2 = 5", "2 + 2 = -3", "2 + 2 = 4", "2 + 2 = 2 + 3 = 5", ""]),
    st.sampled_from(["", "", ".", ", so:", " and then it is|", ". It is 7 * 2 =|"]),
)  # few different ones, so that they come again


@st.composite
def journeys(draw: st.DrawFn) -> Journey:
    rows: list[tuple[Any, ...]] = []
    length = 0
    for _ in range(draw(st.integers(1, 12))):
        step, critique = draw(steps | tries), draw(critiques)
        move = draw(st.sampled_from(["continue", "continue", "backtrack", "reflect", "demoted"]))
        keep = draw(st.integers(0, length)) if move == "backtrack" else None
        length = keep if keep is not None else length + 1
        found = draw(st.sampled_from([(), (), false("2 + 2 = 5"), (("repeated_step", ""),), (("contradiction", "x"),)]))
        rows.append((step, move, critique, keep, found))
    ending = draw(st.sampled_from(["Answer: {}", "So we get \\boxed{{{}}}.", "12 + 30 = 42, done.\nAnswer: {}"]))
    rows.append((ending.format(draw(st.sampled_from(["42", "3/4", "Ann", "y = 5", "-7"]))), "terminate"))
    question = draw(st.sampled_from(["What is 3 + 4?", "Find $x$.", "Tom has 3 apples. How many are left?", ""]))
    return grow(question, *rows, journey_id=draw(st.uuids()).hex)


relaxed = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@relaxed
@given(journeys(), st.booleans(), st.sampled_from(["prose", "lines"]))
def test_every_template_thought_passes_the_gate(journey: Journey, shortcut: bool, layout: Layout) -> None:
    thought = stitch(journey, shortcut=shortcut, layout=layout)
    assert thought.gate.failures == (), thought.text


@relaxed
@given(journeys(), st.sampled_from(["prose", "lines"]))
def test_spans_cover_the_text_without_overlap_and_know_their_turn(journey: Journey, layout: Layout) -> None:
    thought = stitch(journey, layout=layout)
    assert_covered(thought, journey)
    silent = {turn.id for turn in journey.turns if not re.search(r"\w", turn.step)}
    ending = {journey.turns[-1].id}
    spoken = {told.turn.id for told in told_turns(journey) if told.text}
    assert spoken - silent - ending <= turns_of(thought)
