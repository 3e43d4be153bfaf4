"""Failed tries at one place: told once at length, then in few words, and none of them lost."""

import re

from stitch_material import false, grow, turns_of

from journeys.record import Journey
from journeys.stitching.thought import stitch


def tried(*steps: str) -> Journey:
    """48 + 75 with these steps given up one after another, by a critic that only denies, and then the right one."""
    rows = []
    for step in steps:
        found = re.findall(r"48 \+ 75 = [^.]+", step)
        denial = f"{found[-1].replace(' = ', ' is not ', 1)}." if found else "I have not written anything yet."
        rows.append((step, "backtrack", denial, None, false(found[-1]) if found else (("empty_step", ""),)))
    return grow("Calculate 48 + 75.", *rows, ("Hmm, that is not right. 48 + 75 = 123",), ("Answer: 123", "terminate"))


def test_the_same_wrong_line_again_and_again_is_told_once_and_named_once_more() -> None:
    same = ("48 + 75 = 122", "Wait, that was wrong. 48 + 75 = 122.", "No, let me redo that. 48 + 75 = 122")
    thought = stitch(tried(*same, "Hmm, that is not right. $48 + 75 = 122$"))
    assert thought.text.count("48 + 75 = 122") == 1
    assert len(re.findall(r"48 \+ 75 (?:is not|isn't|doesn't make|can't be) 122", thought.text)) == 1
    assert thought.text.count("122") == 3
    assert thought.gate.passed


def test_turns_that_share_a_sentence_stand_in_its_span() -> None:
    thought = stitch(tried("48 + 75 = 122", "48 + 75 = 122", "48 + 75 = 122", "48 + 75 = 122"))
    (shared,) = (span for span in thought.spans if span.also)
    assert (shared.turn, shared.also) == (1, (2, 3))
    assert "122" in thought.text[shared.start : shared.end]
    assert turns_of(thought) == {0, 1, 2, 3, 4, 5}


def test_from_the_third_failed_try_on_a_wrong_result_is_enough() -> None:
    wrong = [f"No, let me redo that. 48 + 75 = {value}" for value in (192, 161, 121, 223, 161)]
    thought = stitch(tried(*wrong))
    assert re.findall(r"48 \+ 75 = (\d+)", thought.text) == ["192", "161", "123"]
    assert all(value in thought.text for value in ("121", "223"))
    assert thought.text.count("Let me redo that") <= 1
    assert thought.gate.passed
    assert {0, 1, 2, 3, 4, 5} <= turns_of(thought)


def test_a_try_with_words_or_a_reason_of_its_own_is_told_at_length() -> None:
    with_words = "48 + 75 = 210. Now we are supposed to write it as 26 * 6."
    explained = "I forgot to carry the one. 48 + 75 = 113"
    thought = stitch(tried("48 + 75 = 192", "48 + 75 = 161", with_words, explained))
    assert with_words in thought.text
    assert "I forgot to carry the one" in thought.text
    assert "48 + 75 = 113" in thought.text


def test_a_critique_with_a_reason_is_never_lost_behind_a_short_try() -> None:
    rows = [(f"48 + 75 = {value}", "backtrack", f"{value} forgets the carry.") for value in (111, 112, 113, 114)]
    text = stitch(grow("Calculate 48 + 75.", *rows, ("48 + 75 = 123",), ("Answer: 123", "terminate"))).text
    assert all(f"{value} forgets the carry" in text for value in (111, 112, 113, 114))


def test_an_empty_step_is_not_talked_about() -> None:
    with_empty, without = stitch(tried("48 + 75 = 192", "", "", "48 + 75 = 161")), tried("48 + 75 = 192", "")
    assert not re.search(r"written|worked anything|stuck|going round", with_empty.text)
    assert with_empty.gate.passed
    assert stitch(without).gate.passed


def test_a_step_that_only_repeats_what_stands_is_one_short_remark() -> None:
    repeated = (("repeated_step", "9 * 0 = 0"),)
    thought = stitch(
        grow(
            "How many eggs are left?",
            ("9 * 0 = 0",),
            ("", "backtrack", "I have not written anything yet.", None, (("empty_step", ""),)),
            ("Wait, that was wrong. 9 * 0 = 0", "backtrack", "I have been here before.", None, repeated),
            ("Hmm, that is not right. Wait, that was wrong. 9 * 0 = 0",),
            ("0 + 4 = 4",),
            ("Answer: 4", "terminate"),
        )
    )
    assert thought.text.partition("0 + 4")[0].count("9 * 0 = 0") == 2
    assert not re.search(r"not right|was wrong", thought.text)
    assert thought.gate.passed
    assert turns_of(thought) == {0, 2, 3, 4, 5}
