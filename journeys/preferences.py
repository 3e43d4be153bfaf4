"""Preference pairs: one attempt against another, and one step against the step that replaced it.

Both repair what makes DPO collapse on long thoughts (methods 6): the shortest right thought is the chosen one, and what
both sides share stands in the prompt, where no loss falls on it.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from journeys.formats import ExportSettings, completion, prompt, written_out
from journeys.record import Journey, Move, Turn, Verdict, removals
from journeys.stitching.thought import Thought
from journeys.tree import Node
from journeys.tree_pairs import TreePair

Stitch = Callable[[Journey], Thought]
"""Tells a journey by its path alone."""

PROOFS = frozenset({"false_equation", "contradiction", "failed_code", "missed_target", "unavailable_number"})
"""Evidence that a step is wrong in itself; other fatal kinds (an empty, a repeated step) only say it may not stand."""


def outcome_pairs(
    right: Sequence[tuple[Journey, Thought]], wrong: Sequence[tuple[Journey, Thought]], settings: ExportSettings
) -> Iterator[dict[str, Any]]:
    """The shortest right thought of a problem against each distinct failed one, up to `max_pairs_per_problem`."""
    if not right:
        return
    best, best_thought = min(right, key=lambda pair: len(pair[1].text))
    failed = {written_out(thought, settings): journey for journey, thought in wrong}
    for text, journey in list(failed.items())[: settings.max_pairs_per_problem]:
        yield {
            "prompt": prompt(best.problem, settings),
            "chosen": completion(written_out(best_thought, settings), settings),
            "rejected": completion(text, settings),
            "kind": "outcome",
            "why": journey.stop_reason,
            "problem_id": best.problem.id,
            "family": best.problem.family,
            "chosen_journey": best.id,
            "rejected_journey": journey.id,
            "chosen_turn": None,
            "rejected_turn": None,
        }


def step_pairs(journey: Journey, settings: ExportSettings, stitch: Stitch) -> Iterator[dict[str, Any]]:
    """The step that stands on an accepted path against each one that was proven wrong in its place.

    Both sides are told by the narrator as the path before plus that one step; everything up to the first word in which
    they differ belongs to the prompt.
    """
    path = journey.path
    seen: set[str] = set()
    for _, branch in removals(journey.turns):
        place = next((n for n, turn in enumerate(path) if turn.parent == branch[0].parent), None)
        why = _proof(branch)
        if place is None or why is None:
            continue
        pair = pair_of_steps(journey, path[place], branch[0], settings, stitch)
        if pair is None or (rejected := _told_until(journey, branch[0], stitch)) in seen:
            continue
        seen.add(rejected)
        yield pair | {"why": why}


def searched_pair(journey: Journey, pair: TreePair, settings: ExportSettings, stitch: Stitch) -> dict[str, Any] | None:
    """Two steps that a search tried in the same place as a pair; None for whole solutions, or where nothing differs."""
    if len(pair.better) > 1 or len(pair.worse) > 1:
        return None
    way = [_as_turn(node, place) for place, node in enumerate(pair.before)]
    better, worse = (_as_turn(side[0], len(way)) for side in (pair.better, pair.worse))
    row = pair_of_steps(journey.model_copy(update={"turns": tuple(way)}), better, worse, settings, stitch)
    # The tree's steps are not turns of the journey.
    return row and row | {"why": f"search: Q {pair.margin:+.2f}", "chosen_turn": None, "rejected_turn": None}


def ppm_row(journey: Journey, pair: TreePair, settings: ExportSettings) -> dict[str, Any]:
    """A pair as a reward model reads it: the question, the lines so far, and two ways to go on.

    Without system text and tags: a reward model is asked about steps, whatever its policy was asked with.
    """
    begun = "".join(f"{node.step}\n" for node in pair.before)
    better, worse = ("\n".join(node.step for node in side) for side in (pair.better, pair.worse))
    return {
        "prompt": prompt(journey.problem, settings.model_copy(update={"system": None}), begun=begun),
        "chosen": completion(better, settings),
        "rejected": completion(worse, settings),
        "weight": pair.weight,
        "margin": pair.margin,
        "kind": "step" if len(pair.better) == len(pair.worse) == 1 else "solution",
        "problem_id": journey.problem.id,
        "family": journey.problem.family,
        "journey_id": journey.id,
    }


def _as_turn(node: Node, place: int) -> Turn:
    return Turn(id=place, parent=place - 1 if place else None, step=node.step, verdict=Verdict(move=Move.CONTINUE))


def pair_of_steps(
    journey: Journey, better: Turn, worse: Turn, settings: ExportSettings, stitch: Stitch
) -> dict[str, Any] | None:
    """Two steps in the same place as a pair; None where telling them leaves nothing in which they differ."""
    parted = _part(_told_until(journey, better, stitch), _told_until(journey, worse, stitch))
    if parted is None:
        return None
    begun, chosen, rejected = parted
    return {
        "prompt": prompt(journey.problem, settings, begun=settings.around.open + begun),
        "chosen": completion(chosen, settings),
        "rejected": completion(rejected, settings),
        "kind": "step",
        "why": "",
        "problem_id": journey.problem.id,
        "family": journey.problem.family,
        "chosen_journey": journey.id,
        "rejected_journey": journey.id,
        "chosen_turn": better.id,
        "rejected_turn": worse.id,
    }


def _proof(branch: Sequence[Turn]) -> str | None:
    """Why a removed branch was wrong, if a program said so; a critic's word alone is not enough."""
    for turn in branch:
        for found in turn.evidence:
            if found.kind in PROOFS:
                return found.kind if turn is branch[0] else f"branch: {found.kind}"
    if any("refused_answer" in turn.rulings for turn in branch):
        return "branch: refused_answer"
    return None


def _told_until(journey: Journey, turn: Turn, stitch: Stitch) -> str:
    return stitch(_until(journey, turn)).text


def _until(journey: Journey, turn: Turn) -> Journey:
    """The journey as it was when `turn` had just been written, not yet judged."""
    unjudged = turn.model_copy(update={"verdict": Verdict(move=Move.CONTINUE)})
    return journey.model_copy(update={"turns": (*journey.turns[: turn.id], unjudged)})


def _part(chosen: str, rejected: str) -> tuple[str, str, str] | None:
    """The shared beginning, whole words only, and the two ends; None when neither says anything else.

    The ends keep their leading space, because a tokenizer's words begin with one.
    """
    cut = next((place for place, (a, b) in enumerate(zip(chosen, rejected, strict=False)) if a != b), None)
    if cut is None:
        return None
    while cut and not (_at_word(chosen, cut) and _at_word(rejected, cut)):
        cut -= 1
    begun, better, worse = chosen[:cut], chosen[cut:], rejected[cut:]
    if not better.strip() or not worse.strip():
        return None
    return begun, better, worse


def _at_word(text: str, place: int) -> bool:
    """Whether a word, with the space before it, begins at `place`."""
    return place < len(text) and text[place].isspace() and not text[place - 1].isspace()
