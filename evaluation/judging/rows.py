"""Labelled steps as training rows for a critic: asked as its persona asks, answered as the labels say."""

import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

from agents.critic import CriticPrompt
from agents.persona import CriticPersona
from evaluation.judging.labelled import WRONG, Solution
from evaluation.judging.verdicts import steps_to_judge, view_of
from problems.referee import Referee

NO_REASON = "This does not follow from what stands before it."
"""What a critic learns to say of a step that is known to be wrong, and nobody said why."""
LONGEST_CRITIQUE, LONGEST_QUOTE = 300, 120
"""Characters; what the form of a verdict allows (agents/verdicts.py)."""


async def critic_rows(
    solutions: Sequence[Solution], persona: CriticPersona, referee: Referee
) -> AsyncIterator[dict[str, Any]]:
    """A row for each labelled step: `prompt` as chat messages, `completion` the verdict as JSON.

    A wrong step is sent back, and only it; a right one goes on, or ends the journey where it states the answer.
    """
    for solution, place, _ in steps_to_judge(solutions):
        view = await view_of(solution, place, referee)
        wrong = solution.ratings[place] == WRONG
        why = (solution.whys[place] if solution.whys else "") or NO_REASON
        form = {
            "critique": why[:LONGEST_CRITIQUE] if wrong else "",
            "quote": view.step.strip().splitlines()[0][:LONGEST_QUOTE] if wrong and view.step.strip() else "",
            "move": "backtrack" if wrong else "terminate" if view.answer is not None else "continue",
            "keep": place if wrong else 0,
        }
        messages = [
            {"role": type(message).__name__.removesuffix("Message").lower(), "content": str(message.content)}
            for message in CriticPrompt(persona).messages(view)
        ]
        yield {
            "prompt": messages,
            "completion": [{"role": "assistant", "content": json.dumps(form, ensure_ascii=False)}],
            "label": solution.ratings[place],
            "family": solution.family,
        }
