"""How a model is asked, and which part of its text is the answer."""

from pathlib import Path
from typing import Any

import pytest
from autogen_core.models import AssistantMessage, SystemMessage, UserMessage

from evaluation.asking import Candidate, fingerprint
from evaluation.settings import EvaluateSettings
from settings import UserError

TUNED = """
role: policy
mode: monologue
opens: "<think>\\n"
closes: "\\n</think>\\n\\n"
memory: full
system: ""
task: "$question"
backtrack: "Wait."
reflect: "Hold on."
"""


def candidate(model: str = "any", **keys: Any) -> Candidate:
    settings = EvaluateSettings.model_validate({"models": [model], "engine": {"engine": "scripted"}, **keys})
    return Candidate.of(settings.models[0], settings)


def tuned_folder(folder: Path, persona: str = TUNED) -> Path:
    model = folder / "model"
    model.mkdir()
    (model / "config.json").write_text("{}")
    (model / "persona.yaml").write_text(persona)
    return model


def test_a_tuned_model_is_given_the_question_alone_and_opens_its_thought_itself(tmp_path: Path) -> None:
    asked = candidate(str(tuned_folder(tmp_path)))
    assert [(type(m), m.content) for m in asked.messages("What is 2 + 3?")] == [(UserMessage, "What is 2 + 3?")]
    settings = EvaluateSettings.model_validate({"models": [asked.engine.model]})
    assert Candidate.of(settings.models[0], settings).persona.name == "persona", "a real folder, checked as one"


def test_any_other_model_is_asked_by_system_text_and_example() -> None:
    messages = candidate().messages("What is 2 + 3?")
    assert [type(m) for m in messages] == [SystemMessage, UserMessage, AssistantMessage, UserMessage]
    assert messages[-1].content == "What is 2 + 3?"
    assert "Answer: 32" in str(messages[2].content)


def test_a_model_may_be_given_a_persona_of_its_own(tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(TUNED.replace('"$question"', '"Q: $question"'))
    settings = EvaluateSettings.model_validate(
        {
            "models": [{"model": str(tuned_folder(tmp_path)), "persona": str(other)}, "plain"],
            "engine": {"engine": "scripted"},
        }
    )
    first, second = (Candidate.of(model, settings) for model in settings.models)
    assert first.messages("2 + 3?")[0].content == "Q: 2 + 3?"
    assert second.persona.name == "monologue"


def test_a_persona_that_asks_step_by_step_is_refused() -> None:
    with pytest.raises(UserError, match="'stepwise' asks step by step"):
        candidate(persona="stepwise")


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("<think>\n2 + 2 = 4\nThe answer is 5.\n</think>\n\nAnswer: 4", "4"),
        ("<think>\nAnswer: 5, no\n</think>\n\n4", "4"),
        ("<think>\nIt is 5.\n</think>\n\nTherefore $\\boxed{\\frac{1}{2}}$.", "\\frac{1}{2}"),
        ("<|begin_of_thought|>\n\nAnswer: 1\n\n<|end_of_thought|>\n\n<|begin_of_solution|>\n\nAnswer: 2", "2"),
        ("<Thought>\nAnswer: 1\n</Thought>\n\n<Output>\nAnswer: 2\n</Output>", "2"),
        ("Answer: 1\nWait, that is off.\nAnswer: 2", "2"),
        ("<think>\nAnswer: 1 </think> no, <think> \nAnswer: 3\n</think>\n\nAnswer: 2", "2"),
        ("<think>\nThe answer is 5.\n</think>\n\nI am not sure about any of this, so there is nothing that I would put "
         "down here.\nSorry.", None),
        ("<think>\n2 + 2 = 4\nAnswer: 4", "4"),
        ("<think>\n2 + 2 = 4", None),
        ("", None),
        ("<think>\nThe answer is 5.\n</think>\n\n", None),
        ("The answer is 10,000.\n\nJosh sold the house, so he made a profit.", "10,000"),
        ("Answer: 28 + 40 = 69.\nThe answer is 68.\n\nThat was all.", "68"),
        ("Answer: 28 + 40 = 68 jewels", "68 jewels"),
        ("Answer: x = 5", "x = 5"),
        ("Answer: 2 + 2 = ?", "2 + 2 = ?"),
        ("If the answer is 5, then there are too many.", None),
        ("Question: 3 + 3?\nAnswer: 6\n#### 6\n", "6"),
    ],
)  # fmt: skip
def test_the_answer_stands_behind_the_thought_or_is_the_last_one_stated(text: str, answer: str | None) -> None:
    assert candidate().answer_in(text) == answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("The answer is 100.\nThe answer is 100.\nThe answer is", "100"),
        ("The answer is 100.\nThe answer is 10", "100"),
        ("It is 6.\nThe answer is 6 cents.\nThe answer is 6 cents.", "6 cents"),
        ("The answer is 100. The answer is 10", "100"),
        ("Spent $42 on all of it.\n#### 42\nThe answer is: 4", "42"),
        ("<think>\n40 + 2 = 42\n</think>\n\nAnswer: 4", None),
        ("<think>\n40 + 2 = 42\n</think>\n\n4", None),
        ("40 + 2 = 42 and then", None),
        ("Answer: 42\n", "42"),
        ("It is $\\boxed{42}", "42"),
        ("\\boxed{42} is what I get, and now I check: 40", "42"),
    ],
)
def test_half_an_answer_at_the_end_of_the_tokens_is_none(text: str, answer: str | None) -> None:
    assert candidate().answer_in(text, cut_off=True) == answer


def test_a_persona_says_what_ends_its_thoughts(tmp_path: Path) -> None:
    asked = candidate(str(tuned_folder(tmp_path, TUNED.replace("</think>", "[END]"))))
    assert asked.answer_in("Answer: 1\n</think>\nAnswer: 3\n[END]\n\n2") == "2"
    assert asked.answer_in("Answer: 3\n</think>\n\n2") == "3", "another model's tag is only text here"


def test_a_retrained_folder_has_another_fingerprint(tmp_path: Path) -> None:
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(b"a" * 100)
    before = fingerprint(tmp_path)
    assert before is not None
    assert fingerprint(tmp_path) == before
    weights.write_bytes(b"b" * 100)
    assert fingerprint(tmp_path) != before
    assert fingerprint(tmp_path / "nowhere") is None
