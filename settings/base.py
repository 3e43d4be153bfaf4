"""The base of every configuration value and the one error a user can cause."""

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """A frozen, typed piece of configuration; an unknown key is an error, never ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid", coerce_numbers_to_str=True, use_attribute_docstrings=True)


class UserError(Exception):
    """Something the user can mend. Printed as one line, without a traceback; the command exits with 2."""
