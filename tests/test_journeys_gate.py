"""The fidelity gate: each rule is broken by one deliberate damage to a good thought, and by that rule's name."""

import re

import pytest

from journeys.record import Evidence, Journey, Move, Problem, Turn, Verdict, Verification, Voice
from journeys.stitching.gate import inspect
from journeys.stitching.places import locate
from journeys.stitching.prose import normal
from journeys.stitching.thought import stitch


def turn(place: int, parent: int | None, step: str, move: Move = Move.CONTINUE, **rest: object) -> Turn:
    verdict = Verdict(move=move, critique=str(rest.pop("critique", "")), keep=int(str(rest.pop("keep", 0))))
    return Turn(id=place, parent=parent, step=step, verdict=verdict, **rest)


def journey(question: str, *turns: Turn, answer: str) -> Journey:
    return Journey(
        id="gate",
        problem=Problem(id="p", question=question),
        protocol="t",
        policy=Voice(persona="s", model="m"),
        turns=turns,
        stop_reason="solved",
        verification=Verification(status="right", given=answer, method="math-verify"),
    )


FOUND = (Evidence(kind="false_equation", quote="17 + 25 = 43"),)
SUM = journey(
    "What is 17 + 25 - 8 + 100?",
    turn(0, None, "17 + 25 = 43", Move.BACKTRACK, evidence=FOUND),
    turn(1, None, "17 + 25 = 42", replies_to=0),
    turn(2, 1, "42 - 8 = 34"),
    turn(3, 2, "The bus fare of 100 cents is still to be added to that."),
    turn(4, 3, "34 + 100 = 134"),
    turn(5, 4, "Answer: 134", Move.TERMINATE, answer="134"),
    answer="134",
)
GOOD = (
    "I want 17 + 25 - 8 + 100. First 17 + 25 = 43.\n\nWait, 5 and 7 make 12, so that is wrong. Once more: "
    "17 + 25 = 42. Then 42 - 8 = 34. The bus fare of 100 cents is still to be added to that. "
    "So 34 + 100 = 134.\n\nThe answer is 134."
)


def codes(text: str, *, of: Journey = SUM, shortcut: bool = False) -> set[str]:
    return {failure.split(":")[0] for failure in inspect(text, of, shortcut=shortcut).failures}


def test_a_good_thought_in_other_words_passes() -> None:
    assert inspect(GOOD, SUM).failures == ()


DAMAGE = {
    "a changed result": ("42 - 8 = 34", "42 - 8 = 35", "lost_equation"),
    "a changed operand": ("42 - 8 = 34", "142 - 8 = 34", "lost_equation"),
    "an equation cut short": ("34 + 100 = 134.", "34 + 100 = 13.", "lost_equation"),
    "a dropped equation": ("Then 42 - 8 = 34.", "", "lost_equation"),
    "a dropped number": ("100", "some", "lost_number"),
    "a dropped sentence": ("The bus fare of 100 cents is still to be added to that.", "", "lost_step"),
    "no wrong turn": ("First 17 + 25 = 43.", "", "lost_branch"),
    "no reason": ("Wait, 5 and 7 make 12, so that is wrong. Once more: ", "Then I see ", "unclosed_branch"),
    "nothing between": ("Wait, 5 and 7 make 12, so that is wrong. Once more: ", "", "unclosed_branch"),
    "another answer": ("The answer is 134.", "The answer is 135.", "wrong_answer"),
    "no answer stated": ("The answer is 134.", "That is it.", "wrong_answer"),
    "an answer that runs on": ("The answer is 134.", "The answer is 1345.", "wrong_answer"),
    "the answer twice": ("So 34 + 100 = 134.", "So 34 + 100 = 134. The answer is 134.", "repeated_answer"),
    "a critic": ("Wait,", "Wait, the critic says", "trace"),
    "a user": ("Wait,", "Wait, the user is right,", "trace"),
    "an assistant": ("Wait,", "As an assistant,", "trace"),
    "an agent": ("Wait,", "Wait, the other agent says", "trace"),
    "a policy": ("Wait,", "Wait, the policy says", "trace"),
    "a checker": ("Wait,", "Wait, the checker says", "trace"),
    "a step label": ("Then 42", "Step 3: 42", "label"),
    "a role label": ("Wait,", "\nCritic: wait,", "label"),
    "a heading": ("\n\nThe answer", "\n\n## Result\n\nThe answer", "label"),
    "a template token": ("Then 42", "<|im_end|> Then 42", "markup"),
    "a think tag": ("I want", "<think>I want", "markup"),
    "JSON": ("Then 42", '{"step": "go on"} Then 42', "markup"),
    "a code fence": ("Then 42", "```\nThen 42", "markup"),
    "a preface": ("I want", "Here is the rewritten thought: I want", "leak"),
    "talk of the draft": ("I want", "As the draft says, I want", "leak"),
    "an instruction": ("I want", "These must appear unchanged. I want", "leak"),
}


