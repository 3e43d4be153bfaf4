"""Code inside steps: where it is found, what of a step is words, and what its output looks like to others."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from journeys.code import (
    SHOWN_CHARS,
    as_code,
    code_failed,
    code_in,
    fenced,
    parts,
    printed,
    spoken,
    with_output,
    without_fences,
    words_in,
)
from journeys.record import Evidence

MIXED = "The eggs first.\n```python\n# Twelve, less three: 12 - 3 = 9\neggs = 12 - 3\n```\nNine are left."


def output(text: str) -> tuple[Evidence, ...]:
    return (Evidence(kind="code_output", detail=text, fatal=False),)


def test_a_step_is_told_apart_into_words_code_and_comments() -> None:
    assert list(parts(MIXED)) == [
        (False, "The eggs first."),
        (True, "# Twelve, less three: 12 - 3 = 9\neggs = 12 - 3"),
        (False, "Nine are left."),
    ]
    assert words_in(MIXED) == "The eggs first.\nNine are left."
    assert spoken(MIXED) == "The eggs first.\nTwelve, less three: 12 - 3 = 9\nNine are left."


@pytest.mark.parametrize(
    ("step", "code"),
    [
        ("no code here", ""),
        ("``` and nothing more", ""),
        ("```json\n{}\n```", ""),
        ("```py\nx = 1\n```", "x = 1"),
        ("```Python \nx = 1\n```\nand\n```python3\ny = 2\n```", "x = 1\ny = 2"),
        ("```python\nx = 1", "x = 1"),  # cut off before its end
        ("```python\n```", ""),
        ("```python\nif x:\n    y = '''```'''\n```", "if x:\n    y = '''```'''"),
    ],
)
def test_code_is_what_a_python_block_holds(step: str, code: str) -> None:
    assert code_in(step) == code


def test_a_step_without_code_comes_back_as_it_is() -> None:
    for step in ("  3 + 4 = 7 ", "", "a `b` c"):
        assert (words_in(step), spoken(step), without_fences(step)) == (step, step, step)


def test_for_those_who_write_only_code_words_are_comments() -> None:
    assert as_code("Wait. That was wrong.\n" + fenced("eggs = 9")) == "# Wait. That was wrong.\neggs = 9"


def test_output_stands_behind_the_step_and_is_cut_where_it_floods() -> None:
    assert with_output("x", ()) == "x"
    assert with_output("x", output(" 9\n")) == "x\n```output\n9\n```"
    assert printed(output("9" * 9999)) == "9" * SHOWN_CHARS + " ..."
    assert code_failed(output("9")) is None


@given(st.text("ab#=()' \n`", max_size=40))
def test_any_code_comes_out_of_its_fence_as_it_went_in(code: str) -> None:
    closes_early = re.search(r"^```", code, re.MULTILINE)
    if not closes_early and code.strip():
        assert code_in(fenced(code)) == code.strip("\n")
