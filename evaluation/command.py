"""`python run.py evaluate`: the stages of an evaluation, in order."""

import hashlib
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autogen_core.models import LLMMessage

from engines.contract import Engine, EngineSettings
from engines.open import open_engine
from engines.rewards.contract import RewardSettings
from engines.rewards.open import open_reward
from evaluation.asking import Candidate
from evaluation.card import write_into_card
from evaluation.compare import comparisons
from evaluation.facts import FactReader, ProblemFacts
from evaluation.folder import EvaluationFolder
from evaluation.plot import draw
from evaluation.progress import ProgressView
from evaluation.rewards import key_of, name_of, read_rewards, score_samples
from evaluation.sampling import Ending, Sampler
from evaluation.scores import scored
from evaluation.settings import EvaluateSettings
from evaluation.tables import sheets
from journeys.record import Problem
from problems.sources import ProblemSettings, load_problems
from problems.verifier import Verifier

logger = logging.getLogger(__name__)

Open = Callable[[EngineSettings], Engine]


@dataclass
class Outcome:
    """What an evaluation came to."""

    folder: EvaluationFolder
    result: dict[str, Any] | None
    """As in evaluation.json; None where samples are missing."""
    lost: int = 0
    """Samples that an engine did not give."""
    last_error: str = ""


@dataclass
class Preview:
    """What `--dry-run` shows."""

    config: dict[str, Any]
    problems: int
    prompts: dict[str, Sequence[LLMMessage]] = field(default_factory=dict)
    """By model, for the first problem."""


async def evaluate(
    settings: EvaluateSettings, *, recipe: Path | None = None, open_engine: Open = open_engine
) -> Outcome:
    """Sample what is missing, score all there is, compare. Called again on the same folder it goes on.

    Raises:
        UserError: something the user can mend; found before a model loads wherever it can be known.
    """
    candidates = [Candidate.of(model, settings) for model in settings.models]
    if settings.reward:
        open_reward(settings.reward)  # what is wrong with it is said before anything is sampled
    problems = load_problems(settings.problems, count=settings.num_problems, seed=settings.seed)
    folder = EvaluationFolder(settings.folder(recipe))
    outcome = Outcome(folder, None)
    with folder.held(settings, candidates):
        verifier = Verifier(timeout=settings.verify_timeout)
        try:
            for candidate in candidates:
                ending = await _sample(candidate, problems, settings, folder, verifier, open_engine)
                outcome.lost += ending.lost
                outcome.last_error = ending.last_error or outcome.last_error
            if settings.reward and not outcome.lost:
                outcome.lost, outcome.last_error = await _reward(candidates, settings.reward, folder)
            if not outcome.lost:
                facts = await _facts(candidates, problems, settings, folder, verifier)
                outcome.result = _result(settings, folder, candidates, problems, facts)
        finally:
            verifier.close()
        if outcome.result is not None:
            folder.write(outcome.result, _markdown(outcome.result))
            draw(outcome.result, folder.plot)
            if settings.card:
                _fill_cards(candidates, outcome.result)
    return outcome


def preview(settings: EvaluateSettings, *, recipe: Path | None = None) -> Preview:
    """What an evaluation would do. No model is loaded and nothing is written."""
    candidates = [Candidate.of(model, settings) for model in settings.models]
    problems = load_problems(settings.problems, count=settings.num_problems, seed=settings.seed)
    return Preview(
        config=settings.model_copy(update={"name": settings.folder(recipe).name}).written_out(),
        problems=len(problems),
        prompts={candidate.label: candidate.messages(problems[0].question) for candidate in candidates},
    )


