"""`python run.py judge`: critics and checkers on labelled steps, side by side."""

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from agents.critic import make_critic
from agents.persona import CriticPersona, load_critic
from agents.roles import Critic
from engines.contract import Engine, EngineSettings
from engines.open import open_engine
from engines.rewards.open import open_reward
from evaluation.asking import fingerprint
from evaluation.judging.labelled import Solution, read_labelled
from evaluation.judging.rewards import RewardJudge, binding
from evaluation.judging.rows import critic_rows
from evaluation.judging.scores import scored
from evaluation.judging.settings import JudgeSettings, JudgingSettings
from evaluation.judging.tables import sheets
from evaluation.judging.verdicts import Ending, Judged, VerdictFile, judge_all, steps_to_judge
from evaluation.settings import plain_engine
from journeys.database import hold_writer_lock
from journeys.row_files import line
from problems.referee import CheckerSettings, Referee
from settings import UserError, difference, read_yaml
from settings.files import write_json, write_text, write_yaml, writing
from terminal.live import LiveView
from terminal.printing import one_line

Open = Callable[[EngineSettings], Engine]
AT_ONCE = 2
"""Steps in flight for each that the engine decodes at a time."""
BINDING = ("seed", "data", "limit", "checkers")
"""Keys on which verdicts that are there and verdicts to come must agree."""


@dataclass
class Outcome:
    """What a comparison came to."""

    folder: Path
    result: dict[str, Any] | None
    """As in judging.json; None where verdicts are missing."""
    lost: int = 0
    last_error: str = ""


class ProgressView(LiveView):
    """Verdicts of one judge."""

    def __init__(self, label: str, *, total: int, done: int, console: Console | None = None) -> None:
        super().__init__("verdicts", total=total, done=done, label=one_line(label), console=console)
        self._flagged = 0

    def verdict(self, judged: Judged) -> None:
        self._flagged += judged.flags
        self.reach(self.done + 1)

    def counts(self) -> str:
        return f"{self._flagged} taken back"


async def judge(settings: JudgingSettings, *, recipe: Path | None = None, open_engine: Open = open_engine) -> Outcome:
    """Ask for the verdicts that are missing, and score them. Called again on the same folder it goes on.

    Raises:
        UserError: something the user can mend; found before a model loads wherever it can be known.
    """
    personas = {one.name: _persona(one) for one in settings.judges if one.reward is None}
    for one in settings.judges:
        if one.reward:
            open_reward(one.reward)  # what is wrong with it is said before anything is asked
    solutions = read_labelled(settings.data, limit=settings.limit, seed=settings.seed)
    work = list(steps_to_judge(solutions))
    folder = settings.folder(recipe)
    outcome = Outcome(folder, None)
    with writing(folder, key="outputs_dir"):
        folder.mkdir(parents=True, exist_ok=True)
    file = VerdictFile(folder / "verdicts.jsonl")
    with contextlib.closing(hold_writer_lock(file.path)):
        file.open()
        _agree(
            folder,
            settings,
            personas,
            begun=any(file.has(one.name, key) for one in settings.judges for *_, key in work),
        )
        async with Referee(settings.checkers) as referee:
            for one in settings.judges:
                ending = await _ask(one, personas.get(one.name), work, settings, referee, file, open_engine)
                outcome.lost += ending.lost
                outcome.last_error = ending.last_error or outcome.last_error
        if not outcome.lost:
            outcome.result = _result(settings, folder.name, solutions, file)
            with writing(folder, key="outputs_dir"):
                write_json(folder / "judging.json", outcome.result)
                write_text(folder / "table.md", "\n".join(sheet.markdown for sheet in sheets(outcome.result)))
    return outcome


async def write_rows(settings: JudgingSettings, file: Path) -> int:
    """The labelled steps as rows for `train sft`, asked as the first judge asks. Returns how many. Raises UserError."""
    if settings.judges[0].reward:
        raise UserError("judges: a reward model is asked without words; `train ppm` teaches one, on pairs of steps")
    persona = _persona(settings.judges[0])
    if persona.kind != "model":
        raise UserError(f"judges: {persona.name!r} is of kind {persona.kind!r} and asks no model; name one that does")
    solutions = read_labelled(settings.data, limit=settings.limit, seed=settings.seed)
    async with Referee(settings.checkers) as referee:
        rows = [line(row) async for row in critic_rows(solutions, persona, referee)]
    with writing(file.parent, key="rows"):
        file.parent.mkdir(parents=True, exist_ok=True)
        write_text(file, "".join(rows))
    return len(rows)


