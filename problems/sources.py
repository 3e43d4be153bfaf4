"""Problems by recipe: reasoning-gym's generators, a JSONL or Parquet file, PRM800K, or a data set of the hub."""

import hashlib
import sqlite3
from collections.abc import Iterable, Iterator
from itertools import islice
from random import Random
from typing import Literal

from pydantic import Field, JsonValue

from journeys.record import Problem, seed_for
from problems import gym
from problems.prm800k import read_prm800k
from problems.rows import FieldNames, Row, read_hub, read_rows, sniffed
from settings import Settings, UserError


class TaskSettings(Settings):
    """One reasoning-gym task in the mix."""

    name: str
    weight: float = Field(1.0, gt=0)
    """Its share of the problems, against the other tasks' weights."""
    config: dict[str, JsonValue] = Field(default_factory=dict)
    """The task's own settings, as reasoning-gym names them (`max_terms`, `max_digits`, ...)."""
    suffix: str = ""
    """Appended to each question, to say what an answer should look like."""
    question: str = ""
    """Asks in these words in place of the task's own, with the names of its entries' metadata: for countdown
    `Use all the numbers $numbers to make $target.`"""


class ProblemSettings(Settings):
    """Where problems come from and who checks their answers."""

    source: Literal["reasoning_gym", "file", "hub", "prm800k"] = "reasoning_gym"
    tasks: tuple[TaskSettings, ...] = (
        TaskSettings(name="chain_sum", config={"min_terms": 3, "max_terms": 4, "min_digits": 2, "max_digits": 2}),
    )
    """source reasoning_gym: which tasks, in which shares."""
    path: str = ""
    """source file: a .jsonl or .parquet file. source hub: a data set's id, or a folder that `datasets` can load.
    source prm800k: a file of PRM800K, whose questions bring their rated steps with them (`protocol: ready-tree`)."""
    split: str = "train"
    config_name: str | None = None
    """source hub: the data set's configuration, where it has several (`main`)."""
    fields: FieldNames = FieldNames()
    """Which columns hold what; null takes the usual name that is there."""
    verifier: Literal["auto", "math", "choice", "text"] = "auto"
    """`auto` looks at each reference answer: a choice, plain words, or mathematics."""
    duplicates: Literal["error", "drop"] = "error"
    """What to do with a question that was there before."""
    invalid: Literal["error", "drop"] = "error"
    """What to do with a row that has no usable question or answer."""
    max_question_chars: int = Field(20_000, ge=1)
    shuffle: bool = False
    """Take a random sample (by the run's seed) in place of the first problems; reads the whole file."""


def load_problems(settings: ProblemSettings, *, count: int | None, seed: int) -> list[Problem]:
    """`iter_problems`, as a list."""
    return list(iter_problems(settings, count=count, seed=seed))


def iter_problems(
    settings: ProblemSettings, *, count: int | None, seed: int, dropped: list[str] | None = None
) -> Iterator[Problem]:
    """The problems of a run, always the same for the same settings, count and seed; one in memory at a time.

    Args:
        count: how many; None takes all that a file has (reasoning_gym needs a number).
        seed: chooses reasoning-gym's problems, and a shuffled file's sample (which is held in memory).
        dropped: takes a line for each row left out as a duplicate or as invalid.

    Raises:
        UserError: one line that names the file, the line or row, the key, and the remedy; some only at the end.
    """
    if count is not None and count < 1:
        raise UserError(f"num_problems: {count} problems cannot be loaded; ask for at least 1")
    if settings.source == "reasoning_gym":
        if count is None:
            raise UserError("num_problems: reasoning-gym never runs out of problems; say how many")
        yield from _generate(settings, count=count, seed=seed)
        return
    if not settings.path:
        remedy = "name a data set" if settings.source == "hub" else "name a .jsonl or .parquet file"
        raise UserError(f"problems.path: empty; {remedy}")
    problems: Iterable[Problem] = _distinct(_rows(settings), settings, [] if dropped is None else dropped)
    if settings.shuffle:
        every = list(problems)
        Random(seed).shuffle(every)
        problems = every
    given = 0
    for problem in islice(problems, count):
        given += 1
        yield problem
    if not given:
        raise UserError(f"{settings.path}: there is no problem in it")
    if count is not None and given < count:
        raise UserError(f"{settings.path}: {given} problems, {count} wanted; lower num_problems to {given}")


