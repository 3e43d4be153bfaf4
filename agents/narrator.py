"""The narrator: a language model that rewrites a stitched draft into one person's thinking."""

from pathlib import Path
from typing import Annotated, Literal

from autogen_core.models import ChatCompletionClient, LLMMessage, SystemMessage, UserMessage
from pydantic import Field

from agents.calls import call, request_args, text_of
from agents.persona import PERSONA_FOLDER, Persona
from agents.slots import fill, slotted
from journeys.record import seed_for
from journeys.stitching.thought import Rewrite
from settings import UserError, load


class NarratorPersona(Persona):
    """How the narrator is asked. Its three demands are those of O1 Journey's thought expansion (methods 1.4)."""

    role: Literal["narrator"] = "narrator"
    task: Annotated[str, slotted(allowed=("must_keep",), required=("draft",))] = Field(min_length=1)


def load_narrator(name: str) -> NarratorPersona:
    """The narrator persona of that name in configs/personas/narrator/, or in the file of that path."""
    path = Path(name) if name.endswith((".yaml", ".yml")) else PERSONA_FOLDER / "narrator" / f"{name}.yaml"
    if not path.exists():
        raise UserError(f"narrator.persona: no persona {name!r} in {path.parent}; name one of its files or a path")
    persona = load(NarratorPersona, path)
    return persona if persona.name else persona.model_copy(update={"name": path.stem})


def rewriter(persona: NarratorPersona, client: ChatCompletionClient, *, seed: int) -> Rewrite:
    """A `Rewrite` that asks `client` in the persona's words."""

    async def rewrite(draft: str, *, must_keep: tuple[str, ...], journey_id: str) -> str:
        kept = "\n".join(f"- {item}" for item in must_keep)
        messages: list[LLMMessage] = [
            SystemMessage(content=persona.system),
            UserMessage(content=fill(persona.task, draft=draft, must_keep=kept), source="user"),
        ]
        args = request_args(
            persona.sampling,
            seed=seed_for(seed, journey_id, "narrator"),
            request_id=f"{persona.name}/{journey_id}/0/0",
        )
        reply, _ = await call(client, messages, args)
        return text_of(reply).strip()

    return rewrite
