"""What a verdict may do: one rule, one sentence."""

import pytest

from agents.roles import Judgement
from journeys.record import Evidence, Move, Verdict
from protocols.rules import Ruled, Rules, refused, ruled

FALSE = Evidence(kind="false_equation", quote="2 + 2 = 5", detail="2 + 2 is not 5.")


def rule(
    said: Verdict,
    *,
    step: str = "So 2 + 2 = 5.",
    evidence: tuple[Evidence, ...] = (),
    slips: tuple[Evidence, ...] = (),
    answer: str | None = None,
    trust: str = "both",
    path_length: int = 3,
    may_reflect: bool = True,
    parse: str = "ok",
) -> Ruled:
    rules = Rules(path_length=path_length, trust=trust, may_reflect=may_reflect)  # type: ignore[arg-type]
    judgement = Judgement(verdict=said, parse=parse)
    return ruled(judgement, step=step, evidence=evidence, slips=slips, answer=answer, rules=rules)


def test_a_sound_verdict_takes_effect_as_it_was_said() -> None:
    said = Verdict(move=Move.BACKTRACK, critique="No.", quote="2 + 2", keep=2)
    assert rule(said) == (said, ())


@pytest.mark.parametrize(("keep", "clamped"), [(4, 3), (99, 3), (-1, 0)])
def test_a_backtrack_cannot_keep_the_step_it_rejects(keep: int, clamped: int) -> None:
    verdict, rulings = rule(Verdict(move=Move.BACKTRACK, keep=keep))
    assert (verdict.keep, rulings) == (clamped, ("keep_clamped",))


def test_a_quote_that_is_not_in_the_step_demotes_a_backtrack_to_a_reflection() -> None:
    verdict, rulings = rule(Verdict(move=Move.BACKTRACK, quote="7 * 8 = 54", keep=1))
    assert (verdict.move, verdict.quote, rulings) == (Move.REFLECT, "", ("quote_not_found",))


def test_a_quote_is_found_across_line_breaks_and_case() -> None:
    verdict, rulings = rule(Verdict(move=Move.BACKTRACK, quote="SO  2 +\n2"))
    assert (verdict.move, rulings) == (Move.BACKTRACK, ())


@pytest.mark.parametrize("trust", ["evidence", "both"])
def test_evidence_overrules_a_critic_that_continues(trust: str) -> None:
    verdict, rulings = rule(Verdict(move=Move.CONTINUE), evidence=(FALSE,), trust=trust)
    assert verdict == Verdict(move=Move.BACKTRACK, critique=FALSE.detail, quote=FALSE.quote, keep=3)
    assert rulings == ("evidence_overrules",)


def test_a_trusted_critic_may_overrule_evidence() -> None:
    assert rule(Verdict(move=Move.CONTINUE), evidence=(FALSE,), trust="critic")[0].move is Move.CONTINUE


def test_a_remark_that_is_not_fatal_moves_nobody() -> None:
    remark = FALSE.model_copy(update={"fatal": False})
    assert rule(Verdict(move=Move.CONTINUE), evidence=(remark,)) == (Verdict(move=Move.CONTINUE), ())


def test_where_checkers_are_trusted_a_backtrack_without_evidence_becomes_a_reflection() -> None:
    verdict, rulings = rule(Verdict(move=Move.BACKTRACK, keep=1), trust="evidence")
    assert (verdict.move, verdict.keep, rulings) == (Move.REFLECT, 0, ("no_evidence",))


SLIP = Evidence(kind="false_equation", quote="2 + 2 = 6", detail="2 + 2 is not 6.")


@pytest.mark.parametrize("move", [Move.BACKTRACK, Move.REFLECT])
def test_a_critic_that_calculates_wrongly_itself_moves_nobody_and_is_not_heard(move: Move) -> None:
    said = Verdict(move=move, critique="No: 2 + 2 = 6.", quote="2 + 2", keep=1)
    assert rule(said, slips=(SLIP,)) == (Verdict(move=Move.CONTINUE), ("false_critique",))
    verdict, rulings = rule(said, slips=(SLIP,), trust="critic")
    assert (verdict.move, verdict.keep, verdict.critique, rulings) == (move, 1, "", ("false_critique",))
    verdict, rulings = rule(said, slips=(SLIP,), evidence=(FALSE,))
    assert (verdict.move, verdict.critique) == (Move.BACKTRACK, FALSE.detail)
    assert rulings == ("false_critique", "evidence_overrules")


def test_a_critic_may_quote_the_false_line() -> None:
    said = Verdict(move=Move.BACKTRACK, critique="2 + 2 = 5 is false.", keep=1)
    assert rule(said, slips=(FALSE,), evidence=(FALSE,)) == (said, ())


def test_one_reflection_too_many_is_taken_as_continue() -> None:
    verdict, rulings = rule(Verdict(move=Move.REFLECT), may_reflect=False)
    assert (verdict.move, rulings) == (Move.CONTINUE, ("reflect_budget",))


def test_nobody_terminates_without_an_answer() -> None:
    verdict, rulings = rule(Verdict(move=Move.TERMINATE))
    assert (verdict.move, rulings) == (Move.CONTINUE, ("no_answer_yet",))


def test_a_step_that_answers_ends_the_journey_unless_the_critic_objects() -> None:
    assert rule(Verdict(move=Move.CONTINUE), answer="4") == (Verdict(move=Move.TERMINATE), ("answer_ends",))
    assert rule(Verdict(move=Move.REFLECT), answer="4")[0].move is Move.REFLECT
    assert rule(Verdict(move=Move.BACKTRACK), answer="4")[0].move is Move.BACKTRACK


def test_a_reflection_over_budget_on_an_answer_ends_the_journey() -> None:
    verdict, rulings = rule(Verdict(move=Move.REFLECT), answer="4", may_reflect=False)
    assert (verdict.move, rulings) == (Move.TERMINATE, ("reflect_budget", "answer_ends"))


def test_an_unreadable_verdict_is_counted() -> None:
    assert rule(Verdict(move=Move.CONTINUE), parse="failed")[1] == ("parse_failure",)
    assert rule(Verdict(move=Move.CONTINUE), parse="repaired")[1] == ("repaired",)


def test_a_refused_answer_is_taken_back_without_a_word_about_the_right_one() -> None:
    rules = Rules(path_length=3, trust="both", may_reflect=True)
    verdict, rulings = refused((), rules=rules)
    assert (verdict.move, verdict.keep, rulings) == (Move.BACKTRACK, 3, ("refused_answer",))
    assert verdict.critique == "That answer does not hold."
