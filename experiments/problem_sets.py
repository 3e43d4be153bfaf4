"""The problems of an experiment: five sets without a question in common, none of which the base was taught with."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from experiments.settings import ExperimentSettings
from journeys.decontaminate import normalised
from journeys.record import Problem, seed_for
from journeys.row_files import line
from problems.number_games import TASKS as GAMES
from problems.number_games import number_game
from problems.sources import ProblemSettings, TaskSettings, load_problems
from problems.worked import worked
from settings import UserError, read_yaml

SPARE = 4
"""Times as many problems are drawn as are wanted, so that enough are left once those seen before are out."""


class ProblemSets:
    """The sets as files of rows, so that every command reads exactly these."""

    NAMES = ("trained", "untrained", "validation", "fresh", "preference", "data")
    """Held-out sets are drawn first: what is left for learning is what they did not take."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, name: str) -> Path:
        return self.folder / f"{name}.jsonl"

    def rows(self, name: str) -> list[dict[str, Any]]:
        return [json.loads(row) for row in self.path(name).read_text("utf-8").splitlines()]

    def questions(self, name: str) -> set[tuple[str, ...]]:
        """What is asked, as `asked` says."""
        return {asked(row["question"]) for row in self.rows(name)}

    def digest(self, name: str) -> str:
        return hashlib.sha256(self.path(name).read_bytes()).hexdigest()[:12]

    def draw(self, settings: ExperimentSettings) -> None:
        """Write the sets. The same settings and base give the same files.

        Raises:
            UserError: a task does not have as many distinct problems.
        """
        wanted = settings.count
        counts = {
            "trained": wanted.held_out,
            "untrained": wanted.held_out,
            "validation": wanted.validation,
            "fresh": wanted.fresh,
            "preference": wanted.preference,
            "data": wanted.data,
        }
        _, taught = taught_with(settings.base_model)
        seen = set(taught)
        self.folder.mkdir(parents=True, exist_ok=True)
        for name in self.NAMES:
            tasks = settings.untrained if name == "untrained" else settings.trained
            rows = [row_of(problem) for problem in unseen(tasks, name, counts[name], settings.draw, seen)]
            self.path(name).write_text("".join(map(line, rows)), encoding="utf-8")


def unseen(
    tasks: tuple[TaskSettings, ...], name: str, count: int, seed: int, seen: set[tuple[str, ...]]
) -> Iterator[Problem]:
    """`count` problems that were not seen before, in the mix of the tasks' weights; they count as seen from now on."""
    shares = _shares(tasks, count)
    for place, (task, share) in enumerate(zip(tasks, shares, strict=True)):
        if not share:  # so few problems that a task of little weight has none
            continue
        left = share
        chosen = seed_for(seed, name, task.name, place)
        for problem in load_problems(ProblemSettings(tasks=(task,)), count=SPARE * share, seed=chosen):
            question = asked(problem.question)
            if left and question not in seen and not _misstated(problem):
                seen.add(question)
                left -= 1
                yield problem
        if left:
            raise UserError(
                f"{name}: {task.name} has only {share - left} problems that no other set holds, {share} are wanted; "
                "widen its config or lower the counts"
            )


def _shares(tasks: tuple[TaskSettings, ...], count: int) -> list[int]:
    """How many of each task; what rounding leaves over goes to the first."""
    total = sum(task.weight for task in tasks)
    shares = [int(count * task.weight / total) for task in tasks]
    return [shares[0] + count - sum(shares), *shares[1:]]


def _misstated(problem: Problem) -> bool:
    """Whether the task states an answer that a solution on paper does not come to (basic_arithmetic sometimes does)."""
    if number_game(problem.question):  # which has many
        return False
    solution = worked(problem)
    return problem.answer is None or (solution is not None and solution.answer != problem.answer.strip())


def taught_with(model: str) -> tuple[tuple[TaskSettings, ...], Iterable[tuple[str, ...]]]:
    """The tasks of the worked solutions that a model was taught with, and what they asked; nothing if it was not.

    The model that it was made from may have been taught with others; they are among them.
    """
    recipe = Path(model) / "recipe.yaml"
    learnt = read_yaml(recipe) if recipe.is_file() else {}
    lesson = learnt.get("worked")
    if not isinstance(lesson, Mapping):
        return (), ()
    tasks = ProblemSettings.model_validate({"tasks": lesson["tasks"]})
    taught = load_problems(tasks, count=int(lesson["count"]), seed=int(lesson["seed"]))
    before, known = taught_with(str(learnt.get("model", "")))
    return (*before, *tasks.tasks), chain(known, (asked(problem.question) for problem in taught))


def asked(question: str) -> tuple[str, ...]:
    """What makes a question this one: its words without spacing and case; of a number game, numbers and target."""
    game = number_game(question)
    return ("make", str(game.target), *map(str, sorted(game.numbers))) if game else normalised(question)


def row_of(problem: Problem) -> dict[str, Any]:
    """A problem as a row of a file. A number game has many right answers, so it keeps what its own scorer needs."""
    entry: Any = problem.metadata.get("entry")
    own_scorer = {"metadata": entry["metadata"]} if problem.family in GAMES and entry else {}
    return {
        "id": problem.id,
        "question": problem.question,
        "answer": str(problem.answer).strip(),
        "family": problem.family,
    } | own_scorer
