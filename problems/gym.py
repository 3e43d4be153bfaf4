"""reasoning-gym: which of its tasks may be used, how a problem is made of one, and how its own scorer is asked.

Some scorers hand the answer to `eval` or to sympy's parser, which evaluates as well. Model text never gets there: tasks
whose scorer evaluates only to give partial credit are compared here instead, and sympy's parser sees an answer only
after an allow-list (read in reasoning-gym 0.1.25; a newer version is held to the same list by a test).
"""

import difflib
import json
import math
import re
from collections.abc import Mapping
from functools import lru_cache
from string import Template
from typing import Any

from pydantic import JsonValue

from journeys.record import Problem
from settings import UserError

ARITHMETIC_TASKS = frozenset(
    [
        "basic_arithmetic",
        "chain_sum",
        "decimal_arithmetic",
        "decimal_chain_sum",
        "gsm_symbolic",
        "leg_counting",
        "products",
    ]
)
"""Tasks whose answer is a number that has to be computed: a right answer without an equation is luck."""

NUMBER_TASKS_WORDS = """
basic_arithmetic chain_sum products decimal_chain_sum gsm_symbolic leg_counting gcd lcm
"""
NUMBER_TASKS = frozenset(NUMBER_TASKS_WORDS.split())
"""Tasks whose scorer compares numbers, so that `18 eggs` may be handed over as `18`."""

EVALUATED_FOR_CREDIT = frozenset(("string_insertion", "spiral_matrix", "binary_matrix", "n_queens"))
"""Their scorers `eval` an answer that is not equal to the reference, for a score that is never 1."""

_FUNCTIONS = r"sin|cos|tan|asin|acos|atan|sinh|cosh|tanh|exp|log|sqrt|pi|E|C|Abs|sec|csc|cot"
_SIGNS = r"\d+(?:\.\d+)?|[-+*/() ]"
PARSED = {
    "puzzle24": re.compile(rf"(?:{_SIGNS})+"),
    "countdown": re.compile(rf"(?:{_SIGNS})+"),
    "simple_integration": re.compile(rf"(?:(?<![A-Za-z])(?:{_FUNCTIONS}|[A-Za-z])(?![A-Za-z])|{_SIGNS})+"),
    "intermediate_integration": re.compile(rf"(?:(?<![A-Za-z])(?:{_FUNCTIONS}|[A-Za-z])(?![A-Za-z])|{_SIGNS})+"),
    "polynomial_multiplication": re.compile(rf"(?:(?<![A-Za-z])[A-Za-z](?![A-Za-z])|{_SIGNS})+"),
}
"""Tasks whose scorer calls sympy's parser (which evaluates), with the only answers it is shown."""

REFUSED = {
    "composite": "it mixes other tasks; name them under `tasks` instead",
    "arc_agi": "its scorer does not know its own answer once the problem was stored",
    "rearc": "its scorer does not know its own answer once the problem was stored",
}
MAX_PARSED_CHARS = 500
MAX_POWERS = 60


def scores_by_equality(task: str) -> bool:
    """Whether the task's own scorer gives 1 exactly to the reference answer, so that no scorer need run."""
    return task in ("string_insertion", "spiral_matrix", "binary_matrix") or _inherits_equality(task)


@lru_cache(maxsize=256)
def _inherits_equality(task: str) -> bool:
    from reasoning_gym.dataset import ProceduralDataset  # type: ignore[import-untyped]
    from reasoning_gym.factory import DATASETS  # type: ignore[import-untyped]

    return DATASETS[task][0].score_answer is ProceduralDataset.score_answer


def allowed(task: str, answer: str) -> bool:
    """Whether the task's scorer may see this answer at all."""
    pattern = PARSED.get(task)
    if pattern is None:
        return task not in EVALUATED_FOR_CREDIT
    if (
        len(answer) > MAX_PARSED_CHARS
        or answer.count("**") > MAX_POWERS
        or re.search(r"\*\*\s*\(?\s*-?\d{3,}|\*\*[^+*]*\*\*", answer)
    ):
        return False
    return pattern.fullmatch(answer) is not None


