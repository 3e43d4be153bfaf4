"""A ready tree: people's ratings of a model's steps, walked as a search would be. Nobody is asked to write anything.

Source: O1 Journey's off-policy variant (methods 1.1, step 5), which took PRM800K for its first round. A rating is a
judge's score: 1 right, 0.5 neutral, 0 wrong. It says that a step is wrong and never why: where a checker cannot say so
either, the thought doubts without a reason, unless a critic is asked for one.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from pydantic import Field

from agents.roles import CriticView
from journeys.draft import Draft
from journeys.record import Cost, Evidence, Journey, Move, Turn, Verdict, seed_for
from journeys.tree import Node, Tree
from problems.prm800k import Place, labelled_ways
from protocols.base import Cast, Role
from protocols.conversation import slips_in
from protocols.searching import erring, luck, searched
from protocols.tree_search import best_way
from settings import Settings

RATED_WRONG = "This step is wrong."
"""All that a rating says."""


class ReadyTree(Settings):
    """Steps that were written and rated before; see `problems.source: prm800k`."""

    kind: Literal["ready-tree"] = "ready-tree"
    reasons: Literal["rating", "critic"] = "rating"
    """Who says what is wrong with a step that was rated wrong, where no checker can: nobody, or the critic."""
    trials: int = Field(2, ge=1)
    """The walk: steps tried after each step on the way, the right one included."""

    @property
    def steps_a_turn(self) -> int:
        """What a dry run reckons with: no step is written."""
        return 0

    @property
    def roles(self) -> tuple[Role, ...]:
        return ("critic",) if self.reasons == "critic" else ()

    def grow(self, draft: Draft, cast: Cast) -> AsyncIterator[Turn | Journey | Tree]:
        return searched(
            draft,
            cast,
            search=lambda: self._read(draft, cast),
            walk=lambda tree: erring(draft, cast, tree, best_way(tree), trials=self.trials),
        )

    async def _read(self, draft: Draft, cast: Cast) -> Tree:
        """The tree of all labelled solutions, checked and verified."""
        steps = rated_steps(labelled_ways(draft.problem))
        return Tree(nodes=tuple(await asyncio.gather(*(self._node(draft, cast, steps, step) for step in steps))))

    async def _node(self, draft: Draft, cast: Cast, steps: Sequence["RatedStep"], step: "RatedStep") -> Node:
        path, question = tuple(_path(steps, step.parent)), draft.problem.question
        evidence = await cast.referee.check(question=question, path=path, step=step.text, abandoned=())
        answer = cast.referee.answer_in(step.text)
        verification = None if answer is None else await cast.referee.verify(draft.problem, answer)
        view = CriticView(
            journey_id=f"{draft.id}~{step.id}",
            question=question,
            path=path,
            turns=path,
            step=step.text,
            evidence=evidence,
            answer=answer,
            seed=seed_for(draft.seed, draft.id, step.id, "critic"),
        )
        reason, cost = await self._reason(view, cast) if step.rating == -1 else ("", Cost())
        return Node(
            id=step.id,
            parent=step.parent,
            step=step.text,
            answer=answer,
            evidence=evidence,
            score=(1 + step.rating) / 2,
            reason=reason,
            refuted=step.rating == -1,
            kept=step.chosen,
            verification=verification,
            lucky=luck(draft, cast, path, step.text, verification),
            judge_cost=cost,
        )

    async def _reason(self, view: CriticView, cast: Cast) -> tuple[str, Cost]:
        """What is wrong with a step that was rated wrong. A critic that sees nothing, or errs itself, is not heard."""
        found: Evidence | None = next((finding for finding in view.evidence if finding.fatal), None)
        if found is not None:
            return found.detail, Cost()
        if self.reasons == "rating" or cast.critic is None:
            return RATED_WRONG, Cost()
        judgement = await cast.critic.judge(view)
        objects = judgement.verdict.move in (Move.BACKTRACK, Move.REFLECT) and judgement.verdict.critique
        heard = objects and not await slips_in(judgement, cast)
        return judgement.verdict.critique if heard else RATED_WRONG, judgement.cost


@dataclass
class RatedStep:
    """A step in its place in the tree that all solutions make together."""

    id: int
    parent: int | None
    text: str
    chosen: bool = False
    """Whether some solution went on with it."""
    ratings: set[int] = field(default_factory=set)

    @property
    def rating(self) -> int:
        """What people said of it; neutral where they disagree."""
        return sum(self.ratings & {-1, 1})


def rated_steps(ways: Sequence[Sequence[Place]]) -> list[RatedStep]:
    """The steps of all solutions, parents before children; solutions that begin alike share their beginning."""
    found: dict[tuple[int | None, str], RatedStep] = {}
    for way in ways:
        parent: int | None = None
        for place in way:
            tried = []
            for one in place.tries:
                step = found.setdefault((parent, one.text), RatedStep(len(found), parent, one.text))
                step.ratings.add(one.rating)
                tried.append(step)
            if place.chosen is not None:
                tried[place.chosen].chosen = True
                parent = tried[place.chosen].id
    return list(found.values())


def _path(steps: Sequence[RatedStep], last: int | None) -> Iterator[Turn]:
    """The steps from the first to `last` as turns."""
    if last is not None:
        step = steps[last]
        yield from _path(steps, step.parent)
        yield Turn(id=step.id, parent=step.parent, step=step.text, verdict=Verdict(move=Move.CONTINUE))
