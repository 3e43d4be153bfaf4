"""Rows for a cold start: worked solutions of reasoning-gym problems, some of them taken up again after a wrong line.

A model that has never thought aloud cannot be taught by its own journeys, which are mostly luck. Here a program writes
the thoughts, one operation a line. In a share of the rows a line is already written wrong, a doubt stands behind it,
and the completion is what comes next: the same operation done right, and the rest. The wrong line lies in the prompt,
where no loss falls, so that mending is learnt and erring is not. A number game's tries that miss are no errors, and are
learnt; with `learn: standing` the doubts between them are read only.
"""

from collections.abc import Iterator, Sequence
from random import Random
from string import Template

from pydantic import Field, field_validator

from journeys.formats import Tags
from journeys.record import Problem, seed_for
from problems import gym
from problems.equations import equations
from problems.number_games import NumberGame, number_game
from problems.sources import ProblemSettings, TaskSettings, load_problems
from problems.worked import TASKS, Worked, worked
from problems.worked_games import tries
from settings import Settings, UserError
from training.rows import Message, SFTRow, Source

MAX_WRONG_TRIES = 2
"""Wrong lines before the doubt that the completion answers."""
MAX_MISSES = 4
"""Tries of a number game before the one that hits."""
NEAREST = 12
"""Tries from which they are drawn: those that come near the target, as a person's do."""
SLIP_TRIES = 20
SLOTS = frozenset(("left", "critique"))


class WorkedSettings(Settings):
    """Which worked solutions to learn from."""

    count: int = Field(1000, ge=1)
    """Problems to draw; those without a worked solution, or with one that the task's scorer refuses, are left out."""
    seed: int = Field(0, ge=0)
    """Which problems; keep it apart from the seeds of runs and evaluations."""
    tasks: tuple[TaskSettings, ...] = (TaskSettings(name="chain_sum", config={"max_terms": 4, "max_digits": 2}),)
    """reasoning-gym tasks, in which shares, as `problems.tasks` of a run."""
    retries: float = Field(0.3, ge=0, le=1)
    """The share of rows that begin behind a wrong line and a doubt."""
    doubts: tuple[str, ...] = ("Wait, that was wrong. $left =",)
    """How a doubt opens the next line, with `$left`, the operation to do again, and `$critique`, what is wrong with it.
    The words should be those of the persona under which the model will be asked."""

    @field_validator("doubts")
    @classmethod
    def _slots_are_known(cls, doubts: tuple[str, ...]) -> tuple[str, ...]:
        for doubt in doubts:
            template = Template(doubt)
            if not template.is_valid() or not SLOTS.issuperset(template.get_identifiers()):
                raise ValueError(f"{doubt!r}: the slots of a doubt are $left and $critique")
        return doubts


def worked_rows(settings: WorkedSettings, *, tags: Tags) -> list[SFTRow]:
    """The rows, always the same for the same settings.

    Raises:
        UserError: a task without worked solutions, or one that runs out of problems.
    """
    for task in settings.tasks:
        if task.name not in TASKS:
            known = ", ".join(sorted(TASKS))
            raise UserError(f"worked.tasks: no worked solutions for {task.name!r}; there are some for {known}")
    problems = load_problems(ProblemSettings(tasks=settings.tasks), count=settings.count, seed=settings.seed)
    rows = []
    for number, (problem, solution) in enumerate(solved(problems), start=1):
        draw = Random(seed_for(settings.seed, problem.id, "worked"))
        source = Source(f"worked solutions, seed {settings.seed}", number)
        retry = draw.random() < settings.retries
        game = number_game(problem.question)
        if game is not None:
            rows.append(_searched(source, problem, game, solution, draw, settings.doubts if retry else (), tags))
            continue
        begun = behind_a_slip(solution, draw, doubts=settings.doubts) if retry else None
        said, rest = begun or ("", "\n".join(solution.lines))
        asked = (Message("user", problem.question),)
        begins = (Message("assistant", tags.open + said),) if begun else ()
        completion = f"{'' if begun else tags.open}{rest}{tags.close}Answer: {solution.answer}"
        rows.append(SFTRow(source, (*asked, *begins), completion, solution.answer))
    return rows


