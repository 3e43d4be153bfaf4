"""Stitching: a journey told by one person, with every span knowing its turn."""

import re
import time
from itertools import pairwise

import pytest
from journey_material import mended
from stitch_material import CRITIQUES, EGGS, FAR_BACK, JOURNEYS, SUM, false, grow

from journeys.record import Journey
from journeys.stitching import phrases
from journeys.stitching.gate import inspect
from journeys.stitching.page import Layout
from journeys.stitching.thought import Thought, stitch


@pytest.mark.parametrize("journey", JOURNEYS.values(), ids=JOURNEYS)
@pytest.mark.parametrize("shortcut", [False, True], ids=["journey", "shortcut"])
@pytest.mark.parametrize("layout", ["prose", "lines"])
def test_the_template_passes_the_gate(journey: Journey, shortcut: bool, layout: Layout) -> None:
    assert stitch(journey, shortcut=shortcut, layout=layout).gate.failures == ()


@pytest.mark.parametrize("shortcut", [False, True], ids=["journey", "shortcut"])
def test_in_lines_each_step_keeps_its_line_and_its_words(shortcut: bool) -> None:
    lines = stitch(mended(), shortcut=shortcut, layout="lines").text.splitlines()
    if shortcut:
        assert lines[:-1] == ["17 + 25 = 42", "42 - 8 = 34"]
    else:
        first, mend, second, mend_again, _ = lines
        assert (first, second) == ("17 + 25 = 43", "42 - 8 = 36")
        assert "17 + 25 is 42, not 43" in mend
        assert mend.endswith(" 17 + 25 = 42"), "the step that answers a doubt stands behind it"
        assert mend_again.endswith(" 42 - 8 = 34")
    assert re.search(r"\b34\.$", lines[-1])


def test_wrong_step_doubt_and_right_step_stand_in_this_order() -> None:
    text = stitch(SUM).text
    wrong, doubt, right = (text.index(part) for part in ("17 + 25 = 43", "I forgot to carry", "17 + 25 = 42"))
    assert wrong < doubt < right


def test_a_doubt_opens_a_paragraph() -> None:
    thought = stitch(SUM)
    doubt = next(span for span in thought.spans if span.part == "doubt")
    assert thought.text[: doubt.start].endswith("\n\n")


def test_labels_numbers_and_roles_are_gone() -> None:
    text = stitch(SUM).text
    assert not re.search(r"Step|Policy|\b3\. 42|Answer:", text)


def test_the_answer_is_stated_once_and_last() -> None:
    for journey in JOURNEYS.values():
        thought = stitch(journey)
        last = thought.spans[-1]
        assert last.part == "answer"
        assert thought.answer is not None
        assert thought.answer in thought.text[last.start : last.end]
        assert "\\boxed" not in thought.text
        assert len(re.findall(r"\banswer\b(?! \d+\.)", thought.text)) <= 1 + (journey is FAR_BACK)


def test_a_step_that_owns_its_mistake_gets_no_second_doubt() -> None:
    text = stitch(EGGS).text
    assert "I forgot the muffins" in text
    assert "left out" not in text
    assert len(re.findall(r"\bwait\b", text, re.IGNORECASE)) <= 1


def test_a_bare_own_doubt_keeps_its_words_and_gains_the_reason() -> None:
    wrong = ("5 + 6 = 12", "backtrack", "", None, false("5 + 6 = 12"))
    text = stitch(grow("What is 5 + 6?", wrong, ("Hmm, that's not right. 5 + 6 = 11",), ("Answer: 11",))).text
    own = text.index("that's not right")
    assert text.count("that's not right") == 1
    assert "12" in text[own : text.index("5 + 6 = 11")]


TRIES = grow(
    "Use all the numbers 8, 19, 9 to make 323.",
    ("8 + 9 = 17, 17 + 19 = 36", "backtrack", "36 is not 323.", None, (("missed_target", "17 + 19 = 36"),)),
    (
        "Wait. 36 is not 323. Let me try again: 19 - 9 = 10, 10 * 8 = 80",
        *("backtrack", "80 is not 323.", None, (("missed_target", "10 * 8 = 80"),)),
    ),
    ("No. 80 is not 323. Once more: 9 + 8 = 17, 17 * 19 = 323",),
    ("Answer: (9 + 8) * 19", "terminate"),
)


