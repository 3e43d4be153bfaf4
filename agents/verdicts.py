"""From a critic's words to a verdict: the structured output it is asked for, and what is made of broken ones."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from journeys.record import Move, Verdict


class VerdictForm(BaseModel):
    """The JSON object a critic fills in. Every field is required and bounded: small models leave out what has a
    default, and babble inside what has no bound, at worst a token a character: the shipped personas' `max_tokens` leave
    room for the longest form, so that where the schema is enforced no verdict is cut off."""

    model_config = ConfigDict(extra="ignore", use_attribute_docstrings=True)

    critique: str = Field(max_length=300)
    """One or two sentences on what is wrong with the step, or an empty string."""
    quote: str = Field(max_length=120)
    """The faulty words, copied from the step, or an empty string."""
    move: Literal["continue", "backtrack", "reflect", "terminate"]
    keep: int = Field(ge=0, le=999)
    """When backtracking: how many steps to keep, counted from the first. Otherwise 0."""

    def verdict(self) -> Verdict:
        return Verdict(move=Move(self.move), critique=self.critique.strip(), quote=self.quote.strip(), keep=self.keep)


def complaint(text: str) -> str:
    """Why `text` is no verdict, in words for the model that wrote it."""
    try:
        VerdictForm.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"]))
        return f"{where}: {first['msg']}" if where else "it is not one JSON object"
    return "it is not one JSON object"


NEUTRAL = Verdict(move=Move.CONTINUE)
"""What a verdict that cannot be read counts as."""
