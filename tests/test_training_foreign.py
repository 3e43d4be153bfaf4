"""Long thoughts from elsewhere: the columns and tags people publish in, and what is left out and why."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from journeys.formats import TAG_STYLES
from settings import UserError
from training.foreign import ForeignFields, ForeignSettings, is_foreign, read_foreign

THOUGHT = "I add 17 and 25.\n\nWait, carry the one: 17 + 25 = 42."
OURS = f"<think>\n{THOUGHT}\n</think>\n\nAnswer: 42"
NAMES: tuple[str, ...] = (
    "question",
    "prompt",
    "messages",
    "conversations",
    "role",
    "from",
    "content",
    "value",
    "thought",
    "longCOT",
)
NAMES += ("reasoning_content", "response", "output", "solution", "answer", "final_answer")
WORDS = (
    "user",
    "assistant",
    "gpt",
    THOUGHT,
    "<think>",
    "</think>",
    "<think>\n4\n</think>\n\nAnswer: 4",
    "#### 4",
    "42",
)
SOLVED = "Adding both gives $\\boxed{42}$."


def written(folder: Path, *rows: Mapping[str, Any] | str) -> Path:
    file = folder / "foreign.jsonl"
    file.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows) + "\n")
    return file


@pytest.mark.parametrize(
    "row",
    [
        {"question": "17 + 25?", "thought": THOUGHT, "answer": "42"},
        {"problem": "17 + 25?", "reasoning_content": THOUGHT, "final_answer": 42},
        {"prompt": "17 + 25?", "thinking": f"<think>{THOUGHT}</think>", "expected_answer": "$42$"},
        {"question": "17 + 25?", "answer": "42", "longCOT": f"{THOUGHT}\n#### 42"},
        {"question": "17 + 25?", "longCOT": f"{THOUGHT}\n\n####\n\n42"},
        {"instruction": "17 + 25?", "output": f"<Thought>\n{THOUGHT}\n</Thought>\n<Output>\n42\n</Output>"},
        {"instruction": "17 + 25?", "response": f"{THOUGHT}\n</think>\n42"},
        {"problem": "17 + 25?", "response": f"<think>{THOUGHT}</think><answer>42</answer>"},
        {
            "question": "17 + 25?",
            "domain": "math",
            "combined_text": f"<|begin_of_thought|>\n\n{THOUGHT}\n\n<|end_of_thought|>\n\n"
            "<|begin_of_solution|>\n\n42\n\n<|end_of_solution|>",
        },
        {
            "conversations": [
                {"from": "system", "value": "Think."},
                {"from": "human", "value": "17 + 25?"},
                {"from": "gpt", "value": f"<think>\n{THOUGHT}\n</think>\n\nAnswer: 42"},
            ]
        },
        {
            "messages": [
                {"role": "user", "content": "17 + 25?"},
                {"role": "assistant", "reasoning_content": THOUGHT, "content": "42"},
            ]
        },
        {"prompt": [{"role": "user", "content": "17 + 25?"}], "reasoning": THOUGHT, "answer": 42.0},
    ],
)
def test_what_people_publish_becomes_the_row_that_we_would_have_written(row: dict[str, Any], tmp_path: Path) -> None:
    assert is_foreign(row)
    (found,) = read_foreign(written(tmp_path, row)).rows
    assert [(one.role, one.content) for one in found.prompt] == [("user", "17 + 25?")]
    assert found.completion == OURS
    assert found.answer == "42"


def test_a_written_solution_stays_and_gets_an_answer_line_only_if_it_states_none(tmp_path: Path) -> None:
    rows = [
        {"question": "17 + 25?", "thought": THOUGHT, "solution": SOLVED},
        {"question": "17 + 25 ?", "thought": THOUGHT, "response": f"<think>{THOUGHT}</think>{SOLVED}"},
        {"question": "17 and 25?", "reasoning": THOUGHT, "solution": "Both are added up.", "answer": "42"},
    ]
    first, second, third = (row.completion for row in read_foreign(written(tmp_path, *rows)).rows)
    assert first == second == f"<think>\n{THOUGHT}\n</think>\n\n{SOLVED}"
    assert third == f"<think>\n{THOUGHT}\n</think>\n\nBoth are added up.\n\nAnswer: 42"


def test_a_reply_in_a_sentence_stays_the_reply(tmp_path: Path) -> None:
    said = "<Thought>\nFrance. Paris.\n</Thought>\n<Output>\nThe capital of France is Paris.\n</Output>"
    (row,) = read_foreign(written(tmp_path, {"instruction": "Capital of France?", "output": said})).rows
    assert row.completion == "<think>\nFrance. Paris.\n</think>\n\nThe capital of France is Paris."
    assert row.answer is None


def test_rows_are_written_in_the_tags_of_the_training(tmp_path: Path) -> None:
    file = written(tmp_path, {"question": "17 + 25?", "thought": THOUGHT, "answer": "42"})
    (row,) = read_foreign(file, tags=TAG_STYLES["begin_of_thought"]).rows
    assert row.completion.startswith("<|begin_of_thought|>\n\nI add")
    assert row.completion.endswith("<|begin_of_solution|>\n\nAnswer: 42\n\n<|end_of_solution|>")


def test_columns_can_be_named(tmp_path: Path) -> None:
    file = written(tmp_path, {"q": "17 + 25?", "musings": THOUGHT, "label": "no", "gold": "42"})
    fields = ForeignFields(question="q", thought="musings", answer="gold")
    (row,) = read_foreign(file, settings=ForeignSettings(fields=fields)).rows
    assert row.completion == OURS


def test_a_row_that_cannot_be_learnt_from_is_counted_with_its_reason_and_first_place(tmp_path: Path) -> None:
    good = {"question": "17 + 25?", "thought": THOUGHT, "answer": "42"}
    file = written(
        tmp_path,
        good,
        {"question": "", "thought": THOUGHT, "answer": "42"},
        {"question": "?", "response": "<think>\nit was cut off"},
        '{"torn',
        good,
        {"question": "17 + 25?", "thought": "It is hard to say.", "answer": None},
        {"question": "17 + 25?", "thought": "17 + 25 = 43. The answer is 43.", "answer": "42"},
        {"question": "17 + 25?", "thought": "<think>As <think> says, 42.</think>", "answer": "42"},
        {"question": "?", "response": "<think>\ncut off as well"},
        {"question": "17 + 25?", "thought": "Half a \ud83d", "answer": "42"},
    )
    found = read_foreign(file)
    assert len(found.rows) == 1
    places = {why: (one.count, one.first.number) for why, one in found.refused.items()}
    assert places == {
        "the question is blank or no text": (1, 2),
        "the thought is never closed; the text was cut off": (2, 3),
        "no question": (1, 4),
        "the same question and thought as an earlier row": (1, 5),
        "no final answer in a column, after the thought or at its end": (1, 6),
        "the text ends in another answer than the answer column has": (1, 7),
        "a tag stands inside the thought or the solution": (1, 8),
        "half a character (a lone surrogate) in it, which no tokenizer can read": (1, 10),
    }
    assert f"2 rows left out: the thought is never closed; the text was cut off (first: {file}: row 3)" in found.lines()


def test_a_file_with_nothing_to_learn_is_an_error_that_says_why_and_how_to_name_columns(tmp_path: Path) -> None:
    file = written(tmp_path, {"a": 1}, {"question": "?", "b": 2})
    with pytest.raises(UserError, match=r"row 1.*foreign\.fields\.question"):
        read_foreign(file)


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "17 + 25?", "completion": OURS},
        {"prompt": "17 + 25?", "chosen": OURS, "rejected": "no"},
        {"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]},
    ],
)
def test_rows_in_trl_columns_are_not_foreign(row: dict[str, Any]) -> None:
    assert not is_foreign(row)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12) | st.sampled_from(WORDS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
    max_leaves=8,
)


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.dictionaries(st.sampled_from(NAMES), JSON, max_size=5), max_size=3))
def test_whatever_stands_in_a_file_is_a_row_or_a_reason(rows: list[dict[str, Any]], tmp_path: Path) -> None:
    good = {"question": "17 + 25?", "thought": THOUGHT, "answer": "42"}
    found = read_foreign(written(tmp_path, good, *rows))
    assert all(isinstance(is_foreign(row), bool) for row in rows)
    assert len(found.rows) + sum(one.count for one in found.refused.values()) == 1 + len(rows)
    for row in found.rows:
        assert row.completion.count("<think>") == row.completion.count("</think>") == 1
        assert row.prompt[0].content.strip()
