"""The last word on an answer, and each trap of math-verify 0.9.0 that it must not fall into."""

import asyncio
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from journeys.record import Problem
from problems.sources import ProblemSettings, TaskSettings, load_problems
from problems.verifier import Verifier, choice_letter, equal_numbers


@pytest.fixture(scope="module")
def verifier() -> Iterator[Verifier]:
    shared = Verifier(timeout=3.0)
    yield shared
    shared.close()


def problem(answer: str, kind: str = "math", **metadata: object) -> Problem:
    return Problem.model_validate(
        {"id": "p", "question": "?", "answer": answer, "verifier": kind, "metadata": metadata}
    )


RIGHT = [
    ("18", "18"),
    ("18", "18 eggs"),
    ("18", "18.0"),
    ("1200", "$1,200"),
    ("1,200", "1200"),
    ("0.5", "1/2"),
    (r"\frac{1}{2}", ".5"),
    (r"\frac12", "1/2"),
    ("50%", "0.5"),
    ("50%", "50%"),
    ("50", "50%"),
    ("-3", "−3"),
    ("2 1/2", "2.5"),
    (r"x^2+1", "1 + x^2"),
    ("a + b + c", "c+b+a"),
    (r"11\sqrt2", r"11\sqrt{2}"),
    (r"(3,\pi/2)", r"\left( 3, \frac{\pi}{2} \right)"),
    (r"\left( 3, \frac{\pi}{2} \right)", r"(3,\pi/2)"),
    ("1,2,3", "3, 2, 1"),
    (r"\text{(B)}", "B"),
    (r"\text{(B)}", r"\boxed{B}"),
    (r"\text{Evelyn}", "Evelyn"),
    ("204", r"\boxed{5} is wrong. Wait, \boxed{204}"),
    (r"\dfrac{\sqrt{3}}{2}", r"\boxed{\frac{\sqrt{3}}{2}}"),
    ("5", "x = 5"),
    (r"90^\circ", "90"),
    ("204_5", "204_{5}"),
    ("1/3", "0.333333"),
]


@pytest.mark.parametrize(("gold", "answer"), RIGHT)
async def test_an_equal_answer_is_right(verifier: Verifier, gold: str, answer: str) -> None:
    verdict = await verifier.verify(problem(gold), answer)
    assert verdict.status == "right", verdict


WRONG = [
    ("18", "19"),
    ("0.5", "50%"),
    ("1-1/e", "1+1/e"),  # math-verify alone says yes
    ("1/2", r"\frac{1}{3}"),  # a box regex cut at the first brace says yes
    (r"\frac{1}{2}", r"\boxed{\frac{1}{3}}"),
    ("(1, 2)", "(2, 1)"),
    ("204", "5204"),
    (".0000672", ".0000673"),  # equal at six decimals, as math-verify compares
    ("204_5", "204_6"),  # math-verify drops the base
    (r"\text{Evelyn}", "Briana"),
    ("1/3", "0.33"),
    (r"x^2+1", "x^2+2"),
    ("[0,1)", "[0,1]"),
]


@pytest.mark.parametrize(("gold", "answer"), WRONG)
async def test_a_different_answer_is_wrong(verifier: Verifier, gold: str, answer: str) -> None:
    verdict = await verifier.verify(problem(gold), answer)
    assert verdict.status == "wrong", verdict


@pytest.mark.parametrize(("gold", "answer"), [("18", None), ("18", ""), ("18", "no idea"), ("18", "?"), ("x+1", "§§")])
async def test_what_cannot_be_read_is_unparsed_and_not_wrong(verifier: Verifier, gold: str, answer: str | None) -> None:
    assert (await verifier.verify(problem(gold), answer)).status == "unparsed"


async def test_the_arguments_are_not_swapped(verifier: Verifier) -> None:
    # strict=True and "gold first" make these differ: an interval is no answer to a number, and the reverse.
    assert (await verifier.verify(problem("x=5"), "5")).status == "right"
    assert (await verifier.verify(problem(r"\{1, 2\}"), "1")).status == "wrong"


async def test_a_spinning_comparison_is_killed_and_unparsed_and_the_next_one_is_answered() -> None:
    own = Verifier(timeout=0.5)
    try:
        start = time.monotonic()
        verdict = await own.verify(problem("10"), "9^{9^{9^{9}}}")
        assert verdict.status == "unparsed"
        assert "0.5 s" in verdict.detail
        assert time.monotonic() - start < 60
        assert (await own.verify(problem("x^2"), "x \\cdot x")).status == "right"
    finally:
        own.close()


async def test_many_comparisons_at_once_all_get_their_own_verdict(verifier: Verifier) -> None:
    golds = [rf"\sqrt{{{n}}} + 1" for n in range(2, 22)]
    asked = [verifier.verify(problem(gold), gold if n % 2 else gold + "1") for n, gold in enumerate(golds)]
    verdicts = await asyncio.gather(*asked)
    assert [v.status for v in verdicts] == ["right" if n % 2 else "wrong" for n in range(len(golds))]


def test_a_verifier_serves_one_event_loop_after_another(verifier: Verifier) -> None:
    for _ in range(2):
        assert asyncio.run(verifier.verify(problem("x+1"), "1+x")).status == "right"


def test_closing_ends_the_worker_processes() -> None:
    own = Verifier()
    asyncio.run(own.warm())
    processes = list(own._workers._alive)
    assert processes
    own.close()
    own.close()
    assert all(process.poll() is not None for process in processes)