def solved(problems: Sequence[Problem]) -> Iterator[tuple[Problem, Worked]]:
    """The problems that have a worked solution which the task's own scorer accepts."""
    for problem in problems:
        solution = worked(problem)
        if solution is None:
            continue
        task, config, entry = (problem.metadata[key] for key in ("task", "config", "entry"))
        if gym.score(task, config, entry, solution.answer) == 1.0:  # type: ignore[arg-type]
            yield problem, solution


def _searched(
    source: Source,
    problem: Problem,
    game: NumberGame,
    solution: Worked,
    draw: Random,
    doubts: Sequence[str],
    tags: Tags,
) -> SFTRow:
    """A number game: tries that miss, if there are doubts, each doubted in words that need not be learnt; a hit.

    The misses are learnt: a model that was shown hits alone writes the target behind whatever it tries
    (docs/decisions.md).
    """
    text, gone = tags.open, list[tuple[int, int]]()
    near = sorted(tries(game), key=lambda one: abs(one.value - game.target))[:NEAREST]
    misses = [one for one in near if one.value != game.target] if doubts else []
    for miss in draw.sample(misses, min(len(misses), draw.randint(1, MAX_MISSES))):
        values = {"left": "", "critique": f"{miss.value} is not {game.target}."}
        doubt = Template(draw.choice(list(doubts))).substitute(values)
        text += f"{miss.line}\n"
        gone.append((len(text), len(text) + len(doubt)))
        text += f"{doubt} "
    completion = f"{text}{solution.lines[0]}{tags.close}Answer: {solution.answer}"
    return SFTRow(source, (Message("user", problem.question),), completion, solution.answer, tuple(gone))


def behind_a_slip(solution: Worked, draw: Random, *, doubts: Sequence[str]) -> tuple[str, str] | None:
    """A solution up to one or two wrong lines and a doubt, and what comes after; None where no line can go wrong."""
    places = [place for place, line in enumerate(solution.lines) if _result(line) is not None]
    if not places:
        return None
    place = draw.choice(places)
    line = solution.lines[place]
    equation = line.rpartition(": ")[2]
    left, _, right = equation.rpartition(" = ")
    said, opening = list(solution.lines[:place]), ""
    wrong = _slips(line, draw)[: draw.choice((1, 1, MAX_WRONG_TRIES))]
    for result in wrong:
        label = line[: len(line) - len(equation)] if not opening else ""
        said.append(f"{label}{_continued(opening, left, result)}")
        values = {"left": left, "critique": f"{left} is not {result}."}
        opening = Template(draw.choice(list(doubts))).substitute(values)
    if not wrong:
        return None
    mended = _continued(opening, left, right).removeprefix(opening)
    return "\n".join([*said, opening]), "\n".join([mended, *solution.lines[place + 1 :]])


def _continued(opening: str, left: str, result: int | str) -> str:
    """A line that goes on behind a doubt, which may hold the left side already."""
    if opening.endswith("="):
        return f"{opening} {result}"
    return f"{opening} {left} = {result}".lstrip()


def _result(line: str) -> int | None:
    right = line.rpartition("= ")[2]
    return int(right) if right.removeprefix("-").isdecimal() else None


def _slips(line: str, draw: Random) -> list[int]:
    """Wrong results of the kind that small models write, each of which makes the line false, no two alike."""
    left, _, _ = line.rpartition("= ")
    right = _result(line) or 0
    found = list[int]()
    for _ in range(SLIP_TRIES):
        slip = _slip(right, draw)
        flipped = (slip < 0) != (right < 0) and " - " not in left
        false = any(not equation.holds for equation in equations(f"{left}= {slip}"))
        if false and not flipped and slip not in found:
            found.append(slip)
    return found


def _slip(right: int, draw: Random) -> int:
    """A number near the right one: off by a little, by a carry, by a digit, or by its sign."""
    digits = list(str(abs(right)))
    digits[draw.randrange(len(digits))] = str(draw.randrange(10))
    misread = int("".join(digits)) * (-1 if right < 0 else 1)
    carry = 10 if abs(right) >= 10 else 1
    leading: int = 10 ** (len(digits) - 1)
    little = right + draw.choice((-2, -1, 1, 2))
    return draw.choice(
        (little, little, misread, misread, right + carry, right - carry, right + leading, right - leading, -right)
    )
