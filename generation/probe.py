"""What would have become of a step, had nobody judged it: `python run.py probe` has the policy finish it alone, once.

A finish is a journey like any other, under the protocol `solo`, that begins in the middle: with every turn that the
policy had seen, the judged step let stand. They go into a store of their own beside the run's, so a stopped probe goes
on where it was, and a larger one keeps what is there.
"""

from collections.abc import Iterator
from pathlib import Path
from random import Random

from agents.verdicts import NEUTRAL
from engines.open import open_engine
from generation.cast import Company, Open
from generation.folder import RunFolder
from generation.progress import ProgressView
from generation.run import Ending, grow_all
from generation.settings import GenerateSettings, NarratorSettings
from journeys.draft import Draft
from journeys.finishes import finish_id
from journeys.record import Cost, Journey, Move, Turn, Verdict, Voice
from journeys.store import Store
from protocols.solo import Solo
from settings import UserError


async def probe(run: Path, *, num_journeys: int, passes: int, open_engine: Open = open_engine) -> Ending:
    """Finish what was cut, and `passes` steps that were let pass, in `num_journeys` journeys of a run.

    Raises:
        UserError: there is no run, nothing in it has ended, or nobody judged its steps.
    """
    if num_journeys < 0 or passes < 0:
        raise UserError("command line: --num-journeys and --passes are 0 or more")
    folder = RunFolder(run)
    if num_journeys == 0:
        return Ending()
    with Store(folder.database, read_only=True) as journeys:
        settings = folder.settings()
        _has_a_judge(journeys, settings, run)
        alone = _alone(settings)
        company = Company(alone, open_engine=open_engine)
        chosen = _chosen(journeys, seed=settings.seed, count=num_journeys)
        with Store(folder.probe) as finishes:
            ended = {one for one, status in finishes.ids().items() if status == "finished"}
            wanted = [
                (journey.id, turn.id)
                for journey in _read(journeys, chosen)
                for turn in judged_turns(journey, seed=settings.seed, passes=passes)
                if finish_id(journey.id, turn.id) not in ended
            ]
            if not wanted:
                return Ending()
            work = _work(wanted, journeys=journeys, finishes=finishes, company=company)
            async with company:
                with ProgressView(total=len(ended) + len(wanted), counts=finishes.counts()) as view:
                    return await grow_all(alone, store=finishes, company=company, watcher=view, work=work)


def judged_turns(journey: Journey, *, seed: int, passes: int) -> list[Turn]:
    """The turns to finish: all that a judge sent back, and some that it let pass. More passes keep the first ones."""
    passed = [turn for turn in journey.turns if not turn.removes]
    Random(f"{seed} {journey.id} probe").shuffle(passed)
    cut = [turn for turn in journey.turns if turn.removes and "refused_answer" not in turn.rulings]
    return [*cut, *passed[:passes]]


def _has_a_judge(store: Store, settings: GenerateSettings, run: Path) -> None:
    counts = store.counts()
    if not counts.finished:
        raise UserError(f"{run}: no journey has ended yet; run generate first")
    if not {"critic", "self_critic"} & {*settings.protocol.roles} and not counts.with_backtrack:
        raise UserError(f"{run}: nobody judged its steps ({settings.protocol.kind}), so there is nothing to probe")


def _alone(settings: GenerateSettings) -> GenerateSettings:
    """The run's recipe with its policy alone, and as much room again for each finish as a journey had."""
    budgets = settings.budgets.model_copy(update={"max_turns": 2 * settings.budgets.max_turns})
    return settings.model_copy(update={"protocol": Solo(), "budgets": budgets, "narrator": NarratorSettings()})


def _chosen(store: Store, *, seed: int, count: int) -> list[str]:
    """Journeys at random; a larger count holds those of a smaller one."""
    ended = [journey_id for journey_id, status in store.ids().items() if status == "finished"]
    Random(f"{seed} probe").shuffle(ended)
    return ended[:count]


def _read(store: Store, ids: list[str]) -> Iterator[Journey]:
    return (journey for journey_id in ids if (journey := store.get(journey_id)))


def _work(wanted: list[tuple[str, int]], *, journeys: Store, finishes: Store, company: Company) -> Iterator[Draft]:
    """What a stopped probe left half-grown, then what was never begun."""
    begun = finishes.ids()
    yield from finishes.growing()
    for journey_id, place in wanted:
        journey = journeys.get(journey_id)
        if journey is not None and finish_id(journey_id, place) not in begun:
            yield _draft(journey, journey.turns[place], voice=company.voices[0], seed=company.settings.seed)


def _draft(journey: Journey, judged: Turn, *, voice: Voice, seed: int) -> Draft:
    """The journey as it stood behind the judged step, which stands. What came before costs the finish nothing."""
    verdict = NEUTRAL if judged.answer is None else Verdict(move=Move.TERMINATE)
    free = {"policy_cost": Cost(), "second_cost": None, "critic_cost": Cost()}
    before = [turn.model_copy(update=free) for turn in journey.turns[: judged.id]]
    begun = [*before, judged.model_copy(update=free | {"verdict": verdict, "said": None, "rulings": ()})]
    return Draft(
        finish_id(journey.id, judged.id),
        journey.problem,
        attempt=judged.id,
        seed=seed,
        protocol=Solo().kind,
        policy=voice,
        turns=begun,
    )
