"""What `--keys` prints."""

import json
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

WIDTH = 100


def keys(kind: type[BaseModel]) -> str:
    """Every key of a recipe with its default and meaning, one to a line."""
    return "\n".join(_keys(kind, ""))


def _keys(kind: type[BaseModel], prefix: str) -> Iterable[str]:
    for name, field in kind.model_fields.items():
        key = f"{prefix}{name}"
        default = field.get_default(call_default_factory=True, validated_data={})
        if field.discriminator and isinstance(default, BaseModel):
            yield from _one_of(get_args(field.annotation), str(field.discriminator), key, default)
            continue
        if isinstance(default, BaseModel):
            yield from _keys(type(default), f"{key}.")
            continue
        shown = "required" if default is PydanticUndefined else _plain(default)
        meaning = " ".join((field.description or "").split())
        head = f"--{key.replace('_', '-')} [{shown}]"
        yield textwrap.fill(f"{head}  {meaning}", width=WIDTH, subsequent_indent="      ") if meaning else head


def _one_of(kinds: Sequence[type[BaseModel]], name: str, key: str, default: BaseModel) -> Iterable[str]:
    """A part that comes in kinds: how to choose one, then the keys of each that has any."""
    known = {str(kind.model_fields[name].default): kind for kind in kinds}
    yield f"--{key}.{name} [{json.dumps(getattr(default, name))}]  One of {', '.join(known)}."
    for value, kind in known.items():
        own = [line for line in _keys(kind, f"{key}.") if not line.startswith(f"--{key}.{name} ")]
        if own:
            yield f"  with {key}.{name} {value}:"
            yield textwrap.indent("\n".join(own), "    ")


def _plain(value: Any) -> str:
    return json.dumps(list(value) if isinstance(value, tuple) else value, default=str)
