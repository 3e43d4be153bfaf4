"""Labels for single steps, for process reward models: what is known about each, and nothing more.

+1  the step stands on the path of an accepted journey: nothing was found against it and the answer is right
-1  a program proved it wrong: a false equation, a contradiction, or a final answer that the verifier refused
 0  nobody knows: a critic removed it without proof, or it stands in a journey that came to nothing

Where people rated the steps before (protocol `ready-tree`), what they said counts and nothing else: every rated step of
the tree has a label, walked or not, and its source is `labeller`.

A row is one way from the root to where a branch ended. It has the columns of TRL's stepwise supervision (`prompt`,
`completions`, `labels`: Math-Shepherd's shape), in which unknown steps are context inside the prompt since a boolean
cannot say "unknown", and the whole branch with three-valued ratings (`steps`, `ratings`: PRM800K's shape).
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal

from journeys.preferences import PROOFS
from journeys.record import Evidence, Journey, Turn, removals
from journeys.tree import Node, Tree

Source = Literal["evidence", "critic", "outcome", "labeller"]
"""Who knows: a checker, the critic, the verifier, or the people who rated the steps of a ready tree."""


def step_labels(journey: Journey, *, accepted: bool, tree: Tree | None = None) -> Iterator[dict[str, Any]]:
    """What is known about the steps of a journey, or of the ready tree that it was walked through."""
    if tree is not None and journey.protocol == "ready-tree":
        return _by_labellers(journey, tree)
    return _by_journey(journey, accepted=accepted)


def _by_journey(journey: Journey, *, accepted: bool) -> Iterator[dict[str, Any]]:
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
        steps, turns = [turn.step.strip() for turn in branch], [turn.id for turn in branch]
        yield _row(journey, steps, judged, turns=turns, begin=begin, end=end)


def _by_labellers(journey: Journey, tree: Tree) -> Iterator[dict[str, Any]]:
    """One row for each way to where the tree ends. A step is among the completions of the first way it is on only:
    the beginning that a hundred tries share would be learnt a hundred times."""
    turns = {way: turn for turn, way in _ways_of_turns(journey).items()}
    told: set[int] = set()
    for leaf in tree.nodes:
        if leaf.id in tree.children:
            continue
        way = tree.way_to(leaf)
        judged = [_rated(node) for node in way]
        rated = [place for place, (rating, _, _) in enumerate(judged) if rating]
        if not any(way[place].id not in told for place in rated) or not all(node.step.strip() for node in way):
            continue
        end = rated[-1] + 1
        begin = max((n + 1 for n in range(end) if judged[n][0] == 0 or way[n].id in told), default=0)
        told |= {way[n].id for n in rated}
        steps = tuple(node.step.strip() for node in way)
        walked = [turns.get(steps[: n + 1]) for n in range(len(steps))]
        yield _row(journey, steps, judged, turns=walked, begin=begin, end=end)


def _row(
    journey: Journey,
    steps: Sequence[str],
    judged: Sequence[tuple[int, str, Source]],
    *,
    turns: Sequence[int | None],
    begin: int,
    end: int,
) -> dict[str, Any]:
    """The columns of a way; the steps from `begin` to `end` are labelled, those before are context."""
    return {
        "prompt": "\n".join([journey.problem.question, *steps[:begin]]),
        "completions": list(steps[begin:end]),
        "labels": [judged[n][0] > 0 for n in range(begin, end)],
        "question": journey.problem.question,
        "steps": list(steps),
        "ratings": [rating for rating, _, _ in judged],
        "whys": [why for _, why, _ in judged],
        "sources": [source for _, _, source in judged],
        "turns": list(turns),
        "journey_id": journey.id,
        "problem_id": journey.problem.id,
        "family": journey.problem.family,
        "outcome": journey.outcome,
    }


def _ways_of_turns(journey: Journey) -> dict[int, tuple[str, ...]]:
    """For each turn the steps from the root to it."""
    ways: dict[int, tuple[str, ...]] = {}
    for turn in journey.turns:
        before = () if turn.parent is None else ways[turn.parent]
        ways[turn.id] = (*before, turn.step.strip())
    return ways


def _removed_ways(journey: Journey) -> Iterator[tuple[Turn, ...]]:
    """For each backtrack the way from the root to the step it judged."""
    by_id = {turn.id: turn for turn in journey.turns}
    for judged, _ in removals(journey.turns):
        way = [judged]
        while way[-1].parent is not None:
            way.append(by_id[way[-1].parent])
        yield tuple(reversed(way))


def _judge(turn: Turn, journey: Journey, *, stands: bool, ended: bool) -> tuple[int, str, Source]:
    if proof := _proof(turn.evidence):
        return -1, proof.detail or proof.kind, "evidence"
    if "refused_answer" in turn.rulings or (ended and journey.stop_reason == "wrong"):
        return -1, "the verifier refused this answer", "outcome"
    if stands:
        return 1, "stands on the path to a right answer", "outcome"
    return 0, turn.verdict.critique, "critic"


def _rated(node: Node) -> tuple[int, str, Source]:
    """What people said of a step; 0 for neutral ones and where they disagree. A reason is known to a checker alone."""
    rating = -1 if node.refuted else 1 if node.score == 1 else 0
    proof = _proof(node.evidence) if rating < 0 else None
    return rating, (proof.detail or proof.kind) if proof else "", "labeller"


def _proof(evidence: Iterable[Evidence]) -> Evidence | None:
    return next((found for found in evidence if found.kind in PROOFS), None)
