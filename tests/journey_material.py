"""Journeys to test with: random ones grown straight on a Draft, and one written by hand."""

from hypothesis import strategies as st

from journeys.draft import Draft
from journeys.record import Cost, Evidence, Journey, Move, Problem, Turn, Verdict, Verification, Voice

VOICE = Voice(persona="stepwise", model="scripted")
CRITIC = Voice(persona="strict", model="scripted")
PROBLEM = Problem(id="sum-1", question="What is 17 + 25 - 8?", answer="34", family="chain_sum")
HOSTILE = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
"""Any text that UTF-8 can carry: quotes, control characters, tags, other scripts."""


def draft(problem: Problem = PROBLEM, *, attempt: int = 0) -> Draft:
    return Draft(f"{problem.id}#{attempt}", problem, attempt=attempt, protocol="dialogue", policy=VOICE, critic=CRITIC)


@st.composite
def grown(draw: st.DrawFn, *, texts: st.SearchStrategy[str] = HOSTILE, max_turns: int = 8) -> Draft:
    """A draft after random moves."""
    growing = draft()
    for _ in range(draw(st.integers(0, max_turns))):
        growing.add(draw(turns(growing, texts=texts)))
    return growing


@st.composite
def turns(draw: st.DrawFn, growing: Draft, *, texts: st.SearchStrategy[str]) -> Turn:
    """A turn that may come next."""
    move = draw(st.sampled_from(Move))
    keep = draw(st.integers(0, len(growing.path))) if move is Move.BACKTRACK else 0
    waiting = growing.awaiting_reply
    cost = Cost(prompt_tokens=draw(st.integers(0, 999)), completion_tokens=5, seconds=draw(st.floats(0, 9)), calls=1)
    return Turn(
        id=len(growing.turns),
        parent=growing.head.id if growing.head else None,
        step=draw(texts),
        verdict=Verdict(move=move, critique=draw(texts), keep=keep),
        rulings=draw(st.sampled_from([(), ("refused_answer",), ("parse_failure",)])),
        evidence=draw(st.sampled_from([(), (Evidence(kind="false_equation", detail="17 + 25 is 42"),)])),
        replies_to=waiting.id if waiting else None,
        answer=draw(st.none() | texts),
        policy_cost=cost,
    )


def turn(
    id: int,
    parent: int | None,
    step: str,
    move: Move = Move.CONTINUE,
    *,
    keep: int = 0,
    wrong: str = "",
    **more: object,
) -> Turn:
    """A turn in a line; `wrong` is what a checker says about it."""
    evidence = (Evidence(kind="false_equation", quote=step, detail=wrong),) if wrong else ()
    verdict = Verdict(move=move, critique=wrong, keep=keep)
    return Turn.model_validate(
        {"id": id, "parent": parent, "step": step, "verdict": verdict, "evidence": evidence} | more
    )


def mended(problem: Problem = PROBLEM, *, attempt: int = 0, **more: object) -> Journey:
    """Right in the end, after one false equation: 17 + 25 = 43, taken back."""
    told = (
        turn(0, None, "17 + 25 = 43", Move.BACKTRACK, keep=0, wrong="17 + 25 is 42, not 43."),
        turn(1, None, "17 + 25 = 42", replies_to=0),
        turn(2, 1, "42 - 8 = 36", Move.BACKTRACK, keep=1, wrong="42 - 8 is 34, not 36."),
        turn(3, 1, "42 - 8 = 34", replies_to=2),
        turn(4, 3, "Answer: 34", Move.TERMINATE, answer="34"),
    )
    right = Verification(status="right", given="34", method="math-verify")
    journey = Draft(
        f"{problem.id}#{attempt}",
        problem,
        attempt=attempt,
        protocol="dialogue",
        policy=VOICE,
        critic=CRITIC,
        turns=told,
    ).finish("solved", verification=right)
    return journey.model_copy(update=more)


def failed(problem: Problem = PROBLEM, *, attempt: int = 1, answer: str = "36") -> Journey:
    """Wrong in the end, and nobody noticed."""
    told = (
        turn(0, None, "17 + 25 = 42"),
        turn(1, 0, f"42 - 8 = {answer}"),
        turn(2, 1, f"Answer: {answer}", Move.TERMINATE, answer=answer),
    )
    wrong = Verification(status="wrong", given=answer, method="math-verify")
    return Draft(
        f"{problem.id}#{attempt}",
        problem,
        attempt=attempt,
        protocol="dialogue",
        policy=VOICE,
        critic=CRITIC,
        turns=told,
    ).finish("wrong", verification=wrong)


def redraft(journey: Journey) -> Draft:
    """The draft that the journey grew from, with no turn yet."""
    return draft(journey.problem, attempt=journey.attempt)
