"""Steps whose code is run: what is found, in whose line, and what the other checkers make of code."""

from collections.abc import AsyncIterator, Sequence

import isolation_here
import pytest
import pytest_asyncio

from journeys.code import fenced
from journeys.record import Evidence, Move, Problem, Turn, Verdict
from problems.checkers import lucky_reasons
from problems.referee import CheckerSettings, Referee
from sandbox import SandboxSettings

isolated = pytest.mark.skipif(bool(isolation_here.lacking()), reason=isolation_here.lacking())
shared = pytest.mark.asyncio(loop_scope="module")
LIMITS = SandboxSettings(memory_mb=256, cpu_seconds=1, wall_seconds=60, modules=(), workers=1)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def referee() -> AsyncIterator[Referee]:
    async with Referee(CheckerSettings(code=True, sandbox=LIMITS)) as opened:
        yield opened


async def path_of(referee: Referee, steps: Sequence[str]) -> list[Turn]:
    """The steps as turns that stand, with the evidence that each met."""
    path: list[Turn] = []
    for number, step in enumerate(steps):
        found = await evidence(referee, step, path)
        verdict = Verdict(move=Move.CONTINUE)
        path.append(Turn(id=number, parent=number - 1 if number else None, step=step, verdict=verdict, evidence=found))
    return path


async def evidence(referee: Referee, step: str, path: Sequence[Turn] = ()) -> tuple[Evidence, ...]:
    return await referee.check(question="?", path=path, step=step, abandoned=())


EGGS = [fenced("# Nine are whole.\neggs = 12 - 3\nprint('whole:', eggs)"), fenced("def pans(n):\n    return eggs // n")]

FAILURES = [
    ("pan = egs // 4", "pan = egs // 4", "The code stops with NameError: name 'egs' is not defined."),
    ("# two lines\nx = 1\ny = x / 0", "y = x / 0", "The code stops with ZeroDivisionError: division by zero."),
    ("assert eggs == 8  # as I said", "assert eggs == 8  # as I said", "The code stops with AssertionError."),
    ("print(eggs", "print(eggs", "The code stops with SyntaxError: '(' was never closed."),
    ("x = 3 3", "x = 3 3", "The code stops with SyntaxError: invalid syntax."),  # no advice, no line of the program
    (
        "for x in eggs:",
        "for x in eggs:",
        "The code stops with IndentationError: expected an indented block after 'for'",
    ),
    ("pans(0)", "", "The code stops with ZeroDivisionError: integer division or modulo by zero."),  # an earlier line
    ("x = [0] * 10**9", "", "The code stops with MemoryError."),
    ("while True: pass", "", "The code did not come to its end: used more than 1 s of CPU time."),
]


@isolated
@shared
@pytest.mark.parametrize(("code", "quote", "detail"), FAILURES)
async def test_code_that_fails_behind_the_code_that_stands_is_fatal_evidence(
    referee: Referee, code: str, quote: str, detail: str
) -> None:
    path = await path_of(referee, EGGS)
    (found,) = await evidence(referee, fenced(code), path)
    assert (found.kind, found.quote, found.fatal) == ("failed_code", quote, True)
    assert found.detail.startswith(detail)
    assert "line" not in found.detail
    assert found.quote in code


@isolated
@shared
async def test_only_what_the_new_step_printed_is_its_output(referee: Referee) -> None:
    path = await path_of(referee, [*EGGS, fenced("print(pans(4))"), "So two pans."])
    assert [found.detail for turn in path for found in turn.evidence] == ["whole: 9\n", "2\n"]
    assert await evidence(referee, fenced("x = pans(3)"), path) == ()
    (found,) = await evidence(referee, fenced("print(pans(3))"), path)
    assert (found.kind, found.detail, found.fatal) == ("code_output", "3\n", False)


@isolated
@shared
async def test_code_is_no_prose_to_the_other_checkers_and_its_comments_are(referee: Referee) -> None:
    path = await path_of(referee, [fenced("total = 12\nx = 7 % 4 == 3\ny = [1, 2][0:1]\nTotal = 15"), "Total = 15."])
    assert [turn.evidence for turn in path] == [(), ()]
    (found,) = await evidence(referee, fenced("eggs = 12 - 3  # 12 - 3 = 8"))
    assert (found.kind, found.quote) == ("false_equation", "12 - 3 = 8")
    assert [one.kind for one in await evidence(referee, fenced("..."))] == ["empty_step"]


def test_an_answer_is_read_from_words_and_never_from_code() -> None:
    referee = Referee()
    assert referee.answer_in(fenced("# The answer is 5\nprint('Answer: 5')  # Answer: 5")) is None
    assert referee.answer_in(fenced("print(5)") + "\nAnswer: 5") == "5"
    referee.close()


def test_a_program_yields_the_answer_that_it_computed_and_not_the_one_that_it_only_prints() -> None:
    problem = Problem(id="p", question="12 eggs, 3 broken, 4 a pan: how many pans?", answer="2")
    computed = [fenced("eggs = 12 - 3  # whole"), fenced("print(eggs // 4)"), "Answer: 2"]
    assert lucky_reasons(problem, computed, "2", printed="2") == ()
    known = [fenced("pans = 2  # 8 / 4"), fenced("print(pans)"), "Answer: 2"]
    assert lucky_reasons(problem, known, "2", printed="2") != ()
    assert lucky_reasons(problem, computed, "2", printed="12") != ()


async def test_without_the_switch_code_is_not_run() -> None:
    referee = Referee()
    assert await evidence(referee, fenced("1 / 0")) == ()
    referee.close()


async def test_a_referee_that_was_not_opened_says_so() -> None:
    referee = Referee(CheckerSettings(code=True))
    with pytest.raises(RuntimeError, match="async with"):
        await evidence(referee, fenced("x = 1"))
    referee.close()
