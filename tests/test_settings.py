"""Flags over recipe over defaults, and the words for what differs."""

from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field

from settings import Settings, UserError, difference, load, overrides_from_flags


class Inner(Settings):
    rate: float = Field(0.5, ge=0)
    words: tuple[str, ...] = ()


class Other(Settings):
    kind: Literal["other"]


class Outer(Settings):
    name: str = "run"
    count: int | None = None
    inner: Inner = Inner()
    parts: tuple[Inner, ...] = ()


@pytest.mark.parametrize(
    ("flags", "nested"),
    [
        ([], {}),
        (["--count", "3"], {"count": 3}),
        (["--count=3", "--inner.rate=0.001"], {"count": 3, "inner": {"rate": 0.001}}),
        (["--inner.rate", "-0.5"], {"inner": {"rate": -0.5}}),
        (["--num-words", "[a, b]"], {"num_words": ["a", "b"]}),
        (["--name", "a: b: c"], {"name": "a: b: c"}),
        (["--name", "2026-11-21"], {"name": "2026-11-21"}),
        (["--name", "2026-13-41"], {"name": "2026-13-41"}),
        (["--name", "--x=1"], None),
        (["--count", "null"], {"count": None}),
        (["--name", "x", "--name", "y"], {"name": "y"}),
        (["--a", "1", "--a.b", "2"], None),
        (["count", "3"], None),
        (["--"], None),
    ],
)
def test_flags_become_nested_keys_with_yamls_types(flags: list[str], nested: dict[str, Any] | None) -> None:
    if nested is None:
        with pytest.raises(UserError, match="command line: ") as error:
            overrides_from_flags(flags)
        assert "\n" not in str(error.value)
        return
    assert overrides_from_flags(flags) == nested


def test_flags_win_over_the_recipe_and_the_recipe_over_defaults(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("count: 4\ninner: {rate: 2, words: [a]}\n")
    assert load(Outer, recipe, {"inner": {"rate": 3}}) == Outer(count=4, inner=Inner(rate=3, words=("a",)))
    assert load(Outer, None) == Outer()
    recipe.write_text("")
    assert load(Outer, recipe) == Outer()


def test_a_name_made_of_digits_is_a_name() -> None:
    assert load(Outer, None, overrides_from_flags(["--name", "2024"])).name == "2024"


def test_a_number_as_python_writes_it_is_a_number() -> None:
    assert load(Outer, None, overrides_from_flags(["--inner.rate", "1e-3"])).inner.rate == 0.001


@pytest.mark.parametrize(
    ("text", "flags", "line"),
    [
        ("cuont: 4", {}, "{file}: cuont: unknown key; did you mean 'count'?"),
        ("zzz: 4", {}, "{file}: zzz: unknown key; known here: count, inner, name, parts"),
        ("inner: {rat: 4}", {}, "{file}: inner.rat: unknown key; did you mean 'rate'?"),
        ("parts: [{rate: 1}, {raet: 1}]", {}, "{file}: parts.1.raet: unknown key; did you mean 'rate'?"),
        ("inner: {rate: -1}", {}, "{file}: inner.rate: input should be greater than or equal to 0, got -1"),
        ("inner: {rate: 1}", {"inner": {"rate": -1}}, "command line: inner.rate: input should be"),
        ("inner: {rate: -1}", {"inner": {"words": ["a"]}}, "{file}: inner.rate: input should be"),
        ("inner: 3", {}, "{file}: inner: expected keys of its own, got 3"),
        ("count: x\nname: [1]", {}, "{file}: name: input should be a valid string (and 1 more)"),
    ],
)
def test_a_complaint_names_where_what_and_the_remedy(
    tmp_path: Path, text: str, flags: dict[str, Any], line: str
) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(text)
    with pytest.raises(UserError) as error:
        load(Outer, recipe, flags)
    assert str(error.value).startswith(line.format(file=recipe))
    assert "\n" not in str(error.value)


class Round(Settings):
    kind: Literal["round"] = "round"
    radius: int = 1


class Square(Settings):
    kind: Literal["square"] = "square"
    side: int = 1


class Shaped(Settings):
    shape: Annotated[Round | Square, Field(discriminator="kind")] = Round()


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        ({"shape": {"kind": "square", "edge": 3}}, "command line: shape.edge: unknown key; known here: kind, side"),
        ({"shape": {"kind": "square", "sid": 3}}, "command line: shape.sid: unknown key; did you mean 'side'?"),
        ({"shape": {"kind": "square", "side": "x"}}, "command line: shape.side: input should be a valid integer"),
        ({"shape": {"kind": "oval"}}, "command line: shape.kind: there is no 'oval'; there is 'round', 'square'"),
    ],
)
def test_a_complaint_about_one_of_several_kinds_speaks_of_the_kind_that_was_chosen(
    flags: dict[str, Any], line: str
) -> None:
    with pytest.raises(UserError) as error:
        load(Shaped, None, flags)
    assert str(error.value).startswith(line)


def test_a_required_key_is_asked_for() -> None:
    with pytest.raises(UserError, match=r"^defaults: kind: this key is required$"):
        load(Other, None)


def test_the_difference_of_two_configs_names_the_innermost_keys() -> None:
    old = {"a": 1, "b": {"c": 1, "d": [1]}, "same": None}
    new = {"a": 1, "b": {"c": 2, "d": [1, 2]}, "same": None, "e": "x"}
    assert difference(old, new) == ["b.c: 1 -> 2", "b.d: [1] -> [1, 2]", "e: None -> 'x'"]
    assert difference(new, new) == []
