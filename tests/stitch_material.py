"""Journeys to stitch, written by hand, and what their thoughts are asked about."""

import re
from typing import Any

from journeys.draft import Draft
from journeys.record import Evidence, Journey, Move, Problem, Ruling, Turn, Verdict, Verification, Voice
from journeys.stitching.thought import Thought


def grow(question: str, *steps: tuple[Any, ...], journey_id: str = "j") -> Journey:
    """A journey from rows (step, move, critique, keep, evidence), through the draft that holds the record's rules.

    A step "Answer: x" carries the answer x, one that ends in "|" was cut off there by its token limit; keep None keeps
    all but the rejected step.
    """
    draft = Draft(journey_id, Problem(id="p", question=question), protocol="t", policy=Voice(persona="s", model="m"))
    for row in steps:
        defaults: tuple[Any, ...] = ("continue", "", None, ())
        step, move, critique, keep, evidence = (*row, *defaults[len(row) - 1 :])
        rulings: tuple[Ruling, ...] = ()
        if move == "demoted":
            move, rulings = "reflect", ("quote_not_found",)
        waiting = draft.awaiting_reply
        stated = re.search(r"(?:Answer: |\\boxed\{)([^}\n]+)", step)
        draft.add(
            Turn(
                id=len(draft.turns),
                parent=draft.head.id if draft.head else None,
                step=step.removesuffix("|"),
                finish="length" if step.endswith("|") else "stop",
                verdict=Verdict(
                    move=Move(move),
                    critique=critique,
                    keep=(len(draft.path) if keep is None else keep) if move == "backtrack" else 0,
                ),
                rulings=rulings,
                evidence=tuple(Evidence(kind=kind, quote=quote) for kind, quote in evidence),
                replies_to=waiting.id if waiting else None,
                answer=stated[1] if stated else None,
            )
        )
    answer = draft.path[-1].answer if draft.path else None
    if answer is None:
        return draft.finish("exhausted:turns")
    return draft.finish("solved", verification=Verification(status="right", given=answer, method="math-verify"))


def false(equation: str) -> tuple[tuple[str, str], ...]:
    return (("false_equation", equation),)


SUM = grow(
    "What is 17 + 25 - 8?",
    ("Step 1: 17 + 25 = 43", "backtrack", "You forgot to carry.", None, false("17 + 25 = 43")),
    ("Policy: 17 + 25 = 42",),
    ("3. 42 - 8 = 34",),
    ("Answer: 34", "terminate"),
)
EGGS = grow(
    "Ducks lay 16 eggs. Janet eats 3 and bakes with 4. She sells the rest at $2 each. How much does she make a day?",
    ("Janet uses 3 + 4 = 7 eggs.",),
    ("She sells 16 - 3 = 13 eggs.", "backtrack", "You left out the 4 eggs for baking."),
    ("Wait, I forgot the muffins. She sells 16 - 7 = 9 eggs.",),
    ("She makes 9 * $2 = $18.", "reflect", "Is that per day?"),
    ("Yes, every number is per day.",),
    ("The final answer is \\boxed{18}.", "terminate"),
)
LATEX = grow(
    "Find $x$ such that $\\sqrt{3x+7}=10$.",
    ("Square both sides: $3x + 7 = 20$.", "backtrack", "The policy squared 10 wrongly: $10^2 = 100$."),
    ("Squaring gives $3x + 7 = 100$.",),
    ("Subtract 7: $3x = 93$.",),
    ("Therefore $x = \\boxed{31}$.", "terminate"),
)
FAR_BACK = grow(
    "Calculate 8 + 7 - 3 + 6.",
    ("8 + 7 = 15",),
    ("15 - 3 = 11",),
    ("11 + 6 = 17",),
    ("Answer: 17", "backtrack", "Step 2 is wrong: 15 - 3 is not 11.", 1),
    ("15 - 3 = 12",),
    ("12 + 6 = 18",),
    ("Answer: 18", "terminate"),
)
REPEATED = grow(
    "What is 5 + 6 + 7?",
    ("5 + 6 = 12", "backtrack", "", None, false("5 + 6 = 12")),
    ("5 + 6 = 12", "backtrack", "", None, (("repeated_step", "5 + 6 = 12"),)),
    ("Hmm, that's not right. 5 + 6 = 11",),
    ("11 + 7 = 18",),
    ("Answer: 18", "terminate"),
)
PUZZLE = grow(
    "Ann says Bob lies. Bob says both tell the truth. Who tells the truth?",
    ("Suppose Bob tells the truth. Then Ann does too.",),
    (
        "But then Ann's word that Bob lies is true.",
        "backtrack",
        "That contradicts the assumption. Try the other case.",
        0,
    ),
    ("Suppose Bob lies instead.", "reflect", ""),
    ("Then not both tell the truth, which fits.",),
    ("Answer: Ann", "terminate"),
)
JOURNEYS = {"sum": SUM, "eggs": EGGS, "latex": LATEX, "far_back": FAR_BACK, "repeated": REPEATED, "puzzle": PUZZLE}
CRITIQUES = {
    "You added wrong.": "I added wrong",
    "Your step forgets the carry.": "My step forgets the carry",
    "Check the sum.": "Let me check the sum",
    "Are you sure that 17 + 25 = 43?": "Am I sure that 17 + 25 = 43?",
    "The policy adds the digits wrongly.": "I add the digits wrongly",
    "Step 3 is off: 5 - 2 is not 4.": "That step is off: 5 - 2 is not 4",
    "The step misreads the sum.": "That step misreads the sum",
    "Don't forget the carry.": "I must not forget the carry",
    "Please recompute the sum.": "Let me recompute the sum",
    "The solver's sum is off.": "My sum is off",
}


def turns_of(thought: Thought) -> set[int]:
    return {turn for span in thought.spans for turn in (span.turn, *span.also)}


def assert_covered(thought: Thought, journey: Journey) -> None:
    at = 0
    for span in thought.spans:
        assert thought.text[at : span.start].strip() == ""
        assert at <= span.start < span.end
        assert 0 <= span.turn < len(journey.turns)
        assert all(span.turn < other < len(journey.turns) for other in span.also)
        at = span.end
    assert thought.text[at:].strip() == ""