@pytest.mark.parametrize(("whole", "damaged", "code"), DAMAGE.values(), ids=DAMAGE)
def test_damage_is_named(whole: str, damaged: str, code: str) -> None:
    assert whole in GOOD
    assert code in codes(GOOD.replace(whole, damaged))


def test_an_answer_that_is_not_at_the_end_is_none() -> None:
    early = GOOD.replace("\n\nThe answer is 134.", "").replace("I want", "The answer is 134. I want")
    assert "wrong_answer" in codes(early)


def test_a_branch_told_after_its_repair_is_lost() -> None:
    moved = GOOD.replace("First 17 + 25 = 43.", "").replace(
        "\n\nThe answer", " Earlier I had 17 + 25 = 43.\n\nThe answer"
    )
    assert "unclosed_branch" in codes(moved) or "lost_branch" in codes(moved)


def test_every_repetition_of_a_wrong_step_has_to_be_told() -> None:
    twice = journey(
        "What is 1 + 2?",
        turn(0, None, "1 + 2 = 4", Move.BACKTRACK),
        turn(1, None, "1 + 2 = 4", Move.BACKTRACK, replies_to=0),
        turn(2, None, "1 + 2 = 3", replies_to=1),
        turn(3, 2, "Answer: 3", Move.TERMINATE, answer="3"),
        answer="3",
    )
    assert "lost_branch" in codes("Now 1 + 2 = 4. Wait, that is wrong. So 1 + 2 = 3. The answer is 3.", of=twice)
    assert stitch(twice).gate.passed


def guesses(*values: int) -> Journey:
    """1 + 2 with these results given up one after another at one place, and then the right one."""
    wrong = [turn(n, None, f"1 + 2 = {v}", Move.BACKTRACK, critique=f"1 + 2 is not {v}.") for n, v in enumerate(values)]
    at = len(values)
    right = turn(at, None, "1 + 2 = 3"), turn(at + 1, at, "Answer: 3", Move.TERMINATE, answer="3")
    return journey("What is 1 + 2?", *wrong, *right, answer="3")


START = "Now 1 + 2 = 4. Wait, 1 + 2 isn't 4. So 1 + 2 = 5. No, 1 + 2 can't be 5. "
END = " Slowly: 1 + 2 = 3. The answer is 3."


@pytest.mark.parametrize(
    "told", ["Not 6 either. 7 is wrong too.", "1 + 2 = 6? No, not 6. 7 is no better.", "6? No. 7? No."]
)
def test_a_further_failed_try_may_be_told_by_its_result(told: str) -> None:
    assert codes(START + told + END, of=guesses(4, 5, 6, 7)) == set()


@pytest.mark.parametrize(
    ("told", "code"),
    [
        ("Not 6 either.", "lost_branch"),
        ("I try some others.", "lost_branch"),
        ("Not 6 either. 77 is wrong too.", "lost_branch"),
        ("Not 6 either. Then 3 + 7 isn't it.", "lost_branch"),
        ("Not 6 either. Then comes 7.", "lost_branch"),
        ("7 is wrong too. Not 6 either.", "lost_branch"),
        ("1 + 2 = 6. 7 is wrong too.", "unclosed_branch"),
    ],
)
def test_a_result_that_is_not_named_or_not_rejected_is_a_lost_branch(told: str, code: str) -> None:
    assert code in codes(START + told + END, of=guesses(4, 5, 6, 7))