def test_plain_numbers_need_no_worker_and_microseconds() -> None:
    start = time.process_time()
    for n in range(2000):
        assert equal_numbers(str(n), f"{n} apples") is True
    assert (time.process_time() - start) / 2000 < 200e-6


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("B", "B"),
        ("(b)", "B"),
        (r"\text{(B)}", "B"),
        ("B.", "B"),
        ("B) 12 apples", "B"),
        ("option C", "C"),
        ("**D**", "D"),
        ("12", None),
        ("A and B", None),
        ("Because", None),
    ],
)
def test_a_choice_is_read_from_its_usual_spellings(text: str, letter: str | None) -> None:
    assert choice_letter(text) == letter


async def test_a_choice_may_be_answered_by_its_text(verifier: Verifier) -> None:
    asked = problem("B", "choice", choices=["red", "blue"])
    assert (await verifier.verify(asked, "Blue.")).status == "right"
    assert (await verifier.verify(asked, "A")).status == "wrong"
    assert (await verifier.verify(asked, "green")).status == "unparsed"


async def test_text_is_compared_without_case_and_decoration(verifier: Verifier) -> None:
    assert (await verifier.verify(problem("New York", "text"), ' "new  york." ')).status == "right"
    assert (await verifier.verify(problem("New York", "text"), "York")).status == "wrong"


EVIL = "__import__('os').system('touch HACKED')"


@pytest.mark.parametrize(
    "task",
    [
        "string_insertion",
        "spiral_matrix",
        "binary_matrix",
        "n_queens",
        "puzzle24",
        "countdown",
        "simple_integration",
        "polynomial_multiplication",
        "number_sorting",
    ],
)
async def test_no_scorer_evaluates_an_answer(task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    own = Verifier()
    try:
        settings = ProblemSettings(tasks=(TaskSettings(name=task),))
        (asked,) = load_problems(settings, count=1, seed=3)
        for evil in (EVIL, f"[{EVIL}]", f"1+{EVIL}", "().__class__", "lambda: 0", "1 if open('x') else 2"):
            assert (await own.verify(asked, evil)).status != "right"
        assert asked.answer is not None
        assert (await own.verify(asked, asked.answer)).status == "right"
        assert os.listdir() == []
    finally:
        own.close()


@pytest.mark.parametrize("task", ["countdown", "puzzle24", "polynomial_multiplication", "number_sorting"])
async def test_a_stored_problem_is_scored_without_being_generated_again(verifier: Verifier, task: str) -> None:
    (made,) = load_problems(ProblemSettings(tasks=(TaskSettings(name=task),)), count=1, seed=11)
    stored = Problem.model_validate_json(made.model_dump_json())
    assert stored.answer is not None
    varied = stored.answer.replace(" ", "  ") if task == "number_sorting" else f"({stored.answer})"
    verdict = await verifier.verify(stored, varied)
    assert verdict.status == "right", verdict
    assert verdict.method == f"reasoning-gym:{task}"


@pytest.mark.parametrize("task", ["countdown", "puzzle24"])
async def test_a_number_game_is_right_only_with_the_numbers_it_gives(verifier: Verifier, task: str) -> None:
    config = {"min_target": 10, "max_target": 99} if task == "countdown" else {}
    (asked,) = load_problems(ProblemSettings(tasks=(TaskSettings(name=task, config=config),)), count=1, seed=11)
    assert asked.answer is not None
    first = re.findall(r"\d+", asked.answer)[0]
    for other in (f"{asked.answer} + 1 - 1", f"{asked.answer} * 1", f"{first} - {first} + {asked.answer}"):
        assert (await verifier.verify(asked, other)).status == "wrong", other
    twos = "8 + 8 + 4 + 4" if task == "puzzle24" else str(asked.metadata["entry"]["metadata"]["target"])  # type: ignore[index,call-overload]
    assert (await verifier.verify(asked, twos)).status == "wrong"


async def test_a_sum_may_be_answered_with_units_but_not_with_another_number(verifier: Verifier) -> None:
    (asked,) = load_problems(ProblemSettings(), count=1, seed=1)
    assert (await verifier.verify(asked, f"{asked.answer} apples")).status == "right"
    assert (await verifier.verify(asked, f"{int(asked.answer or 0) + 1}")).status == "wrong"
    assert (await verifier.verify(asked, "unknown")).status == "unparsed"


async def test_a_calculation_given_as_the_answer_stands_for_its_result(verifier: Verifier) -> None:
    (asked,) = load_problems(ProblemSettings(), count=1, seed=1)
    wrong = int(asked.answer or 0) + 1
    told = await verifier.verify(asked, f"28 + 40 = {asked.answer} apples")
    assert (told.status, told.given) == ("right", f"{asked.answer} apples")
    assert (await verifier.verify(asked, f"28 + 40 = {wrong}")).status == "wrong"
    bolts = Problem(id="b", question="How many bolts?", answer="96", verifier="math")
    assert (await verifier.verify(bolts, "32 * 3 = 96 bolts")).status == "right"
    assert (await verifier.verify(bolts, "96 = 3 * 32")).status == "right"
    line = Problem(id="l", question="Give the line's equation.", answer="y = 2x", verifier="math")
    assert (await verifier.verify(line, "y = 2x")).status == "right"
