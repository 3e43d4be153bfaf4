"""`python run.py generate`: the stages of a run, in order."""

import gc
import json
import logging
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autogen_core.models import LLMMessage

from engines.contract import Engine, EngineSettings
from engines.open import open_engine
from engines.scripted import ScriptedEngine
from generation.cast import Company, Open
from generation.estimate import Estimate, estimate, first_prompts
from generation.folder import RunFolder
from generation.narrate import narrate_all
from generation.progress import ProgressView
from generation.run import Ending, grow_all
from generation.settings import GenerateSettings
from generation.summary import summarize_run
from journeys.decontaminate import contaminated
from journeys.exports import ExportCounts, Provenance, accepted, export
from journeys.record import Journey, Move, Problem
from journeys.stitching.thought import Thought, stitch
from journeys.store import Store
from problems.rows import FieldNames, read_rows
from problems.sources import ProblemSettings, iter_problems
from settings import UserError
from settings.files import as_yaml

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """What a run came to."""

    folder: RunFolder
    summary: dict[str, Any]
    ending: Ending
    sample: tuple[Journey, Thought] | None
    """An accepted journey, with a backtrack if there is one, for reading."""


@dataclass(frozen=True)
class Preview:
    """What `--dry-run` shows."""

    config: dict[str, Any]
    journeys: int
    prompts: Mapping[str, Sequence[LLMMessage]]
    estimate: Estimate

    @property
    def config_yaml(self) -> str:
        return as_yaml(self.config)


async def generate(
    settings: GenerateSettings, *, recipe: Path | None = None, open_engine: Open = open_engine
) -> Outcome:
    """Grow, narrate, export and count. Called again on the same folder it goes on where it stopped.

    Raises:
        UserError: something the user can mend; found before a model loads wherever it can be known.
    """
    company = Company(settings, open_engine=open_engine)
    dirty = _contaminated(settings)
    problems = _survey(settings)
    folder = RunFolder(settings.folder(recipe))
    folder.open(settings)
    run = _provenance(settings, company, problems, name=folder.path.name)
    with Store(folder.database) as store:
        folder.keep_config(settings)
        store.add_problems(_problems(settings))
        store.flush()
        if (begun_with := store.counts().problems) > problems:
            raise UserError(
                f"{folder.path}: this run has {begun_with} problems, but problems.path now gives {problems}; "
                "put the missing ones back, or start a new run with --name OTHER"
            )
        total = problems * settings.journeys_per_problem
        ending = await _speak(settings, store=store, company=company, total=total)
        exported = export(store, folder.exports, settings.export, run=run, dirty=dirty)
        summary = _summary(store, exported)
        folder.write_summary(summary)
        return Outcome(folder, summary, ending, _sample(store, settings, dirty))


def preview(settings: GenerateSettings, *, recipe: Path | None = None) -> Preview:
    """What a run would do. Nothing is loaded and nothing is written."""
    company = Company(settings, open_engine=_closed_engine)
    problems = _problems(settings)
    first = next(problems)
    journeys = (1 + sum(1 for _ in problems)) * settings.journeys_per_problem
    return Preview(
        config=settings.model_copy(update={"name": settings.folder(recipe).name}).model_dump(mode="json"),
        journeys=journeys,
        prompts=dict(first_prompts(company, first)),
        estimate=estimate(settings, company, first, journeys=journeys),
    )


def _closed_engine(settings: EngineSettings) -> Engine:
    """Stands in for an engine where nobody will call it; the kinds that cost nothing to open are checked."""
    if settings.engine in ("scripted", "openai"):
        return open_engine(settings)
    return ScriptedEngine("", model_name=settings.model)


def _problems(settings: GenerateSettings, dropped: list[str] | None = None) -> Iterator[Problem]:
    return iter_problems(settings.problems, count=settings.num_problems, seed=settings.seed, dropped=dropped)


def _survey(settings: GenerateSettings) -> int:
    """How many problems there are. All are read once before anything is written, for one may be bad."""
    dropped: list[str] = []
    count = sum(1 for _ in _problems(settings, dropped))
    if dropped:
        logger.warning("%d rows left out; the first: %s", len(dropped), dropped[0])
    return count


def _contaminated(settings: GenerateSettings) -> dict[str, str]:
    """The problems that overlap with the named evaluation files, by id."""
    rows = (row for path in settings.decontaminate.against for row in read_rows(path, FieldNames()))
    questions = (str(row.question) for row in rows)
    return contaminated(_problems(settings), questions, ngram=settings.decontaminate.ngram)


async def _speak(settings: GenerateSettings, *, store: Store, company: Company, total: int) -> Ending:
    """The stages that need engines; where all is done, no engine is started."""
    counts = store.counts()
    to_narrate = company.rewrite is not None and store.unnarrated(limit=1)
    if counts.finished == total and not to_narrate:
        return Ending()
    async with company:
        gc.collect()
        gc.freeze()  # models and libraries stay until the end: no use in looking through them for garbage again
        started = time.monotonic()
        try:
            with ProgressView(total=total, counts=counts) as view:
                ending = await grow_all(settings, store=store, company=company, watcher=view)
            if company.rewrite is not None and not ending.interrupted:
                await narrate_all(store, company.rewrite)
        finally:
            gc.unfreeze()
            _account(store, company, seconds=time.monotonic() - started)
    return ending


def _account(store: Store, company: Company, *, seconds: float) -> None:
    """Add this session's time and engine faults to those of the sessions before it."""
    faults = Counter(json.loads(store.meta("engine_faults") or "{}"))
    for engine in company.engines:
        faults.update(engine.faults)
    if company.reward:
        faults.update(company.reward.faults)
    store.set_meta("engine_faults", json.dumps(faults))
    store.set_meta("seconds", str(float(store.meta("seconds") or 0) + seconds))
    store.flush()


def _summary(store: Store, exported: ExportCounts) -> dict[str, Any]:
    faults = Counter(json.loads(store.meta("engine_faults") or "{}"))
    return summarize_run(store, exported=exported, seconds=float(store.meta("seconds") or 0), faults=faults)


def _provenance(settings: GenerateSettings, company: Company, problems: int, *, name: str) -> Provenance:
    policy, critic = company.voices
    return Provenance(
        name=name,
        protocol=settings.protocol.kind,
        policy=policy,
        critic=critic,
        second=company.second_voice,
        narrator=settings.narrator.kind,
        problems=_in_words(settings.problems),
        num_problems=problems,
        seed=settings.seed,
        digest=settings.digest(),
        decontaminated_against=settings.decontaminate.against,
        ngram=settings.decontaminate.ngram,
    )


def _in_words(problems: ProblemSettings) -> str:
    if problems.source == "reasoning_gym":
        return f"reasoning-gym: {', '.join(task.name for task in problems.tasks)}"
    return f"{problems.path} ({problems.split})" if problems.source == "hub" else problems.path


def _sample(store: Store, settings: GenerateSettings, dirty: Mapping[str, str]) -> tuple[Journey, Thought] | None:
    """The first accepted journey with one or two backtracks; failing that, the first accepted one."""
    first: tuple[Journey, Thought] | None = None
    for journey in store.journeys(outcome="solved"):
        if accepted(journey, settings.export, dirty=dirty) is not None:
            continue
        thought = store.thought(journey.id, shortcut=False) or stitch(journey, layout=settings.export.layout)
        if not thought.gate.passed:
            continue
        if 1 <= journey.count(Move.BACKTRACK) <= 2:
            return journey, thought
        first = first or (journey, thought)
    return first