def test_the_first_two_failed_tries_have_to_be_told_as_written() -> None:
    assert "lost_branch" in codes("Now 1 + 2 = 4. Wait, that is wrong. Not 5 either." + END, of=guesses(4, 5))


def test_a_result_that_came_again_has_to_be_said_to_come_again() -> None:
    of = guesses(4, 5, 4, 4)
    assert codes(START + "I get 4 again, and then again." + END, of=of) == set()
    assert "lost_branch" in codes(START + "I try it a few times." + END, of=of)
    assert "lost_branch" in codes(START + "Then 4 plus something." + END, of=of)


def solved(*steps: str, answer: str) -> Journey:
    """A journey without wrong turns."""
    turns = [turn(n, n - 1 if n else None, step) for n, step in enumerate(steps)]
    end = turn(len(steps), len(steps) - 1, f"Answer: {answer}", Move.TERMINATE, answer=answer)
    return journey("What is it?", *turns, end, answer=answer)


@pytest.mark.parametrize(
    ("steps", "answer"),
    [
        (["8 * 4 = 32, but 32 is not the answer."], "32"),
        (["8 * 4 = 32.", "So the answer isn't 32."], "32"),
        (["8 * 4 = 32.", "But 32 is wrong."], "32"),
        (["50 + 23 = 73, not 50 + 23 = 73."], "73"),
        (["50 + 23 = 73, not 73."], "73"),
        (["69 + 34 = 103", "103 + 34 = 237, not 69 + 34 = 103."], "103"),
        (["2 + 2 = 4. Hmm, 2 + 2 = 4 is incorrect.", "4 + 1 = 5"], "5"),
    ],
)
def test_a_path_that_denies_what_it_asserts_is_named(steps: list[str], answer: str) -> None:
    for shortcut in (False, True):
        failures = stitch(solved(*steps, answer=answer), shortcut=shortcut).gate.failures
        assert [failure.split(":")[0] for failure in failures] == ["self_denial"]


@pytest.mark.parametrize(
    ("steps", "answer"),
    [
        (["8 * 4 = 32, and 31 is not the answer."], "32"),
        (["8 * 4 = 32, but 32 is not the answer yet.", "32 - 0 = 32"], "32"),
        (["8 * 4 = 32, so the answer is not 32.5 and not 132."], "32"),
        (["The total is not 50 + 20 = 70.", "50 + 23 = 73"], "73"),
        (["3 + 4 = 8. No, 3 + 4 = 8 is wrong, 3 + 4 = 7."], "7"),
        (["So x = 3 or x = -3.", "x = -3 is not true for lengths, so x = 3."], "3"),
        (["Is 32 not the answer? It is: 8 * 4 = 32."], "32"),
        (["If 32 is wrong, I would see it: 8 * 4 = 32."], "32"),
        (["It is 20 + 12 = 32, not 32 + 1."], "32"),
    ],
)
def test_a_correction_or_another_value_is_no_self_denial(steps: list[str], answer: str) -> None:
    assert stitch(solved(*steps, answer=answer)).gate.failures == ()


def test_a_step_that_was_given_up_may_deny_what_it_likes() -> None:
    of = journey(
        "What is 8 * 4?",
        turn(0, None, "8 * 4 = 32, but 32 is not the answer.", Move.BACKTRACK, critique="Why would it not be?"),
        turn(1, None, "8 * 4 = 32", replies_to=0),
        turn(2, 1, "Answer: 32", Move.TERMINATE, answer="32"),
        answer="32",
    )
    assert stitch(of).gate.passed


def test_an_empty_text_is_empty() -> None:
    assert codes(" \n ") == {"empty"}


def test_a_thought_is_neither_a_summary_nor_a_novel() -> None:
    assert "length" in codes(GOOD + " I look at this for a while and think about what it might mean." * 20)
    assert "length" in codes("The answer is 134.")


def test_a_repeated_paragraph_is_named() -> None:
    paragraph = "Let me look at what I have here before I go on."
    assert "repeated_paragraph" in codes(GOOD.replace("\n\nWait", f"\n\n{paragraph}\n\n{paragraph}\n\nWait"))


