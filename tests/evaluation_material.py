"""Small evaluations: scripted models, a file of sums, and facts made by hand."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from autogen_core.models import LLMMessage

from engines.contract import Engine, EngineSettings
from engines.errors import EngineError
from engines.scripted import ScriptedEngine
from evaluation.command import Outcome, evaluate
from evaluation.facts import Facts, ProblemFacts
from evaluation.reflection import Reflection
from evaluation.samples import Sample
from evaluation.settings import EvaluateSettings

Script = Callable[[Sequence[LLMMessage], str], str | EngineError]
NO_SIGNS = Reflection(markers={}, calculations=0, stated_false=0, repaired=0, broken=0)


def write_sums(folder: Path, count: int, *, name: str = "sums.jsonl") -> Path:
    """`What is n + 1000?`: the answer is in no question."""
    path = folder / name
    rows = ({"question": f"What is {n} + 1000?", "answer": str(n + 1000), "type": "even"} for n in range(count))
    path.write_text("".join(json.dumps(row | {"type": ("even", "odd")[i % 2]}) + "\n" for i, row in enumerate(rows)))
    return path


def recipe(folder: Path, *, count: int = 4, **keys: Any) -> EvaluateSettings:
    """An evaluation of scripted models on `count` sums."""
    problems = {"source": "file", "path": str(write_sums(folder, count))}
    base = {"outputs_dir": str(folder / "outputs"), "problems": problems, "engine": {"engine": "scripted"}}
    return EvaluateSettings.model_validate({"models": ["one"], "resamples": 200, **base, **keys})


async def evaluated(settings: EvaluateSettings, *scripts: str | Script) -> Outcome:
    """`evaluate`, each model in turn answered by its script."""
    waiting = list(scripts)

    def open_engine(engine: EngineSettings) -> Engine:
        return ScriptedEngine(waiting.pop(0), model_name=engine.model)

    return await evaluate(settings, open_engine=open_engine)


def question_of(messages: Sequence[LLMMessage]) -> str:
    return str(messages[-1].content)


def summand(messages: Sequence[LLMMessage]) -> int:
    """The n of `What is n + 1000?`."""
    return int(question_of(messages).split()[2])


def right(messages: Sequence[LLMMessage], request_id: str) -> str:
    n = summand(messages)
    return f"{n} + 1000 = {n + 1000}\nAnswer: {n + 1000}"


def samples_of(outcome: Outcome) -> list[Sample]:
    return list(outcome.folder.samples)


def facts(number: int, *, right: bool, group: int | None = 0, **more: Any) -> Facts:
    given: dict[str, Any] = {
        "number": number,
        "right": right,
        "answered": group is not None,
        "cut_off": False,
        "tokens": 10,
        "prompt_tokens": 5,
        "group": group,
        "scores": (None,),
        "outcome_efficiency": float(right),
        "process_efficiency": 1.0,
        "solutions": 1,
        "first_right": None,
        "reflection": NO_SIGNS,
    }
    return Facts(**{**given, **more})


def problem(name: str, *rights: bool, family: str = "sums") -> ProblemFacts:
    """A problem whose samples are right or wrong as given."""
    listed = [facts(number, right=one, group=0 if one else 1) for number, one in enumerate(rights)]
    return ProblemFacts(name, family, listed)


DRAWN: dict[str, Any] = {"samples": 3, "sampling": {"temperature": 1.0}}


def half_right(messages: Sequence[LLMMessage], request_id: str) -> str:
    n = summand(messages)
    return f"<think>\n{n} + 1000 = {n + 1000}\n</think>\n\nAnswer: {n + 1000 + n % 2}"