def test_a_search_tells_each_try_and_why_it_was_left() -> None:
    told = stitch(TRIES, layout="lines").text
    words = ("Let me try again:", "Once more:", *map(re.escape, phrases.OTHERWISE))
    again = f" (?:{'|'.join(words)})?"
    assert re.fullmatch(
        r"8 \+ 9 = 17, 17 \+ 19 = 36\n"
        rf"[^\n]{{0,12}}36 is not 323\.{again} ?19 - 9 = 10, 10 \* 8 = 80\n"
        rf"[^\n]{{0,12}}80 is not 323\.{again} ?9 \+ 8 = 17, 17 \* 19 = 323\n"
        r"[^\n]{0,30}\(9 \+ 8\) \* 19\.",
        told,
    ), told
    short = stitch(TRIES, layout="lines", shortcut=True).text
    assert short.splitlines()[0] == "9 + 8 = 17, 17 * 19 = 323", "words for a second try are none for the first"


def test_words_that_echo_the_critique_are_said_once() -> None:
    journey = grow(
        "What is 3 * 4 + 5?",
        ("3 * 4 = 12",),
        ("12 + 5 = 18", "backtrack", "12 + 5 is not 18.", None, false("12 + 5 = 18")),
        ("Wait. 12 + 5 is not 18. Let me do that again: 12 + 5 = 17",),
        ("Answer: 17", "terminate"),
    )
    text = stitch(journey).text
    assert text.count("12 + 5 is not 18") == 1
    assert "Let me do that again: 12 + 5 = 17" in text


def test_dropping_several_steps_says_from_where_it_goes_on() -> None:
    thought = stitch(FAR_BACK)
    doubt = next(index for index, span in enumerate(thought.spans) if span.part == "doubt")
    bridge = thought.spans[doubt + 1]
    assert bridge.part == "bridge"
    assert "8 + 7 = 15" in thought.text[bridge.start : bridge.end]


def test_starting_over_is_said_aloud() -> None:
    journey = grow(
        "What is 2 + 3 + 4?",
        ("2 + 3 = 6",),
        ("6 + 4 = 10", "backtrack", "2 + 3 is not 6.", 0),
        ("2 + 3 = 5",),
        ("5 + 4 = 9",),
        ("Answer: 9", "terminate"),
    )
    assert re.search(r"start|begin", stitch(journey).text)


def test_a_removed_answer_is_not_stated_as_final() -> None:
    text = stitch(FAR_BACK).text
    assert "would make the answer 17" in text
    assert "answer is 17" not in text


def test_an_answer_alone_is_no_step() -> None:
    text = stitch(grow("What is 4 + 5?", ("4 + 5 = 9",), ("9\nAnswer: 9", "terminate"))).text
    assert not re.search(r"\b9\. 9\.|9\. The answer is 9\. 9", text)
    assert text.count("9") == 2


def test_a_reflection_asks_and_the_next_step_answers() -> None:
    text = stitch(EGGS).text
    assert re.search(r"[Ii]s that per day\? Yes, every number is per day", text)


def test_a_demoted_critique_is_not_asserted() -> None:
    journey = grow(
        "What is 2 + 3?",
        ("2 + 3 = 5", "demoted", "You added wrong, it is 6."),
        ("2 + 3 = 5 holds.",),
        ("Answer: 5", "terminate"),
    )
    assert "wrong" not in stitch(journey).text


def test_a_journey_without_an_answer_is_told_but_does_not_pass() -> None:
    thought = stitch(grow("What is 14 + 29?", ("14 + 29 = 33", "backtrack", "", None, false("14 + 29 = 33"))))
    assert "14 + 29" in thought.text
    assert thought.answer is None
    assert not thought.gate.passed


def test_the_shortcut_knows_nothing_of_what_went_wrong() -> None:
    for journey in JOURNEYS.values():
        thought = stitch(journey, shortcut=True)
        assert {span.part for span in thought.spans}.isdisjoint({"doubt"})
    text = stitch(EGGS, shortcut=True).text
    assert "16 - 3" not in text
    assert "forgot" not in text


def test_a_story_about_agents_may_speak_of_agents() -> None:
    journey = grow(
        "An insurance agent sells 5 policies a day. How many does the agent sell in 3 days?",
        ("The agent sells 5 * 3 = 15 policies.",),
        ("Answer: 15", "terminate"),
    )
    assert stitch(journey).gate.passed


@pytest.mark.parametrize(("critique", "own"), CRITIQUES.items(), ids=CRITIQUES)
def test_a_critique_becomes_ones_own_thought(critique: str, own: str) -> None:
    journey = grow("What is 17 + 25?", ("17 + 25 = 43", "backtrack", critique), ("17 + 25 = 42",), ("Answer: 42",))
    assert own.lower() in stitch(journey).text.lower()


@pytest.mark.parametrize(
    "critique",
    [
        "",
        "Wrong.",
        "The critic rejects this; backtrack to step 1.",
        '{"move": "backtrack"}',
        "Good step, this is correct.",
        "The user asked for something else.",
        "<|im_end|>",
    ],
)
def test_a_critique_that_cannot_be_thought_gives_way_to_the_evidence(critique: str) -> None:
    rejected = ("17 + 25 = 43", "backtrack", critique, None, false("17 + 25 = 43"))
    thought = stitch(grow("What is 17 + 25?", rejected, ("17 + 25 = 42",), ("Answer: 42", "terminate")))
    assert re.search(r"17 \+ 25 (isn't|can't be|doesn't make) 43", thought.text)
    assert thought.gate.passed