def test_a_journey_without_an_answer_never_passes() -> None:
    unanswered = SUM.model_copy(
        update={"turns": SUM.turns[:-1], "stop_reason": "exhausted:turns", "verification": None}
    )
    assert "no_answer" in codes(GOOD, of=unanswered)


def test_a_shortcut_needs_no_branch_but_every_step() -> None:
    straight = stitch(SUM, shortcut=True).text
    assert codes(straight, shortcut=True) == set()
    assert {"lost_branch"} <= codes(straight)
    assert "lost_equation" in codes(straight.replace("42 - 8 = 34", "42 - 8"), shortcut=True)


def test_words_of_the_problem_are_no_traces() -> None:
    asked = SUM.problem.model_copy(update={"question": "Each agent pays 17 + 25 - 8 + 100. How much?"})
    text = GOOD.replace("I want", "Each agent pays")
    assert "trace" in codes(text)
    assert "trace" not in codes(text, of=SUM.model_copy(update={"problem": asked}))


def test_rewriting_an_equation_is_no_talk_of_the_rewrite() -> None:
    assert codes(GOOD.replace("I want", "I can rewrite the problem and want")) == set()


def test_spelling_of_mathematics_does_not_matter() -> None:
    respelled = GOOD.replace("42 - 8 = 34", "$42 − 8=34$").replace("The answer is 134.", "So my answer is $134$.")
    assert codes(respelled) == set()


def test_a_failure_quotes_the_words_that_broke_the_rule() -> None:
    report = inspect(GOOD.replace("Wait,", "Wait, the critic says"), SUM)
    assert not report.passed
    assert any("the critic says" in failure for failure in report.failures)


@pytest.mark.parametrize(
    ("part", "text", "found"),
    [
        ("7+25=42", "17 + 25 = 42", False),
        ("17+25=42", "17 + 25 = 421", False),
        ("17+25=42", "17 + 25 = 42.5", False),
        ("17+25=42", "so 17 + 25 = 42.", True),
        ("x=5", "2x=5", False),
        ("x=5", "then x = 5, done", True),
        ("1000+2=1002", "1,000 + 2 = 1,002", True),
        ("3*4=12", "3 \\times 4 = 12", True),
    ],
)
def test_an_equation_is_found_whole_or_not_at_all(part: str, text: str, found: bool) -> None:
    assert (locate(part, normal(text)) is not None) is found


def test_hostile_text_is_inspected_without_trouble() -> None:
    for text in ("{" * 3000, "\\boxed{" * 500, "= " * 3000, "(" * 3000, "answer is " * 300, "\x00\ud7ff🙂" * 100):
        assert not inspect(text, SUM).passed
    hostile = SUM.turns[2].model_copy(update={"step": re.sub("x", "{[<|", "x" * 500) + "\\boxed{"})
    assert isinstance(stitch(SUM.model_copy(update={"turns": (*SUM.turns[:2], hostile, *SUM.turns[3:])})).text, str)


def test_a_way_back_that_says_nothing_itself_needs_a_reason_before_the_next_step() -> None:
    """The next step may be named before it is said: here the doubt about the first telling names it."""
    of = journey(
        "What is 3 + 4?",
        turn(0, None, "3 + 4 = 7", Move.REFLECT, critique="You added wrong."),
        turn(1, 0, "", Move.BACKTRACK, critique="You added wrong."),
        turn(2, None, "3 + 4 = 7", replies_to=1),
        turn(3, 2, "Answer: 7", Move.TERMINATE, answer="7"),
        answer="7",
    )
    begun, end = "I want 3 + 4. 3 + 4 = 7.", " 3 + 4 = 7. The answer is 7."
    asked = f"{begun} Is 3 + 4 = 7 really right?"
    assert "unclosed_branch" not in codes(f"{asked}\n\nHang on, I added wrong. Let me start fresh.{end}", of=of)
    assert "unclosed_branch" in codes(f"{begun} And 3 + 4 = 7 it is, I see.{end}", of=of)
