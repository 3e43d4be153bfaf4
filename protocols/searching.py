"""What searching protocols share: a step tried in its place, and a walk told as a journey.

A search grows a `Tree`, which is kept before the first turn, so that a journey taken up in the middle of its walk goes
on with the tree that it had. A process that dies while it searches begins the search again.
"""

import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence

from agents.roles import CriticView, PolicyView
from journeys.code import code_failed
from journeys.draft import Budgets, Draft
from journeys.pieces import whole_steps
from journeys.record import Journey, Move, Turn, Verdict, Verification, seed_for
from journeys.tree import Node, Tree, cost_of
from protocols.base import Cast
from protocols.conversation import ended
from protocols.reflection import may_reflect
from protocols.scoring import SCORERS, Score, ScorerName
from protocols.walk import Visit, walk


async def attempt(
    draft: Draft, cast: Cast, way: Sequence[Node], number: int, *, scorer: ScorerName, action: str = ""
) -> Node:
    """One next step after `way`: written, checked, judged and, where it answers, verified. Its id is given later.

    Args:
        number: tells it from its siblings; names and seeds depend on it, and on nothing that happened elsewhere.
        action: what the policy is asked for, if not simply for a step.
    """
    path = standing_path(way)
    parent = way[-1].id if way else None
    name = f"{draft.id}~{'root' if parent is None else parent}{action and '.'}{action}.{number}"
    question = draft.problem.question
    proposal = await cast.policy.propose(
        PolicyView(
            journey_id=name,
            question=question,
            path=path,
            turns=path,
            seed=seed_for(draft.seed, name, "policy"),
            action=action,
        )
    )
    evidence = await cast.referee.check(question=question, path=path, step=proposal.step, abandoned=())
    failed = code_failed(evidence)
    answer = None if failed else cast.referee.answer_in(proposal.step)
    view = CriticView(
        journey_id=name,
        question=question,
        path=path,
        turns=path,
        step=proposal.step,
        evidence=evidence,
        answer=answer,
        seed=seed_for(draft.seed, name, "critic"),
    )
    if failed:  # whoever judges, nothing can be built on code that does not run
        score = Score(value=0.0, reason=failed.detail, refuted=True)
    else:
        score = await SCORERS[scorer](view, proposal, cast)
    verification = None if answer is None else await cast.referee.verify(draft.problem, answer)
    return Node(
        id=0,
        parent=parent,
        step=proposal.step,
        answer=answer,
        reflection=cast.reflection if answer is not None and may_reflect(cast.reflection, path) else "",
        evidence=evidence,
        score=score.value,
        reason=score.reason,
        refuted=score.refuted,
        verification=verification,
        lucky=luck(draft, cast, path, proposal.step, verification),
        action=action,
        finish=proposal.finish,
        confidence=proposal.confidence,
        policy_cost=proposal.cost,
        judge_cost=score.cost,
    )


def standing_path(way: Sequence[Node]) -> tuple[Turn, ...]:
    """The way as speakers are shown it: steps that stand."""
    return tuple(
        Turn(
            id=node.id,
            parent=node.parent,
            step=node.step,
            verdict=node.verdict,
            rulings=node.rulings,
            evidence=node.evidence,
            # Its place: all turns are on the way.
            replies_to=place - 1 if place and way[place - 1].reflection else None,
        )
        for place, node in enumerate(way)
    )


def placed(layer: Sequence[Node], *, after: int) -> list[Node]:
    """The nodes with ids that follow the `after` nodes there are."""
    return [node.model_copy(update={"id": after + place}) for place, node in enumerate(layer)]


def without_twins(layer: Sequence[Node]) -> list[Node]:
    """Siblings that say the same, as one that cost what all did: going on with each would show nothing new."""
    found: dict[tuple[int | None, str], Node] = {}
    for node in layer:
        key = (node.parent, " ".join(node.step.split()))
        if twin := found.get(key):
            node = twin.model_copy(
                update={
                    "policy_cost": twin.policy_cost.plus(node.policy_cost),
                    "judge_cost": twin.judge_cost.plus(node.judge_cost),
                }
            )
        found[key] = node
    return list(found.values())


async def searched(
    draft: Draft, cast: Cast, *, search: Callable[[], Awaitable[Tree]], walk: Callable[[Tree], Iterable[Visit]]
) -> AsyncIterator[Turn | Journey | Tree]:
    """What every searching protocol yields: its tree, unless the draft holds it, and the journey walked through it.

    Args:
        search: grows the tree.
        walk: the visits of the journey, through a tree of whole steps; the same tree gives the same ones.
    """
    tree = draft.tree
    if tree is None:
        tree = await search()
        draft.keep(tree)
        yield tree
    visits = list(walk(whole_steps(tree)))
    for visit in visits[len(draft.turns) :]:
        turn = _turn(draft, visit)
        draft.add(turn)
        yield turn
    last = visits[-1].node if visits else None
    if last and last.ends and last.verification:
        yield ended(draft, cast, last.verification)
    else:
        yield draft.finish(draft.spent(cast.budgets) or "exhausted:turns")


def erring(draft: Draft, cast: Cast, tree: Tree, way: Sequence[Node], *, trials: int) -> Iterator[Visit]:
    """The walk along `way` with its trips, within the budgets of a journey; see protocols/walk.py."""
    budgets, draw = cast.budgets, random.Random(f"{draft.seed} {draft.id} walk")
    return walk(tree, way, trials=trials, most_trips=budgets.max_backtracks, most_visits=budgets.max_turns, draw=draw)


def spent(nodes: Sequence[Node], budgets: Budgets) -> bool:
    """Whether these steps have used up what one journey may take of tokens or seconds."""
    cost = cost_of(nodes)
    late = budgets.max_seconds is not None and cost.seconds >= budgets.max_seconds
    return late or cost.completion_tokens >= budgets.max_tokens


def _turn(draft: Draft, visit: Visit) -> Turn:
    """A visited step as a turn, with the verdict that the walk gives it."""
    awaiting, keep = draft.awaiting_reply, visit.keep
    node, verdict = visit.node, None
    if keep is None and code_failed(node.evidence):
        keep = len(draft.path)  # a way that leads nowhere may end in such a step; it does not stand there either
    if keep is not None:
        quote = next((found.quote for found in node.evidence if found.fatal), "")
        verdict = Verdict(move=Move.BACKTRACK, critique=node.reason, quote=quote, keep=keep)
    return node.as_turn(
        id=len(draft.turns),
        parent=draft.head.id if draft.head else None,
        verdict=verdict,
        replies_to=awaiting.id if awaiting else None,
    )


def luck(
    draft: Draft, cast: Cast, path: Sequence[Turn], step: str, verification: Verification | None
) -> tuple[str, ...]:
    """Why a right answer does not follow from the steps before it, if it does not."""
    if verification is None or verification.status != "right":
        return ()
    last = Turn(id=-1, parent=path[-1].id if path else None, step=step, verdict=Verdict(move=Move.TERMINATE))
    return cast.referee.lucky(draft.problem, (*path, last), verification.given)
