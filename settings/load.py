"""Read a recipe, lay command-line overrides over it, validate, and explain what is wrong in one line."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError

from settings.base import Settings, UserError

S = TypeVar("S", bound=Settings)
MAX_YAML_BYTES = 1_000_000


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file. Raises UserError when it is missing, not text, not YAML or not a mapping."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path}: no such file{_neighbours(path)}") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    if len(raw) > MAX_YAML_BYTES:
        raise UserError(f"{path}: {len(raw)} bytes is too large for a configuration file (limit {MAX_YAML_BYTES})")
    try:
        value = yaml.safe_load(raw.decode("utf-8"))
    except UnicodeDecodeError:
        raise UserError(f"{path}: not a UTF-8 text file; is this the right file?") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: not valid YAML: {_yaml_complaint(error)}") from None
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise UserError(f"{path}: expected 'key: value' lines at the top, found {type(value).__name__}")
    return value


def overrides_from_flags(flags: Sequence[str]) -> dict[str, Any]:
    """`["--policy.model", "m", "--num-problems=3"]` -> `{"policy": {"model": "m"}, "num_problems": 3}`.

    Values are read as YAML scalars, so numbers, booleans, null and [lists] keep their type.
    """
    nested: dict[str, Any] = {}
    rest = list(flags)
    while rest:
        flag = rest.pop(0)
        if not flag.startswith("--") or flag == "--":
            raise UserError(f"command line: unexpected {flag!r}; overrides look like --policy.model NAME")
        name, equals, text = flag[2:].partition("=")
        if not equals:
            if not rest or rest[0].startswith("--"):
                raise UserError(f"command line: --{name} needs a value, as in --{name} VALUE")
            text = rest.pop(0)
        try:
            value = yaml.safe_load(text)
        except (yaml.YAMLError, ValueError):
            value = text
        if isinstance(value, date):  # --name 2026-11-21
            value = text
        node = nested
        *parents, leaf = name.replace("-", "_").split(".")
        for parent in parents:
            node = node.setdefault(parent, {})
            if not isinstance(node, dict):
                raise UserError(f"command line: --{name} clashes with an earlier override of {parent!r}")
        node[leaf] = value
    return nested


def load(kind: type[S], path: Path | None, overrides: Mapping[str, Any] | None = None) -> S:
    """The recipe at `path` (or the defaults) under `overrides`, as a validated value.

    Raises:
        UserError: one line naming the file, the key and the remedy.
    """
    merged = _merge(read_yaml(path) if path else {}, overrides or {})
    try:
        return kind.model_validate(merged)
    except ValidationError as error:
        raise UserError(explain(error, kind, where=str(path or "defaults"), overrides=overrides or {})) from None


def explain(error: ValidationError, kind: type[BaseModel], *, where: str, overrides: Mapping[str, Any]) -> str:
    """One complaint of a validation as one line: `file: key: what; remedy`. Unknown keys come first: a required key
    that is missing is often one that was misspelt."""
    complaints = error.errors(include_url=False)
    first = next((one for one in complaints if one["type"] == "extra_forbidden"), complaints[0])
    names, level = _place([str(part) for part in first["loc"]], kind)
    origin = "command line" if names and _contains(overrides, names) else where
    key = ".".join(names)
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    if first["type"] == "extra_forbidden":
        return f"{origin}: {key}: unknown key{_did_you_mean(names[-1], level)}{more}"
    if first["type"] == "union_tag_invalid":
        key, given = f"{key}.{first['ctx']['discriminator'].strip(chr(39))}", first["ctx"]["tag"]
        return f"{origin}: {key}: there is no {given!r}; there is {first['ctx']['expected_tags']}{more}"
    if first["type"] == "missing":
        return f"{origin}: {key}: this key is required{more}"
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] in ("model_type", "model_attributes_type"):
        message = "expected keys of its own"
    if not names:  # said of several keys together, which it names
        return f"{origin}: {message}{more}"
    given = first.get("input")
    shown = f", got {given!r:.80}" if isinstance(given, str | int | float | bool | None) else ""
    return f"{origin}: {key}: {message[:1].lower()}{message[1:]}{shown}{more}".replace("\n", " ")


def difference(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> list[str]:
    """The keys in which two nested mappings differ, as `key: old -> new` lines."""
    lines: list[str] = []
    for key in sorted(old.keys() | new.keys()):
        before, after, name = old.get(key), new.get(key), f"{prefix}{key}"
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            lines += difference(before, after, f"{name}.")
        elif before != after:
            lines.append(f"{name}: {before!r} -> {after!r}")
    return lines


def _merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        nested = isinstance(value, Mapping) and isinstance(below, Mapping)
        merged[key] = _merge(below, value) if nested else value  # type: ignore[arg-type]
    return merged


def _contains(tree: Mapping[str, Any], names: Sequence[str]) -> bool:
    node: Any = tree
    for name in names:
        if not isinstance(node, Mapping) or name not in node:
            return node is not tree and not isinstance(node, Mapping)
        node = node[name]
    return True


def _place(loc: Sequence[str], kind: type[BaseModel]) -> tuple[list[str], type[BaseModel]]:
    """A complaint's keys as a recipe writes them, and the model in which the last one was looked up.

    Pydantic names the branch of a union on the way, by its class or by its `kind`; a recipe does not.
    """
    names: list[str] = []
    level, branches = kind, {}  # type: type[BaseModel], dict[str, type[BaseModel]]
    for place, part in enumerate(loc):
        if part in branches:
            level, branches = branches[part], {}
            continue
        names.append(part)
        if part in level.model_fields and place < len(loc) - 1:
            models = list(_models_in(level.model_fields[part].annotation))
            branches = {name: model for model in models for name in (model.__name__, _kind_of(model))}
            level = models[0] if models else level
    return names, level


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models_in(part)


def _kind_of(model: type[BaseModel]) -> str:
    return str(model.model_fields["kind"].default) if "kind" in model.model_fields else model.__name__


def _did_you_mean(name: str, level: type[BaseModel]) -> str:
    """A suggestion for a misspelt key, from the keys at its own level."""
    close = difflib.get_close_matches(name, level.model_fields, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; known here: {', '.join(sorted(level.model_fields))}"


def _neighbours(path: Path) -> str:
    found = sorted(p.name for p in path.parent.glob("*.yaml"))[:12] if path.parent.is_dir() else []
    return f"; there is {', '.join(found)} in {path.parent}" if found else ""


def _yaml_complaint(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    return f"line {mark.line + 1}: {problem}" if mark else str(problem)