def open_task(name: str, config: Mapping[str, Any], *, size: int, seed: int, where: str = "problems.tasks") -> Any:
    """The task's dataset. Raises UserError naming the task or its key when reasoning-gym does not know it."""
    import dataclasses
    import warnings

    with warnings.catch_warnings():  # cellpylib, which it imports, is warned about when it is first compiled
        warnings.simplefilter("ignore", SyntaxWarning)
        from reasoning_gym.factory import DATASETS, create_dataset

    if name not in DATASETS:
        close = difflib.get_close_matches(name, DATASETS, n=1)
        hint = f"did you mean {close[0]!r}?" if close else "see reasoning_gym.factory.DATASETS for the names"
        raise UserError(f"{where}: unknown reasoning-gym task {name!r}; {hint}")
    if name in REFUSED:
        raise UserError(f"{where}: reasoning-gym task {name!r} cannot be used: {REFUSED[name]}")
    known = [field.name for field in dataclasses.fields(DATASETS[name][1])]
    for key in config:
        if key not in known or key in ("size", "seed"):
            close = difflib.get_close_matches(key, known, n=1)
            hint = (
                f"did you mean {close[0]!r}?"
                if close
                else f"known: {', '.join(k for k in known if k not in ('size', 'seed'))}"
            )
            if key in ("size", "seed"):
                hint = "it follows from the number of problems and the run's seed"
            raise UserError(f"{where}.{name}.config.{key}: unknown key; {hint}")
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in config.items()}
    try:
        return create_dataset(name, **values, size=size, seed=seed)
    except (AssertionError, TypeError, ValueError, KeyError, AttributeError, IndexError) as error:
        said = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"{where}.{name}.config: reasoning-gym refuses it: {said:.200}") from None


def problem_of(
    entry: Mapping[str, Any],
    *,
    task: str,
    config: Mapping[str, Any],
    index: int,
    seed: int,
    suffix: str = "",
    words: str = "",
) -> Problem:
    """A stored problem that can be scored again without generating anything.

    Args:
        suffix: goes behind the question.
        words: ask in these words in place of the task's own, with what its entries' metadata names (`$target`).

    Raises:
        UserError: the task's entries do not survive JSON, so a resumed run could not score them; or they have nothing
            by a name in `words`.
    """
    try:
        kept: dict[str, JsonValue] = json.loads(json.dumps({key: entry[key] for key in ("answer", "metadata")}))
    except (TypeError, ValueError):
        raise UserError(
            f"problems.tasks: reasoning-gym task {task!r} cannot be used: its problems cannot be stored"
        ) from None
    answer = entry["answer"]
    return Problem(
        id=f"{task}-{seed}-{index}",
        question=(_in_words(words, entry, task) if words else str(entry["question"]).strip()) + suffix,
        answer=None if answer is None else str(answer),
        family=task,
        verifier="reasoning_gym",
        metadata={"task": task, "config": json.loads(json.dumps(dict(config))), "entry": kept},
    )


def _in_words(words: str, entry: Mapping[str, Any], task: str) -> str:
    values = {
        name: ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
        for name, value in entry["metadata"].items()
        if isinstance(value, str | int | float | list | tuple)
    }
    try:
        return Template(words).substitute(values)
    except KeyError as missing:
        known = ", ".join(f"${name}" for name in values)
        raise UserError(
            f"problems.tasks.{task}.question: no ${missing.args[0]} in its problems; known: {known}"
        ) from None
    except ValueError:
        raise UserError(
            f"problems.tasks.{task}.question: a $ that names nothing in {words!r}; a dollar sign itself is written $$"
        ) from None


def check_stored(dataset: Any, problem: Problem) -> None:
    """Raise UserError where the task's scorer no longer knows its own answer once the problem was stored as JSON.

    Nothing but the task's own reference answer is scored here.
    """
    if problem.answer is None:
        return
    entry = problem.metadata["entry"]
    try:
        value = float(dataset.score_answer(problem.answer, entry))
    except Exception as error:
        raise UserError(
            f"problems.tasks: reasoning-gym task {problem.family!r} cannot be used: {type(error).__name__}"
        ) from None
    if value != 1.0:
        raise UserError(
            f"problems.tasks: reasoning-gym task {problem.family!r} cannot be used: "
            f"once stored, its own answer scores {value:g}"
        )


def score(task: str, config: Mapping[str, Any], entry: Mapping[str, Any], answer: str) -> float:
    """What the task's own scorer says, 0 to 1. Runs in a worker process; shows it nothing that `allowed` refuses."""
    if not allowed(task, answer) or (task == "puzzle24" and not _takes_the_numbers(entry, answer)):
        return 0.0
    value = float(_scorer(task, json.dumps(dict(config), sort_keys=True)).score_answer(answer, dict(entry)))
    return value if math.isfinite(value) else 0.0


def _takes_the_numbers(entry: Mapping[str, Any], answer: str) -> bool:
    """Whether an answer takes each number once; puzzle24's scorer looks at the result only (0.1.25)."""
    return sorted(map(int, re.findall(r"\d+", answer))) == sorted(entry["metadata"]["numbers"])


@lru_cache(maxsize=64)
def _scorer(task: str, config: str) -> Any:
    return open_task(task, json.loads(config), size=1, seed=0)
