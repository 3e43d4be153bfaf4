# ruff: noqa: F401, F811  (a fixture is imported, and taken as an argument)
"""Reading JSON that models wrote, LaTeX and all."""

import json
import time
from typing import Literal

import pytest
from engine_fixtures import tokenizer
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from engines.structured import Grammars, json_schema, parse_json


class Remark(BaseModel):
    move: Literal["continue", "backtrack"]
    critique: str
    keep: int = 0
    quotes: list[str] = Field(default_factory=list)


COMMANDS = [
    "frac",
    "neq",
    "times",
    "text",
    "boxed",
    "beta",
    "nabla",
    "right",
    "rho",
    "theta",
    "forall",
    "begin",
    "sqrt",
]
PIECES = st.one_of(
    st.sampled_from([f"\\{command}" for command in COMMANDS]).map(lambda command: command + "{x}"),
    st.text(alphabet="abc xyz0123456789+-*=^_(){}[]$,.;:'é∑", min_size=1, max_size=12),
)
LATEX = st.lists(PIECES, min_size=1, max_size=8).map("".join)


@given(LATEX)
def test_latex_written_without_doubled_backslashes_survives(value: str) -> None:
    text = '{"move": "continue", "critique": "' + value + '"}'
    parsed = parse_json(text, Remark)
    assert parsed is not None
    assert parsed.critique == value


@given(LATEX)
def test_latex_escaped_as_json_demands_survives(value: str) -> None:
    parsed = parse_json(json.dumps({"move": "continue", "critique": value}), Remark)
    assert parsed is not None
    assert parsed.critique == value


@given(st.text(max_size=200))
def test_any_text_comes_back_as_none_or_a_model_and_never_raises(text: str) -> None:
    assert isinstance(parse_json(text, Remark), Remark | None)


@given(LATEX, st.integers(min_value=1, max_value=30))
def test_a_text_cut_off_anywhere_inside_its_last_string_keeps_what_was_said(value: str, cut: int) -> None:
    whole = json.dumps({"move": "backtrack", "critique": value}, ensure_ascii=False)[:-2]
    end = max(len(whole) - cut, whole.index('"critique": "') + len('"critique": "'))
    parsed = parse_json(whole[:end], Remark)
    assert parsed is not None
    assert parsed.move == "backtrack"


@pytest.mark.parametrize(
    ("text", "critique"),
    [
        ('```json\n{"move": "continue", "critique": "ok"}\n```', "ok"),
        ('Sure! Here {is} it: {"move": "continue", "critique": "ok"} Hope it helps.', "ok"),
        ('{"move": "continue", "critique": "ok",}', "ok"),
        ('{"move": "continue", "critique": "one\\nTwo"}', "one\nTwo"),
        ('{"move": "continue", "critique": "one\ntwo"}', "one\ntwo"),
        ('{"move": "continue", "critique": "caf\\u00e9 \\ud83d\\ude00 \\ud83d"}', "café 😀 �"),
        ('{"no": 1} {"move": "continue", "critique": "second"}', "second"),
        ('{"move": "continue", "critique": "say \\"no\\""}', 'say "no"'),
    ],
)
def test_what_surrounds_or_bends_the_object_is_forgiven(text: str, critique: str) -> None:
    parsed = parse_json(text, Remark)
    assert parsed is not None
    assert parsed.critique == critique


@pytest.mark.parametrize(
    "text",
    [
        "{" * 1_000_000,
        '{"' * 500_000,
        '{"a":[' * 200_000,
        "\\" * 1_000_000,
        '{"a":"' + "\\" * 1_000_000,
        "{ " * 500_000,
        '{"a"' + " " * 1_000_000,
        '{"keep": ' + "9" * 1_000_000,
    ],
)
def test_a_megabyte_of_hostile_text_is_refused_quickly(text: str) -> None:
    began = time.process_time()
    assert parse_json(text, Remark) is None
    assert time.process_time() - began < 1.0


def test_the_schema_bounds_strings_and_requires_every_field() -> None:
    schema = json.loads(json_schema(Remark))
    assert set(schema["required"]) == {"move", "critique", "keep", "quotes"}
    assert schema["properties"]["critique"]["maxLength"] > 0
    assert schema["properties"]["quotes"]["maxItems"] > 0
    assert schema["additionalProperties"] is False
    assert json_schema(Remark) is json_schema(Remark)


def test_nothing_is_enforced_where_nothing_was_asked(tokenizer: object) -> None:
    assert Grammars(tokenizer, 49152).matcher(False) is None
