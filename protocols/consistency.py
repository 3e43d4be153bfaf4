"""Mutual consistency: a solution is trusted as far as another policy, shown its beginning, comes to the same answer.

Source: rStar's discriminator (methods 4). Each solution is cut at four shares of its words, evenly from 20% to 50%; a
second policy completes each beginning; the solution survives where at least one (`loose`), half (`mid`) or all
(`strict`) of the completions agree with it. The answer with the highest sum of confidence, its share of what survived,
and survival, the share of its own solutions that did, is chosen.

The released selector is given the gold answer and asks whether any survivor equals it. `most_consistent` is given
numbers that stand for answers: there is no parameter through which a reference could come.

Beginnings end with a whole line or sentence. The paper masks words and its text steps, but a policy that writes a step
at a time has to be handed whole ones. A step with code is shown whole or not at all, with what it printed; code of the
second policy is run behind that, and a completion whose code fails comes to no answer.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Self, assert_never

from pydantic import Field, model_validator

from agents.roles import PolicyView
from journeys.code import code_failed, code_in
from journeys.draft import Draft
from journeys.record import Cost, Evidence, Move, Turn, Verdict, seed_for
from journeys.stitching.prose import sentences
from journeys.tree import Completion, Node, Tree
from protocols.base import Cast
from protocols.searching import spent
from settings import Settings

MOST_PIECES = 100_000
"""No two completions share an id of a turn: speakers remember what they wrote down for one by its id alone."""


class Consistency(Settings):
    """How a second policy is asked what it makes of solutions."""

    cuts: int = Field(4, ge=1)
    """Completions of each solution."""
    shortest: float = Field(0.2, ge=0, lt=1)
    """The share of a solution's words that the first completion is shown at most."""
    longest: float = Field(0.5, ge=0, lt=1)
    """The share that the last one is shown at most; the others lie evenly between."""
    agreement: Literal["loose", "mid", "strict"] = "mid"
    """How many of its completions must agree with a solution: one, half, all."""
    sure: float = Field(0.999, ge=0, le=1)
    """With a larger share of all confidence an answer is taken unasked."""
    max_tokens: int = Field(512, ge=1)
    """A completion that has written so much without an answer is given up."""

    @model_validator(mode="after")
    def _from_short_to_long(self) -> Self:
        if self.shortest > self.longest:
            raise ValueError("shortest must not be more than longest")
        return self


@dataclass(frozen=True)
class Solution:
    """A solution to be trusted or not: steps of a tree, or of a journey's path."""

    leaf: int
    steps: tuple[str, ...]
    answer: str | None
    evidence: tuple[tuple[Evidence, ...], ...]
    """What was found about each step; its code's output is shown with it."""
    confidence: float = 1.0

    @classmethod
    def of(cls, way: Sequence[Node], *, confidence: float = 1.0) -> Self:
        steps, evidence = tuple(node.step for node in way), tuple(node.evidence for node in way)
        return cls(way[-1].id, steps, way[-1].answer, evidence, confidence)

    @property
    def found(self) -> tuple[tuple[Evidence, ...], ...]:
        """What was found about each of its pieces; only a piece that is a whole step of code has something."""
        steps = zip(self.steps, self.evidence, strict=True)
        return tuple(found if code_in(piece) else () for step, found in steps for piece in _pieces(step))


@dataclass(frozen=True)
class Candidate:
    """A solution as the selector sees it. It holds no text, so nothing can be compared with a reference."""

    answer: int | None
    """Stands for its answer: equal answers have one number; None where it has none."""
    confidence: float = 1.0
    survives: bool = True


def most_consistent(candidates: Sequence[Candidate]) -> int | None:
    """The place of the solution to take: the most confident one of the best answer; of equals the earlier.

    None where no candidate has an answer. Where none survives, the most confident answer of all is taken.
    """
    answered = [one for one in candidates if one.answer is not None]
    standing = [one for one in answered if one.survives] or answered
    if not standing:
        return None
    confidence = sum(one.confidence for one in standing)

    def merit(candidate: Candidate) -> float:
        mine = [one for one in standing if one.answer == candidate.answer]
        of_all = [one for one in answered if one.answer == candidate.answer]
        return sum(one.confidence for one in mine) / (confidence or 1.0) + len(mine) / len(of_all)

    best = max(standing, key=lambda one: (merit(one), one.confidence))
    return next(place for place, one in enumerate(candidates) if one is best)


async def by_consistency(
    draft: Draft, cast: Cast, tree: Tree, solutions: Sequence[Solution], settings: Consistency
) -> Tree:
    """The tree with its chosen way, and with what the second policy wrote to choose it.

    A search that has spent its budget is not judged further: there the most confident answer is chosen.
    """

    async def same(first: str, second: str) -> bool:
        return await cast.referee.same(draft.problem, first, second)

    answers = await numbered([solution.answer for solution in solutions], same)
    candidates = [Candidate(answer, solution.confidence) for answer, solution in zip(answers, solutions, strict=True)]
    completions: tuple[Completion, ...] = ()
    if not _sure(candidates, settings.sure) and not spent(tree.nodes, cast.budgets):
        completions = await second_opinions(draft, cast, solutions, settings, same)
        candidates = [
            Candidate(
                one.answer, one.confidence, survives=survives([c for c in completions if c.leaf == of.leaf], settings)
            )
            for one, of in zip(candidates, solutions, strict=True)
        ]
    place = most_consistent(candidates)
    chosen = None if place is None else solutions[place].leaf
    return tree.model_copy(update={"completions": completions, "chosen": chosen})


