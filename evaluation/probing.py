"""Was the critic right to cut, and what did its points cost? Figures of a run from its finishes and from another run.

A prefix is what stood when a step was judged, that step included. It fails if its finish (one sample of the run's own
policy, with nobody judging) does not come to a right answer.

precision     of the prefixes that were cut, the share that fails
passed        of those that were let pass, the share that fails: read precision against it
recall        of the prefixes that fail, the share that was cut
gained        solve rate of the run less that of another on the same problems, and what a point of it cost

All cuts of a probed journey are finished, but only some of the steps let pass: each of these stands for as many as
there were. Intervals are bootstraps over problems. One finish has the policy's own luck in it: a right prefix may fail
and a wrong one be mended, which is why precision alone says little. Of a policy that fails from everywhere, it is high.
"""

from collections import defaultdict
from typing import Any

from evaluation.intervals import Estimate, paired, ratio
from evaluation.tables import Sheet, interval, points
from journeys.finishes import finish_of
from journeys.record import Journey, Move
from journeys.store import Store
from settings import UserError

Sums = dict[Any, defaultdict[str, float]]
"""By problem."""


def backtracks(run: Store, finishes: Store) -> dict[str, Any]:
    """Precision and recall of a run's backtracks, as far as they have been probed."""
    finished = [one for one in finishes.journeys() if one.outcome != "engine_error"]
    taken_up = {journey_id: run.get(journey_id) for journey_id, _ in (finish_of(one.id) for one in finished)}
    cut: list[Journey] = []
    passed: dict[str, list[Journey]] = {}
    for finish in finished:
        journey_id, place = finish_of(finish.id)
        journey = taken_up[journey_id]
        if journey is None:  # of another run: the store was put beside this one
            continue
        (cut if journey.turns[place].removes else passed.setdefault(journey_id, [])).append(finish)
    sums: Sums = {}
    for finish in cut:
        _add(sums, finish.problem.id, cut=1, cut_fails=not finish.solved, fails=not finish.solved)
    for journey_id, ones in passed.items():
        journey = taken_up[journey_id]
        let_pass = len(journey.turns) - journey.count(Move.BACKTRACK) if journey else 0
        for finish in ones:
            weight = let_pass / len(ones)
            failing = 0.0 if finish.solved else weight
            _add(sums, finish.problem.id, passed=weight, passed_fails=failing, fails=failing)
    return {
        "problems": len(sums),
        "finishes": len(finished),
        "cut": len(cut),
        "passed": sum(map(len, passed.values())),
        "tokens": sum(finish.completion_tokens for finish in finished),
        "precision": _share(sums, "cut_fails", "cut"),
        "passed_fails": _share(sums, "passed_fails", "passed"),
        "recall": _share(sums, "cut_fails", "fails"),
    }


def gained(run: Store, baseline: Store, *, name: str) -> dict[str, Any]:
    """What a run solves more than `baseline` on the problems that both have, and what a point of that cost.

    Raises:
        UserError: they have no problem in common.
    """
    ours, theirs = _by_problem(run), _by_problem(baseline)
    shared = [key for key in ours if key in theirs]
    if not shared:
        raise UserError(f"{name}: has no problem of this run; take a run with the same problems and seed")
    found: dict[str, Any] = {"against": name, "problems": len(shared)}
    for figure in ("solved", "tokens", "turns"):
        first, second = ([side[key][figure] / side[key]["journeys"] for key in shared] for side in (theirs, ours))
        found[figure] = paired(first, second).model_dump()
        extra = [there - here for here, there in zip(first, second, strict=True)]
        if figure == "solved":
            in_points = [100 * gain for gain in extra]
        else:
            # Over a gain that may be none the quotient means nothing, whatever its interval.
            told = found["solved"]["low"] > 0
            found[f"{figure}_per_point"] = ratio(extra, in_points).model_dump() if told else None
    return found


def sheets(figures: dict[str, Any]) -> list[Sheet]:
    """What a person reads."""
    made = []
    if probed := figures.get("backtracks"):
        rows = [
            ("backtrack precision", _told(probed["precision"]), f"of {probed['cut']} cut prefixes, those that fail"),
            ("let pass, and fails", _told(probed["passed_fails"]), f"{probed['passed']} finished; the share to beat"),
            ("backtrack recall", _told(probed["recall"]), "of the prefixes that fail, those that were cut"),
        ]
        note = f"{probed['finishes']} finishes by the policy alone, {probed['tokens']:,} tokens; 95% intervals over "
        made.append(Sheet("Backtracks", ("", "share", "of what"), tuple(rows), f"{note}{probed['problems']} problems."))
    if against := figures.get("against"):
        rows = [("solve rate, points", points(against["solved"]), "-")]
        for figure in ("tokens", "turns"):
            found, cost = against[figure], against[f"{figure}_per_point"]
            change = f"{found['value']:+.1f} [{found['low']:+.1f}, {found['high']:+.1f}]"
            each = f"{cost['value']:.2f} [{cost['low']:.2f}, {cost['high']:.2f}]" if cost else "no gain shown"
            rows.append((f"{figure} a journey", change, each))
        heads = ("", "difference", "for each point gained")
        note = f"{against['problems']} problems that both have; 95% intervals by paired bootstrap over problems."
        made.append(Sheet(f"Against {against['against']}", heads, tuple(rows), note))
    return made


def _add(sums: Sums, problem: Any, **counts: float) -> None:
    of_problem = sums.setdefault(problem, defaultdict(float))
    for name, count in counts.items():
        of_problem[name] += count


def _share(sums: Sums, over: str, under: str) -> dict[str, Any] | None:
    above, below = ([of_problem[name] for of_problem in sums.values()] for name in (over, under))
    found: Estimate | None = ratio(above, below) if sum(below) else None
    return found.model_dump() if found else None


def _told(share: dict[str, Any] | None) -> str:
    return interval(share) if share else "-"


def _by_problem(run: Store) -> Sums:
    """Sums over the journeys of each problem; one and the same only where the question is the same too."""
    sums: Sums = {}
    for journey in run.journeys():
        if journey.outcome != "engine_error":
            spent = {"tokens": journey.completion_tokens, "turns": len(journey.turns)}
            _add(sums, (journey.problem.id, journey.problem.question), journeys=1, solved=journey.solved, **spent)
    return sums