async def _sample(
    candidate: Candidate,
    problems: Sequence[Problem],
    settings: EvaluateSettings,
    folder: EvaluationFolder,
    verifier: Verifier,
    open_engine: Open,
) -> Ending:
    """One model's missing samples; where none is missing, no engine is started."""
    label, file = candidate.label, folder.samples
    total = len(problems) * settings.samples
    done = sum(file.has(label, problem.id, number) for problem in problems for number in range(settings.samples))
    if done == total:
        return Ending()
    engine = open_engine(candidate.engine)
    try:
        await engine.start()
        with ProgressView(label, total=total, done=done) as view:
            sampler = Sampler(candidate, engine, settings, file=file, verifier=verifier, watcher=view)
            return await sampler.run(problems)
    finally:
        await engine.close()


async def _reward(
    candidates: Sequence[Candidate], settings: RewardSettings, folder: EvaluationFolder
) -> tuple[int, str]:
    """The samples' missing rewards; where none is missing, no reward model is started."""
    folder.rewards.open()
    name, labels = name_of(settings), {candidate.label for candidate in candidates}
    if all(folder.rewards.has(name, key_of(one)) for one in folder.samples if one.model in labels):
        return 0, ""
    reward = open_reward(settings)
    try:
        await reward.start()
        return await score_samples(reward, folder.samples, labels, folder.rewards)
    finally:
        await reward.close()


async def _facts(
    candidates: Sequence[Candidate],
    problems: Sequence[Problem],
    settings: EvaluateSettings,
    folder: EvaluationFolder,
    verifier: Verifier,
) -> dict[str, list[ProblemFacts]]:
    rewards = read_rewards(folder.rewards, settings.reward, settings.aggregate) if settings.reward else {}
    by_id = {problem.id: problem for problem in problems}
    reader = FactReader(by_id, verifier, scorers=settings.scorers, rewards=rewards)
    return await reader.read(folder.samples, [one.label for one in candidates], samples=settings.samples)


def _result(
    settings: EvaluateSettings,
    folder: EvaluationFolder,
    candidates: Sequence[Candidate],
    problems: Sequence[Problem],
    facts: dict[str, list[ProblemFacts]],
) -> dict[str, Any]:
    families = Counter(problem.family for problem in problems)
    digest = hashlib.sha256("\n".join(f"{p.id}\t{p.question}\t{p.answer}" for p in problems).encode())
    return {
        "name": folder.path.name,
        "problems": {
            "source": in_words(settings.problems),
            "count": len(problems),
            "digest": digest.hexdigest()[:12],
            "families": dict(sorted(families.items())),
        },
        "samples": settings.samples,
        "sampling": settings.sampling.model_dump(mode="json"),
        "seed": settings.seed,
        "confidence": settings.confidence,
        "models": [
            {
                "model": candidate.label,
                "asked": candidate.binding(),
                "scores": scored(facts[candidate.label], settings),
                "families": {
                    family: scored([one for one in facts[candidate.label] if one.family == family], settings)
                    for family in sorted(families)
                },
            }
            for candidate in candidates
        ],
        "comparisons": comparisons(facts, settings) if len(candidates) > 1 else [],
    }


def in_words(problems: ProblemSettings) -> str:
    if problems.source == "reasoning_gym":
        return f"reasoning-gym: {', '.join(task.name for task in problems.tasks)}"
    return f"{problems.path} ({problems.split})" if problems.source == "hub" else problems.path


def _markdown(evaluation: dict[str, Any]) -> str:
    about = f"# {evaluation['name']}\n\n{evaluation['problems']['source']}; seed {evaluation['seed']}.\n"
    return "\n".join([about, *(sheet.markdown for sheet in sheets(evaluation)), "![evaluation](evaluation.png)\n"])


def _fill_cards(candidates: Sequence[Candidate], evaluation: dict[str, Any]) -> None:
    for candidate, model in zip(candidates, evaluation["models"], strict=True):
        folder = Path(candidate.engine.model).expanduser()
        if (folder / "training.json").is_file():
            try:
                write_into_card(folder / "README.md", evaluation, model)
            except (OSError, UnicodeDecodeError) as error:  # the figures are safe; a card may lie where nobody writes
                logger.warning("card not filled model=%s: %s", candidate.label, error)