def test_the_same_journey_gives_the_same_thought_and_another_differs() -> None:
    others = {stitch(SUM.model_copy(update={"id": f"j{number}"})).text for number in range(12)}
    assert stitch(SUM) == stitch(SUM)
    assert len(others) > 6


def test_no_opener_stands_twice_in_a_row() -> None:
    rows = [(f"{n} + 1 = {n + 3}", "backtrack", f"{n} + 1 is not {n + 3}.") for n in range(8)]
    thought = stitch(grow("What is 8 + 1?", *rows, ("8 + 1 = 9",), ("Answer: 9", "terminate")))
    doubts = [thought.text[span.start : span.end] for span in thought.spans if span.part == "doubt"]
    openers = [doubt.split()[0] for doubt in doubts]
    assert all(one != next_one for one, next_one in pairwise(openers))


def test_a_chain_is_doubted_as_a_whole_where_a_link_in_it_is_false() -> None:
    critique = "20 + 78 is not 78 + 10."
    chain = ("20 + 78 = 78 + 10 = 278", "backtrack", critique, None, false("20 + 78 = 78 + 10"))
    text = stitch(grow("Calculate 20 + 78.", chain, ("20 + 78 = 98",), ("Answer: 98", "terminate"))).text
    assert critique.rstrip(".") not in text
    assert re.search(r"chain|that line|can't all be equal|not every equals", text)
    last_link = ("2 + 7 = 7 + 2 = 8", "backtrack", "7 + 2 is not 8.", None, false("7 + 2 = 8"))
    text = stitch(grow("Calculate 2 + 7.", last_link, ("2 + 7 = 9",), ("Answer: 9", "terminate"))).text
    assert "7 + 2 is not 8" in text


@pytest.mark.parametrize(
    ("step", "told"),
    [
        ("48 + 75 = 111. That's 75% of 111. It's 111 * 12 =|", "48 + 75 = 111. That's 75% of 111."),
        ("48 + 75 = 111. That's 75% of 111. It's 111 * 12 =", "48 + 75 = 111. That's 75% of 111."),
        ("48 + 75 = 138, or to be more precise use 6|", "48 + 75 = 138."),
        (
            "48 + 75 = 172, but 2 * 7 = 14, 76 would be 43. That makes|",
            "48 + 75 = 172, but 2 * 7 = 14, 76 would be 43.",
        ),
        ("48 + 75 = 121, so:", "48 + 75 = 121."),
        ("48 + 75 = 108. 108 + 7 = 215. 215 + 7 = 2|", "48 + 75 = 108. 108 + 7 = 215. 215 + 7 = 2."),
        ("Of all the numbers that I could add to 48|", "Of all the numbers that I could add to 48."),
        ("Since the number that comes from the table|", "Since the number that comes from the table ..."),
    ],
)
def test_what_breaks_off_is_left_out_unless_it_takes_an_equation_along(step: str, told: str) -> None:
    text = stitch(grow("Calculate 48 + 75.", (step, "backtrack"), ("48 + 75 = 123",), ("Answer: 123",))).text
    assert f"{told}\n\n" in text


def test_a_step_that_stands_loses_no_number_to_its_broken_end() -> None:
    text = stitch(grow("How many?", ("She has 5 eggs, and her brother has 3|",), ("Answer: 8", "terminate"))).text
    assert "her brother has 3" in text


def test_an_answer_that_does_not_follow_from_the_last_line_is_not_said_to_follow() -> None:
    text = stitch(grow("What is 1 + 1?", ("1 + 1 = 2",), ("2 + 1 = 3",), ("Answer: 2", "terminate"))).text
    assert re.search(r"(?:The|My) answer is 2\.$", text)
    assert "So" not in text[text.index("2 + 1 = 3") :]


def test_a_thought_survives_json() -> None:
    thought = stitch(EGGS)
    assert Thought.model_validate_json(thought.model_dump_json()) == thought


def test_twelve_turns_are_stitched_within_milliseconds() -> None:
    rows = [(f"{n} + 2 = {n + 2}", "backtrack" if n % 4 == 0 else "continue", "You added wrong.") for n in range(1, 12)]
    journey = grow("What is 11 + 2?", *rows, ("Answer: 13", "terminate"))
    stitch(journey)
    started = time.process_time()
    for _ in range(50):
        stitch(journey)
    assert (time.process_time() - started) / 50 < 0.004
    assert inspect(stitch(journey).text, journey).passed
