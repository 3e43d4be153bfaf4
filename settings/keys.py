"""What `--keys` prints."""

import json
import textwrap
from collections.abc import Iterable
from typing import Any

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
        if isinstance(default, BaseModel):
            yield from _keys(type(default), f"{key}.")
            continue
        shown = "required" if default is PydanticUndefined else _plain(default)
        meaning = " ".join((field.description or "").split())
        head = f"--{key.replace('_', '-')} [{shown}]"
        yield textwrap.fill(f"{head}  {meaning}", width=WIDTH, subsequent_indent="      ") if meaning else head


def _plain(value: Any) -> str:
    return json.dumps(list(value) if isinstance(value, tuple) else value, default=str)
