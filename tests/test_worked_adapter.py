"""The adapter that ships: small, safe, made by the recipe beside it, and able to think one operation a line."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from agents.persona import load_policy
from agents.policy_prompt import PolicyPrompt
from agents.roles import PolicyView
from engines.contract import EngineSettings
from engines.transformers_engine import TransformersEngine
from problems.answers import final_answer
from problems.equations import equations
from problems.sources import ProblemSettings, TaskSettings, load_problems
from settings import load
from training.sft_settings import SFTSettings

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "models" / "stepwise"
SUMS = TaskSettings(name="chain_sum", config={"min_terms": 2, "max_terms": 3, "min_digits": 1, "max_digits": 2})


def read(name: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = yaml.safe_load((FOLDER / name).read_text("utf-8"))
    return found


def test_the_folder_is_small_and_holds_no_pickle() -> None:
    files = list(FOLDER.rglob("*.*"))
    assert sum(file.stat().st_size for file in files) <= 12_000_000
    assert not {file.suffix for file in files} & {".bin", ".pt", ".pth", ".pkl", ".ckpt"}
    assert {"adapter_model.safetensors", "persona.yaml", "training.json", "README.md"} <= {file.name for file in files}


def test_it_names_its_base_as_every_machine_knows_it() -> None:
    config = json.loads((FOLDER / "adapter_config.json").read_text("utf-8"))
    assert config["base_model_name_or_path"] == "embedded"


def test_the_recipe_beside_it_is_the_one_that_makes_it_again() -> None:
    recipe = load(SFTSettings, ROOT / "configs" / "cold-start.yaml", {})
    made_by = SFTSettings.model_validate(read("recipe.yaml"))
    assert made_by.binding() == recipe.binding()


def test_its_voice_is_the_persona_that_the_recipe_names() -> None:
    assert load_policy("auto", model=str(FOLDER)) == load_policy(read("recipe.yaml")["persona"])


@pytest.mark.slow
async def test_it_solves_sums_line_by_line_and_mends_a_line_it_is_told_is_wrong() -> None:
    persona = load_policy("auto", model=str(FOLDER))
    problems = load_problems(ProblemSettings(tasks=(SUMS,)), count=8, seed=31337)
    engine = TransformersEngine(EngineSettings(engine="transformers", model=str(FOLDER), max_batch=16, deadline=120))
    await engine.start()

    async def goes_on(question: str, said: str = "") -> str:
        view = PolicyView(journey_id="j", question=question, path=(), turns=(), seed=0)
        messages = PolicyPrompt(persona).messages(view, said)
        args = {"temperature": 0.0, "max_tokens": 120, "continue_final_message": True}
        return str((await engine.create(messages, extra_create_args=args)).content)

    try:
        slip = "7 + 5 = 13\nWait, that was wrong. 7 + 5 ="
        *texts, mended = await asyncio.gather(
            *(goes_on(problem.question) for problem in problems), goes_on("Calculate 7 + 5 + 1.", slip)
        )
    finally:
        await engine.close()
    assert mended.startswith(" 12\n")
    assert all("</think>" in text and final_answer(text.partition("</think>")[2]) for text in texts)
    claims = [equation for text in texts for equation in equations(text)]
    assert sum(equation.holds for equation in claims) >= 0.6 * len(claims)
    answers = [final_answer(text) for text in texts]
    assert sum(given == problem.answer for given, problem in zip(answers, problems, strict=True)) >= 4