def _persona(judge: JudgeSettings) -> CriticPersona:
    persona = load_critic(judge.persona)
    return persona.model_copy(update={"sampling": judge.sampling.over(persona.sampling)})


async def _ask(
    judge: JudgeSettings,
    persona: CriticPersona | None,
    work: Sequence[tuple[Solution, int, str]],
    settings: JudgingSettings,
    referee: Referee,
    file: VerdictFile,
    open_engine: Open,
) -> Ending:
    """One judge's missing verdicts; where none is missing, no engine is started."""
    done = sum(file.has(judge.name, key) for *_, key in work)
    if done == len(work):
        return Ending()
    async with contextlib.AsyncExitStack() as stack:
        critic, at_once = await _opened(judge, persona, settings, stack, open_engine)
        with ProgressView(judge.name, total=len(work), done=done) as view:
            return await judge_all(
                judge.name,
                critic,
                work,
                referee=referee,
                file=file,
                watcher=view,
                at_once=at_once,
                seed=settings.seed,
            )


async def _opened(
    judge: JudgeSettings,
    persona: CriticPersona | None,
    settings: JudgingSettings,
    stack: contextlib.AsyncExitStack,
    open_engine: Open,
) -> tuple[Callable[[], Critic], int]:
    """What makes the judge for a step, its model started and closed with `stack`, and how many steps go at once."""
    if judge.reward:
        reward = open_reward(judge.reward)
        stack.push_async_callback(reward.close)
        await reward.start()
        return lambda: RewardJudge(reward), AT_ONCE * judge.reward.max_batch
    assert persona is not None
    wanted = settings.engine_of(judge)
    engine = open_engine(wanted) if persona.kind == "model" else None
    if engine is None:
        return lambda: make_critic(persona, None), 1
    stack.push_async_callback(engine.close)
    await engine.start()
    return lambda: make_critic(persona, engine), AT_ONCE * wanted.max_batch


def _agree(folder: Path, settings: JudgingSettings, personas: dict[str, CriticPersona], *, begun: bool) -> None:
    """Write down how the judges are asked; raises UserError where verdicts are there that were asked for otherwise."""
    asked = {key: value for key, value in settings.model_dump(mode="json").items() if key in BINDING} | {
        "checkers": settings.checkers.binding(),
        "judges": {one.name: _how(one, personas.get(one.name), settings) for one in settings.judges},
    }
    file = folder / "recipe.yaml"
    if begun and file.is_file():
        before = read_yaml(file)
        before["checkers"] = CheckerSettings.model_validate(before.get("checkers") or {}).binding()
        known = dict(before.get("judges") or {})
        both = known.keys() & asked["judges"].keys()
        changes = difference(
            {key: before.get(key) for key in BINDING} | {"judges": {name: known[name] for name in sorted(both)}},
            {key: asked[key] for key in BINDING} | {"judges": {name: asked["judges"][name] for name in sorted(both)}},
        )
        if changes:
            raise UserError(
                f"{folder}: its verdicts were asked for by another recipe ({'; '.join(changes[:4])}); "
                "go on with the old values, or start anew with --name OTHER"
            )
        asked["judges"] = known | asked["judges"]
    with writing(folder, key="outputs_dir"):
        write_yaml(file, asked)


def _how(judge: JudgeSettings, persona: CriticPersona | None, settings: JudgingSettings) -> dict[str, Any]:
    """How a judge is asked."""
    if judge.reward:
        weights = fingerprint(Path(judge.reward.model).expanduser())
        return {"reward": binding(judge.reward) | {"weights": weights}}
    assert persona is not None
    engine = plain_engine(settings.engine_of(judge)) if persona.kind == "model" else {}
    return {"persona": persona.model_dump(mode="json"), "engine": engine}


def _result(settings: JudgingSettings, name: str, solutions: Sequence[Solution], file: VerdictFile) -> dict[str, Any]:
    wanted = {key for *_, key in steps_to_judge(solutions)}
    verdicts: dict[str, dict[str, Judged]] = {one.name: {} for one in settings.judges}
    for judged in file:
        if judged.judge in verdicts and judged.key in wanted:
            verdicts[judged.judge][judged.key] = judged
    return {"name": name, "data": list(settings.data), "seed": settings.seed} | scored(solutions, verdicts, settings)
