"""How a model is asked for a whole solution, and which part of what it writes is its answer.

A model tuned here brings its voice in its own folder (persona.yaml): it is given the question alone, and opens its
thought itself. Every other model is asked by a persona's system text and worked examples.
"""

import hashlib
import json
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from autogen_core.models import LLMMessage

from agents.persona import OWN_PERSONA, PolicyPersona, load_policy
from agents.policy_prompt import PolicyPrompt
from agents.roles import PolicyView
from engines.contract import EngineSettings
from engines.open import check_model
from evaluation.settings import EvaluateSettings, ModelSettings, label_of, plain_engine
from journeys.solutions import split_solutions
from problems.answers import final_answer, result_of, tidy
from settings import UserError

CLOSING_TAGS = re.compile(r"</think(?:ing)?>|<\|end_of_(?:thought|thinking)\|>|</Thought>")
"""What ends a thought in a model that brings no persona of its own."""
LONGEST_BARE_ANSWER = 80
"""Characters up to which one line after a thought is an answer without saying so."""
WEIGHT_BYTES = 1 << 20
"""Of each file of weights, what enters the fingerprint, beside its size: a retrained model differs there already."""


@dataclass(frozen=True)
class Candidate:
    """A model under test."""

    label: str
    engine: EngineSettings
    persona: PolicyPersona
    """Without the words its message would begin with: here the model writes them."""

    @classmethod
    def of(cls, model: ModelSettings, settings: EvaluateSettings) -> "Candidate":
        """Raises UserError for a folder or persona that is not there or cannot be used, before anything is loaded."""
        engine = settings.engine_of(model)
        check_model(engine)
        own = Path(engine.model).expanduser() / OWN_PERSONA
        persona = load_policy(model.persona or (str(own) if own.is_file() else settings.persona))
        if persona.mode != "monologue":
            raise UserError(
                f"persona: {persona.name!r} asks step by step (mode {persona.mode}); an evaluation asks for the whole "
                "solution at once: name a persona of mode monologue"
            )
        return cls(label_of(model), engine, persona.model_copy(update={"opens": ""}))

    @cached_property
    def _prompt(self) -> PolicyPrompt:
        return PolicyPrompt(self.persona)

    def messages(self, question: str) -> list[LLMMessage]:
        """The prompt. Built from the question's text alone: no reference answer is at hand here."""
        return self._prompt.messages(PolicyView(journey_id="", question=question, path=(), turns=(), seed=0))

    def answer_in(self, text: str, *, cut_off: bool = False) -> str | None:
        """The final answer that a solution states; None where it states none.

        Behind the end of the thought, if the thought ends; else the last answer stated anywhere.

        Args:
            cut_off: the text ends where its tokens ran out: an answer that reaches this end may be half a number.
        """
        behind = self._behind_the_thought(text)
        if behind is None:
            return last_stated(text, cut_off=cut_off)
        stated = last_stated(behind, cut_off=cut_off)
        if stated is None and not cut_off and "\n" not in behind.strip() and len(behind) <= LONGEST_BARE_ANSWER:
            return tidy(behind)
        return stated

    def _behind_the_thought(self, text: str) -> str | None:
        own = self.persona.closes.strip()
        if own:
            _, closed, behind = text.rpartition(own)
            return behind if closed else None
        ends = [match.end() for match in CLOSING_TAGS.finditer(text)]
        return text[ends[-1] :] if ends else None

    def binding(self) -> dict[str, Any]:
        """What decides this model's texts, for a resumed evaluation to compare."""
        asked = self.persona.model_dump(mode="json", exclude={"description", "sampling"})
        return {
            **plain_engine(self.engine),
            "persona": self.persona.name,
            "persona_digest": hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:12],
            "weights": fingerprint(Path(self.engine.model).expanduser()),
        }


def last_stated(text: str, *, cut_off: bool = False) -> str | None:
    """The last answer stated in a text, whatever is said after it; a calculation stands for its result."""
    solutions = split_solutions(text)
    if cut_off and solutions and solutions[-1].end == len(text) and not text.endswith("}"):
        solutions = split_solutions(text[: max(text.rfind("\n"), text.rfind(". ")) + 1])
    if solutions:
        stated = final_answer(text[: solutions[-1].end]) or tidy(solutions[-1].answer)
    else:
        stated = None if cut_off else final_answer(text)
    return result_of(stated) or stated if stated else None


def fingerprint(folder: Path) -> str | None:
    """A short name for the weights in a folder; None where they lie elsewhere (a hub id, a URL, `embedded`)."""
    files = sorted(folder.glob("*.safetensors")) if folder.is_dir() else []
    if not files:
        return None
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.name} {file.stat().st_size} ".encode())
        with file.open("rb") as weights:
            digest.update(weights.read(WEIGHT_BYTES))
    return digest.hexdigest()[:12]
