"""Labels for single steps, for process reward models: what is known about each, and nothing more.

+1  the step stands on the path of an accepted journey: nothing was found against it and the answer is right
-1  a program proved it wrong: a false equation, a contradiction, or a final answer that the verifier refused
 0  nobody knows: a critic removed it without proof, or it stands in a journey that came to nothing

A row is one way from the root to where a branch ended. It has the columns of TRL's stepwise supervision (`prompt`,
`completions`, `labels`: Math-Shepherd's shape), in which unknown steps are context inside the prompt since a boolean
cannot say "unknown", and the whole branch with three-valued ratings (`steps`, `ratings`: PRM800K's shape).
"""

from collections.abc import Iterator
from typing import Any, Literal

from journeys.preferences import PROOFS
from journeys.record import Journey, Turn, removals

Source = Literal["evidence", "critic", "outcome"]
"""Who knows: a checker, the critic, or the verifier."""


def step_labels(journey: Journey, *, accepted: bool) -> Iterator[dict[str, Any]]:
    """One row for the path and one for each removed branch that holds a step of known worth."""
    told: set[int] = set()
    path = journey.path
    standing = {turn.id for turn in path} if accepted else set()
    head = path[-1].id if path else None
    for branch in (path, *_removed_ways(journey)):
        judged = [_judge(turn, journey, stands=turn.id in standing, ended=turn.id == head) for turn in branch]
        rated = [place for place, (rating, _, _) in enumerate(judged) if rating]
        news = any(branch[place].id not in told for place in rated)
        if not news or not all(turn.step.strip() for turn in branch):
            continue
        end = rated[-1] + 1
        begin = max((n + 1 for n in range(end) if judged[n][0] == 0), default=0)
        told |= {branch[n].id for n in rated}
        steps = [turn.step.strip() for turn in branch]
        yield {
            "prompt": "\n".join([journey.problem.question, *steps[:begin]]),
            "completions": steps[begin:end],
            "labels": [judged[n][0] > 0 for n in range(begin, end)],
            "question": journey.problem.question,
            "steps": steps,
            "ratings": [rating for rating, _, _ in judged],
            "whys": [why for _, why, _ in judged],
            "sources": [source for _, _, source in judged],
            "turns": [turn.id for turn in branch],
            "journey_id": journey.id,
            "problem_id": journey.problem.id,
            "family": journey.problem.family,
            "outcome": journey.outcome,
        }


def _removed_ways(journey: Journey) -> Iterator[tuple[Turn, ...]]:
    """For each backtrack the way from the root to the step it judged."""
    by_id = {turn.id: turn for turn in journey.turns}
    for judged, _ in removals(journey.turns):
        way = [judged]
        while way[-1].parent is not None:
            way.append(by_id[way[-1].parent])
        yield tuple(reversed(way))


def _judge(turn: Turn, journey: Journey, *, stands: bool, ended: bool) -> tuple[int, str, Source]:
    proof = next((found for found in turn.evidence if found.kind in PROOFS), None)
    if proof:
        return -1, proof.detail or proof.kind, "evidence"
    if "refused_answer" in turn.rulings or (ended and journey.stop_reason == "wrong"):
        return -1, "the verifier refused this answer", "outcome"
    if stands:
        return 1, "stands on the path to a right answer", "outcome"
    return 0, turn.verdict.critique, "critic"
