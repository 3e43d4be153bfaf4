"""The loop of propose, check, judge and rule that the conversational protocols share (design section 4)."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from typing import assert_never

from agents.persona import Trust
from agents.roles import CriticView, Judgement, PolicyView, Proposal
from journeys.draft import Draft
from journeys.record import Author, Cost, Evidence, Journey, Move, Rival, Turn, Verdict, Verification, seed_for
from protocols.base import Cast
from protocols.reflection import forced, may_reflect
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
        considered = await consider(draft, cast, proposal, judge=judge, trust=trust)
        considered, verification = await verified(draft, cast, considered, trust=trust)
        yield add_turn(draft, considered)
        if verification is not None:
            yield ended(draft, cast, verification)
            return
    yield draft.finish(spent)


def _looks_again(draft: Draft, cast: Cast) -> bool:
    """Whether a line of the recipe has the thought looked over before its answer counts; a last turn is left alone."""
    return may_reflect(cast.reflection, draft.path) and len(draft.turns) + 1 < cast.budgets.max_turns


@dataclass(frozen=True)
class Considered:
    """A step with all that was thought of it, before it becomes a turn."""

    proposal: Proposal
    judgement: Judgement
    ruled: Ruled
    evidence: tuple[Evidence, ...]
    answer: str | None

    @property
    def verdict(self) -> Verdict:
        """The verdict that takes effect."""
        return self.ruled[0]


async def consider(draft: Draft, cast: Cast, proposal: Proposal, *, judge: Judge, trust: Trust) -> Considered:
    """Check and judge a step that would continue the draft."""
    step, question = proposal.step, draft.problem.question
    evidence = await cast.referee.check(question=question, path=draft.path, step=step, abandoned=draft.abandoned)
    answer = cast.referee.answer_in(step)
    judgement = await judge(draft, cast, step, evidence, answer)
    slips = await slips_in(judgement, cast)
    ruling = ruled(
        judgement, step=step, evidence=evidence, slips=slips, answer=answer, rules=_rules(draft, cast, trust)
    )
    return Considered(proposal=proposal, judgement=judgement, ruled=ruling, evidence=evidence, answer=answer)


async def verified(
    draft: Draft, cast: Cast, considered: Considered, *, trust: Trust
) -> tuple[Considered, Verification | None]:
    """The verifier's word where the step ends the journey; where it says no and a refusal is left, a way back.

    Where a line of the recipe is to be put after a finished thought, nobody is asked yet.
    """
    if considered.verdict.move is not Move.TERMINATE or considered.answer is None:
        return considered, None
    if _looks_again(draft, cast):
        return replace(considered, ruled=forced(cast.reflection, considered.ruled[1])), None
    verification = await cast.referee.verify(draft.problem, considered.answer)
    if verification.status == "right" or draft.refusals >= cast.budgets.max_refusals:
        return considered, verification
    ruling = refused(considered.ruled[1], rules=_rules(draft, cast, trust))
    return replace(considered, ruled=ruling, evidence=(*considered.evidence, REFUSED)), None


def _rules(draft: Draft, cast: Cast, trust: Trust) -> Rules:
    may_reflect = draft.reflects_in_a_row < cast.budgets.max_reflects
    return Rules(path_length=len(draft.path), trust=trust, may_reflect=may_reflect)


async def propose(draft: Draft, cast: Cast, by: Author = "policy") -> Proposal:
    """Ask the policy, or the second one, for the next step of the draft."""
    policy = cast.second if by == "second" else cast.policy
    if policy is None:
        raise ValueError("this protocol needs a second policy in its cast")
    view = PolicyView(
        journey_id=_name(draft, by),
        question=draft.problem.question,
        path=tuple(draft.path),
        turns=tuple(draft.turns),
        seed=seed_for(draft.seed, draft.id, len(draft.turns), by),
    )
    return await policy.propose(view)


async def ask_critic(
    draft: Draft, cast: Cast, step: str, evidence: tuple[Evidence, ...], answer: str | None, *, by: Author = "policy"
) -> Judgement:
    """Ask the cast's critic for its verdict on a step that is not in the draft yet."""
    if cast.critic is None:
        raise ValueError("this protocol needs a critic in its cast")
    view = CriticView(
        journey_id=_name(draft, by),
        question=draft.problem.question,
        path=tuple(draft.path),
        turns=tuple(draft.turns),
        step=step,
        evidence=evidence,
        answer=answer,
        seed=seed_for(draft.seed, _name(draft, by), len(draft.turns), "critic"),
    )
    return await cast.critic.judge(view)


def _name(draft: Draft, by: Author) -> str:
    """What a request is called: two policies on the same model must not be taken for one."""
    return f"{draft.id}~second" if by == "second" else draft.id


async def slips_in(judgement: Judgement, cast: Cast) -> tuple[Evidence, ...]:
    """What the checkers find in the critic's own words, which the thought would otherwise repeat."""
    if not judgement.verdict.critique:
        return ()
    return await cast.referee.check(question="", path=(), step=judgement.verdict.critique, abandoned=())


def add_turn(
    draft: Draft,
    considered: Considered,
    *,
    by: Author = "policy",
    rival: Rival | None = None,
    second_cost: Cost | None = None,
) -> Turn:
    """Put the turn into the draft and return it. `second_cost`: the second policy's share of what writing it took."""
    proposal, judgement, (verdict, rulings) = considered.proposal, considered.judgement, considered.ruled
    awaiting = draft.awaiting_reply
    turn = Turn(
        id=len(draft.turns),
        parent=draft.head.id if draft.head else None,
        step=proposal.step,
        verdict=verdict,
        said=judgement.verdict if verdict != judgement.verdict else None,
        rulings=rulings,
        evidence=considered.evidence,
        replies_to=awaiting.id if awaiting else None,
        answer=considered.answer,
        finish=proposal.finish,
        confidence=proposal.confidence,
        by=by,
        rival=rival,
        policy_cost=proposal.cost,
        second_cost=second_cost,
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