def _rows(settings: ProblemSettings) -> Iterator[Row]:
    match settings.source:
        case "hub":
            return read_hub(settings.path, settings.fields, split=settings.split, config_name=settings.config_name)
        case "prm800k":
            return read_prm800k(settings.path)
        case _:
            return read_rows(settings.path, settings.fields)


def _generate(settings: ProblemSettings, *, count: int, seed: int) -> Iterator[Problem]:
    if not settings.tasks:
        raise UserError("problems.tasks: empty; name at least one reasoning-gym task")
    order = _turns(settings.tasks, count)
    names = [task.name for task in settings.tasks]
    makers = [
        # A task named twice (easy and hard) draws from two seeds, so that ids stay distinct.
        _draw(task, settings, count=order.count(place), seed=seed_for(seed, task.name, names[:place].count(task.name)))
        for place, task in enumerate(settings.tasks)
    ]
    return (next(makers[place]) for place in order)


def _draw(task: TaskSettings, settings: ProblemSettings, *, count: int, seed: int) -> Iterator[Problem]:
    """`count` distinct problems of one task; a few more are drawn than asked for, because tasks repeat themselves."""
    draws = 20 + 3 * count
    dataset = gym.open_task(task.name, task.config, size=draws, seed=seed)
    seen = _Seen()
    given = 0
    for index in range(draws):
        problem = gym.problem_of(
            dataset[index],
            task=task.name,
            config=task.config,
            index=index,
            seed=seed,
            suffix=task.suffix,
            words=task.question,
        )
        if len(problem.question) > settings.max_question_chars:
            raise UserError(
                f"problems.tasks.{task.name}: a question of {len(problem.question)} characters; make its "
                f"config smaller or raise problems.max_question_chars"
            )
        if seen.before(problem.question, str(index)) is not None:
            continue
        if not given:
            gym.check_stored(dataset, problem)
        given += 1
        yield problem
    raise UserError(
        f"problems.tasks.{task.name}: only {given} distinct problems in {draws} draws; "
        f"widen its config or ask for fewer"
    )


def _turns(tasks: tuple[TaskSettings, ...], count: int) -> list[int]:
    """Which task each place gets, by weight and evenly mixed, so that any beginning of a run shows the same mix."""
    total = sum(task.weight for task in tasks)
    given = [0] * len(tasks)
    order = []
    for place in range(count):
        owed = [(place + 1) * task.weight / total - have for task, have in zip(tasks, given, strict=True)]
        chosen = max(range(len(tasks)), key=lambda number: owed[number])
        given[chosen] += 1
        order.append(chosen)
    return order


def _distinct(rows: Iterable[Row], settings: ProblemSettings, dropped: list[str]) -> Iterator[Problem]:
    ids, questions = _Seen(), _Seen()
    for row in rows:
        try:
            problem = sniffed(row, verifier=settings.verifier, max_question_chars=settings.max_question_chars)
        except UserError as error:
            if settings.invalid == "error":
                raise UserError(f"{error}; or set problems.invalid: drop") from None
            dropped.append(str(error))
            continue
        place = row.where.rpartition(": ")[2]
        if (before := questions.before(" ".join(problem.question.split()), place)) is not None:
            same = f"{row.where}: the same question as {before}"
            if settings.duplicates == "error":
                raise UserError(f"{same}; remove it or set problems.duplicates: drop")
            dropped.append(same)
            continue
        if (before := ids.before(problem.id, place)) is not None:
            raise UserError(f"{row.where}: id {problem.id!r} was given at {before}; ids must differ")
        yield problem


class _Seen:
    """Which texts were there before, and where: on disk, in a file that SQLite drops at the end, for any number."""

    def __init__(self) -> None:
        self._seen = sqlite3.connect("")
        self._seen.execute("CREATE TABLE seen (digest BLOB PRIMARY KEY, place TEXT) WITHOUT ROWID")

    def before(self, text: str, place: str) -> str | None:
        """The place where `text` was met first; None at its first time, which is now noted."""
        digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=12).digest()
        if self._seen.execute("INSERT OR IGNORE INTO seen VALUES (?, ?)", (digest, place)).rowcount:
            return None
        (first,) = self._seen.execute("SELECT place FROM seen WHERE digest = ?", (digest,)).fetchone()
        return str(first)
