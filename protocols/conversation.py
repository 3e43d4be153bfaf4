"""The loop of propose, check, judge and rule that the conversational protocols share (design section 4)."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import assert_never

from agents.persona import Trust
from agents.roles import CriticView, Judgement, PolicyView, Proposal
from journeys.draft import Draft
from journeys.record import Evidence, Journey, Move, Turn, Verification, seed_for
from protocols.base import Cast
from protocols.rules import REFUSED, Ruled, Rules, refused, ruled

Judge = Callable[[Draft, Cast, str, tuple[Evidence, ...], str | None], Awaitable[Judgement]]
"""Who judges a step: (draft, cast, step, evidence, answer) -> judgement."""


async def converse(draft: Draft, cast: Cast, *, judge: Judge, trust: Trust) -> AsyncIterator[Turn | Journey]:
    """Alternate policy and judge until an answer is verified or a budget is spent."""
    head = draft.head
    if head and head.verdict.move is Move.TERMINATE:  # interrupted between its last turn and its end
        yield ended(draft, cast, await cast.referee.verify(draft.problem, head.answer or ""))
        return
    while (spent := draft.spent(cast.budgets)) is None:
        proposal = await propose(draft, cast)
        step, question = proposal.step, draft.problem.question
        evidence = cast.referee.check(question=question, path=draft.path, step=step, abandoned=draft.abandoned)
        answer = cast.referee.answer_in(step)
        judgement = await judge(draft, cast, step, evidence, answer)
        may_reflect = draft.reflects_in_a_row < cast.budgets.max_reflects
        rules = Rules(path_length=len(draft.path), trust=trust, may_reflect=may_reflect)
        slips = slips_in(judgement, cast)
        verdict, rulings = ruled(judgement, step=step, evidence=evidence, slips=slips, answer=answer, rules=rules)
        verification: Verification | None = None
        if verdict.move is Move.TERMINATE and answer is not None:
            verification = await cast.referee.verify(draft.problem, answer)
            if verification.status != "right" and draft.refusals < cast.budgets.max_refusals:
                verdict, rulings = refused(rulings, rules=rules)
                evidence, verification = (*evidence, REFUSED), None
        yield add_turn(draft, proposal, judgement, (verdict, rulings), evidence=evidence, answer=answer)
        if verification is not None:
            yield ended(draft, cast, verification)
            return
    yield draft.finish(spent)


async def propose(draft: Draft, cast: Cast) -> Proposal:
    """Ask the policy for the next step of the draft."""
    view = PolicyView(
        journey_id=draft.id,
        question=draft.problem.question,
        path=tuple(draft.path),
        turns=tuple(draft.turns),
        seed=seed_for(draft.seed, draft.id, len(draft.turns), "policy"),
    )
    return await cast.policy.propose(view)


async def ask_critic(
    draft: Draft, cast: Cast, step: str, evidence: tuple[Evidence, ...], answer: str | None
) -> Judgement:
    """Ask the cast's critic for its verdict on a step that is not in the draft yet."""
    if cast.critic is None:
        raise ValueError("this protocol needs a critic in its cast")
    view = CriticView(
        journey_id=draft.id,
        question=draft.problem.question,
        path=tuple(draft.path),
        turns=tuple(draft.turns),
        step=step,
        evidence=evidence,
        answer=answer,
        seed=seed_for(draft.seed, draft.id, len(draft.turns), "critic"),
    )
    return await cast.critic.judge(view)


def slips_in(judgement: Judgement, cast: Cast) -> tuple[Evidence, ...]:
    """What the checkers find in the critic's own words, which the thought would otherwise repeat."""
    if not judgement.verdict.critique:
        return ()
    return cast.referee.check(question="", path=(), step=judgement.verdict.critique, abandoned=())


def add_turn(
    draft: Draft,
    proposal: Proposal,
    judgement: Judgement,
    ruling: Ruled,
    *,
    evidence: tuple[Evidence, ...],
    answer: str | None,
) -> Turn:
    """Put the turn into the draft and return it."""
    verdict, rulings = ruling
    awaiting = draft.awaiting_reply
    turn = Turn(
        id=len(draft.turns),
        parent=draft.head.id if draft.head else None,
        step=proposal.step,
        verdict=verdict,
        said=judgement.verdict if verdict != judgement.verdict else None,
        rulings=rulings,
        evidence=evidence,
        replies_to=awaiting.id if awaiting else None,
        answer=answer,
        finish=proposal.finish,
        confidence=proposal.confidence,
        policy_cost=proposal.cost,
        critic_cost=judgement.cost,
    )
    draft.add(turn)
    return turn


def ended(draft: Draft, cast: Cast, verification: Verification) -> Journey:
    """The journey that ends on a graded answer."""
    match verification.status:
        case "right":
            lucky = cast.referee.lucky(draft.problem, draft.path, verification.given)
            return draft.finish("solved", verification=verification, lucky=lucky)
        case "wrong" | "unparsed":
            return draft.finish(verification.status, verification=verification)
        case _:
            assert_never(verification.status)
