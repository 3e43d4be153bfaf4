"""Personas: YAML files, shipped ones, a user's own, and the voice in a model's folder."""

from pathlib import Path

import pytest
from prompt_material import SHIPPED_CRITICS

from agents.narrator import load_narrator
from agents.persona import PERSONA_FOLDER, load_critic, load_policy


@pytest.mark.parametrize("name", SHIPPED_CRITICS)
def test_every_shipped_critic_persona_loads(name: str) -> None:
    persona = load_critic(name)
    assert persona.name == name
    assert persona.description


def test_the_shipped_narrator_loads() -> None:
    assert load_narrator("narrator").name == "narrator"


def test_a_persona_is_a_file_and_takes_its_name(tmp_path: Path) -> None:
    path = tmp_path / "brusque.yaml"
    path.write_text("role: policy\nsystem: Think.\nbacktrack: [No., Nope.]\nreflect: Well. $critique\n")
    persona = load_policy(str(path))
    assert (persona.name, persona.backtrack, persona.mode) == ("brusque", ("No.", "Nope."), "chat")


def test_a_model_folder_brings_the_voice_it_was_trained_in(tmp_path: Path) -> None:
    assert load_policy("auto", model=str(tmp_path)).name == "stepwise"
    assert load_policy("auto", model="embedded").name == "stepwise"
    own = (PERSONA_FOLDER / "policy" / "tuned.yaml").read_text("utf-8").replace("<think>", "<Thought>")
    (tmp_path / "persona.yaml").write_text(own, encoding="utf-8")
    persona = load_policy("auto", model=str(tmp_path))
    assert (persona.name, persona.opens) == ("tuned", "<Thought>\n")
    assert load_policy("monologue", model=str(tmp_path)).name == "monologue"
