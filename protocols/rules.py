"""What a critic's verdict may do: form, evidence and bounds, as pure functions (design section 4)."""

from dataclasses import dataclass

from agents.persona import Trust
from agents.roles import Judgement
from journeys.code import FAILED_CODE
from journeys.record import Evidence, Move, Ruling, Verdict

REFUSED = Evidence(kind="refused_answer", detail="That answer does not hold.")
"""All that is ever said about a wrong answer: no value (invariant 4)."""

Ruled = tuple[Verdict, tuple[Ruling, ...]]
"""The verdict that takes effect, and why it differs from the one that was said."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What of the journey bears on a verdict."""

    path_length: int
    """Steps standing before the judged one."""
    trust: Trust
    may_reflect: bool


def ruled(
    judgement: Judgement,
    *,
    step: str,
    evidence: tuple[Evidence, ...],
    slips: tuple[Evidence, ...] = (),
    answer: str | None,
    rules: Rules,
) -> Ruled:
    """Order matters: the verdict is made well-formed, then evidence is weighed, then the bounds, then the answer.

    `slips` is what the checkers found in the critique itself, which may quote what they found in the step.
    """
    verdict, rulings = judgement.verdict, list[Ruling]()
    if judgement.parse != "ok":
        rulings.append("repaired" if judgement.parse == "repaired" else "parse_failure")
    if verdict.move is Move.BACKTRACK and not 0 <= verdict.keep <= rules.path_length:
        verdict = _changed(verdict, keep=min(max(verdict.keep, 0), rules.path_length))
        rulings.append("keep_clamped")
    if verdict.quote and _folded(verdict.quote) not in _folded(step):
        demoted = Move.REFLECT if verdict.move is Move.BACKTRACK else verdict.move
        verdict = _changed(verdict, move=demoted, quote="", keep=0)
        rulings.append("quote_not_found")
    known = {_folded(finding.quote) for finding in evidence}
    if any(slip.kind == "false_equation" and _folded(slip.quote) not in known for slip in slips):
        moves_on = rules.trust != "critic" and verdict.move in (Move.BACKTRACK, Move.REFLECT)
        changes: dict[str, object] = {"move": Move.CONTINUE, "keep": 0} if moves_on else {}
        verdict = _changed(verdict, critique="", quote="", **changes)
        rulings.append("false_critique")
    # Code that does not run is no opinion of a checker: with it on the path no later step would run.
    proofs = (finding for finding in evidence if finding.fatal)
    fatal = next((found for found in proofs if rules.trust != "critic" or found.kind == FAILED_CODE), None)
    if fatal and verdict.move is not Move.BACKTRACK:
        verdict = Verdict(move=Move.BACKTRACK, critique=fatal.detail, quote=fatal.quote, keep=rules.path_length)
        rulings.append("evidence_overrules")
    if rules.trust == "evidence" and not fatal and verdict.move is Move.BACKTRACK:
        verdict = _changed(verdict, move=Move.REFLECT, keep=0)
        rulings.append("no_evidence")
    if verdict.move is Move.REFLECT and not rules.may_reflect:
        verdict = _changed(verdict, move=Move.CONTINUE)
        rulings.append("reflect_budget")
    if verdict.move is Move.TERMINATE and answer is None:
        verdict = _changed(verdict, move=Move.CONTINUE)
        rulings.append("no_answer_yet")
    if verdict.move is Move.CONTINUE and answer is not None:
        verdict = _changed(verdict, move=Move.TERMINATE)
        rulings.append("answer_ends")
    return verdict, tuple(rulings)


def refused(rulings: tuple[Ruling, ...], *, rules: Rules) -> Ruled:
    """The verdict on an answer that the verifier refused while a try was left: back to before it."""
    verdict = Verdict(move=Move.BACKTRACK, critique=REFUSED.detail, keep=rules.path_length)
    return verdict, (*rulings, "refused_answer")


def _changed(verdict: Verdict, **changes: object) -> Verdict:
    return verdict.model_copy(update=changes)


def _folded(text: str) -> str:
    return " ".join(text.split()).casefold()
