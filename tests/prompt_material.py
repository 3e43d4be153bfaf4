"""A journey to ask about, how its views are made, and prompts as text."""

from collections.abc import Sequence

from autogen_core.models import LLMMessage

from agents.persona import PERSONA_FOLDER, PolicyPersona
from agents.policy_prompt import PolicyPrompt
from agents.roles import CriticView, PolicyView
from journeys.record import Evidence, Move, Turn, Verdict, standing

QUESTION = "How much is (2 + 2) * 3?"
SHIPPED_CRITICS = sorted(file.stem for file in (PERSONA_FOLDER / "critic").glob("*.yaml"))


def turn(
    turns: Sequence[Turn],
    step: str,
    move: Move = Move.CONTINUE,
    *,
    critique: str = "",
    quote: str = "",
    keep: int = 0,
    evidence: tuple[Evidence, ...] = (),
) -> Turn:
    path = standing(turns)
    last = turns[-1] if turns else None
    answers = last and last.verdict.move in (Move.BACKTRACK, Move.REFLECT)
    return Turn(
        id=len(turns),
        parent=path[-1].id if path else None,
        step=step,
        verdict=Verdict(move=move, critique=critique, quote=quote, keep=keep),
        replies_to=last.id if last and answers else None,
        evidence=evidence,
    )


def journey() -> list[Turn]:
    """Forward, a reflection, a wrong turn taken back twice as far, and on."""
    turns: list[Turn] = []
    turns.append(turn(turns, "Brackets first."))
    turns.append(turn(turns, "2 + 2 = 4"))
    turns.append(turn(turns, "So 4.", Move.REFLECT, critique="Is that all?"))
    turns.append(turn(turns, "No, there is a factor."))
    turns.append(turn(turns, "4 * 3 = 13", Move.BACKTRACK, critique="4 * 3 is not 13.", quote="4 * 3 = 13", keep=3))
    turns.append(turn(turns, "4 * 3 = 12"))
    turns.append(turn(turns, "Answer: 12", Move.TERMINATE))
    return turns


def policy_view(turns: Sequence[Turn], *, seed: int = 5) -> PolicyView:
    return PolicyView(journey_id="p#0", question=QUESTION, path=standing(turns), turns=tuple(turns), seed=seed)


def critic_view(turns: Sequence[Turn], step: str, *evidence: Evidence, answer: str | None = None) -> CriticView:
    return CriticView(
        journey_id="p#0",
        question=QUESTION,
        path=standing(turns),
        turns=tuple(turns),
        step=step,
        evidence=evidence,
        answer=answer,
        seed=5,
    )


def shown(messages: Sequence[LLMMessage]) -> list[tuple[str, str]]:
    return [(type(message).__name__.removesuffix("Message").lower(), str(message.content)) for message in messages]


def flat(messages: Sequence[LLMMessage]) -> str:
    """As a chat template sees it, without an end mark after the last message."""
    return "".join(f"<{role}>{content}" for role, content in shown(messages))


CHAT = PolicyPersona(
    name="plain",
    system="Think.",
    task="Problem: $question",
    proceed=("Go on.",),
    backtrack=("Not so: $critique You wrote: $quote",),
    reflect=("First: $critique",),
    repeated="Not again:\n$abandoned",
)


def monologue(memory: str) -> PolicyPrompt:
    persona = PolicyPersona.model_validate(
        CHAT.model_dump()
        | {
            "mode": "monologue",
            "memory": memory,
            "backtrack": ("Wait. $critique ",),
            "recompute": ("Again: $left =",),
            "reflect": ("Hm, $critique ",),
        }
    )
    return PolicyPrompt(persona)