async def numbered(
    answers: Sequence[str | None], same: Callable[[str, str], Awaitable[bool]]
) -> tuple[int | None, ...]:
    """Each answer's number, equal ones sharing the number of the first of them."""
    known: list[str] = []
    found: dict[str, int] = {}
    for answer in answers:
        if answer is None or answer in found:
            continue
        for number, other in enumerate(known):
            if await same(other, answer):
                found[answer] = number
                break
        else:
            found[answer] = len(known)
            known.append(answer)
    return tuple(None if answer is None else found[answer] for answer in answers)


async def second_opinions(
    draft: Draft,
    cast: Cast,
    solutions: Sequence[Solution],
    settings: Consistency,
    same: Callable[[str, str], Awaitable[bool]],
) -> tuple[Completion, ...]:
    """The second policy's completions of every solution that has an answer, all asked for side by side."""
    asked = [
        (solution, shown, number)
        for solution in solutions
        if solution.answer is not None
        for number, shown in enumerate(beginnings(solution.steps, settings))
    ]
    return tuple(
        await asyncio.gather(
            *(
                _completed(draft, cast, solution, shown, (place, number), settings, same)
                for place, (solution, shown, number) in enumerate(asked)
            )
        )
    )


def beginnings(steps: Sequence[str], settings: Consistency) -> list[tuple[str, ...]]:
    """What the second policy is shown of a solution, cut by cut."""
    pieces = [piece for step in steps for piece in _pieces(step)]
    words = [len(piece.split()) for piece in pieces]
    spread = (settings.longest - settings.shortest) / max(1, settings.cuts - 1)
    found = []
    for cut in range(settings.cuts):
        most = (settings.shortest + cut * spread) * sum(words) + 1e-9
        found.append(tuple(piece for place, piece in enumerate(pieces) if sum(words[: place + 1]) <= most))
    return found


def _pieces(step: str) -> list[str]:
    """A step's sentences; one with code is a single piece, for half a program does not run."""
    if code_in(step):
        return [step]
    return [sentence for line in step.splitlines() for sentence in sentences(line.strip())]


def survives(completions: Sequence[Completion], settings: Consistency) -> bool:
    """Whether enough completions of a solution agree with it."""
    agreeing = sum(completion.agrees for completion in completions)
    match settings.agreement:
        case "loose":
            return agreeing >= 1
        case "mid":
            return agreeing >= 1 and 2 * agreeing >= len(completions)
        case "strict":
            return agreeing >= 1 and agreeing == len(completions)
        case _:
            assert_never(settings.agreement)


def _sure(candidates: Sequence[Candidate], sure: float) -> bool:
    """Whether one answer holds nearly all confidence there is."""
    held: dict[int, float] = {}
    for one in candidates:
        if one.answer is not None:
            held[one.answer] = held.get(one.answer, 0.0) + one.confidence
    return max(held.values(), default=0.0) > sure * sum(held.values()) or not any(held.values())


async def _completed(
    draft: Draft,
    cast: Cast,
    solution: Solution,
    shown: Sequence[str],
    place: tuple[int, int],
    settings: Consistency,
    same: Callable[[str, str], Awaitable[bool]],
) -> Completion:
    """One completion, step by step, to its answer or to where it is given up."""
    if cast.second is None:
        raise ValueError("mutual consistency needs a second policy in the cast")
    number, cut = place
    found = solution.found
    path = [_turn(number * MOST_PIECES + n, piece, n, found[n]) for n, piece in enumerate(shown)]
    name = f"{draft.id}~second.{solution.leaf}.{cut}"
    cost, answer, failed = Cost(), None, False
    most = max(1, cast.budgets.max_turns - len(shown))
    while (
        answer is None and not failed and len(path) < len(shown) + most and cost.completion_tokens < settings.max_tokens
    ):
        seen, seed = tuple(path), seed_for(draft.seed, name, len(path), "second")
        proposal = await cast.second.propose(
            PolicyView(journey_id=name, question=draft.problem.question, path=seen, turns=seen, seed=seed)
        )
        evidence = await _ran(draft, cast, seen, proposal.step)
        cost, failed = cost.plus(proposal.cost), code_failed(evidence) is not None
        answer = None if failed else cast.referee.answer_in(proposal.step)
        path.append(_turn(number * MOST_PIECES + len(path), proposal.step, len(path), evidence))
    return Completion(
        leaf=solution.leaf,
        shown=tuple(shown),
        steps=tuple(turn.step for turn in path[len(shown) :]),
        answer=answer,
        agrees=answer is not None and solution.answer is not None and await same(solution.answer, answer),
        cost=cost,
    )


async def _ran(draft: Draft, cast: Cast, path: Sequence[Turn], step: str) -> tuple[Evidence, ...]:
    """What came of a step's code. Of other steps nothing is asked: agreement alone speaks for a completion."""
    if not code_in(step):
        return ()
    return await cast.referee.check(question=draft.problem.question, path=path, step=step, abandoned=())


def _turn(id: int, step: str, place: int, evidence: tuple[Evidence, ...]) -> Turn:
    parent = id - 1 if place else None
    return Turn(id=id, parent=parent, step=step, evidence=evidence, verdict=Verdict(move=Move.CONTINUE))
