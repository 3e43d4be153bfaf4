"""Texts with strict `$slots`: a slot that a text may not use, or must use and does not, is an error at load time."""

from collections.abc import Iterable
from string import Template

from pydantic import AfterValidator


def slots_in(text: str) -> set[str]:
    """The names of the slots in a text. Raises ValueError for a lone `$` (write `$$`)."""
    template = Template(text)
    if not template.is_valid():
        raise ValueError("a lone '$' is not a slot; write '$$' for a dollar sign")
    return set(template.get_identifiers())


def slotted(*, allowed: Iterable[str], required: Iterable[str] = ()) -> AfterValidator:
    """A pydantic validator for one text or for each of several variants."""
    may, must = set(allowed) | set(required), set(required)

    def check(value: str | tuple[str, ...]) -> str | tuple[str, ...]:
        for text in (value,) if isinstance(value, str) else value:
            used = slots_in(text)
            if unknown := used - may:
                raise ValueError(f"unknown slot ${min(unknown)}; known here: {', '.join(f'${s}' for s in sorted(may))}")
            if missing := must - used:
                raise ValueError(f"the slot ${min(missing)} is missing; this text must contain it")
        return value

    return AfterValidator(check)


def fill(text: str, **values: str) -> str:
    """The text with its slots filled; `$` inside a value stays as it is."""
    return Template(text).substitute(values)
